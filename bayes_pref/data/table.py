"""The caller's tables (pandas, polars, Arrow), whose columns are read strictly.

Text is not parsed as a number, a missing value is not filled in, and an outcome is 1, 0 or 0.5. A
value that breaks a rule raises a `DataError` that names the table, the column, the row and the
value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module
from typing import Any, NoReturn, Protocol, TypeAlias, cast

import numpy as np
import pandas as pd
from pandas.api import types

from bayes_pref.data.choice_words import SOME, side_of, truth_of
from bayes_pref.data.plain_labels import REMEDY, odd_label
from bayes_pref.errors import DataError, Place
from bayes_pref.messages import listed, shown, suggestion
from bayes_pref.types import FloatArray, IntArray, Mask


class ArrowTable(Protocol):
    """A table with the Arrow stream interface: polars, pyarrow, DuckDB, ..."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return a capsule that holds the stream."""


class InterchangeTable(Protocol):
    """A table with the older dataframe interchange interface."""

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> Any:
        """Return the interchange object."""


TableLike: TypeAlias = pd.DataFrame | ArrowTable | InterchangeTable

_NUMBERS = (bool, int, float, Decimal, np.bool_, np.integer, np.floating)
_OUTCOMES = (0.0, 0.5, 1.0)


def missing_in(series: pd.Series[Any]) -> Mask:
    """(n,) which entries of a column are missing: None, nan, NA or NaT."""
    try:
        return series.isna().to_numpy()
    except ArithmeticError:  # a signalling NaN does not let itself be compared
        return np.array([_is_missing(entry) for entry in series])


def _is_missing(entry: Any) -> bool:
    if isinstance(entry, Decimal):
        return entry.is_nan()
    return bool(types.is_scalar(entry) and pd.isna(entry))


def _is_number(entry: object) -> bool:
    # NumPy counts durations among the whole numbers.
    return isinstance(entry, _NUMBERS) and not isinstance(entry, np.timedelta64)


def column_names(columns: str | Iterable[object] | None) -> tuple[str, ...]:
    """Read the names of columns as the caller gave them: none, one, or several."""
    if columns is None:
        return ()
    return (columns,) if isinstance(columns, str) else tuple(str(column) for column in columns)


