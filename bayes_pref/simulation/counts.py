"""Simulated numbers of comparisons per user."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bayes_pref import settings
from bayes_pref.errors import DataError
from bayes_pref.messages import shown
from bayes_pref.types import IntArray


def draw_counts(
    users: int, comparisons: ArrayLike, unequal: float, rng: np.random.Generator
) -> IntArray:
    """(users,) numbers of comparisons, at least one each.

    Parameters
    ----------
    users
        Number of users.
    comparisons
        Their mean, or the number of each user, (users,).
    unequal
        Coefficient of variation; 0: all make the same number.
    rng
        Source of randomness.

    Raises
    ------
    DataError
        If the numbers are not whole and positive, or `unequal` does not fit them.

    Examples
    --------
    >>> draw_counts(3, 5, 0.0, np.random.default_rng(0)).tolist()
    [5, 5, 5]
    """
    settings.argument("unequal", unequal, settings.number(0))
    given = np.asarray(comparisons)
    if given.dtype.kind not in "iu" or given.shape not in {(), (users,)} or given.min() < 1:
        raise DataError(
            f"comparisons must be a whole number of at least 1, or one for each of the {users} "
            f"users, got {shown(given.tolist())}"
        )
    if not unequal:
        return np.broadcast_to(given.astype(np.int64), (users,))
    if given.ndim or given == 1:
        raise DataError(
            f"unequal={unequal} needs comparisons to be one mean of at least 2, "
            f"got {shown(given.tolist())}"
        )
    # One each, and a gamma for the rest. Rounding at random keeps the mean.
    rest, sd = float(given) - 1, unequal * float(given)
    more = rng.gamma((rest / sd) ** 2, sd**2 / rest, users) + rng.random(users)
    return 1 + np.floor(more).astype(np.int64)
