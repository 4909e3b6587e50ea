"""Selection of rows: by position, by user, and at random for a test part."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bayes_pref.errors import DataError
from bayes_pref.types import IntArray, Mask


def positions(rows: ArrayLike, n_rows: int) -> IntArray:
    """Turn a mask or a list of positions into checked positions.

    Parameters
    ----------
    rows
        Integer positions 0 to `n_rows` - 1, or a mask of `n_rows` booleans.
    n_rows
        Number of rows there are.

    Returns
    -------
    positions: (m,) in the order given

    Raises
    ------
    DataError
        If nothing is selected, or the selection does not fit the rows.

    Examples
    --------
    >>> positions([True, False, True], 3)
    array([0, 2])
    """
    chosen = np.asarray(rows)
    if not chosen.size:
        raise DataError("no comparison is selected", "at least 1 is needed")
    if chosen.ndim != 1 or chosen.dtype.kind not in "biu":
        raise DataError("rows must be a list of integer positions or a mask of booleans")
    if chosen.dtype.kind == "b":
        if len(chosen) != n_rows:
            raise DataError(f"the mask has {len(chosen)} entries for {n_rows} comparisons")
        if not chosen.any():
            raise DataError("no comparison is selected", "at least 1 is needed")
        return np.flatnonzero(chosen).astype(np.int64)
    outside = (chosen < 0) | (chosen >= n_rows)
    if outside.any():
        raise DataError(f"row position {chosen[outside][0]} is not between 0 and {n_rows - 1}")
    return chosen.astype(np.int64)


def rows_of(users: IntArray, offsets: IntArray) -> IntArray:
    """Find the rows of some users.

    Parameters
    ----------
    users
        (m,) codes of users.
    offsets
        (u + 1,) where each user's rows begin.

    Returns
    -------
    rows: positions, user after user in the order given

    Examples
    --------
    >>> rows_of(np.array([1, 0]), np.array([0, 2, 5]))
    array([2, 3, 4, 0, 1])
    """
    counts = np.diff(offsets)[users]
    # A row is its user's first row plus its place within the user; ends - counts is how many rows
    # come before that user's in the result.
    ends = np.cumsum(counts)
    within = np.arange(counts.sum()) - np.repeat(ends - counts, counts)
    rows: IntArray = np.repeat(offsets[users], counts) + within
    return rows


def hold_out_users(offsets: IntArray, test: float, rng: np.random.Generator) -> Mask:
    """Hold out all rows of a share of the users, at least one user and not all of them.

    Parameters
    ----------
    offsets
        (u + 1,) where each user's rows begin.
    test
        Share of the users to hold out.
    rng
        Source of randomness.

    Returns
    -------
    held: (n,) True for the rows held out

    Raises
    ------
    DataError
        If there is a single user.

    Examples
    --------
    >>> hold_out_users(np.array([0, 2, 3]), 0.5, np.random.default_rng(1)).tolist()
    [True, True, False]
    """
    counts = np.diff(offsets)
    n_users = len(counts)
    if n_users == 1:
        raise DataError("a split by user needs at least 2 users, and here is 1")
    held = np.zeros(n_users, dtype=bool)
    n_held = min(max(round(test * n_users), 1), n_users - 1)
    held[rng.permutation(n_users)[:n_held]] = True
    return np.repeat(held, counts)


def hold_out_rows(offsets: IntArray, test: float, rng: np.random.Generator) -> Mask:
    """Hold out a share of every user's rows, and leave everyone at least one.

    Parameters
    ----------
    offsets
        (u + 1,) where each user's rows begin.
    test
        Share of each user's rows to hold out.
    rng
        Source of randomness.

    Returns
    -------
    held: (n,) True for the rows held out, at least one of them

    Raises
    ------
    DataError
        If every user has a single row.

    Examples
    --------
    >>> held = hold_out_rows(np.array([0, 4, 8]), 0.25, np.random.default_rng(0))
    >>> int(held[:4].sum()), int(held[4:].sum())
    (1, 1)
    """
    counts = np.diff(offsets)
    if counts.max() == 1:
        raise DataError("a split by comparison needs a user with at least 2 comparisons")
    # One random offset rounds the running total: every user's share is right to within a row, and
    # so is the whole, also where users have too few rows for a share of their own.
    n_held = np.minimum(np.diff(np.floor(offsets * test + rng.random())), counts - 1)
    if not n_held.any():
        n_held[np.argmax(counts)] = 1
    user = np.repeat(np.arange(len(counts)), counts)
    shuffled = np.lexsort((rng.random(len(user)), user))  # at random within each user
    place = np.arange(len(user)) - offsets[user]
    held = np.zeros(len(user), dtype=bool)
    held[shuffled[place < n_held[user]]] = True
    return held