@dataclass(frozen=True)
class Table:
    """One table of the caller's, whose columns are read strictly.

    Parameters
    ----------
    frame
        The rows, with unique text column names.
    name
        The argument it came in as, which leads every message; empty for a call's only table.
    sides
        The caller's names of left and right, where an outcome may be one of them.

    Examples
    --------
    >>> import pandas as pd
    >>> table = Table.read(pd.DataFrame({"length": [1, 2]}))
    >>> table.numbers(["length"])
    array([[1.],
           [2.]])
    """

    frame: pd.DataFrame
    name: str = ""
    sides: tuple[str, ...] = ()

    @classmethod
    def read(cls, table: TableLike, name: str = "") -> Table:
        """Accept pandas, polars and Arrow tables; refuse the empty and the ambiguous."""
        frame = _pandas(table, name)
        if not all(isinstance(column, str) for column in frame.columns):
            frame = frame.set_axis([str(column) for column in frame.columns], axis=1)
        doubled = frame.columns[frame.columns.duplicated()]
        if len(doubled):
            raise DataError(
                f"has more than one column named {shown(doubled[0])}",
                "give every column its own name",
                place=Place(name),
                subject=True,
            )
        if not len(frame):
            raise DataError(
                "is empty: it has no rows", "at least 1 is needed", place=Place(name), subject=True
            )
        return cls(frame, name)

    def require(self, columns: Sequence[str]) -> None:
        """Refuse when a column is missing; say which existing column comes nearest."""
        absent = [column for column in columns if column not in self.frame.columns]
        if absent:
            what = "column" if len(absent) == 1 else "columns"
            near = dict.fromkeys(suggestion(name, self.frame.columns) for name in absent)
            raise DataError(
                f"has no {what} {listed(absent, limit=20)}",
                " ".join(filter(None, near))
                or f"its columns are {listed(self.frame.columns, limit=20)}",
                place=Place(self.name),
                subject=True,
            )

    def require_roles(self, roles: Mapping[str, Sequence[str]]) -> None:
        """Refuse missing columns and a column named twice, in one role or in two."""
        taken: dict[str, str] = {}
        for role, columns in roles.items():
            for column in columns:
                if column in taken:
                    both = (
                        f"named twice in {role}"
                        if taken[column] == role
                        else f"used both as {taken[column]} and as {role}"
                    )
                    raise DataError(f"column {column!r} is {both}", "name each column once")
                taken[column] = role
        self.require(list(taken))

    def numbers(self, columns: Sequence[str]) -> FloatArray:
        """(n, k) finite numbers, one column for each name; booleans count as 1 and 0."""
        self.require(columns)
        values = np.empty((len(self.frame), len(columns)))
        for k, column in enumerate(columns):
            read = _floats(self.frame[column])
            if read is None:
                self._refuse_text(column)
            values[:, k] = read
            if not np.isfinite(values[:, k]).all():
                row = int(np.argmin(np.isfinite(values[:, k])))
                found = "missing value" if np.isnan(values[row, k]) else "infinite value"
                self.refuse(column, row, f"{found} ({values[row, k]})", "drop the row or mend it")
        return values

    def outcomes(self, column: str) -> FloatArray:
        """(n,) choices: 1 left preferred, 0 right preferred, 0.5 a tie; or words for these."""
        series = self.frame[column]
        values = _floats(series)
        if values is None:
            values = self._words(series)
        known = np.isin(values, _OUTCOMES)
        if not known.all():
            # The entry worth naming is one that is no outcome at all, not even as text.
            readable = known | np.isin(_parsed(series), _OUTCOMES)
            row = int(np.argmin(known if readable.all() else readable))
            value = series.iloc[row]
            what = "missing" if _is_missing(value) else "unknown"
            expected = "expected 1 or True (left preferred), 0 or False (right) or 0.5 (a tie)"
            if readable.all():
                expected += f", as a number and not as {series.dtype}"
            elif isinstance(value, str):
                expected += f", or a word such as {SOME}"
            self.refuse(column, row, f"{what} outcome {shown(value)}", expected)
        return values

    def truths(self, column: str) -> Mask:
        """(n,) whether a column holds 1, True or yes, and not 0, False or no."""
        found = self.read_truths(column)
        if np.isnan(found).any():
            row = int(np.argmax(np.isnan(found)))
            value = self.frame[column].iloc[row]
            what = "missing value" if _is_missing(value) else f"unknown value {shown(value)}"
            self.refuse(column, row, what, "expected 1, True or 'yes', or 0, False or 'no'")
        return np.asarray(found == 1.0)

    def read_truths(self, column: str) -> FloatArray:
        """(n,) 1 and 0 as `truths` reads them, NaN where an entry is neither."""
        series = self.frame[column]
        values = _floats(series)
        if values is None:
            try:
                codes, entries = cast(Any, pd.factorize(series.astype(object)))
            except (TypeError, ArithmeticError):  # an entry without a hash
                codes, entries = np.arange(len(series)), list(series)
            read = [truth_of(entry) for entry in entries]
            each = [np.nan if truth is None else float(truth) for truth in read]
            return np.asarray(np.array([*each, np.nan])[codes])  # missing entries have the code -1
        return np.where(np.isin(values, (0.0, 1.0)), values, np.nan)

    def _words(self, series: pd.Series[Any]) -> FloatArray:
        """(n,) outcomes of a column that is not numbers alone, NaN where an entry is none."""
        known: dict[object, float] = {}

        def read(value: object) -> float:
            side = side_of(value, self.sides)
            return np.nan if side is None else side

        # A loop over entries, whose types may differ; each text is read once.
        numeric = isinstance(series.dtype, pd.CategoricalDtype) and types.is_numeric_dtype(
            series.dtype.categories.dtype
        )
        found = np.full(len(series), np.nan)
        if not numeric:
            for row, value in enumerate(series):
                if isinstance(value, str):
                    if value not in known:
                        known[value] = read(value)
                    found[row] = known[value]
                else:
                    found[row] = read(value)
        return found

    def labels(self, column: str) -> pd.Series[Any]:
        """(n,) labels of users or items, none of them missing."""
        series = self.frame[column]
        missing = missing_in(series)
        if missing.any():
            self.refuse(column, int(np.argmax(missing)), "missing label", "label every row")
        return series

    def codes(self, column: str) -> tuple[IntArray, pd.Index[Any]]:
        """(n,) codes of a column of labels, and the labels in order of first appearance."""
        labels = self.labels(column)
        self.refuse_odd(labels, column)
        codes, found = pd.factorize(labels)
        # Through a list, so that categorical, nullable and Arrow labels become ordinary ones.
        return codes.astype(np.int64), pd.Index(list(found), name=column)

    def refuse(self, column: str, row: int, found: str, remedy: str) -> NoReturn:
        """Refuse a cell: name its column and row, what was found and the remedy."""
        place = Place.of_row(self.name, column, row, self.frame.index)
        raise DataError(found, remedy, place=place)

    def refuse_odd(self, labels: pd.Series[Any], column: str) -> None:
        """Refuse labels that could not be saved, or that pandas takes for one another."""
        odd = odd_label(labels)
        if odd is not None:
            row, found = odd
            self.refuse(column, row, f"labels must be plain values, and {found}", REMEDY)

    def _refuse_text(self, column: str) -> NoReturn:
        """Refuse a column that is not of numbers; names the first entry that is none."""
        series = self.frame[column]
        if not (types.is_object_dtype(series.dtype) or types.is_string_dtype(series.dtype)):
            self.refuse(column, 0, f"{series.dtype} {shown(series.iloc[0])}", "numbers are needed")
        readable = ~np.isnan(_parsed(series)) | missing_in(series)
        if readable.all():  # every entry is a number, or one written as text
            text = [not _is_number(entry) for entry in series]
            row = int(np.argmax(np.array(text) & ~missing_in(series)))
            remedy = "a number is needed: convert the column with pandas.to_numeric"
        else:
            row, remedy = int(np.argmin(readable)), "a number is needed: drop the row or mend it"
        value = series.iloc[row]
        self.refuse(column, row, f"{'text ' * isinstance(value, str)}{shown(value)}", remedy)


