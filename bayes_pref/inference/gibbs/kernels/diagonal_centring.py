"""`partial_centring` feature by feature, for many features: H and L are diagonal.

The expansion of a user's likelihood keeps the diagonal of its curvature alone, so that every step
costs d operations instead of d^3. The density is exact all the same; zeta is only further from a
standard normal where features matter together.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_pref.inference.gibbs.kernels.centred_batches import BATCH, SHORT
from bayes_pref.inference.gibbs.kernels.jit import compiled_reordering, compiled_reordering_part
from bayes_pref.inference.gibbs.kernels.likelihood_expansion import expand_user
from bayes_pref.inference.gibbs.kernels.partial_centring import (
    SlopeSums,
    likelihoods_of_batch,
    room_for_likelihoods,
)
from bayes_pref.types import FloatArray


@compiled_reordering_part
def _weights(
    scale: FloatArray,
    information: FloatArray,
    linear: FloatArray,
    mean: FloatArray,
    zeta: FloatArray,
    root: FloatArray,
    centre: FloatArray,
    v: FloatArray,
    weights: FloatArray,
) -> None:
    """Fill C, u, v and the weights of a batch, each (d, batch); `scale` (d,) is L."""
    for k in range(scale.size):
        a = scale[k]
        for w in range(BATCH):
            root[k, w] = np.sqrt(1.0 + a * a * information[k, w])
            centre[k, w] = a * (linear[k, w] - information[k, w] * mean[k, w]) / root[k, w]
            v[k, w] = (centre[k, w] + zeta[k, w]) / root[k, w]
            weights[k, w] = mean[k, w] + a * v[k, w]


@compiled_reordering
def diagonal_log_density(
    rows: Any,
    values: FloatArray,
    signed: FloatArray,
    scale: FloatArray,
    information: FloatArray,
    linear: FloatArray,
    mean: FloatArray,
    design: FloatArray,
    zeta: FloatArray,
    v: FloatArray,
    sums: SlopeSums,
) -> float:
    """Log density of the population's parameters given zeta, without their prior.

    As `partial_centring.population_log_density`, with L = diag(scale), (d,), and the diagonals of
    H, (n_batches, d, batch).
    """
    n_batches, d, _ = mean.shape
    root, centre = np.empty((d, BATCH)), np.empty((d, BATCH))
    weights, slope = np.empty((d, BATCH)), np.empty((d, BATCH))
    room = room_for_likelihoods(rows.outcome.size, d, values.size)
    value_slope, each = np.empty((values.size, BATCH)), np.empty(BATCH)
    total = 0.0
    for b in range(n_batches):
        vb, first = v[b], b * BATCH
        _weights(scale, information[b], linear[b], mean[b], zeta[b], root, centre, vb, weights)
        likelihoods_of_batch(rows, values, signed, first, weights, room, each, slope, value_slope)
        for k in range(d):
            a = scale[k]
            for w in range(BATCH):
                c, h = root[k, w], information[b, k, w]
                q = (a * slope[k, w] - vb[k, w]) / c
                r = q / c
                of_root = -(q * vb[k, w] + (q * centre[k, w] + 1.0) / c)
                score = linear[b, k, w] - h * mean[b, k, w]
                sums.lower[k, k] += slope[k, w] * vb[k, w] + r * score + of_root * a * h / c
                slope[k, w] -= a * h * r
                each[w] -= np.log(c) + 0.5 * vb[k, w] * vb[k, w]
            for j in range(design.shape[1]):
                for w in range(BATCH):
                    sums.means[j, k] += design[first + w, j] * slope[k, w]
        for k in range(values.size):
            for w in range(BATCH):
                sums.values[k] += value_slope[k, w]
        for w in range(BATCH):
            total += each[w]
    return total


@compiled_reordering
def move_users_diagonal(
    rows: Any,
    values: FloatArray,
    signed: FloatArray,
    scale: FloatArray,
    information: FloatArray,
    linear: FloatArray,
    mean: FloatArray,
    zeta: FloatArray,
    v: FloatArray,
    angle: float,
    leaps: int,
    rng: np.random.Generator,
) -> float:
    """Move every user's zeta, as `user_moves.move_users`; returns the mean acceptance."""
    n_batches, d, _ = mean.shape
    root, centre = np.empty((d, BATCH)), np.empty((d, BATCH))
    weights, slope = np.empty((d, BATCH)), np.empty((d, BATCH))
    room = room_for_likelihoods(rows.outcome.size, d, values.size)
    value_slope, each = np.empty((values.size, BATCH)), np.empty(BATCH)
    new, new_v, momentum = np.empty((d, BATCH)), np.empty((d, BATCH)), np.empty((d, BATCH))
    energy = np.empty(BATCH)
    n_users = rows.offsets.size - 1
    total = 0.0
    for b in range(n_batches):
        turn = angle * (0.9 + 0.2 * rng.random())
        if rng.random() < SHORT:
            turn *= SHORT
        cosine, sine = np.cos(turn), np.sin(turn)
        for k in range(d):
            for w in range(BATCH):
                new[k, w] = zeta[b, k, w]
                momentum[k, w] = rng.standard_normal()
        for leap in range(leaps + 1):
            _weights(scale, information[b], linear[b], mean[b], new, root, centre, new_v, weights)
            first = b * BATCH
            likelihoods_of_batch(
                rows, values, signed, first, weights, room, each, slope, value_slope
            )
            if leap == 0:
                for w in range(BATCH):
                    energy[w] = -each[w]
                    for k in range(d):
                        energy[w] += 0.5 * (new_v[k, w] ** 2 + momentum[k, w] ** 2)
            kick = turn if 0 < leap < leaps else 0.5 * turn
            for k in range(d):
                for w in range(BATCH):
                    q = (scale[k] * slope[k, w] - new_v[k, w]) / root[k, w]
                    momentum[k, w] += kick * (q + new[k, w])
            if leap == leaps:
                for w in range(BATCH):
                    energy[w] += each[w]
                    for k in range(d):
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
            if b * BATCH + w < n_users:
                total += chance
            if accepted:
                for k in range(d):
                    zeta[b, k, w] = new[k, w]
                    v[b, k, w] = new_v[k, w]
    return float(total / n_users)


@compiled_reordering
def expand_diagonal(
    rows: Any,
    values: FloatArray,
    signed: FloatArray,
    weights: FloatArray,
    information: FloatArray,
    linear: FloatArray,
) -> None:
    """Fill the diagonal of H and h, each (n_batches, d, batch), at weights (n_users, d)."""
    n_users, d = weights.shape
    matrix, gradient, own = np.empty((d, d)), np.empty(d), np.empty(d)
    eta, own_values = np.empty(rows.outcome.size), np.empty(values.size)
    found, cell = np.empty(values.size + 3), np.empty(4)
    for i in range(n_users):
        b, w = i // BATCH, i % BATCH
        expand_user(
            rows, values, signed, i, weights, eta, own, gradient, matrix, own_values, found, cell
        )
        for k in range(d):
            information[b, k, w] = matrix[k, k]
            linear[b, k, w] = gradient[k] + matrix[k, k] * weights[i, k]
