"""Gibbs updates of factor scores: given the loadings, and jointly with them, the weights held.

Users' weights are w_i = gamma' f_i + noise * u_i with u_i ~ Normal(0, I); the last `rank` entries
of f_i are the scores z_i ~ Normal(0, I), and the last rows of gamma the loadings V'.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_pref.inference.gibbs.kernels.cholesky import factor, solve_lower, solve_upper
from bayes_pref.inference.gibbs.kernels.jit import compiled, compiled_into_callers, compiled_part
from bayes_pref.inference.gibbs.kernels.slice import slice_update_of
from bayes_pref.inference.gibbs.kernels.user_information import user_information
from bayes_pref.types import FloatArray


@compiled_part
def draw_scores(
    rows: Any,
    omega: FloatArray,
    rank: int,
    noise: FloatArray,
    gamma: FloatArray,
    design: FloatArray,
    weights: FloatArray,
    rng: np.random.Generator,
) -> None:
    """Draw all users' (z_i, u_i) given omega, gamma and `noise` (d,), or (0,) without any."""
    n_users, d = weights.shape
    known = gamma.shape[0] - rank
    size = rank + noise.size
    information = np.empty((d, d))
    score = np.empty(d)
    row = np.empty(d)
    matrix = np.empty((size, size))
    vector = np.empty(size)
    along = np.empty((rank, d))  # V' G
    for i in range(n_users):
        user_information(rows, omega, i, row, information, score)
        for k in range(d):
            weights[i, k] = 0.0
        for j in range(known):
            for k in range(d):
                weights[i, k] += design[i, j] * gamma[j, k]
        for m in range(d):  # the inner loop is a SIMD batch, here and below
            for k in range(d):
                score[k] -= information[m, k] * weights[i, m]
        for r in range(rank):
            vector[r] = 0.0
            for k in range(d):
                vector[r] += gamma[known + r, k] * score[k]
                along[r, k] = 0.0
            for m in range(d):
                for k in range(d):
                    along[r, k] += gamma[known + r, m] * information[m, k]
            for s in range(r + 1):
                matrix[r, s] = 1.0 if r == s else 0.0
                for k in range(d):
                    matrix[r, s] += along[r, k] * gamma[known + s, k]
        for k in range(noise.size):
            vector[rank + k] = noise[k] * score[k]
            for r in range(rank):
                matrix[rank + k, r] = noise[k] * along[r, k]
            for m in range(k + 1):
                matrix[rank + k, rank + m] = noise[k] * information[k, m] * noise[m]
            matrix[rank + k, rank + k] += 1.0
        factor(matrix, size)
        solve_lower(matrix, vector, size)
        for k in range(size):
            vector[k] += rng.standard_normal()
        solve_upper(matrix, vector, size)
        for r in range(rank):
            design[i, known + r] = vector[r]
            for k in range(d):
                weights[i, k] += vector[r] * gamma[known + r, k]
        for k in range(noise.size):
            weights[i, k] += noise[k] * vector[rank + k]


@compiled_part
def _log_growth(x: float, power: float, square: float, inverse: float) -> float:
    """Log density of log a = x: of z_r and gamma_r under their priors, with the Jacobian."""
    growth = np.exp(2.0 * x)
    return float(power * x - 0.5 * square * growth - 0.5 * inverse / growth)


_slice_update = compiled_into_callers(slice_update_of(_log_growth))


@compiled_part
def draw_growth(power: float, square: float, inverse: float, rng: np.random.Generator) -> float:
    """Draw log a by one update of slice sampling from 0."""
    # Twice the sd of log a at the mode, which is the same from wherever the move starts.
    width = 2.0 / np.sqrt(2.0 * np.sqrt(power * power + 4.0 * square * inverse))
    return float(_slice_update((power, square, inverse), 0.0, width, rng))


@compiled
def move_along_weights(
    rank: int,
    precision: FloatArray,
    gamma: FloatArray,
    design: FloatArray,
    rng: np.random.Generator,
) -> None:
    """Shift and rescale scores and gamma so that no weight changes; see `factor_sampler`."""
    p1, d = gamma.shape
    n_users = design.shape[0]
    for r in range(p1 - rank, p1):
        for m in range(p1):
            if m == r:
                continue
            weight, linear = 0.0, 0.0
            for i in range(n_users):
                weight += design[i, m] * design[i, m]
                linear -= design[i, m] * design[i, r]
            for k in range(d):
                weight += precision[m, k] * gamma[r, k] * gamma[r, k]
                linear += precision[m, k] * gamma[m, k] * gamma[r, k]
            t = linear / weight + rng.standard_normal() / np.sqrt(weight)
            for i in range(n_users):
                design[i, r] += t * design[i, m]
            for k in range(d):
                gamma[m, k] -= t * gamma[r, k]
        square, inverse = 0.0, 0.0
        for i in range(n_users):
            square += design[i, r] * design[i, r]
        for k in range(d):
            inverse += precision[r, k] * gamma[r, k] * gamma[r, k]
        a = np.exp(draw_growth(float(n_users - d), square, inverse, rng))
        for i in range(n_users):
            design[i, r] *= a
        for k in range(d):
            gamma[r, k] /= a
