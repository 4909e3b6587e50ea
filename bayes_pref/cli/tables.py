"""Tables on disk: CSV, TSV and JSON lines (also gzipped), Parquet and Excel.

The name of a file tells its format. Labels stay as they are written unless all of them are whole
numbers. Rows are labelled by their place in the file, so that a message about a row names its line.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pandas as pd
from pandas.api import types

from bayes_pref.cli.sheets import read_sheet
from bayes_pref.cli.text_tables import doubled_column, read_text
from bayes_pref.data.expansion import refuse_bomb
from bayes_pref.errors import DataError, Place
from bayes_pref.messages import listed, shown
from bayes_pref.text.records import read_json_lines

_SEPARATORS = {"csv": ",", "tsv": "\t"}
_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "xlsx",
}
_STDIN = Path("the standard input")
# As Python writes it: "007", "+7" and "7.0" are other labels than "7".
_WHOLE = r"0|-?[1-9]\d{0,17}"
# pandas adds a column of this name to a Parquet file to keep an index that has no name.
_NAMELESS_INDEX = r"__index_level_\d+__"


@dataclass(frozen=True)
class SourceTable:
    """A table and its file.

    Parameters
    ----------
    path
        The file.
    frame
        Its rows, labelled by their place in the file.
    unit
        What the labels count: "line" (of a text, from 1) or "row" (of Parquet or Excel, from 1).
    """

    path: Path
    frame: pd.DataFrame
    unit: str

    def located(self, error: DataError, *, remedy: str | None = None) -> DataError:
        """Return an error about the frame as one about the file and its lines.

        Parameters
        ----------
        error
            An error whose place is in the frame.
        remedy
            Another remedy; None: the same.

        Examples
        --------
        >>> table = SourceTable(Path("votes.csv"), pd.DataFrame(), "line")
        >>> place = Place(column="tone", rows=(17,))
        >>> print(table.located(DataError("missing value", "drop the row", place=place)))
        votes.csv, column 'tone': missing value in line 17; drop the row
        """
        return error.at(str(self.path), unit=self.unit, remedy=remedy)

    @contextmanager
    def naming_lines(self) -> Iterator[None]:
        """Name the file and its lines in an error about the frame."""
        try:
            yield
        except DataError as err:
            raise (err if err.place is None else self.located(err)) from err


def frame_of(table: SourceTable | None) -> pd.DataFrame | None:
    """Return the rows of a table, if there is one."""
    return None if table is None else table.frame


def read_table(
    path: str | Path, *, labels: Sequence[str] = (), file_format: str | None = None
) -> SourceTable:
    r"""Read a table: .csv, .tsv or .jsonl (all also .gz), .parquet or .xlsx.

    Parameters
    ----------
    path
        The file; ``-`` for the standard input.
    labels
        Columns of labels, which are read from a text as they are written.
    file_format
        "csv", "tsv", "jsonl", "parquet" or "xlsx"; None: what the file's name tells; of ``-``
        "csv".

    Returns
    -------
    table

    Raises
    ------
    DataError
        If the file is missing, damaged or of another format, or it is not one table: a column has
        no name or a name twice, or a line has fewer or more fields than the header.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "votes.csv")
    ...     _ = path.write_text("who,length\n007,1.5\n\n7,2\n")
    ...     read_table(path, labels=["who"]).frame.reset_index()
       line  who  length
    0     2  007     1.5
    1     4    7     2.0
    """
    if str(path) == "-":
        with _standard_input(file_format or "csv") as copy:
            read = _read_as(copy, file_format or "csv", labels)
            return SourceTable(_STDIN, read.frame, read.unit)
    path = Path(path)
    return _read_as(path, file_format or format_of(path), labels)


def read_records(path: str, file_format: str | None = None) -> Path | pd.DataFrame | list[Any]:
    """Read votes on texts: JSON lines as they are, any other format as a table.

    Parameters
    ----------
    path, file_format
        As of `read_table`; ``-`` holds JSON lines, unless its format is another.
    """
    if path == "-" and file_format in (None, "jsonl"):
        with _standard_input("jsonl") as copy:
            return read_json_lines(copy)[0]
    if path != "-" and (file_format or format_of(Path(path))) == "jsonl":
        return Path(path)
    return read_table(path, file_format=file_format).frame


@contextmanager
def _standard_input(file_format: str) -> Iterator[Path]:
    """Copy the standard input into a file for a while; messages name it as what it is."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, f"input.{file_format}")
        copy.write_bytes(sys.stdin.buffer.read())
        try:
            yield copy
        except DataError as err:
            told = str(err)
            for name in (str(copy), copy.name):
                told = told.replace(name, str(_STDIN))
            raise DataError(told) from err


