"""Moves of users' zeta given the population, and the density of the population around them."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_pref.inference.gibbs.kernels.centred_batches import (
    BATCH,
    SHORT,
    factor_batch,
    room_for_factors,
    weights_of_batch,
    zeta_slope,
)
from bayes_pref.inference.gibbs.kernels.jit import compiled_reordering
from bayes_pref.inference.gibbs.kernels.partial_centring import (
    SlopeSums,
    add_log_volume,
    add_slopes,
    likelihoods_of_batch,
    room_for_likelihoods,
)
from bayes_pref.types import FloatArray


@compiled_reordering
def move_users(
    rows: Any,
    values: FloatArray,
    signed: FloatArray,
    lower: FloatArray,
    full: bool,
    information: FloatArray,
    linear: FloatArray,
    mean: FloatArray,
    design: FloatArray,
    zeta: FloatArray,
    v: FloatArray,
    angle: float,
    leaps: int,
    rng: np.random.Generator,
    before: SlopeSums | None,
    after: SlopeSums | None,
) -> tuple[float, float, float]:
    """Move every user's zeta, and v, by a Hamiltonian trajectory.

    The flow of the standard normal is followed exactly, by rotations of zeta and momentum, with
    kicks from the rest of the density (Shahbaba et al. 2014, Stat. Comput. 24; Beskos et al. 2011).
    Where a trajectory begins and ends the likelihood and its slopes are known, so that the density
    of the population there costs little more.

    Parameters
    ----------
    angle, leaps
        Rotation of each step, in radians, and number of steps.
    before, after
        Slopes at the first and at the last zeta, added to. None: they are not needed, and a kernel
        without them is compiled.

    The others are those of `population_log_density`.

    Returns
    -------
    Mean acceptance, and the log densities before and after, as `population_log_density`; 0 if
    nothing is summed.
    """
    n_batches, d, _ = mean.shape
    factors = room_for_factors(d)
    root, centre = factors.root, factors.centre
    room = room_for_likelihoods(rows.outcome.size, d, values.size)
    bar, q, r = np.empty((d, d, BATCH)), np.empty((d, BATCH)), np.empty((d, BATCH))
    weights, slope, old_slope = np.empty((d, BATCH)), np.empty((d, BATCH)), np.empty((d, BATCH))
    value_slope, old_value_slope = np.empty((values.size, BATCH)), np.empty((values.size, BATCH))
    each, old_each, energy = np.empty(BATCH), np.empty(BATCH), np.empty(BATCH)
    new, new_v, momentum = np.empty((d, BATCH)), np.empty((d, BATCH)), np.empty((d, BATCH))
    n_users = rows.offsets.size - 1
    total, start, end = 0.0, 0.0, 0.0
    for b in range(n_batches):
        first = b * BATCH
        own, vb = design[first : first + BATCH], v[b]
        factor_batch(lower, full, information[b], linear[b], mean[b], factors)
        turn = angle * (0.9 + 0.2 * rng.random())
        if rng.random() < SHORT:
            turn *= SHORT
        cosine, sine = np.cos(turn), np.sin(turn)
        for k in range(d):
            for w in range(BATCH):
                new[k, w] = zeta[b, k, w]
                momentum[k, w] = rng.standard_normal()
        for leap in range(leaps + 1):
            weights_of_batch(lower, full, mean[b], root, centre, new, new_v, weights)
            likelihoods_of_batch(
                rows, values, signed, first, weights, room, each, slope, value_slope
            )
            zeta_slope(lower, full, root, new_v, slope, q)
            if leap == 0:
                for w in range(BATCH):
                    energy[w] = -each[w]
                for k in range(d):
                    for w in range(BATCH):
                        energy[w] += 0.5 * (new_v[k, w] ** 2 + momentum[k, w] ** 2)
                        vb[k, w] = new_v[k, w]
            kick = turn if 0 < leap < leaps else 0.5 * turn
            for k in range(d):
                for w in range(BATCH):
                    momentum[k, w] += kick * (q[k, w] + new[k, w])
            if before is not None and leap == 0:
                for w in range(BATCH):
                    old_each[w] = each[w]
                for k in range(d):
                    for w in range(BATCH):
                        old_slope[k, w] = slope[k, w]
                for k in range(values.size):
                    for w in range(BATCH):
                        old_value_slope[k, w] = value_slope[k, w]
                add_log_volume(root, vb, each)
                for w in range(BATCH):
                    start += each[w]
                add_slopes(lower, full, factors, vb, slope, value_slope, own, bar, q, r, before)
            if leap == leaps:
                for w in range(BATCH):
                    energy[w] += each[w]
                for k in range(d):
                    for w in range(BATCH):
                        energy[w] -= 0.5 * (new_v[k, w] ** 2 + momentum[k, w] ** 2)
                break
            for k in range(d):
                for w in range(BATCH):
                    at = new[k, w]
                    new[k, w] = at * cosine + momentum[k, w] * sine
                    momentum[k, w] = momentum[k, w] * cosine - at * sine
        for w in range(BATCH):
            # A trajectory that lost a number is refused: the least of 0 and nan may be 0.
            chance = np.exp(min(0.0, energy[w])) if np.isfinite(energy[w]) else 0.0
            accepted = rng.random() < chance
            if first + w < n_users:
                total += chance
            if accepted:
                for k in range(d):
                    zeta[b, k, w] = new[k, w]
                    vb[k, w] = new_v[k, w]
            elif after is not None:
                each[w] = old_each[w]
                for k in range(d):
                    slope[k, w] = old_slope[k, w]
                for k in range(values.size):
                    value_slope[k, w] = old_value_slope[k, w]
        if after is not None:
            add_log_volume(root, vb, each)
            for w in range(BATCH):
                end += each[w]
            add_slopes(lower, full, factors, vb, slope, value_slope, own, bar, q, r, after)
    return total / n_users, start, end
