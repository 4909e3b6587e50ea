"""Probabilities of stages, choices among several alternatives, in NumPy.

With eta_j the reward of the alternative chosen minus that of the j-th other one of the stage,

    P(stage) = 1 / (1 + sum_j exp(-eta_j)),   P(the j-th other instead) = exp(-eta_j) P(stage)

With a lapse rate each of the k alternatives is chosen with probability (1 - lapse) P + lapse / k.

As data, a stage is 1 in all of its rows. A replication in which the j-th other alternative is
chosen is 0 in row j, so that log P(y) = log P(stage) - sum_j (1 - y_j) eta_j.

The first axis runs over rows. Nothing is of the size of a stage squared: the second derivatives of
log P(stage) are g g' - diag(g), with g the probabilities of the others, and enter through sums over
stages.
"""

from __future__ import annotations

import numpy as np

from bayes_pref.types import FloatArray, IntArray

_SAFE = 600.0  # largest -eta whose exponential is summed as it is


def stage_starts(stage: IntArray) -> IntArray:
    """(s,) first row of each stage, from nondecreasing codes (n,)."""
    return np.flatnonzero(np.diff(stage, prepend=-1))


def log_stages(
    eta: FloatArray,
    stage: IntArray,
    choice: FloatArray | None = None,
    lapse: FloatArray | None = None,
) -> FloatArray:
    """Log probability of stages, (stage, ...), at eta (row, ...).

    Parameters
    ----------
    eta
        (row, ...) reward of the alternative chosen minus that of the other.
    stage
        (row,) nondecreasing codes of the stages, from 0.
    choice
        (row,) 0 where the other alternative is chosen instead. None: 1 in all rows.
    lapse
        (...) or (stage, ...) probability that a stage is answered at random. None: there are no
        lapses.

    Examples
    --------
    >>> best_of_three = np.array([0, 0])
    >>> np.exp(log_stages(np.zeros(2), best_of_three)).round(3)
    array([0.333])
    >>> np.exp(log_stages(np.full(2, -99.0), best_of_three, lapse=np.array(0.3))).round(3)
    array([0.1])
    """
    starts = stage_starts(stage)
    if eta.min(initial=0.0) > -_SAFE:
        found = -np.log1p(np.add.reduceat(np.exp(-eta), starts, axis=0))
    else:
        top = np.maximum(np.maximum.reduceat(-eta, starts, axis=0), 0.0)
        total = np.add.reduceat(np.exp(-eta - top[stage]), starts, axis=0)
        found = -(top + np.log(np.exp(-top) + total))
    if choice is not None and not choice.all():
        instead = (choice - 1.0).reshape(-1, *[1] * (eta.ndim - 1))
        found = found + np.add.reduceat(instead * eta, starts, axis=0)
    if lapse is not None:
        even = evenly(stage).reshape(-1, *[1] * (eta.ndim - 1))
        with np.errstate(divide="ignore"):  # a lapse rate of exactly zero or one
            found = np.logaddexp(np.log1p(-lapse) + found, np.log(lapse * even))
    return np.asarray(found)


def evenly(stage: IntArray) -> FloatArray:
    """Probability (s,) of each alternative of a stage that is answered at random.

    Examples
    --------
    >>> evenly(np.array([0, 0, 1]))
    array([0.33333333, 0.5       ])
    """
    return np.asarray(1.0 / (1.0 + np.diff(np.append(stage_starts(stage), len(stage)))))


def others(eta: FloatArray, stage: IntArray, lapse: FloatArray | None = None) -> FloatArray:
    """Probability of the other alternative of each row, like `eta` (row, ...).

    `lapse` is as for `log_stages`.

    Examples
    --------
    >>> others(np.zeros(2), np.array([0, 0])).round(3)
    array([0.333, 0.333])
    """
    found = np.exp(log_stages(eta, stage)[stage] - eta)
    if lapse is not None:
        even = evenly(stage)[stage].reshape(-1, *[1] * (eta.ndim - 1))
        lapse = lapse[stage] if lapse.ndim == eta.ndim else lapse
        found = (1.0 - lapse) * found + lapse * even
    return np.asarray(found)


def stage_information(chance: FloatArray, design: FloatArray, stage: IntArray) -> FloatArray:
    """Information X' (diag(g) - g g') X about coefficients z where eta = X z, (..., d, d).

    It is minus the second derivatives of the log probability of all stages, whichever alternative
    was chosen.

    Parameters
    ----------
    chance
        (row, ...) probabilities g of the others, as `others` gives them.
    design
        (row, ..., d) rows of X.
    stage
        (row,) nondecreasing codes of the stages, from 0.

    Examples
    --------
    >>> stage_information(np.full(2, 1 / 3), np.eye(2), np.array([0, 0])).round(3)
    array([[ 0.222, -0.111],
           [-0.111,  0.222]])
    """
    weighted = chance[..., None] * design
    expected = np.add.reduceat(weighted, stage_starts(stage), axis=0)
    first, second = np.moveaxis(weighted, 0, -2), np.moveaxis(expected, 0, -2)
    found = first.swapaxes(-1, -2) @ np.moveaxis(design, 0, -2)
    return np.asarray(found - second.swapaxes(-1, -2) @ second)


def draw_stages(
    eta: FloatArray,
    stage: IntArray,
    rng: np.random.Generator,
    lapse: FloatArray | None = None,
) -> FloatArray:
    """Draw stages: 0 in the row of the alternative chosen instead, 1 elsewhere, like `eta`.

    The alternative with the highest reward plus Gumbel noise is chosen; of a stage that is answered
    at random, with probability `lapse`, the one with the highest noise.

    Examples
    --------
    >>> sure = np.array([40.0, 40.0, -40.0])  # of the second stage, the other one
    >>> draw_stages(sure, np.array([0, 0, 1]), np.random.default_rng(0))
    array([1., 1., 0.])
    """
    if lapse is not None:
        random = rng.random((int(stage[-1]) + 1, *eta.shape[1:])) < lapse
        eta = np.where(random[stage], 0.0, eta)
    noisy = rng.gumbel(size=eta.shape) - eta
    best = np.maximum.reduceat(noisy, stage_starts(stage), axis=0)
    lost = best > rng.gumbel(size=best.shape)
    return np.asarray(1.0 - ((noisy == best[stage]) & lost[stage]))
