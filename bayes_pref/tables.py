"""Tables on disk, read strictly: CSV and TSV (also gzipped) and Parquet.

pandas reads almost any text: it renames a doubled column, takes the extra field of a longer row
for an index, fills up a shorter row, reads the user "NA" as missing and the users "7" and "007" as
one. Here a text is checked line by line before pandas reads its numbers, and labels stay text
unless all of them are whole numbers. Rows are labelled by where they stand in the file.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np
import pandas as pd
from pandas.api import types

from bayes_pref.errors import DataError
from bayes_pref.validate import IntArray, listed, shown

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_PARQUET = (".parquet", ".pq")
_MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>"]
# As Python writes it: "007", "+7" and "7.0" are other labels than "7".
_WHOLE = r"0|-?[1-9]\d{0,17}"
# Columns that pandas adds to a Parquet file to keep an index that has no name.
_NAMELESS_INDEX = re.compile(r"__index_level_\d+__")


@dataclass(frozen=True)
class SourceTable:
    """A table and the file it came from.

    Parameters
    ----------
    path
        The file.
    frame
        Its rows, labelled by their place in the file.
    unit
        What the labels count: "line" (of a text, from 1) or "row" (of a Parquet file, from 1).
    """

    path: Path
    frame: pd.DataFrame
    unit: str

    def located(self, message: str) -> str:
        """Put the file, and its lines, into a message about the frame.

        Examples
        --------
        >>> table = SourceTable(Path("votes.csv"), pd.DataFrame(), "line")
        >>> table.located("column 'tone': missing value (nan) in row 17; mend it")
        "votes.csv, column 'tone': missing value (nan) in line 17; mend it"
        """
        text = re.sub(r"\bin row (?=\d)", f"in {self.unit} ", message)
        for words in ("the table ", "covariates have ", "covariates "):
            if text.startswith(words):
                return f"{self.path} {'has ' * words.endswith('have ')}{text.removeprefix(words)}"
        text = text.removeprefix("covariates, ")
        return f"{self.path}{',' if text.startswith('column ') else ':'} {text}"


def read_table(path: Path, *, labels: Sequence[str] = ()) -> SourceTable:
    r"""Read a table whose format its name tells: .csv, .tsv (both also .gz) or .parquet.

    Parameters
    ----------
    path
        The file.
    labels
        Columns that hold labels, not numbers; of a text, they are read as they are written.

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
    ...     read_table(path, labels=["who"]).frame
       who  length
    2  007     1.5
    4    7     2.0
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else path.suffix.lower()
    try:
        if kind in _SEPARATORS:
            return _read_text(path, _SEPARATORS[kind], labels)
        if kind in _PARQUET:
            return _read_parquet(path)
        with path.open("rb"):  # a file that is not there is the first thing to say
            pass
    except OSError as err:
        raise DataError(f"cannot read {path}: {err.strerror or err}; check the path") from err
    raise DataError(
        f"cannot read {path}: its name tells no known format; "
        "save the table as .csv, .csv.gz, .tsv or .parquet"
    )


def whole_number_labels(column: str, *tables: SourceTable) -> tuple[SourceTable, ...]:
    """Turn labels that were read as text into whole numbers where all of them are such.

    Parameters
    ----------
    column
        Name of the column of labels; it must be in every table.
    tables
        Those whose labels are to be matched: all of them are turned, or none is.

    Returns
    -------
    tables: as given, but for the type of the labels

    Examples
    --------
    >>> frame = pd.DataFrame({"who": ["3", "12"]}, dtype=str)
    >>> [table] = whole_number_labels("who", SourceTable(Path("votes.csv"), frame, "line"))
    >>> table.frame["who"].tolist()
    [3, 12]
    """
    texts = [types.is_string_dtype(table.frame[column].dtype) for table in tables]
    whole = all(
        table.frame[column].str.fullmatch(_WHOLE).eq(True).all()
        if text
        else types.is_integer_dtype(table.frame[column].dtype)
        for table, text in zip(tables, texts, strict=True)
    )
    if not whole:
        return tables
    return tuple(
        SourceTable(
            table.path, table.frame.astype({column: "int64"}) if text else table.frame, table.unit
        )
        for table, text in zip(tables, texts, strict=True)
    )


def _read_text(path: Path, separator: str, labels: Sequence[str]) -> SourceTable:
    header, lines = _check_lines(path, separator)
    missing = {name: [""] if name in labels else _MISSING for name in header}
    with _opened(path) as text:
        frame = pd.read_csv(
            text,
            sep=separator,
            index_col=False,
            dtype=cast(Any, {name: str for name in header if name in labels}),
            keep_default_na=False,
            na_values=missing,
            low_memory=False,  # or a column's type would change from one part to the next
        )
    if frame.columns.tolist() != header or len(frame) != len(lines):
        raise DataError(
            f"cannot read {path}: its quotes are ambiguous; write it again with a "
            "program that quotes every text"
        )
    return SourceTable(path, frame.set_axis(pd.Index(lines, name="line")), "line")


