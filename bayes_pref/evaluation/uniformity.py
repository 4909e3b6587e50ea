"""Tests of discrete uniformity: p-values of ranks, and simultaneous confidence bands.

If n ranks are independent and uniform on {0, ..., m}, the number of ranks up to k is
Binomial(n, (k + 1) / (m + 1)). The test statistic is the smallest two-sided tail probability over
all k (Saeilynoja, Buerkner & Vehtari 2022, "Graphical test for discrete uniformity and its
applications in goodness-of-fit evaluation and multiple sample comparison", Statistics and Computing
32). Its distribution is computed exactly: the counts over k are a Markov chain with binomial steps,
so the probability that all tail probabilities exceed a level is a product of matrices.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import binom

from bayes_pref.types import FloatArray, IntArray


def cumulative_counts(ranks: IntArray, largest: int) -> IntArray:
    """Number of ranks up to k = 0 ... largest - 1 in each column of ranks (n, q): (q, k).

    Examples
    --------
    >>> import numpy as np
    >>> cumulative_counts(np.array([[0], [2], [2]]), 3)
    array([[1, 1, 3]])
    """
    return np.stack([(ranks <= k).sum(axis=0) for k in range(largest)], axis=1)


def uniformity_p_values(ranks: IntArray, largest: int) -> FloatArray:
    """Exact p-values of uniformity on {0, ..., largest}, for each column of ranks (n, q).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> uniform, narrow = rng.integers(0, 100, (200, 1)), rng.integers(20, 80, (200, 1))
    >>> found = uniformity_p_values(np.hstack([uniform, narrow]), 99)
    >>> bool(found[0] > 0.001 > found[1])
    True
    """
    tails = _tails(len(ranks), largest)
    counts = cumulative_counts(ranks, largest)
    smallest = tails[np.arange(largest), counts].min(axis=1)
    return np.clip(1 - _staying(tails, smallest), 0.0, 1.0)  # rounding


def simultaneous_band(n: int, largest: int, probability: float) -> tuple[IntArray, IntArray]:
    """Simultaneous confidence band of the cumulative counts of n uniform ranks.

    Parameters
    ----------
    n
        Number of ranks.
    largest
        The largest possible rank.
    probability
        Probability that the counts stay within the band at every k; at least.

    Returns
    -------
    low, high: (largest,) inclusive

    Examples
    --------
    >>> low, high = simultaneous_band(200, 99, 0.95)
    >>> int(low[49]), int(high[49])
    (79, 121)
    """
    tails = _tails(n, largest)
    # A finer grid than that of the tails: one step widens the band by less than one count.
    levels = np.geomspace(1e-12, 1.0, 800)
    inside = _staying(tails, levels)
    level = levels[np.flatnonzero(inside >= probability).max(initial=0)]
    within = tails > level
    return within.argmax(axis=1), n - within[:, ::-1].argmax(axis=1)


def _tails(n: int, largest: int) -> FloatArray:
    """Two-sided tail probability of each count at each k, (largest, n + 1)."""
    count = np.arange(n + 1)
    share = (np.arange(largest)[:, None] + 1) / (largest + 1)
    below, above = binom.cdf(count, n, share), binom.sf(count - 1, n, share)
    return np.asarray(2 * np.minimum(below, above))


def _staying(tails: FloatArray, levels: FloatArray) -> FloatArray:
    """Probability that the tails exceed each of `levels` (q,) at every k: (q,)."""
    largest, size = tails.shape
    count = np.arange(size)
    left = count[-1] - count[:, None]  # ranks that are not below k
    rise = count[None, :] - count[:, None]
    state = np.zeros((levels.size, size))
    state[:, 0] = 1.0
    for k in range(largest):  # a Markov chain: each step depends on the last
        # Each rank that is not below k is k with probability 1 / (largest + 1 - k).
        state = state @ binom.pmf(rise, left, 1 / (largest + 1 - k))
        state *= tails[k] > levels[:, None]
    return np.asarray(state.sum(axis=1))
