"""Rows of items that have a reward each: indicators, their differences, and what is beside them."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.lib.stride_tricks import as_strided
from scipy.sparse import csr_array, hstack

from bayes_pref.data.sparse_rows import LARGE, SparseRows
from bayes_pref.types import FloatArray, IntArray


def indicator_differences(left: IntArray, right: IntArray, items: int) -> csr_array:
    """(n, items) indicators of left items minus those of right ones, by position; -1: of none.

    Examples
    --------
    >>> indicator_differences(np.array([0, 2]), np.array([1, -1]), 3).toarray()
    array([[ 1., -1.,  0.],
           [ 0.,  0.,  1.]])
    """
    row = np.tile(np.arange(len(left)), 2)
    column = np.concatenate([left, right])
    value = np.repeat([1.0, -1.0], len(left))
    there = column >= 0
    made = csr_array((value[there], (row[there], column[there])), shape=(len(left), items))
    made.sum_duplicates()
    made.eliminate_zeros()
    return made


def indicators(size: int, width: int) -> FloatArray:
    """(size, width) ones on the diagonal; a large one is read-only, and takes no memory.

    Examples
    --------
    >>> indicators(2, 3)
    array([[1., 0., 0.],
           [0., 1., 0.]])
    """
    if size * width <= LARGE:
        return np.eye(size, width)
    line = np.zeros(size + width - 1)
    line[size - 1] = 1.0
    step = line.itemsize  # row i begins one place before row i - 1
    return as_strided(line[size - 1 :], (size, width), (-step, step), writeable=False)


def single_items(places: IntArray, items: int, others: FloatArray | None = None) -> FloatArray:
    """(m, items) indicators of items by position, -1 of none, with other columns beside them.

    They are held without their zeros, however few they are.
    """
    own = indicator_differences(places, np.full(len(places), -1), items)
    return cast(FloatArray, SparseRows(own if others is None else beside(own, others)))


def beside(first: csr_array, others: FloatArray) -> csr_array:
    """Return the rows of both side by side."""
    return csr_array(hstack([first, csr_array(others)], format="csr"))


def with_products(
    rows: csr_array, columns: IntArray, factors: FloatArray, which: IntArray
) -> csr_array:
    """Append the products of some columns with factors of the rows.

    Parameters
    ----------
    rows
        (n, k)
    columns, which
        (m,) columns of `rows`, and the columns of `factors` that they are multiplied by.
    factors
        (n, q)

    Examples
    --------
    >>> first = np.array([0])
    >>> made = with_products(csr_array(np.eye(2)), first + 1, np.array([[3.0], [4.0]]), first)
    >>> made.toarray()
    array([[1., 0., 0.],
           [0., 1., 4.]])
    """
    taken = rows[:, columns].tocoo()
    row, column = taken.coords
    with np.errstate(over="ignore"):  # Comparisons refuse what overflows, by name
        data = taken.data * factors[row, which[column]]
    products = csr_array((data, (row, column)), shape=taken.shape)
    return csr_array(hstack([rows, products], format="csr"))
