"""Rows held without their zeros answer as the array does, or say that it is too large."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import bayes_pref as bp
from bayes_pref.data.indicator_rows import indicators
from bayes_pref.data.sparse_rows import SparseRows, held, sparse_rows


def both(seed: int = 0) -> tuple[Any, Any]:
    """Return rows and the array of them: with empty rows, an empty column and a negative zero."""
    rng = np.random.default_rng(seed)
    array = rng.normal(size=(12, 7)) * (rng.random((12, 7)) < 0.3)
    array[[3, 8]] = 0.0
    array[:, 5] = 0.0
    return SparseRows(csr_array(array)), array


MASK = np.arange(12) % 3 == 0
ASKED: dict[str, Callable[[Any], Any]] = {
    "shape": lambda rows: rows.shape,
    "length": len,
    "array": np.asarray,
    "a row": lambda rows: rows[2],
    "the last row": lambda rows: rows[-1],
    "an entry": lambda rows: rows[2, 3],
    "rows": lambda rows: rows[2:9],
    "every other row": lambda rows: rows[::2],
    "rows by place": lambda rows: rows[[5, 1, 1]],
    "rows by mask": lambda rows: rows[MASK],
    "no rows": lambda rows: rows[[False] * 12],
    "rows in a table": lambda rows: rows[np.array([[0, 1], [2, 11]])],
    "a column": lambda rows: rows[:, 4],
    "a column of rows": lambda rows: rows[1:5, 4],
    "columns": lambda rows: rows[:, 2:],
    "columns by place": lambda rows: rows[:, [6, 0]],
    "columns by mask": lambda rows: rows[:, np.arange(7) % 2 == 0],
    "pairs of places": lambda rows: rows[np.array([0, 1]), np.array([2, 3])],
    "a row's columns": lambda rows: rows[4, 1:3],
    "another axis": lambda rows: rows[:, None, :],
    "times weights": lambda rows: rows @ np.arange(7.0),
    "times a matrix": lambda rows: rows @ np.arange(21.0).reshape(7, 3),
    "times matrices": lambda rows: np.matmul(rows, np.arange(42.0).reshape(2, 7, 3)),
    "from the left": lambda rows: np.arange(12.0) @ rows,
    "transposed": lambda rows: rows.T,
    "any": lambda rows: np.any(rows, axis=0),
    "any of rows": lambda rows: rows.any(axis=1),
    "any at all": lambda rows: rows.any(),
    "count": lambda rows: np.count_nonzero(rows, axis=0),
    "nonzero": np.nonzero,
    "largest": lambda rows: rows.argmax(axis=1),
    "smallest": lambda rows: rows.argmin(axis=1),
    "stacked": lambda rows: np.vstack([rows, np.asarray(rows)[:2]]),
    "side by side": lambda rows: np.hstack([rows, np.ones((12, 1))]),
    "scaled": lambda rows: rows / np.arange(1.0, 8.0),
    "by sign": lambda rows: np.ones((12, 1)) * rows,
    "minus": lambda rows: rows - rows[::-1],
    "absolute": abs,
    "sum": lambda rows: rows.sum(axis=0),
    "product": lambda rows: np.einsum("nd,d->n", rows, np.arange(7.0)),
    "finite": lambda rows: np.isfinite(rows).all(),
    "pickled": lambda rows: pickle.loads(pickle.dumps(rows)),
}


@pytest.mark.parametrize("name", ASKED)
def test_rows_answer_as_the_array_does(name: str) -> None:
    rows, array = both()
    found, expected = ASKED[name](rows), ASKED[name](array)
    if isinstance(expected, tuple):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
    else:
        assert np.shape(found) == np.shape(expected)
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-14)


@pytest.mark.parametrize("name", ["rows", "rows by mask", "columns", "stacked", "minus"])
def test_what_is_taken_of_large_rows_stays_without_zeros(name: str) -> None:
    # Some of many rows, and rows of many columns, are still mostly zeros.
    whole = SparseRows(csr_array((12, 40_000_000)))
    found = np.vstack([whole, whole]) if name == "stacked" else ASKED[name](whole)
    assert isinstance(found, SparseRows)


def test_rows_are_read_only() -> None:
    rows, _ = both()
    with pytest.raises(TypeError):
        rows[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        rows.csr.data[0] = 1.0


def test_an_array_that_is_too_large_is_refused() -> None:
    rows = SparseRows(csr_array((1_000_000, 10_000)))
    for ask in (np.asarray, abs, lambda rows: rows.sum(), lambda rows: rows.T):
        with pytest.raises(bp.errors.DataError, match=r"take 80\.0 GB of memory.*items="):
            ask(rows)


def test_small_or_full_rows_are_arrays() -> None:
    assert isinstance(held(csr_array(np.eye(50))), np.ndarray)
    assert isinstance(held(csr_array(np.ones((3_000, 3_000)))), np.ndarray)
    assert isinstance(held(csr_array((3_000, 3_000))), SparseRows)


def test_large_indicators_take_no_memory_and_are_the_identity() -> None:
    large = indicators(3_000, 3_010)
    assert large.base is not None
    assert not large.flags.writeable
    np.testing.assert_array_equal(large, np.eye(3_000, 3_010))


@pytest.mark.parametrize("wrong", ["values", "columns", "starts", "order"])
def test_stored_rows_that_contradict_each_other_are_refused(wrong: str) -> None:
    parts = {
        "values": np.array([1.0, 2.0]),
        "columns": np.array([0, 1]),
        "starts": np.array([0, 1, 2]),
    }
    change = {"values": [1.0], "columns": [0, 9], "starts": [0, 1, 3]}
    if wrong == "order":
        parts["starts"] = np.array([0, 3, 2])
    else:
        parts[wrong] = np.array(change[wrong])
    with pytest.raises(bp.errors.DataError, match="contradict"):
        sparse_rows(**parts, width=3)
