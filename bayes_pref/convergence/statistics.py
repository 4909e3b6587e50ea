"""Rank-normalised split R-hat, bulk and tail effective sample sizes, for many parameters at once.

The statistics are those of Vehtari, Gelman, Simpson, Carpenter & Buerkner (2021),
"Rank-normalization, folding, and localization: an improved R-hat for assessing convergence of
MCMC", Bayesian Analysis 16(2), with Geyer's (1992) initial monotone sequence, in the variant of
ArviZ. ArviZ loops over parameters in Python; a hierarchical model has one parameter for each user
and feature, so that here each sort and each Fourier transform is of a block of parameters.

With ``z`` the normal scores of the ranks, ``m`` half-chains of ``n`` draws, ``B`` and ``W`` the
between- and within-chain variances of ``z`` and ``rho_t`` its autocorrelations,

    R-hat = sqrt((B / W + n - 1) / n),        ESS = m n / (-1 + 2 sum_t rho_t).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.special import ndtri

from bayes_pref.types import FloatArray, Mask

# 1 MB of doubles: a block and its copies fit into the processor's cache.
BLOCK_VALUES = 2**17
MINIMUM_DRAWS = 4
ALONE = 5.0  # times, by which one weight may be further off than all of a user's together


class ChainStatistics(NamedTuple):
    """Convergence statistics of some parameters, each an array (parameter,).

    They are nan for a parameter that never varies, that has values that are not finite, or that has
    fewer than four draws a chain.
    """

    rhat: FloatArray
    ess_bulk: FloatArray
    ess_tail: FloatArray


def chain_statistics(draws: FloatArray) -> ChainStatistics:
    """R-hat, bulk and tail effective sample size of every parameter.

    Parameters
    ----------
    draws
        (chain, draw, parameter). One chain is enough: chains are split in two halves.

    Returns
    -------
    ChainStatistics
        R-hat is the larger of the rank-normalised bulk and folded statistics; the tail effective
        sample size is the smaller of those of the 5 % and 95 % quantiles.

    Examples
    --------
    >>> import numpy as np
    >>> draws = np.random.default_rng(0).normal(size=(4, 1000, 2))
    >>> draws[0, :, 1] += 1.0  # one chain has another mean
    >>> (chain_statistics(draws).rhat > 1.01).tolist()
    [False, True]
    """
    chains, length, parameters = draws.shape
    result = np.full((3, parameters), np.nan)
    if length < MINIMUM_DRAWS:
        return ChainStatistics(*result)
    size = max(1, BLOCK_VALUES // (chains * length))
    starts = range(0, parameters, size)
    # Blocks, because sorts and padded transforms of 13,000 parameters at once would take gigabytes;
    # threads, because sorts and transforms release the interpreter's lock.
    with ThreadPoolExecutor(min(len(starts), os.cpu_count() or 1) or 1) as pool:
        blocks = pool.map(lambda start: _block(draws[:, :, start : start + size]), starts)
        for start, block in zip(starts, blocks, strict=True):
            result[:, start : start + size] = block
    return ChainStatistics(*result)


def effective_sample_size(draws: FloatArray) -> FloatArray:
    """Effective sample size for means: (chain, draw, parameter) -> (parameter,).

    Examples
    --------
    >>> import numpy as np
    >>> draws = np.random.default_rng(0).normal(size=(4, 1000, 1))
    >>> bool(3000 < effective_sample_size(draws)[0] < 5000)
    True
    """
    return _ess(_split(np.moveaxis(np.asarray(draws, dtype=np.float64), 2, 0)))


def energy_fraction(energy: FloatArray) -> FloatArray:
    """Bayesian fraction of missing information (Betancourt 2016): (chain, draw) -> (chain,)."""
    energy = np.asarray(energy, dtype=np.float64)
    moves = np.square(np.diff(energy, axis=1)).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(moves / energy.var(axis=1, ddof=1))


def _block(draws: FloatArray) -> FloatArray:
    """Rows rhat, ess_bulk, ess_tail of (chain, draw, parameter); nan where undefined."""
    block = np.ascontiguousarray(np.moveaxis(draws, 2, 0), dtype=np.float64)
    result = np.full((3, len(block)), np.nan)
    with np.errstate(invalid="ignore"):
        spread = np.ptp(block, axis=(1, 2))
    usable = np.isfinite(spread) & (spread > 0.0)
    if usable.any():
        result[:, usable] = _usable_block(block if usable.all() else block[usable])
    return result


def _usable_block(block: FloatArray) -> FloatArray:
    """Rows rhat, ess_bulk, ess_tail of (parameter, chain, draw), finite and not constant."""
    halves = _split(block)
    flat = halves.reshape(len(block), -1)
    # Positions in the raveled block: a flat gather or scatter is faster than one along an axis.
    order = np.argsort(flat, axis=1) + np.arange(0, flat.size, flat.shape[1])[:, None]
    ordered = flat.ravel()[order]
    scores = _normal_scores(order, ordered).reshape(halves.shape)
    rhat = np.maximum(_rhat(scores), _rhat(_folded_scores(order, ordered).reshape(halves.shape)))
    # With an odd number of draws the middle draw is in neither half, but counts for quantiles.
    everything = ordered if block.shape[2] % 2 == 0 else np.sort(block.reshape(len(block), -1))
    tails = [_ess(halves <= _quantile(everything, q)[:, None, None]) for q in (0.05, 0.95)]
    return np.stack([rhat, _ess(scores), np.minimum(*tails)])


def _split(block: FloatArray) -> FloatArray:
    """Cut each chain in half: (parameter, chain, draw) -> (parameter, 2 chain, draw // 2)."""
    parameters, chains, length = block.shape
    half = length // 2
    if length % 2 == 0:
        return block.reshape(parameters, 2 * chains, half)
    return np.concatenate([block[:, :, :half], block[:, :, -half:]], axis=1)


def _normal_scores(order: NDArray[np.intp], ordered: FloatArray) -> FloatArray:
    """Normal scores of the ranks (ties share their mean rank), back in the order of the draws."""
    size = ordered.shape[1]
    # Mean ranks are multiples of one half: a table replaces a normal quantile for every draw.
    table = ndtri((np.arange(2, 2 * size + 1) / 2 - 0.375) / (size + 0.25))
    by_rank = np.broadcast_to(table[::2], ordered.shape)
    equal = ordered[:, 1:] == ordered[:, :-1]
    if equal.any():
        by_rank = by_rank.copy()
        # Folding leaves one pair of equal distances, so pairs have a fast path of their own.
        runs = (equal[:, 1:] & equal[:, :-1]).any(axis=1)
        by_rank[runs] = table[_doubled_mean_ranks(ordered[runs])]
        row, column = np.nonzero(equal & ~runs[:, None])
        by_rank[row, column] = by_rank[row, column + 1] = table[2 * column + 1]
    scores = np.empty_like(ordered)
    scores.ravel()[order] = by_rank
    return scores


def _doubled_mean_ranks(ordered: FloatArray) -> NDArray[np.intp]:
    """First plus last position (from 0) of the run of equal values to which each value belongs."""
    size = ordered.shape[1]
    position = np.arange(size)
    changes = ordered[:, 1:] != ordered[:, :-1]
    first = np.zeros(ordered.shape, dtype=np.intp)
    first[:, 1:] = np.where(changes, position[1:], 0)
    last = np.full(ordered.shape, size - 1, dtype=np.intp)
    last[:, :-1] = np.where(changes, position[:-1], size - 1)
    np.maximum.accumulate(first, axis=1, out=first)
    last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    return first + last


def _folded_scores(order: NDArray[np.intp], ordered: FloatArray) -> FloatArray:
    """Normal scores of the distances from the median."""
    size = ordered.shape[1]
    middle = size // 2
    median = (ordered[:, middle - 1] + ordered[:, middle]) / 2  # `size` is even: two halves a chain
    distance = np.abs(ordered - median[:, None])
    # Distances decrease left of the median and increase right of it. With the left part reversed
    # there are two increasing runs, which a stable (merge) sort merges in linear time.
    distance[:, :middle] = distance[:, :middle][:, ::-1].copy()
    order = np.concatenate([order[:, :middle][:, ::-1], order[:, middle:]], axis=1)
    merged = np.argsort(distance, axis=1, kind="stable")
    merged += np.arange(0, ordered.size, size)[:, None]
    return _normal_scores(order.ravel()[merged], distance.ravel()[merged])


def _quantile(ordered: FloatArray, level: float) -> FloatArray:
    """Linear quantile of each sorted row; exact where both neighbours are equal."""
    place = round((ordered.shape[1] - 1) * level, 9)  # 19.999999999999996 is 20
    below = int(place)
    low, high = ordered[:, below], ordered[:, min(below + 1, ordered.shape[1] - 1)]
    return np.asarray(low + (high - low) * (place - below))


def _rhat(scores: FloatArray) -> FloatArray:
    """Potential scale reduction of (parameter, chain, draw)."""
    chains, length = scores.shape[1:]
    means = scores.mean(axis=2)
    # No cancellation in the sums of squares: normal scores have mean 0 and variance near 1.
    squares = np.einsum("pcd,pcd->p", scores, scores) - length * np.square(means).sum(axis=1)
    within = np.maximum(squares, 0.0) / (chains * (length - 1))
    between = length * means.var(axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt((between / within + length - 1) / length))


def _ess(values: FloatArray | Mask) -> FloatArray:
    """Effective sample size of (parameter, chain, draw) by Geyer's initial monotone sequence."""
    chains, length = values.shape[1:]
    total = chains * length
    means = values.mean(axis=2)
    covariance = _autocovariance(values, means)
    within = covariance[:, 0] * length / (length - 1)
    variance = within * (length - 1) / length
    if chains > 1:
        variance = variance + means.var(axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = 1.0 - (within[:, None] - covariance) / variance[:, None]
    correlation[:, 0] = 1.0
    time = np.maximum(_autocorrelation_time(correlation), 1.0 / np.log10(total))
    # A constant, such as an indicator that is always true, has the number of draws.
    return np.where(variance > 0.0, total / time, float(total))


def _autocovariance(values: FloatArray | Mask, means: FloatArray) -> FloatArray:
    """Autocovariance averaged over chains: (parameter, chain, draw) -> (parameter, lag)."""
    parameters, chains, length = values.shape
    padded = fft.next_fast_len(2 * length, real=True)
    centred = np.zeros((parameters, chains, padded))
    np.subtract(values, means[:, :, None], out=centred[:, :, :length])
    parts = fft.rfft(centred, axis=2, overwrite_x=True).view(np.float64)
    # Averaging the power spectra first leaves one inverse transform a parameter, not one a chain.
    parts = np.einsum("pck,pck->pk", parts, parts).reshape(parameters, -1, 2)
    power = parts.sum(axis=2) / chains
    return np.asarray(fft.irfft(power, n=padded, axis=1)[:, :length] / length)


def _autocorrelation_time(correlation: FloatArray) -> FloatArray:
    """Integrated autocorrelation time from (parameter, lag), by Geyer's initial monotone sequence.

    For a reversible chain, sums of adjacent pairs of lags are positive and decreasing. The sum ends
    at the first pair that is not positive (or at the last pair), of which only the even lag counts,
    once. Earlier pairs are replaced by their running minimum.
    """
    length = correlation.shape[1]
    last = max(0, (length - 1) // 2 - 1)
    even, odd = correlation[:, 0 : 2 * last + 1 : 2], correlation[:, 1 : 2 * last + 2 : 2]
    pair = even + odd
    stopped = pair <= 0.0
    stopped[:, last] = True
    stop = stopped.argmax(axis=1)
    before = np.arange(last + 1) < stop[:, None]
    summed = np.where(before, np.minimum.accumulate(pair, axis=1), 0.0).sum(axis=1)
    rows = np.arange(len(stop))
    even_stop, pair_stop = even[rows, stop], pair[rows, stop]
    remainder = np.where((even_stop > 0.0) | (pair_stop >= 0.0), even_stop, 0.0)
    return np.asarray(-1.0 + 2.0 * summed + remainder)


def effective_draws(between: FloatArray, within: FloatArray, draws: int) -> FloatArray:
    """Effective sample size of each user's means, from how far chains are apart.

    The variance of chains' means over that of independent draws is chi-squared, and so noisy for
    one weight; the average over a user's weights counts, and a weight that is far worse than it.

    Parameters
    ----------
    between
        (n_users, d): variance of the chains' means times the number of draws of each.
    within
        (n_users, d): variance of the draws of a chain.
    draws
        Of all chains.

    Returns
    -------
    (n_users,) at most `draws`

    Examples
    --------
    >>> import numpy as np
    >>> effective_draws(np.array([[1.0, 1.0], [4.0, 6.0]]), np.ones((2, 2)), 800).tolist()
    [800.0, 160.0]
    """
    still = within <= 0.0  # weights that the model fixes
    times = np.where(still, 0.0, between) / np.where(still, 1.0, within)
    slowness = np.maximum(times.mean(axis=1), times.max(axis=1) / ALONE)
    return np.asarray(draws / np.maximum(slowness, 1.0))
