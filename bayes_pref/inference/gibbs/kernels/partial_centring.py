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

from typing import Any

import numpy as np

from bayes_pref.inference.gibbs.kernels.centred_batches import (
    BATCH,
    SHORT,
    factor_batch,
    solve_upper_batch,
    weights_of_batch,
    zeta_slope,
)
from bayes_pref.inference.gibbs.kernels.choice_likelihood import (
    add_user_information,
    user_log_likelihood,
)
from bayes_pref.inference.gibbs.kernels.jit import (
    compiled_reordering,
    compiled_reordering_part,
)
from bayes_pref.inference.gibbs.kernels.signed_weights import to_information, to_slopes, to_weights
from bayes_pref.types import FloatArray


@compiled_reordering_part
def likelihoods_of_batch(
    rows: Any,
    values: FloatArray,
    first: int,
    weights: FloatArray,
    eta: FloatArray,
    slope: FloatArray,
    value_slope: FloatArray,
    total: FloatArray,
    own: FloatArray,
    gradient: FloatArray,
    found: FloatArray,
    cell: FloatArray,
    own_values: FloatArray,
) -> None:
    """Fill the log likelihoods (batch,) of a batch of users, and their gradients (., batch)."""
    d = weights.shape[0]
    n_users = rows.offsets.size - 1
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
            rows, values, first + w, own, eta, gradient, own_values, found, cell
        )
        for k in range(d):
            slope[k, w] = gradient[k]
        for k in range(values.size):
            value_slope[k, w] = own_values[k]


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
    zeta: FloatArray,
    v: FloatArray,
    mean_slope: FloatArray,
    lower_slope: FloatArray,
    value_slope: FloatArray,
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
        (n_batches, d, d, batch) H and (n_batches, d, batch) h.
    mean, zeta
        (n_batches, d, batch): m and zeta.
    v
        (n_batches, d, batch), filled.
    mean_slope, lower_slope, value_slope
        (n_batches, d, batch), (n_batches, d, d, batch) and (n_batches, number of values, batch):
        filled with each user's derivatives in m, L and the values. Of a diagonal L, the diagonal.
    """
    n_batches, d, _ = mean.shape
    scaled, root = np.empty((d, d, BATCH)), np.empty((d, d, BATCH))
    outer = np.empty((d, d, BATCH))
    score, centre, q, r, back = (
        np.empty((d, BATCH)),
        np.empty((d, BATCH)),
        np.empty((d, BATCH)),
        np.empty((d, BATCH)),
        np.empty((d, BATCH)),
    )
    weights, slope = np.empty((d, BATCH)), np.empty((d, BATCH))
    eta = np.empty(rows.outcome.size)
    own, gradient, own_values = np.empty(d), np.empty(d), np.empty(values.size)
    found, cell, each = np.empty(values.size + 3), np.empty(4), np.empty(BATCH)
    total = 0.0
    for b in range(n_batches):
        factor_batch(lower, full, information[b], linear[b], mean[b], scaled, score, root, centre)
        vb = v[b]
        weights_of_batch(lower, full, mean[b], root, centre, zeta[b], vb, weights)
        to_weights(signed, weights)
        likelihoods_of_batch(
            rows,
            values,
            b * BATCH,
            weights,
            eta,
            slope,
            value_slope[b],
            each,
            own,
            gradient,
            found,
            cell,
            own_values,
        )
        to_slopes(signed, weights, slope)
        for k in range(d):
            for w in range(BATCH):
                each[w] += np.log(root[k, k, w]) - 0.5 * vb[k, w] * vb[k, w]
        zeta_slope(lower, full, root, vb, slope, q)
        for k in range(d):
            for w in range(BATCH):
                r[k, w] = q[k, w]
        solve_upper_batch(root, r)
        # P (lower): -(x_i q_j + q_i u_j), with halves on the diagonal, x = u + zeta.
        for i in range(d):
            for j in range(d):
                if j > i:
                    for w in range(BATCH):
                        outer[i, j, w] = 0.0
                    continue
                half = 0.5 if i == j else 1.0
                for w in range(BATCH):
                    x = centre[i, w] + zeta[b, i, w]
                    outer[i, j, w] = -half * (x * q[j, w] + q[i, w] * centre[j, w])
            for w in range(BATCH):
                outer[i, i, w] -= 0.5
        # S = C'^-1 P C^-1, column by column and row by row.
        for j in range(d):
            for i in range(d - 1, -1, -1):
                for k in range(i + 1, d):
                    for w in range(BATCH):
                        outer[i, j, w] -= root[k, i, w] * outer[k, j, w]
                for w in range(BATCH):
                    outer[i, j, w] *= root[i, i, w]
        for i in range(d):
            for j in range(d - 1, -1, -1):
                for k in range(j + 1, d):
                    for w in range(BATCH):
                        outer[i, j, w] -= root[k, j, w] * outer[i, k, w]
                for w in range(BATCH):
                    outer[i, j, w] *= root[j, j, w]
        for k in range(d):
            for w in range(BATCH):
                back[k, w] = 0.0
            for m in range(d):
                for w in range(BATCH):
                    back[k, w] += scaled[m, k, w] * r[m, w]
            for w in range(BATCH):
                mean_slope[b, k, w] = slope[k, w] - back[k, w]
        for j in range(d):
            for k in range(0 if full else j, j + 1):
                for w in range(BATCH):
                    lower_slope[b, j, k, w] = slope[j, w] * vb[k, w] + score[j, w] * r[k, w]
                for m in range(d):
                    for w in range(BATCH):
                        lower_slope[b, j, k, w] += scaled[m, j, w] * (
                            outer[m, k, w] + outer[k, m, w]
                        )
        for w in range(BATCH):
            total += each[w]
    return total


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
    zeta: FloatArray,
    v: FloatArray,
    angle: float,
    leaps: int,
    rng: np.random.Generator,
) -> float:
    """Move every user's zeta by a Hamiltonian trajectory; returns the mean acceptance.

    The flow of the standard normal is followed exactly, by rotations of zeta and momentum, with
    kicks from the rest of the density (Shahbaba et al. 2014, Stat. Comput. 24; Beskos et al. 2011).

    Parameters
    ----------
    angle, leaps
        Rotation of each step, in radians, and number of steps.
    """
    n_batches, d, _ = mean.shape
    scaled, root = np.empty((d, d, BATCH)), np.empty((d, d, BATCH))
    score, centre, q = np.empty((d, BATCH)), np.empty((d, BATCH)), np.empty((d, BATCH))
    weights, slope = np.empty((d, BATCH)), np.empty((d, BATCH))
    value_slope = np.empty((values.size, BATCH))
    eta = np.empty(rows.outcome.size)
    own, gradient, own_values = np.empty(d), np.empty(d), np.empty(values.size)
    found, cell, each = np.empty(values.size + 3), np.empty(4), np.empty(BATCH)
    new, new_v, momentum = np.empty((d, BATCH)), np.empty((d, BATCH)), np.empty((d, BATCH))
    energy = np.empty(BATCH)
    n_users = rows.offsets.size - 1
    total = 0.0
    for b in range(n_batches):
        factor_batch(lower, full, information[b], linear[b], mean[b], scaled, score, root, centre)
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
            to_weights(signed, weights)
            likelihoods_of_batch(
                rows,
                values,
                b * BATCH,
                weights,
                eta,
                slope,
                value_slope,
                each,
                own,
                gradient,
                found,
                cell,
                own_values,
            )
            to_slopes(signed, weights, slope)
            zeta_slope(lower, full, root, new_v, slope, q)
            if leap == 0 or leap == leaps:
                sign = -1.0 if leap == 0 else 1.0
                for w in range(BATCH):
                    if leap == 0:
                        energy[w] = 0.0
                    energy[w] += sign * each[w]
            kick = turn if 0 < leap < leaps else 0.5 * turn
            if leap == 0:
                for k in range(d):
                    for w in range(BATCH):
                        energy[w] += 0.5 * (new_v[k, w] ** 2 + momentum[k, w] ** 2)
            for k in range(d):
                for w in range(BATCH):
                    momentum[k, w] += kick * (q[k, w] + new[k, w])
            if leap == leaps:
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
            if b * BATCH + w < n_users:
                total += chance
            for k in range(d):
                if accepted:
                    zeta[b, k, w] = new[k, w]
            if accepted:
                for k in range(d):
                    v[b, k, w] = new_v[k, w]
    return float(total / n_users)


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
    scaled, root = np.empty((d, d, BATCH)), np.empty((d, d, BATCH))
    score, centre = np.empty((d, BATCH)), np.empty((d, BATCH))
    for b in range(n_batches):
        factor_batch(lower, full, information[b], linear[b], mean[b], scaled, score, root, centre)
        for k in range(d):
            for w in range(BATCH):
                zeta[b, k, w] = v[b, k, w] / root[k, k, w] - centre[k, w]
            for m in range(k + 1, d):
                for w in range(BATCH):
                    zeta[b, k, w] += root[m, k, w] * v[b, m, w]


@compiled_reordering_part
def expand_user(
    rows: Any,
    values: FloatArray,
    signed: FloatArray,
    user: int,
    weights: FloatArray,
    eta: FloatArray,
    own: FloatArray,
    gradient: FloatArray,
    matrix: FloatArray,
    own_values: FloatArray,
    found: FloatArray,
    cell: FloatArray,
) -> None:
    """Fill one user's gradient (d,) and curvature `matrix` (d, d) at `weights` (n_users, d)."""
    d = own.size
    for k in range(d):
        own[k] = weights[user, k]
        for m in range(d):
            matrix[k, m] = 0.0
    column, slope = own.reshape(d, 1), gradient.reshape(d, 1)
    to_weights(signed, column)
    user_log_likelihood(rows, values, user, own, eta, gradient, own_values, found, cell)
    add_user_information(rows, values, user, own, eta, matrix, found, cell)
    to_slopes(signed, column, slope)
    to_information(signed, column, slope, matrix)


@compiled_reordering
def expand_likelihoods(
    rows: Any,
    values: FloatArray,
    signed: FloatArray,
    weights: FloatArray,
    information: FloatArray,
    linear: FloatArray,
) -> None:
    """Fill H (n_batches, d, d, batch) and h (n_batches, d, batch) at weights (n_users, d)."""
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
            total = gradient[k]
            for m in range(d):
                information[b, k, m, w] = matrix[k, m]
                total += matrix[k, m] * weights[i, m]
            linear[b, k, w] = total
