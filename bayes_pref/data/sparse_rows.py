"""Rows of which few entries are not zero, held without their zeros in place of an array.

A comparison of two of many items has a 1 and a -1 and thousands of zeros. `SparseRows` stand for
the array wherever one is expected: rows and columns are taken of them, and products with weights
are sparse. Whatever else NumPy is asked for makes the array first, unless that is too large.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array, vstack

from bayes_pref.data.read_only import read_only
from bayes_pref.errors import DataError
from bayes_pref.types import FloatArray, IntArray, Mask

MOST_BYTES = 6 * 10**9  # of memory while arrays are made, put in order and copied
_COPIES = 3
LARGE = 2**23  # values, from which an array is held without its zeros
_FEW = 0.05  # share of them that may then be something else than zero


class SparseRows(NDArrayOperatorsMixin):
    """(n, d) rows without their zeros; read-only.

    Parameters
    ----------
    rows
        The rows, in compressed sparse form.

    Examples
    --------
    >>> rows = SparseRows(csr_array(np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]])))
    >>> rows.shape, rows[0], rows[:, 1], rows @ np.array([3.0, 2.0, 0.0])
    ((2, 3), array([ 1., -1.,  0.]), array([-1.,  1.]), array([1., 2.]))
    >>> abs(rows)[1]
    array([0., 1., 1.])
    """

    ndim = 2
    dtype = np.dtype(np.float64)

    def __init__(self, rows: csr_array) -> None:
        rows.sum_duplicates()
        if not rows.data.all():
            rows.eliminate_zeros()
        for part in (rows.data, rows.indices, rows.indptr):
            part.flags.writeable = False
        self.csr = rows

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        n, d = self.csr.shape
        return int(n), int(d)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> FloatArray:
        """Make the array; refuse one that is too large."""
        refuse_array(self.shape)
        return self.csr.toarray().astype(dtype or np.float64, copy=False)

    def __getitem__(self, key: Any) -> Any:
        """Take rows and columns: numbers as of an array, others as `SparseRows`."""
        rows, columns = key if isinstance(key, tuple) and len(key) == 2 else (key, slice(None))
        lists = not isinstance(rows, slice) and not isinstance(columns, slice)
        if not _is_plain(rows) or not _is_plain(columns) or (lists and np.ndim(rows) == 1):
            return self._of_array(key)
        taken: Any = self.csr
        if not _is_all(rows):
            taken = taken[_places(rows)]
        if not _is_all(columns):
            taken = taken[:, _places(columns)]
        one_row, one_column = _is_number(rows), _is_number(columns)
        if not one_row and not one_column:
            return SparseRows(taken)
        refuse_array(taken.shape)
        found = taken.toarray()
        if one_row and one_column:
            return found[0, 0]
        return found[0] if one_row else found[:, 0]

    def _of_array(self, key: Any) -> Any:
        """Take what is not plain rows or columns, of an array of as few rows as possible."""
        if isinstance(key, np.ndarray) and key.dtype != np.bool_ and key.ndim > 1:
            refuse_array((key.size, self.shape[1]))
            return self.csr[key.ravel()].toarray().reshape(*key.shape, self.shape[1])
        return np.asarray(self)[key]

    def __getattr__(self, name: str) -> Any:
        """Look up what only the array has."""
        if name.startswith("_") or name == "csr":
            raise AttributeError(name)
        return getattr(np.asarray(self), name)

    def any(self, axis: int | None = None) -> Any:
        """Whether there is an entry that is not zero: in each column, each row, or at all."""
        if axis is None:
            return bool(self.csr.nnz)
        return self.count(axis) > 0

    def count(self, axis: int) -> IntArray:
        """Number of entries that are not zero, in each column (axis 0) or each row (axis 1)."""
        if axis in (1, -1):
            return np.diff(self.csr.indptr).astype(np.int64)
        return np.bincount(self.csr.indices, minlength=self.shape[1]).astype(np.int64)

    def argmax(self, axis: int) -> IntArray:
        """(n,) place of the largest entry of each row, the first of several; `axis` is 1."""
        return self._largest(self.csr.data, axis)

    def argmin(self, axis: int) -> IntArray:
        """(n,) place of the smallest entry of each row, the first of several; `axis` is 1."""
        return self._largest(-self.csr.data, axis)

    def _largest(self, values: FloatArray, axis: int) -> IntArray:
        """Place of the largest entry of each row, of values in place of those held."""
        if axis not in (1, -1):
            raise ValueError(f"axis={axis}: places are found in rows, axis=1")
        row, column = _nonzero(self)
        order = np.lexsort((column, -values, row))
        found, best = np.zeros((2, len(self)))
        there = np.flatnonzero(self.count(1))
        first = order[self.csr.indptr[there]]
        found[there], best[there] = column[first], values[first]
        rest = np.flatnonzero(best <= 0.0)  # a zero may be the largest
        if rest.size:
            refuse_array((len(rest), self.shape[1]))
            of_rest = csr_array((values, self.csr.indices, self.csr.indptr), self.shape)[rest]
            found[rest] = of_rest.toarray().argmax(axis=1)
        return found.astype(np.int64)

    def turned(self, signs: FloatArray) -> SparseRows:
        """Return the rows times signs (n,)."""
        return SparseRows(csr_array(diags_array(signs) @ self.csr))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Multiply by weights or subtract rows, or make the array for anything else."""
        if ufunc is np.matmul and method == "__call__" and not kwargs:
            found = _product(*inputs)
            if found is not None:
                return found
        if ufunc is np.subtract and method == "__call__" and not kwargs:
            one, other = inputs
            alike = is_sparse(one) and is_sparse(other) and one.shape == other.shape
            if alike:
                return SparseRows(csr_array(one.csr - other.csr))
        return getattr(ufunc, method)(*_arrays(inputs), **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Find or stack entries, or make the array for anything else."""
        own = _FUNCTIONS.get(func)
        if own is not None:
            found = own(*args, **kwargs)
            if found is not NotImplemented:
                return found
        return func(*_arrays(args), **{name: _array(value) for name, value in kwargs.items()})


def held(rows: csr_array) -> FloatArray:
    """Return rows as an array, or without their zeros where these are many.

    Examples
    --------
    >>> held(csr_array(np.eye(2)))
    array([[1., 0.],
           [0., 1.]])
    >>> type(held(csr_array((4_000, 4_000)))).__name__
    'SparseRows'
    """
    cells = int(np.prod(rows.shape, dtype=np.int64))
    if cells > LARGE and rows.nnz <= _FEW * cells:
        return cast(FloatArray, SparseRows(rows))
    refuse_array(rows.shape)
    return np.asarray(rows.toarray())


def sparse_rows(values: FloatArray, columns: IntArray, starts: IntArray, width: int) -> FloatArray:
    """Return rows whose entries stand one after another, row n from starts[n] to starts[n + 1].

    Raises
    ------
    DataError
        If they are no such rows.

    Examples
    --------
    >>> sparse_rows(np.array([2.0]), np.array([1]), np.array([0, 0, 1]), 3)[1]
    array([0., 2., 0.])
    """
    whole = len(starts) > 0 and starts[0] == 0 and starts[-1] == len(values) == len(columns)
    inside = not len(columns) or 0 <= columns.min() <= columns.max() < width
    if not whole or not inside or (np.diff(starts) < 0).any():
        raise DataError("the rows of differences contradict each other")
    return cast(
        FloatArray, SparseRows(csr_array((values, columns, starts), (len(starts) - 1, width)))
    )


def compressed(rows: object) -> csr_array:
    """Return rows in compressed sparse form, whichever way they are held.

    Examples
    --------
    >>> compressed(np.array([[0.0, 2.0]])).indices
    array([1], dtype=int32)
    """
    if isinstance(rows, SparseRows):
        return rows.csr
    return rows if isinstance(rows, csr_array) else csr_array(np.asarray(rows))


def is_sparse(rows: object) -> bool:
    """Whether rows are held without their zeros."""
    return isinstance(rows, SparseRows)


def taken_rows(rows: FloatArray, places: IntArray) -> FloatArray:
    """Take rows by position, read-only."""
    found = rows[places]
    return found if is_sparse(found) else read_only(found)


def turned_rows(rows: FloatArray, turned: Mask) -> FloatArray:
    """Change the signs of some rows.

    Examples
    --------
    >>> turned_rows(np.array([[1.0], [2.0]]), np.array([False, True]))
    array([[ 1.],
           [-2.]])
    """
    if isinstance(rows, SparseRows):
        return cast(FloatArray, rows.turned(np.where(turned, -1.0, 1.0)))
    return np.where(turned[:, None], -rows, rows)


def scaled_rows(rows: FloatArray, units: FloatArray) -> csr_array:
    """Return the rows with each column divided by its unit (d,)."""
    found = compressed(rows)
    return csr_array((found.data / units[found.indices], found.indices, found.indptr), found.shape)


def row_keys(rows: object) -> NDArray[np.object_]:
    """(n,) bytes that are the same for rows that are the same.

    Examples
    --------
    >>> keys = row_keys(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
    >>> keys[0] == keys[2], keys[0] == keys[1]
    (True, False)
    """
    found = compressed(rows)
    columns, values, starts = found.indices.astype(np.int64), found.data, found.indptr.tolist()
    keys = np.empty(found.shape[0], dtype=object)
    # A loop over rows, of which each has a number of entries of its own: a microsecond a row.
    keys[:] = [
        columns[start:end].tobytes() + values[start:end].tobytes()
        for start, end in pairwise(starts)
    ]
    return keys


def refuse_array(shape: tuple[int, ...]) -> None:
    """Refuse to make an array that is too large.

    Examples
    --------
    >>> refuse_array((1_000_000, 10_000))
    Traceback (most recent call last):
    bayes_pref.errors.DataError: 10,000 columns of 1,000,000 rows as an array take 80.0 GB of
    memory, and 2.0 GB is the most; ask about fewer rows or items at a time, or describe the items
    by attributes with items=
    """
    size = 8 * int(np.prod(shape, dtype=np.int64))
    if _COPIES * size > MOST_BYTES:
        raise DataError(
            f"{shape[-1]:,} columns of {shape[0]:,} rows as an array take {size / 1e9:,.1f} GB of "
            f"memory, and {MOST_BYTES / _COPIES / 1e9:.1f} GB is the most",
            "ask about fewer rows or items at a time, or describe the items by attributes with "
            "items=",
        )


def _product(one: Any, other: Any) -> Any:
    """The matrix product, or None if it is not one of rows and weights."""
    if isinstance(one, SparseRows):
        if isinstance(other, SparseRows):
            return held(csr_array(one.csr @ other.csr))
        other = np.asarray(other)
        if other.ndim <= 2:
            return np.asarray(one.csr @ other)
        flat = other.reshape(-1, *other.shape[-2:])
        made = np.stack([one.csr @ part for part in flat])
        return made.reshape(*other.shape[:-2], *made.shape[1:])
    one = np.asarray(one)
    return np.asarray((other.csr.T @ one.T).T) if one.ndim <= 2 else None


def _vstack(parts: Any, **kwargs: Any) -> Any:
    if kwargs:
        return NotImplemented
    return held(csr_array(vstack([compressed(part) for part in parts], format="csr")))


def _any(rows: Any, axis: int | None = None, **kwargs: Any) -> Any:
    return NotImplemented if kwargs or not is_sparse(rows) else rows.any(axis)


def _count(rows: Any, axis: int | None = None, **kwargs: Any) -> Any:
    return NotImplemented if kwargs or axis is None or not is_sparse(rows) else rows.count(axis)


def _nonzero(rows: Any) -> tuple[IntArray, IntArray]:
    row = np.repeat(np.arange(len(rows)), rows.count(1))
    return row, rows.csr.indices.astype(np.int64)


_FUNCTIONS: Mapping[Any, Callable[..., Any]] = {
    np.any: _any,
    np.count_nonzero: _count,
    np.nonzero: _nonzero,
    np.vstack: _vstack,
}


def _arrays(values: Any) -> list[Any]:
    return [_array(value) for value in values]


def _array(value: Any) -> Any:
    """The array of `SparseRows`, also within a list; anything else as it is."""
    if isinstance(value, list | tuple) and any(isinstance(each, SparseRows) for each in value):
        return [_array(each) for each in value]
    return np.asarray(value) if isinstance(value, SparseRows) else value


def _is_plain(part: Any) -> bool:
    """Whether an index is a number, a slice, or a list of numbers or truths."""
    if isinstance(part, slice):
        return True
    if part is None or part is Ellipsis or isinstance(part, tuple):
        return False
    found = np.asarray(part)
    return found.ndim <= 1 and found.dtype.kind in "iub"


def _is_number(part: Any) -> bool:
    return not isinstance(part, slice) and np.ndim(part) == 0


def _is_all(part: Any) -> bool:
    return isinstance(part, slice) and part == slice(None)


def _places(part: Any) -> slice | IntArray:
    """Rows or columns as SciPy takes them."""
    if isinstance(part, slice):
        return part
    found = np.atleast_1d(np.asarray(part))
    return np.flatnonzero(found) if found.dtype == np.bool_ else found.astype(np.int64)
