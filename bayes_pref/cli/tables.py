"""Tables on disk, read strictly: CSV and TSV (also gzipped) and Parquet.

Nothing is guessed: the file's name tells its format, labels stay as they are written unless all of
them are whole numbers, and rows are labelled by where they stand in the file, so that a message
about a row can be followed back to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pandas as pd
from pandas.api import types

from bayes_pref.cli.text_tables import read_text
from bayes_pref.data.table import listed, shown
from bayes_pref.errors import DataError

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_PARQUET = (".parquet", ".pq")
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
    ...     read_table(path, labels=["who"]).frame.reset_index()
       line  who  length
    0     2  007     1.5
    1     4    7     2.0
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else path.suffix.lower()
    try:
        if kind in _SEPARATORS:
            return SourceTable(path, read_text(path, _SEPARATORS[kind], labels), "line")
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
