"""Read-only arrays: a frozen table is frozen to its last number."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayes_pref.types import IntArray

T = TypeVar("T", bound=np.generic)


def read_only(array: NDArray[T]) -> NDArray[T]:
    """Make an array that nobody else holds read-only, in place.

    Examples
    --------
    >>> read_only(np.zeros(2)).flags.writeable
    False
    """
    array.flags.writeable = False
    return array


def taken(array: NDArray[T] | None, rows: IntArray) -> NDArray[T] | None:
    """Return some rows of an array, read-only; None stays None.

    Examples
    --------
    >>> taken(np.array([1.0, 2.0]), np.array([1]))
    array([2.])
    """
    return None if array is None else read_only(array[rows])


def read_only_copy(array: ArrayLike, dtype: type[np.generic]) -> NDArray[Any]:
    """Return the array itself if it is read-only already, else a read-only copy.

    Examples
    --------
    >>> read_only_copy([1, 2], np.float64)
    array([1., 2.])
    """
    made = np.asarray(array)
    if made.flags.writeable or made.dtype != dtype or not made.flags.c_contiguous:
        made = np.array(made, dtype=dtype, order="C")
        made.flags.writeable = False
    return made
