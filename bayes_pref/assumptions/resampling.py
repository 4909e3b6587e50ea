"""Tests by permutation and by exchange of signs, with the largest of many statistics.

The p-value of a statistic is the share of resampled data sets, the observed one among them, in
which it is as large: exact wherever the data sets are equally probable under the null. The largest
of several statistics, each in units of its own resampled distribution, is a statistic like any
other, and the share of data sets whose largest exceeds a single one is that one's p-value adjusted
for all of them (Westfall & Young 1993, Resampling-Based Multiple Testing).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayes_pref.types import FloatArray, IntArray


class Resampled(NamedTuple):
    """Result of a test.

    Attributes
    ----------
    p
        P-value.
    largest
        The largest statistic, in standard deviations of its resampled values from their mean.
    adjusted
        (m,) p-value of each statistic, adjusted for all of them.
    order
        (m,) the statistics, the largest first.
    """

    p: float
    largest: float
    adjusted: FloatArray
    order: IntArray


def largest_of(statistics: FloatArray, *, two_sided: bool = False) -> Resampled:
    """Test by the largest of m statistics.

    Parameters
    ----------
    statistics
        (1 + r, m): of the observed data, then of r resampled data sets.
    two_sided
        Whether small values count as much as large ones.

    Examples
    --------
    >>> drawn = np.random.default_rng(0).standard_normal((1000, 3))
    >>> drawn[0] = [0.1, 9.0, 0.2]
    >>> found = largest_of(drawn)
    >>> found.p, int(found.order[0])
    (0.001, 1)
    """
    # All data sets, the observed one too, set the units: else it would not be one of many.
    sd = statistics.std(axis=0)
    units = np.where(sd > 1e-12 * np.abs(statistics).max(axis=0), sd, np.inf)
    scaled = (statistics - statistics.mean(axis=0)) / units
    scaled = np.abs(scaled) if two_sided else scaled
    top = scaled.max(axis=1)
    # Ties count, and rounding must not break them.
    slack = 1e-9 * max(1.0, abs(top[0]))
    p = float((top >= top[0] - slack).mean())
    adjusted = (top[:, None] >= scaled[0] - slack).mean(axis=0)
    return Resampled(p, float(top[0]), adjusted, np.argsort(-scaled[0], kind="stable"))


def exchanged_signs(
    scores: FloatArray, count: int, rng: np.random.Generator, *, fitted: int = 0
) -> Resampled:
    """Test that independent scores (c, m) have mean zero, by exchange of their signs.

    Parameters
    ----------
    scores
        One row a user or a task; columns without a value other than zero never count.
    count
        Number of resampled data sets.
    rng
        Source of randomness.
    fitted
        Number of coefficients fitted to the same answers, which makes scores too small: resampled
        sums are as many times larger as the usual correction of a clustered variance has it.

    Examples
    --------
    >>> exchanged_signs(np.ones((20, 1)), 999, np.random.default_rng(0)).p
    0.001
    """
    signs = rng.integers(0, 2, size=(count, len(scores))) * 2.0 - 1.0
    signs *= np.sqrt(len(scores) / max(len(scores) - fitted, len(scores) / 2))
    signs = np.vstack([np.ones(len(scores)), signs])
    root = np.sqrt((scores**2).sum(axis=0))
    largest = np.abs(scores).max(axis=0, initial=0.0)
    used = largest > 1e-12 * max(largest.max(initial=0.0), 1e-300)
    found = np.abs(signs @ (scores / np.where(used, root, np.inf)))
    return largest_of(found)


def permuted_within(user: IntArray, count: int, rng: np.random.Generator) -> IntArray:
    """(count, t) orders of tasks, each a permutation of every user's own.

    Parameters
    ----------
    user
        (t,) nondecreasing codes.

    Examples
    --------
    >>> orders = permuted_within(np.array([0, 0, 1]), 50, np.random.default_rng(0))
    >>> sorted(set(map(tuple, orders.tolist())))
    [(0, 1, 2), (1, 0, 2)]
    """
    return np.argsort(user + rng.random((count, len(user))), axis=1)
