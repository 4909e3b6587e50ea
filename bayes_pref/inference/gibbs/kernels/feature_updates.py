"""Gibbs updates of one feature at a time: its spread, its regression on f_i, and users' weights.

The weights of feature k are w_ik ~ Normal(gamma_k' f_i, tau_k^2). Given Polya-Gamma variables and
the other features, gamma_k and all w_ik are integrated out to draw log tau_k; then gamma_k is drawn
with w_ik integrated out; then w_ik. So tau_k passes near zero freely, where draws of tau_k given
w_ik are nearly constant.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_pref.inference.gibbs.kernels.cholesky import factor, solve_lower, solve_upper
from bayes_pref.inference.gibbs.kernels.jit import (
    compiled_into_callers,
    compiled_part,
    compiled_reordering_part,
)
from bayes_pref.inference.gibbs.kernels.slice import slice_update_of
from bayes_pref.inference.gibbs.kernels.user_information import add_to_log_odds, weight_information
from bayes_pref.types import FloatArray

WIDTH = 0.6  # first interval of the slice sampler, in log tau


@compiled_reordering_part
def _log_marginal(
    log_tau: float,
    information: FloatArray,
    score: FloatArray,
    design: FloatArray,
    prior: FloatArray,
    spread: float,
    matrix: FloatArray,
    vector: FloatArray,
    shrunk: FloatArray,
) -> float:
    """Log density of log tau, gamma_k and the feature's weights integrated out.

    Parameters
    ----------
    information, score
        (n_blocks,): each user's likelihood of w_ik given omega.
    design
        (p + 1, n_blocks): their regressors.
    prior, spread
        (p + 1,) precision of gamma_k, and scale of tau_k.
    matrix, vector
        (p + 1, p + 1) and (p + 1,): on return the Cholesky factor C of the precision of gamma_k,
        and C^-1 of its linear term.
    shrunk
        (2, n_blocks): working memory.
    """
    square = np.exp(2.0 * log_tau)
    p1 = prior.size
    total = 0.0
    product = 1.0
    quadratic = 0.0
    # One loop for each sum: those over blocks are then SIMD batches.
    for b in range(information.size):
        inverse = 1.0 / (1.0 + square * information[b])
        shrunk[0, b] = information[b] * inverse
        shrunk[1, b] = score[b] * inverse
    for b in range(information.size):
        quadratic += score[b] * shrunk[1, b]
    for b in range(information.size):
        product *= 1.0 + square * information[b]
        if product > 1e200:
            total -= 0.5 * np.log(product)
            product = 1.0
    for j in range(p1):
        linear = 0.0
        for b in range(information.size):
            linear += design[j, b] * shrunk[1, b]
        vector[j] = linear
        for m in range(j + 1):
            weight = prior[j] if j == m else 0.0
            for b in range(information.size):
                weight += design[j, b] * design[m, b] * shrunk[0, b]
            matrix[j, m] = weight
    total -= 0.5 * np.log(product)
    factor(matrix, p1)
    solve_lower(matrix, vector, p1)
    for j in range(p1):
        total += 0.5 * vector[j] * vector[j] - np.log(matrix[j, j])
    total += 0.5 * square * (quadratic - 1.0 / (spread * spread))
    return float(total + log_tau)


_slice_update = compiled_into_callers(slice_update_of(_log_marginal))


@compiled_part
def draw_feature(
    k: int,
    rows: Any,
    population: Any,
    omega: FloatArray,
    gamma: FloatArray,
    tau: FloatArray,
    weights: FloatArray,
    psi: FloatArray,
    rng: np.random.Generator,
) -> None:
    """Draw tau_k, gamma_k and all users' w_ik jointly, given omega and the other features."""
    first, last = rows.feature_starts[k], rows.feature_starts[k + 1]
    p1 = gamma.shape[0]
    information = np.empty(last - first)
    score = np.empty(last - first)
    shrunk = np.empty((2, last - first))
    design = np.empty((p1, last - first))
    for b in range(last - first):
        i = rows.block_users[first + b]
        for j in range(p1):
            design[j, b] = population.design[i, j]
        information[b], score[b] = weight_information(rows, omega, psi, first + b, weights[i, k])
    matrix = np.empty((p1, p1))
    vector = np.empty(p1)
    prior, spread = population.precision[:, k], population.spread[k]
    args = (information, score, design, prior, spread, matrix, vector, shrunk)
    # Evaluated last at its result, so that `matrix` and `vector` belong to it.
    tau[k] = np.exp(_slice_update(args, np.log(tau[k]), WIDTH, rng))
    for j in range(p1):
        vector[j] += rng.standard_normal()
    solve_upper(matrix, vector, p1)
    for j in range(p1):
        gamma[j, k] = vector[j]
    b = 0
    inverse = 1.0 / (tau[k] * tau[k])
    for i in range(weights.shape[0]):
        mean = 0.0
        for j in range(p1):
            mean += population.design[i, j] * vector[j]
        if b < last - first and rows.block_users[first + b] == i:
            precision = information[b] + inverse
            new = (score[b] + mean * inverse) / precision
            new += rng.standard_normal() / np.sqrt(precision)
            add_to_log_odds(rows, first + b, new - weights[i, k], psi)
            weights[i, k] = new
            b += 1
        else:
            weights[i, k] = mean + tau[k] * rng.standard_normal()


@compiled_part
def draw_row(
    k: int,
    rows: Any,
    population: Any,
    omega: FloatArray,
    gamma: FloatArray,
    weights: FloatArray,
    psi: FloatArray,
    rng: np.random.Generator,
) -> None:
    """Draw gamma_k given omega and the other features where tau_k = 0, so that it decides w_ik."""
    p1 = gamma.shape[0]
    matrix = np.zeros((p1, p1))
    vector = np.zeros(p1)
    for j in range(p1):
        matrix[j, j] = population.precision[j, k]
    for b in range(rows.feature_starts[k], rows.feature_starts[k + 1]):
        i = rows.block_users[b]
        information, score = weight_information(rows, omega, psi, b, weights[i, k])
        for j in range(p1):
            vector[j] += score * population.design[i, j]
            scaled = information * population.design[i, j]
            for m in range(j + 1):
                matrix[j, m] += scaled * population.design[i, m]
    factor(matrix, p1)
    solve_lower(matrix, vector, p1)
    for j in range(p1):
        vector[j] += rng.standard_normal()
    solve_upper(matrix, vector, p1)
    for j in range(p1):
        gamma[j, k] = vector[j]
    b = rows.feature_starts[k]
    for i in range(weights.shape[0]):
        new = 0.0
        for j in range(p1):
            new += population.design[i, j] * vector[j]
        if b < rows.feature_starts[k + 1] and rows.block_users[b] == i:
            add_to_log_odds(rows, b, new - weights[i, k], psi)
            b += 1
        weights[i, k] = new
