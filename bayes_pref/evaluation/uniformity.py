"""Whether ranks are uniform: their distribution function, and a band for all of it at once.

If n ranks are independent and uniform on {0, ..., m}, the number that are at most k is
Binomial(n, (k + 1) / (m + 1)). Its two-sided tail probability is taken at every k; the smallest of
them is the statistic (Saeilynoja, Buerkner & Vehtari 2022, "Graphical test for discrete uniformity
and its applications in goodness-of-fit evaluation and multiple sample comparison", Statistics and
Computing 32). Its distribution is computed exactly: the counts along k are a Markov chain with
binomial steps, so the probability that they stay where every tail is larger is a product of
matrices.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def cumulative_counts(ranks: Counts, largest: int) -> Counts:
    """Count, in each column of ranks (n, q), those at most k, for k = 0 ... largest - 1: (q, k).

    Examples
    --------
    >>> import numpy as np
    >>> cumulative_counts(np.array([[0], [2], [2]]), 3)
    array([[1, 1, 3]])
    """
    return np.stack([(ranks <= k).sum(axis=0) for k in range(largest)], axis=1)


def uniformity_p_values(ranks: Counts, largest: int) -> Floats:
    """Exact p-value, for each column of ranks (n, q), of uniformity on {0, ..., largest}.

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


def simultaneous_band(n: int, largest: int, probability: float) -> tuple[Counts, Counts]:
    """Lowest and highest count, for each k, between which n uniform ranks stay altogether.

    Parameters
    ----------
    probability
        That the counts leave the band nowhere; at least.

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
    # Finer than the tails themselves are spaced: one step widens the band by less than a count.
    levels = np.geomspace(1e-12, 1.0, 800)
    inside = _staying(tails, levels)
    level = levels[np.flatnonzero(inside >= probability).max(initial=0)]
    within = tails > level
    return within.argmax(axis=1), n - within[:, ::-1].argmax(axis=1)


def _tails(n: int, largest: int) -> Floats:
    """Two-sided tail probability of every count, (largest, n + 1)."""
    count = np.arange(n + 1)
    share = (np.arange(largest)[:, None] + 1) / (largest + 1)
    below, above = binom.cdf(count, n, share), binom.sf(count - 1, n, share)
    return np.asarray(2 * np.minimum(below, above))


def _staying(tails: Floats, levels: Floats) -> Floats:
    """Probability that counts stay where tails exceed each of `levels` (q,), at every k: (q,)."""
    largest, size = tails.shape
    count = np.arange(size)
    left = count[-1] - count[:, None]  # ranks above k so far, by count
    rise = count[None, :] - count[:, None]
    state = np.zeros((levels.size, size))
    state[:, 0] = 1.0
    for k in range(largest):  # a Markov chain: each step needs the one before
        # Of the ranks that are at least k, each is k with probability 1 / (largest + 1 - k).
        state = state @ binom.pmf(rise, left, 1 / (largest + 1 - k))
        state *= tails[k] > levels[:, None]
    return np.asarray(state.sum(axis=1))