def find(labels: Sequence[object], known: pd.Index[Any], what: str) -> IntArray:
    """Find the positions of labels in an index; refuse a label that is unknown.

    Examples
    --------
    >>> find(["b"], pd.Index(["a", "b"]), "user")
    array([1])
    """
    try:
        found = known.get_indexer(pd.Index(list(labels), tupleize_cols=False))
    except TypeError as err:
        raise DataError(
            f"a {what} is named by a plain value such as text or a number, got {listed(labels)}"
        ) from err
    if (found < 0).any():
        label = labels[int(np.argmax(found < 0))]
        remedy = suggestion(label, known) or f"known are {listed(known)}"
        raise DataError(f"unknown {what} {shown(label)}", remedy)
    return found.astype(np.int64)


def positions_in(entries: pd.Series[Any], known: pd.Index[Any]) -> IntArray:
    """(n,) positions of entries of any type among labels, -1 where one is none of them.

    Examples
    --------
    >>> positions_in(pd.Series(["b", [1], None]), pd.Index(["a", "b"]))
    array([ 1, -1, -1])
    """
    try:
        wanted = pd.Index(entries.astype(object), dtype=object, tupleize_cols=False)
        return np.asarray(known.astype(object).get_indexer(wanted), dtype=np.int64)
    except (TypeError, ArithmeticError):  # an entry without a hash: a loop over entries
        places = {label: place for place, label in enumerate(known)}
        return np.array([_place(entry, places) for entry in entries], dtype=np.int64)


def _place(entry: Any, places: Mapping[Any, int]) -> int:
    try:
        return places.get(entry, -1)
    except (TypeError, ArithmeticError):
        return -1


def _pandas(table: TableLike, name: str) -> pd.DataFrame:
    """Return a table of any library as a DataFrame."""
    if isinstance(table, pd.DataFrame):
        return table
    try:
        # pyarrow is slow to import, and needed for such tables alone.
        if hasattr(table, "__arrow_c_stream__") and not isinstance(table, pd.Series):
            return cast(pd.DataFrame, import_module("pyarrow").table(table).to_pandas())
        if hasattr(table, "__dataframe__"):
            read = import_module("pyarrow.interchange").from_dataframe
            return cast(pd.DataFrame, read(table).to_pandas())
    except ImportError as err:
        raise DataError(
            f"is a {type(table).__name__}, which needs pyarrow to be read",
            "install pyarrow",
            place=Place(name),
            subject=True,
        ) from err
    except (TypeError, ValueError, NotImplementedError, RuntimeError) as err:
        found = f"cannot be read as a table: {err}"
        raise DataError(found, place=Place(name), subject=True) from err
    raise DataError(
        f"must be a pandas DataFrame or a polars or Arrow table, got {type(table).__name__}",
        place=Place(name),
        subject=True,
    )


def _floats(series: pd.Series[Any]) -> FloatArray | None:
    """(n,) numbers, NaN where missing; None if the column holds anything but numbers."""
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype) or types.is_complex_dtype(dtype):
        return None
    if types.is_object_dtype(dtype):
        missing = missing_in(series)
        if not all(map(_is_number, series[~missing])):
            return None
        values = np.full(len(series), np.nan)
        values[~missing] = [_float(entry) for entry in series[~missing]]
        return values
    if not (types.is_bool_dtype(dtype) or types.is_numeric_dtype(dtype)):
        return None
    if isinstance(dtype, np.dtype):
        return series.to_numpy(np.float64)
    return series.to_numpy(np.float64, na_value=np.nan)


def _float(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:  # a whole number beyond the floats
        return np.inf
    except (ArithmeticError, ValueError):  # a signalling NaN
        return np.nan


def _parsed(series: pd.Series[Any]) -> FloatArray:
    """(n,) every entry read as a number, NaN where that fails."""
    try:
        parsed = pd.to_numeric(series.astype(object), errors="coerce")
        return parsed.to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError, ArithmeticError):  # lists, sets, numbers beyond the floats
        return np.array([_number_in(entry) for entry in series])


def _number_in(entry: object) -> float:
    try:
        return _float(entry) if isinstance(entry, str) or _is_number(entry) else np.nan
    except ValueError:
        return np.nan
