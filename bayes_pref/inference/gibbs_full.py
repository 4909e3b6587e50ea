"""Gibbs sweeps for correlated features: w_i ~ Normal(gamma' f_i, L L').

A sweep draws, in this order,

1. the Polya-Gamma variables omega given the log-odds;
2. every user's weights as one Gaussian block;
3. gamma given the weights, a Gaussian;
4. twice, row by row, the regression of one feature's deviations on those before it, which is a row
   of L: proposed from its conditional without the prior, accepted with the prior's ratio; see
   `gibbs_factor`;
5. feature by feature, tau_k and gamma_k given omega, the correlations and z = L^-1 (w - gamma' f),
   a Gaussian truncated at tau_k = 0: with z held instead of w, tau_k passes near zero, where a
   sampler that draws it given the weights sticks (interweaving; Yu & Meng 2011);
6. the Hamiltonian move of `hmc`, which moves gamma and all of L given z.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_pref.inference.cholesky import factor, solve_lower, solve_upper
from bayes_pref.inference.compiled import compiled
from bayes_pref.inference.gibbs_diagonal import draw_users
from bayes_pref.inference.gibbs_factor import (
    draw_wishart,
    move_rows,
    precision_of,
    solve,
    square_of_row,
)
from bayes_pref.inference.gibbs_problem import Problem
from bayes_pref.inference.gibbs_store import NEVER, Store
from bayes_pref.inference.hmc import Move, Population, hmc_move
from bayes_pref.inference.polya_gamma import draw_polya_gamma, right_table
from bayes_pref.inference.rows import log_odds

Array = NDArray[np.float64]

ROW_MOVES = 2  # passes over the rows of L in a sweep


@compiled
def positive_normal(mean: float, sd: float, rng: np.random.Generator) -> float:
    """Draw from a normal truncated to positive values (Robert 1995)."""
    bound = -mean / sd
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
    omega: Array,
    z: Array,
    gamma: Array,
    lower: Array,
    weights: Array,
    psi: Array,
    rng: np.random.Generator,
) -> None:
    """Draw each (gamma_k, tau_k) given omega, the correlations and everyone's deviations z."""
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
            information, score = 0.0, 0.0
            for e in range(rows.block_starts[b], rows.block_starts[b + 1]):
                a, n = rows.entry_values[e], rows.entry_rows[e]
                information += omega[n] * a * a
                score += a * (0.5 - omega[n] * (psi[n] - a * weights[i, k]))
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
                for e in range(rows.block_starts[b], rows.block_starts[b + 1]):
                    psi[rows.entry_rows[e]] += rows.entry_values[e] * (weight - weights[i, k])
                b += 1
            weights[i, k] = weight


def draw_means(
    population: Population, weights: Array, inverse: Array, rng: np.random.Generator
) -> Array:
    """Draw gamma (p + 1, d) given all users' weights and `inverse` = Sigma^-1."""
    design, shape = population.design, population.precision.shape
    gram = design.T @ design
    matrix = gram[:, None, :, None] * inverse[:, None, :]  # their Kronecker product
    matrix = matrix.reshape(2 * (population.precision.size,))
    matrix.flat[:: len(matrix) + 1] += population.precision.ravel()
    root = np.linalg.cholesky(matrix)
    vector = solve(root, (design.T @ weights @ inverse).ravel())
    vector += rng.standard_normal(vector.size)
    return solve(root, vector, transposed=True).reshape(shape)


def sweep_full(
    problem: Problem,
    theta: Array,
    weights: Array,
    psi: Array,
    move: Move | None,
    rng: np.random.Generator,
    sweeps: int = 1,
    store: Store | None = None,
    position: int = NEVER,
    thin: int = 1,
    *,
    settled: bool = True,
) -> float:
    """Run sweeps, in place; returns the mean acceptance of the Hamiltonian move.

    Python leads from step to step: compiling all of a sweep as one kernel would take half as long
    again, and what it saves (a tenth of a millisecond) is little beside a sweep of real data.

    Parameters
    ----------
    move, store, position, thin
        As for `gibbs_diagonal.sweep_diagonal`.
    settled
        Until then L is drawn from an inverse Wishart without regard to its prior, which brings a
        chain from a far start to where the moves are efficient.
    """
    rows, population = problem.rows, problem.population
    design, n_users = population.design, len(weights)
    gamma = theta[: problem.n_means].reshape(population.precision.shape)
    lower = problem.lower(theta)
    below = np.tril_indices_from(lower)
    omega = np.empty_like(psi)
    total = 0.0
    for _ in range(sweeps):
        draw_polya_gamma(psi, omega, right_table(), rng)
        inverse = precision_of(lower)
        draw_users(rows, omega, design, gamma, inverse, weights, rng)
        log_odds(rows, weights, psi)
        gamma[...] = draw_means(population, weights, inverse, rng)
        centred = weights - design @ gamma
        scatter = centred.T @ centred
        if settled:
            for _ in range(ROW_MOVES):
                move_rows(scatter, n_users, population.spread, population.concentration, lower, rng)
        else:
            lower = draw_wishart(scatter, n_users, rng)
        z = solve(lower, centred.T).T
        draw_scales(rows, population, omega, z, gamma, lower, weights, psi, rng)
        theta[problem.n_means :] = lower[below]
        acceptance, density = np.nan, np.nan
        if move is not None:
            acceptance, density = hmc_move(rows, population, theta, z, weights, psi, *move, rng)
            density -= 0.5 * (z**2).sum()
            lower[below] = theta[problem.n_means :]
        total += acceptance
        position += 1
        if store and position > 0 and position % thin == 0:
            draw = position // thin - 1
            store.theta[draw, : theta.size] = theta
            store.weights[draw] = weights
            store.stats[draw] = acceptance, density
    return total / sweeps
