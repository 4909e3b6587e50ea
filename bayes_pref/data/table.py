"""The caller's tables (pandas, polars, Arrow), whose columns are read strictly.

Text is not parsed as a number, a missing value is not filled in, and an outcome is 1, 0 or 0.5. A
value that breaks a rule raises a `DataError` that names the table, the column, the row and the
value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NoReturn, Protocol, TypeAlias, cast

import numpy as np
import pandas as pd
from pandas.api import types

from bayes_pref.errors import DataError, Place
from bayes_pref.messages import listed, shown, suggestion
from bayes_pref.types import FloatArray, IntArray


class ArrowTable(Protocol):
    """A table with the Arrow stream interface: polars, pyarrow, DuckDB, ..."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return a capsule that holds the stream."""


class InterchangeTable(Protocol):
    """A table with the older dataframe interchange interface."""

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> Any:
        """Return the interchange object."""


TableLike: TypeAlias = pd.DataFrame | ArrowTable | InterchangeTable

_NUMBERS_AS_OBJECTS = {"integer", "floating", "mixed-integer-float", "boolean", "decimal"}
_OUTCOMES = (0.0, 0.5, 1.0)


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
                "; ".join(filter(None, near))
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
        """(n,) choices: 1 left preferred, 0 right preferred, 0.5 a tie."""
        series = self.frame[column]
        values = _floats(series)
        # Text is refused as a whole; the entry worth naming is the one that is no outcome at all.
        known = np.isin(_parsed(series) if values is None else values, _OUTCOMES)
        if values is None or not known.all():
            row = int(np.argmin(known))
            value = series.iloc[row]
            what = "missing" if types.is_scalar(value) and pd.isna(value) else "unknown"
            expected = "expected 1 or True (left preferred), 0 or False (right) or 0.5 (a tie)"
            expected += f", as a number and not as {series.dtype}" * (values is None)
            self.refuse(column, row, f"{what} outcome {shown(value)}", expected)
        return values

    def labels(self, column: str) -> pd.Series[Any]:
        """(n,) labels of users or items, none of them missing."""
        series = self.frame[column]
        missing = series.isna().to_numpy()
        if missing.any():
            self.refuse(column, int(np.argmax(missing)), "missing label", "label every row")
        return series

    def codes(self, column: str) -> tuple[IntArray, pd.Index[Any]]:
        """(n,) codes of a column of labels, and the labels in order of first appearance."""
        try:
            codes, found = pd.factorize(self.labels(column))
        except TypeError as err:
            raise DataError(
                "labels must be plain values such as text or numbers",
                place=Place(self.name, column),
            ) from err
        # Through a list, so that categorical, nullable and Arrow labels become ordinary ones.
        return codes.astype(np.int64), pd.Index(list(found), name=column)

    def refuse(self, column: str, row: int, found: str, remedy: str) -> NoReturn:
        """Refuse a cell: name its column and row, what was found and the remedy."""
        raise DataError(found, remedy, place=Place(self.name, column, (self.frame.index[row],)))

    def _refuse_text(self, column: str) -> NoReturn:
        series = self.frame[column]
        if not (types.is_object_dtype(series.dtype) or types.is_string_dtype(series.dtype)):
            self.refuse(column, 0, f"{series.dtype} {shown(series.iloc[0])}", "numbers are needed")
        readable = ~np.isnan(_parsed(series)) | series.isna().to_numpy()
        if readable.all():  # every entry is a number written as text
            row = int(np.argmax(series.notna().to_numpy()))
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


def _pandas(table: TableLike, name: str) -> pd.DataFrame:
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
        kind = types.infer_dtype(series, skipna=True)
        if kind == "empty":
            return np.full(len(series), np.nan)
        return _parsed(series) if kind in _NUMBERS_AS_OBJECTS else None
    if not (types.is_bool_dtype(dtype) or types.is_numeric_dtype(dtype)):
        return None
    if isinstance(dtype, np.dtype):
        return series.to_numpy(np.float64)
    return series.to_numpy(np.float64, na_value=np.nan)


def _parsed(series: pd.Series[Any]) -> FloatArray:
    """(n,) every entry read as a number, NaN where that fails."""
    parsed = pd.to_numeric(series.astype(object), errors="coerce")
    return parsed.to_numpy(np.float64, na_value=np.nan)