def _check_lines(path: Path, separator: str) -> tuple[list[str], IntArray]:
    """Header of a text table, and the line on which each of its rows begins."""
    name = {",": "commas", "\t": "tabs"}[separator]
    lines, header, begin, reader = [], None, 1, None
    with _opened(path) as text:
        reader = csv.reader(text, delimiter=separator, strict=True)
        try:
            # A loop over rows: only a reader of single rows knows where each one begins.
            for row in reader:
                if len(row) > 1 or (row and row[0].strip()):
                    if header is None:
                        header = _header(path, row, name)
                    elif len(row) != len(header):
                        raise DataError(
                            f"{path}, line {begin}: {len(row)} fields, but the header has "
                            f"{len(header)}; fields are separated by {name}, and one that holds "
                            f"{'a comma' if separator == ',' else 'a tab'} needs quotes"
                        )
                    else:
                        lines.append(begin)
                begin = reader.line_num + 1
        except csv.Error as err:
            raise DataError(
                f"{path}, line {begin}: not a row of a table ({err}); check its quotes"
            ) from err
    if header is None:
        raise DataError(f"{path} is empty: it has no header; its first line must name the columns")
    return header, np.array(lines, dtype=np.int64)


def _header(path: Path, header: list[str], separated: str) -> list[str]:
    """Refuse a header that does not name every column once."""
    if len(header) == 1:
        raise DataError(
            f"{path} has a single column {shown(header[0])}: it is not a table whose fields are "
            f"separated by {separated}; save it as .csv (commas) or .tsv (tabs)"
        )
    for k, column in enumerate(header):
        if not column.strip():
            raise DataError(
                f"{path}: column {k + 1} has no name; name it in the header, "
                "or leave it out if it only counts the rows"
            )
    doubled = [column for column in header if header.count(column) > 1]
    if doubled:
        raise DataError(
            f"{path} has more than one column named {shown(doubled[0])}; "
            "give every column its own name"
        )
    return header


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """Open a text, gzipped or not, and say so if it is none."""
    zipped = path.suffix.lower() == ".gz"
    try:
        with path.open("rb") as file:
            start = file.read(2)
        opened = gzip.open if zipped else open
        with cast(TextIO, opened(path, "rt", encoding="utf-8-sig", newline="")) as text:
            if "\0" in text.read(4096):
                raise DataError(f"{path} is not a text table; save it as CSV in UTF-8")
            text.seek(0)
            yield text
    except UnicodeDecodeError as err:
        raise DataError(
            f"{path} is not a text table in UTF-8 (byte {start[:1]!r}); save it as CSV in UTF-8"
        ) from err
    except (gzip.BadGzipFile, EOFError, zlib.error) as err:
        raise DataError(
            f"{path} is not a whole gzip file ({err}); fetch or make another copy"
        ) from err


def _read_parquet(path: Path) -> SourceTable:
    with path.open("rb"):  # pyarrow words a missing file in its own way
        pass
    try:
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError as err:
        raise DataError(
            f"reading {path} needs pyarrow; install it with pip install 'bayes-pref[scale]', "
            "or save the table as CSV"
        ) from err
    try:
        table = parquet.read_table(path)
        doubled = [name for name in table.column_names if table.column_names.count(name) > 1]
        if doubled:
            raise DataError(
                f"{path} has more than one column named {shown(doubled[0])}; "
                "give every column its own name"
            )
        frame = cast(pd.DataFrame, table.to_pandas(ignore_metadata=True))
    except DataError:
        raise
    except (OSError, ValueError, TypeError, NotImplementedError) as err:
        raise DataError(f"{path} is not a whole Parquet file; fetch or make another copy") from err
    counted = [name for name in frame.columns if _NAMELESS_INDEX.fullmatch(name)]
    rows = pd.RangeIndex(1, len(frame) + 1, name="row")
    return SourceTable(path, frame.drop(columns=counted).set_axis(rows), "row")


def feature_columns(table: SourceTable, taken: Sequence[str]) -> list[str]:
    """Every column that has no other part to play, refusing those that hold no numbers at all.

    Parameters
    ----------
    table
        The comparisons.
    taken
        Columns that are something else: the user, the choice, the contexts.

    Returns
    -------
    columns: in the file's order

    Raises
    ------
    DataError
        If nothing is left, or a column holds text alone.

    Examples
    --------
    >>> frame = pd.DataFrame({"who": ["a"], "won": [1], "length": [2.0], "tone": [0.5]})
    >>> feature_columns(SourceTable(Path("votes.csv"), frame, "line"), ["who", "won"])
    ['length', 'tone']
    """
    columns = [name for name in table.frame.columns if name not in taken]
    if not columns:
        raise DataError(
            f"{table.path} has no column besides {listed(taken)}; "
            "add a column for each feature, left minus right"
        )
    for name in columns:
        column = table.frame[name]
        text = not (types.is_numeric_dtype(column.dtype) or types.is_bool_dtype(column.dtype))
        found = column.dropna()
        if (
            text
            and len(found)
            and pd.to_numeric(found.astype(object), errors="coerce").isna().all()
        ):
            raise DataError(
                f"{table.path}, column {name!r} holds no numbers but such as "
                f"{shown(found.iloc[0])}; name the columns to learn from with --difference"
            )
    return columns
