"""Means of scores over comparisons, with standard errors clustered by user.

The scores of one user's comparisons are correlated. With e_i the sum over user i's rows of the
score minus the mean, and G users, a mean over N rows has the cluster-robust standard error

    sqrt(G / (G - 1) sum_i e_i^2) / N

(Liang & Zeger 1986, Biometrika 73; Cameron & Miller 2015, J. Human Resources 50).
"""

from __future__ import annotations

import numpy as np
from scipy.stats import t

from bayes_pref.posterior.estimates import COLUMNS
from bayes_pref.types import FloatArray, IntArray


def clustered_error(scores: FloatArray, user: IntArray) -> float:
    """Standard error of the mean of scores (row,), clustered by user; nan for a single user.

    Examples
    --------
    >>> import numpy as np
    >>> user = np.array([0, 0, 1, 1])
    >>> clustered_error(np.array([1.0, 1.0, 0.0, 0.0]), user)  # two clusters of two rows
    0.5
    """
    _, code = np.unique(user, return_inverse=True)
    groups = int(code.max(initial=-1)) + 1
    if groups < 2:
        return float("nan")
    sums = np.bincount(code, scores - scores.mean())
    return float(np.sqrt(groups / (groups - 1) * (sums**2).sum()) / len(scores))


def mean_with_error(scores: FloatArray, user: IntArray, interval: float) -> dict[str, float]:
    """Mean of scores, its standard error as `sd`, and a confidence interval of Student's t.

    Parameters
    ----------
    scores, user
        (row,); `user` holds codes.
    interval
        Confidence level of the interval.

    Examples
    --------
    >>> import numpy as np
    >>> found = mean_with_error(np.array([1.0, 0.0, 1.0, 1.0]), np.arange(4), 0.9)
    >>> [round(value, 2) for value in found.values()]
    [0.75, 0.25, 0.16, 1.34]
    """
    error, groups = clustered_error(scores, user), len(np.unique(user))
    mean = float(scores.mean())
    reach = float(t.ppf(0.5 + interval / 2, groups - 1)) * error if groups > 1 else float("nan")
    return dict(zip(COLUMNS, (mean, error, mean - reach, mean + reach), strict=True))


def wilson(
    share: FloatArray | float, size: FloatArray | IntArray | float, z: FloatArray | float
) -> tuple[FloatArray, FloatArray]:
    """Bounds of the score interval of a share (Wilson 1927, J. Am. Stat. Assoc. 22), in [0, 1].

    Parameters
    ----------
    share
        Observed shares.
    size
        Number of independent observations behind each.
    z
        Quantile of the normal distribution, or of Student's t.

    Examples
    --------
    >>> low, high = wilson(np.array([1.0, 0.5]), np.array([3, 100]), 1.645)
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([0.53, 0.42], [1.0, 0.58])
    """
    share, square = np.asarray(share, dtype=np.float64), np.asarray(z) ** 2 / size
    centre = (share + square / 2.0) / (1.0 + square)
    reach = np.sqrt(square * (share * (1.0 - share) + square / 4.0)) / (1.0 + square)
    return np.clip(centre - reach, 0.0, 1.0), np.clip(centre + reach, 0.0, 1.0)