def format_of(path: Path) -> str | None:
    """Return the format that a file's name tells."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    zipped = suffixes[-1:] == [".gz"] and len(suffixes) > 1
    return _FORMATS.get(suffixes[-2] if zipped else path.suffix.lower())


def _read_as(path: Path, file_format: str | None, labels: Sequence[str]) -> SourceTable:
    """Read a file in this format; None: its name tells none."""
    try:
        if file_format in _SEPARATORS:
            return SourceTable(path, read_text(path, _SEPARATORS[file_format], labels), "line")
        if file_format == "jsonl":
            return _read_json_lines(path, labels)
        if file_format == "parquet":
            return _read_parquet(path)
        if file_format == "xlsx":
            return SourceTable(path, read_sheet(path, labels), "row")
        with path.open("rb"):  # that a file is missing is more important than its name
            pass
    except OSError as err:
        raise DataError(f"cannot read {path}: {err.strerror or err}", "check the path") from err
    raise DataError(
        f"cannot read {path}: its name tells no known format",
        "save the table as .csv, .csv.gz, .tsv, .jsonl, .parquet or .xlsx, or name it by --format",
    )


def whole_number_labels(columns: Sequence[tuple[SourceTable, str]]) -> list[SourceTable]:
    """Convert labels that were read as text to whole numbers, if all of them are whole numbers.

    Parameters
    ----------
    columns
        Tables and names of their columns of the same labels: those of all are converted, or of
        none.

    Returns
    -------
    tables: the same, but for the type of the labels

    Examples
    --------
    >>> frame = pd.DataFrame({"who": ["3", "12"]}, dtype=str)
    >>> [table] = whole_number_labels([(SourceTable(Path("votes.csv"), frame, "line"), "who")])
    >>> table.frame["who"].tolist()
    [3, 12]
    """
    texts = [types.is_string_dtype(table.frame[name].dtype) for table, name in columns]
    whole = all(
        table.frame[name].str.fullmatch(_WHOLE).eq(True).all()
        if text
        else types.is_integer_dtype(table.frame[name].dtype)
        for (table, name), text in zip(columns, texts, strict=True)
    )
    return [
        replace(table, frame=table.frame.astype({name: "int64"})) if whole and text else table
        for (table, name), text in zip(columns, texts, strict=True)
    ]


def feature_columns(table: SourceTable, taken: Sequence[str]) -> list[str]:
    """Return every column that has no other role.

    Parameters
    ----------
    table
        The comparisons.
    taken
        Columns with another role: the user, the choice, the contexts.

    Returns
    -------
    columns: in the file's order

    Raises
    ------
    DataError
        If there is none, or one holds text alone.

    Examples
    --------
    >>> frame = pd.DataFrame({"who": ["a"], "won": [1], "length": [2.0], "tone": [0.5]})
    >>> feature_columns(SourceTable(Path("votes.csv"), frame, "line"), ["who", "won"])
    ['length', 'tone']
    """
    columns = [name for name in table.frame.columns if name not in taken]
    if not columns:
        raise DataError(
            f"has no column besides {listed(taken)}",
            "add a column for each feature, left minus right",
            place=Place(str(table.path)),
            subject=True,
        )
    for name in columns:
        found = table.frame[name].dropna()
        if len(found) and _is_text(found):
            raise DataError(
                f"holds no numbers but such as {shown(found.iloc[0])}",
                "name the feature columns with --difference",
                place=Place(str(table.path), name),
                subject=True,
            )
    return columns


def _is_text(column: pd.Series[Any]) -> bool:
    """Whether a column holds no number, not even as text."""
    if types.is_numeric_dtype(column.dtype) or types.is_bool_dtype(column.dtype):
        return False
    return bool(pd.to_numeric(column.astype(object), errors="coerce").isna().all())


def _read_json_lines(path: Path, labels: Sequence[str]) -> SourceTable:
    """Read objects, one a line; labels that are numbers are written out, as in a text."""
    records, lines = read_json_lines(path)
    if not records:
        raise DataError(f"{path} is empty", "every line must be an object with named fields")
    frame = pd.DataFrame(records, index=pd.Index(lines, name="line"))
    mixed = [name for name in labels if name in frame and not types.is_numeric_dtype(frame[name])]
    texts = {name: frame[name].map(str, na_action="ignore") for name in mixed}
    return SourceTable(path, frame.assign(**texts), "line")


def _read_parquet(path: Path) -> SourceTable:
    with path.open("rb"):  # pyarrow words a missing file in its own way
        pass
    try:
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError as err:
        raise DataError(
            f"reading {path} needs pyarrow",
            "install it with pip install 'bayes-pref[scale]', or save the table as CSV",
        ) from err
    try:
        # Before it is read: a column of one value takes no room in the file.
        described = parquet.read_metadata(path)
        cells = described.num_rows * described.num_columns
        refuse_bomb(path, path.stat().st_size, 8.0 * cells)
        table = parquet.read_table(path)
        frame = cast(pd.DataFrame, table.to_pandas(ignore_metadata=True))
    except DataError:
        raise
    except (OSError, ValueError, TypeError, NotImplementedError) as err:
        raise DataError(
            f"{path} is not a whole Parquet file", "fetch or make another copy"
        ) from err
    doubled = frame.columns[frame.columns.duplicated()]
    if len(doubled):
        raise doubled_column(path, doubled[0])
    frame = frame.loc[:, ~frame.columns.str.fullmatch(_NAMELESS_INDEX)]
    return SourceTable(path, frame.set_axis(pd.RangeIndex(1, len(frame) + 1, name="row")), "row")
