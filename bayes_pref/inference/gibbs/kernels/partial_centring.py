"""Users' weights by what their own choices say: a partially non-centred parametrisation.

Near its mode the log likelihood of user i is h_i' w - w' H_i w / 2, with H_i and h_i fixed after
warm-up. Write w_i = m_i + L v_i with m_i = gamma' f_i and L L' = Sigma. Were that exact, v_i would
be Normal(B_i^-1 b_i, B_i^-1) given the population, with

    B_i = I + L' H_i L = C_i C_i',   b_i = L' (h_i - H_i m_i).

So v_i = C_i'^-1 (u_i + zeta_i) with u_i = C_i^-1 b_i makes zeta_i nearly standard normal whatever
the population is: users with many answers keep their weights when it moves (centred), users with
few keep their deviations (non-centred; Papaspiliopoulos, Roberts & Skoeld 2007, Stat. Sci. 22).
The density is exact all the same:

    log p(theta, zeta) = log prior + sum_i log likelihood_i(w_i) - v_i' v_i / 2 - log |C_i|.

Users are the last axis, in SIMD batches: each loop over a batch becomes vector instructions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bayes_pref.inference.gibbs.kernels.centred_batches import (
    BATCH,
    Factors,
    factor_batch,
    room_for_factors,
    solve_upper_batch,
    weights_of_batch,
    zeta_slope,
)
from bayes_pref.inference.gibbs.kernels.choice_likelihood import user_log_likelihood
from bayes_pref.inference.gibbs.kernels.jit import (
    compiled_reordering,
    compiled_reordering_part,
)
from bayes_pref.inference.gibbs.kernels.signed_weights import to_slopes, to_weights
from bayes_pref.types import FloatArray


class SlopeSums(NamedTuple):
    """Where sums over users of the log density's slopes are added.

    Attributes
    ----------
    means
        (p + 1, d): in gamma.
    lower
        (d, d): in L; of a diagonal L, its diagonal alone.
    values
        (n_values,): in the choice model's values.
    """

    means: FloatArray
    lower: FloatArray
    values: FloatArray


class LikelihoodRoom(NamedTuple):
    """Working memory of `likelihoods_of_batch`."""

    eta: FloatArray
    own: FloatArray
    gradient: FloatArray
    own_values: FloatArray
    found: FloatArray
    cell: FloatArray


@compiled_reordering_part
def room_for_likelihoods(n_rows: int, d: int, n_values: int) -> LikelihoodRoom:
    """Make room for the likelihoods of users who have so many rows together."""
    return LikelihoodRoom(
        np.empty(n_rows),
        np.empty(d),
        np.empty(d),
        np.empty(n_values),
        np.empty(n_values + 3),
        np.empty(4),
    )


@compiled_reordering_part
def likelihoods_of_batch(
    rows: Any,
    values: FloatArray,
    signed: FloatArray,
    first: int,
    weights: FloatArray,
    room: LikelihoodRoom,
    total: FloatArray,
    slope: FloatArray,
    value_slope: FloatArray,
) -> None:
    """Fill the log likelihoods (batch,) of users from `first` on, and their slopes (., batch).

    `weights` (d, batch) are before signs, and after them on return; slopes are before signs.
    """
    d = weights.shape[0]
    n_users = rows.offsets.size - 1
    to_weights(signed, weights)
    own, gradient, own_values = room.own, room.gradient, room.own_values
    for w in range(BATCH):
        total[w] = 0.0
        if first + w >= n_users or rows.careless[first + w] > 0.0:
            for k in range(d):
                slope[k, w] = 0.0
            for k in range(values.size):
                value_slope[k, w] = 0.0
            continue
        for k in range(d):
            own[k] = weights[k, w]
        total[w] = user_log_likelihood(
            rows, values, first + w, own, room.eta, gradient, own_values, room.found, room.cell
        )
        for k in range(d):
            slope[k, w] = gradient[k]
        for k in range(values.size):
            value_slope[k, w] = own_values[k]
    to_slopes(signed, weights, slope)


@compiled_reordering_part
def _through_factor(root: FloatArray, bar: FloatArray) -> None:
    """Replace slopes in C, a lower triangle (d, d, batch), by those in B = C C', in place.

    Murray (2016), arXiv 1602.07527, whose entries of B are those of the lower triangle. The
    diagonal of `root` is inverted.
    """
    d, batch = root.shape[0], root.shape[2]
    for j in range(d - 1, -1, -1):
        for i in range(j + 1, d):
            for w in range(batch):
                bar[j, j, w] -= root[i, j, w] * bar[i, j, w] * root[j, j, w]
        for i in range(j, d):
            for w in range(batch):
                bar[i, j, w] *= root[j, j, w]
        for k in range(j):
            for w in range(batch):
                bar[j, k, w] -= bar[j, j, w] * root[j, k, w]
        for i in range(j + 1, d):
            for k in range(j):
                for w in range(batch):
                    bar[j, k, w] -= bar[i, j, w] * root[i, k, w]
                for w in range(batch):
                    bar[i, k, w] -= bar[i, j, w] * root[j, k, w]
        for w in range(batch):
            bar[j, j, w] *= 0.5


@compiled_reordering_part
def add_slopes(
    lower: FloatArray,
    full: bool,
    factors: Factors,
    v: FloatArray,
    slope: FloatArray,
    value_slope: FloatArray,
    design: FloatArray,
    bar: FloatArray,
    q: FloatArray,
    r: FloatArray,
    sums: SlopeSums,
) -> None:
    """Add the slopes of a batch at v, where the log likelihood has `slope` in the weights.

    `design` is (batch, p + 1); `bar` (d, d, batch), q and r (d, batch) are working memory.
    """
    d, batch = v.shape
    scaled, score, root, centre = factors.scaled, factors.score, factors.root, factors.centre
    zeta_slope(lower, full, root, v, slope, q)
    for k in range(d):
        for w in range(batch):
            r[k, w] = q[k, w]
    solve_upper_batch(root, r)
    for i in range(d):
        for j in range(i + 1):
            for w in range(batch):
                bar[i, j, w] = -(v[i, w] * q[j, w] + r[i, w] * centre[j, w])
        for w in range(batch):
            bar[i, i, w] -= root[i, i, w]
    _through_factor(root, bar)
    for k in range(d):
        for w in range(batch):
            bar[k, k, w] *= 2.0
    each = q[0]  # which is of no more use
    for j in range(d):
        for k in range(0 if full else j, j + 1):
            for w in range(batch):
                each[w] = slope[j, w] * v[k, w] + score[j, w] * r[k, w]
            for m in range(k):
                for w in range(batch):
                    each[w] += scaled[m, j, w] * bar[k, m, w]
            for m in range(k, d):
                for w in range(batch):
                    each[w] += scaled[m, j, w] * bar[m, k, w]
            for w in range(batch):
                sums.lower[j, k] += each[w]
    for k in range(d):
        for m in range(d):
            for w in range(batch):
                slope[k, w] -= scaled[m, k, w] * r[m, w]
        for j in range(design.shape[1]):
            for w in range(batch):
                sums.means[j, k] += design[w, j] * slope[k, w]
    for k in range(value_slope.shape[0]):
        for w in range(batch):
            sums.values[k] += value_slope[k, w]


@compiled_reordering_part
def add_log_volume(root: FloatArray, v: FloatArray, each: FloatArray) -> None:
    """Add -v' v / 2 - log |C| to the log likelihoods (batch,) of a batch."""
    d, batch = v.shape
    for k in range(d):
        for w in range(batch):
            each[w] += np.log(root[k, k, w]) - 0.5 * v[k, w] * v[k, w]


