"""Gibbs update of the scales of correlated features, their correlations held."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_pref.inference.gibbs.kernels.cholesky import factor, solve_lower, solve_upper
from bayes_pref.inference.gibbs.kernels.covariance import square_of_row
from bayes_pref.inference.gibbs.kernels.jit import compiled
from bayes_pref.inference.gibbs.kernels.user_information import add_to_log_odds, weight_information
from bayes_pref.types import FloatArray

# Its square is a number still. Beyond, and at nan, no proposal would ever be accepted.
LARGEST_BOUND = 1e150


@compiled
def positive_normal(mean: float, sd: float, rng: np.random.Generator) -> float:
    """Draw from a normal truncated to positive values (Robert 1995); nan where it has no draws."""
    bound = -mean / sd
    if not bound < LARGEST_BOUND:
        return np.nan
    if bound < 0.5:
        while True:
            value = rng.standard_normal()
            if value > bound:
                return float(mean + sd * value)
    rate = 0.5 * (bound + np.sqrt(bound * bound + 4.0))
    while True:
        value = bound + rng.standard_exponential() / rate
        if rng.random() < np.exp(-0.5 * (value - rate) ** 2):
            return float(mean + sd * value)


@compiled
def draw_scales(
    rows: Any,
    population: Any,
    omega: FloatArray,
    z: FloatArray,
    gamma: FloatArray,
    lower: FloatArray,
    weights: FloatArray,
    psi: FloatArray,
    rng: np.random.Generator,
) -> None:
    """Draw each (gamma_k, tau_k) given omega, the correlations and standardised deviations z."""
    p1, d = gamma.shape
    n_users = z.shape[0]
    matrix = np.empty((p1 + 1, p1 + 1))
    vector = np.empty(p1 + 1)
    unit = np.empty(n_users)
    x = np.empty(p1 + 1)
    for k in range(d):
        tau = np.sqrt(square_of_row(lower, k))
        for i in range(n_users):
            unit[i] = 0.0
            for m in range(k + 1):
                unit[i] += lower[k, m] / tau * z[i, m]
        for j in range(p1 + 1):
            vector[j] = 0.0
            for m in range(p1 + 1):
                matrix[j, m] = 0.0
        for j in range(p1):
            matrix[j, j] = population.precision[j, k]
        matrix[p1, p1] = 1.0 / (population.spread[k] * population.spread[k])
        for b in range(rows.feature_starts[k], rows.feature_starts[k + 1]):
            i = rows.block_users[b]
            information, score = weight_information(rows, omega, psi, b, weights[i, k])
            for j in range(p1):
                x[j] = population.design[i, j]
            x[p1] = unit[i]
            for j in range(p1 + 1):
                vector[j] += score * x[j]
                for m in range(j + 1):
                    matrix[j, m] += information * x[j] * x[m]
        # tau comes last: its marginal is the last step of the back substitution.
        factor(matrix, p1 + 1)
        solve_lower(matrix, vector, p1 + 1)
        last = matrix[p1, p1]
        new = positive_normal(float(vector[p1] / last), float(1.0 / last), rng)
        for j in range(p1):
            vector[j] += rng.standard_normal() - matrix[p1, j] * new
        solve_upper(matrix, vector, p1)
        for j in range(p1):
            gamma[j, k] = vector[j]
        for m in range(k + 1):
            lower[k, m] *= new / tau
        b = rows.feature_starts[k]
        for i in range(n_users):
            weight = new * unit[i]
            for j in range(p1):
                weight += population.design[i, j] * gamma[j, k]
            if b < rows.feature_starts[k + 1] and rows.block_users[b] == i:
                add_to_log_odds(rows, b, weight - weights[i, k], psi)
                b += 1
            weights[i, k] = weight