@compiled_reordering
def population_log_density(
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
    sums: SlopeSums,
) -> float:
    """Log density of the population's parameters given zeta, without their prior.

    Parameters
    ----------
    rows, values
        Choices, and the values of the choice model that the kernels read.
    signed
        (2, d) signs and centres of weights, as in `signed_weights`.
    lower, full
        (d, d): L; whether it is triangular, not diagonal.
    information, linear
        (n_batches, d (d + 1) / 2, batch), the lower triangles of H by rows, and
        (n_batches, d, batch) h.
    mean, zeta
        (n_batches, d, batch): m and zeta.
    design
        (n_batches * batch, p + 1): f.
    v
        (n_batches, d, batch), filled.
    sums
        Slopes in gamma, L and the values, added to.
    """
    n_batches, d, _ = mean.shape
    factors = room_for_factors(d)
    room = room_for_likelihoods(rows.outcome.size, d, values.size)
    bar, q, r = np.empty((d, d, BATCH)), np.empty((d, BATCH)), np.empty((d, BATCH))
    weights, slope = np.empty((d, BATCH)), np.empty((d, BATCH))
    value_slope, each = np.empty((values.size, BATCH)), np.empty(BATCH)
    total = 0.0
    for b in range(n_batches):
        first = b * BATCH
        factor_batch(lower, full, information[b], linear[b], mean[b], factors)
        root, vb = factors.root, v[b]
        weights_of_batch(lower, full, mean[b], root, factors.centre, zeta[b], vb, weights)
        likelihoods_of_batch(rows, values, signed, first, weights, room, each, slope, value_slope)
        add_log_volume(root, vb, each)
        own = design[first : first + BATCH]
        add_slopes(lower, full, factors, vb, slope, value_slope, own, bar, q, r, sums)
        for w in range(BATCH):
            total += each[w]
    return total


@compiled_reordering
def zeta_from_deviations(
    lower: FloatArray,
    full: bool,
    information: FloatArray,
    linear: FloatArray,
    mean: FloatArray,
    v: FloatArray,
    zeta: FloatArray,
) -> None:
    """Fill zeta = C' v - u, each (n_batches, d, batch)."""
    n_batches, d, _ = mean.shape
    factors = room_for_factors(d)
    root, centre = factors.root, factors.centre
    for b in range(n_batches):
        factor_batch(lower, full, information[b], linear[b], mean[b], factors)
        for k in range(d):
            for w in range(BATCH):
                zeta[b, k, w] = v[b, k, w] / root[k, k, w] - centre[k, w]
            for m in range(k + 1, d):
                for w in range(BATCH):
                    zeta[b, k, w] += root[m, k, w] * v[b, m, w]
