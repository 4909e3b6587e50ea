"""Gibbs sweeps for correlated features: w_i ~ Normal(gamma' f_i, L L').

A sweep draws, in this order,

1. the Polya-Gamma variables omega given the log-odds;
2. gamma and L given omega, with everyone's weights integrated out, by a Hamiltonian move on the
   density of `gibbs_marginal`;
3. every user's weights as one Gaussian block, given all of these;
4. feature by feature, tau_k and gamma_k given omega, the correlations and z = L^-1 (w - gamma' f),
   a Gaussian truncated at tau_k = 0;
5. gamma and L by the Hamiltonian move of `hmc`, without omega and with z held instead of w.

Step 2 frees the population from the users' weights, which hold it where features are correlated
(partially collapsed Gibbs; van Dyk & Park 2008). Step 4 moves where a spread is near zero, at the
edge of L, which stops trajectories. Step 5 frees the population from omega, which holds it where
people nearly always choose one way (interweaving; Yu & Meng 2011).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_pref.inference.gibbs.kernels.cholesky import factor, solve_lower, solve_upper
from bayes_pref.inference.gibbs.kernels.covariance import (
    draw_wishart,
    precision_of,
    solve,
    square_of_row,
)
from bayes_pref.inference.gibbs.kernels.design_matrix import log_odds
from bayes_pref.inference.gibbs.kernels.hmc import Move, PopulationPrior, hmc_move
from bayes_pref.inference.gibbs.kernels.jit import compiled
from bayes_pref.inference.gibbs.kernels.marginal import Marginal, move_population
from bayes_pref.inference.gibbs.kernels.polya_gamma import draw_polya_gamma, right_table
from bayes_pref.inference.gibbs.kernels.store import NEVER, Store
from bayes_pref.inference.gibbs.problem import Problem

Array = NDArray[np.float64]


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


def draw_population(
    problem: Problem, theta: Array, weights: Array, rng: np.random.Generator
) -> None:
    """Draw gamma, then L, given everyone's weights; L without regard to its prior."""
    population = problem.population
    gamma = theta[: problem.n_means].reshape(population.precision.shape)
    lower = problem.lower(theta)
    gamma[...] = draw_means(population, weights, precision_of(lower), rng)
    centred = weights - population.design @ gamma
    lower = draw_wishart(centred.T @ centred, len(weights), rng)
    theta[problem.n_means :] = lower[np.tril_indices_from(lower)]


def draw_means(
    population: PopulationPrior, weights: Array, inverse: Array, rng: np.random.Generator
) -> Array:
    """Draw gamma (p + 1, d) given all users' weights and `inverse` = Sigma^-1."""
    design, shape = population.design, population.precision.shape
    matrix = np.kron(design.T @ design, inverse)
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
    moves: tuple[Move, Move] | None,
    rng: np.random.Generator,
    sweeps: int = 1,
    store: Store | None = None,
    position: int = NEVER,
    thin: int = 1,
) -> tuple[float, float]:
    """Run sweeps, in place; returns the mean acceptance of each Hamiltonian move.

    Python leads from step to step: compiling all of a sweep as one kernel would take half as long
    again, and what it saves is little beside a sweep of real data.

    Parameters
    ----------
    moves
        Of steps 5 and 2. None before there are metrics: gamma and L are then drawn given the
        weights, L from an inverse Wishart without regard to its prior, which brings a chain from a
        far start to where the moves are efficient.
    store, position, thin
        As for `gibbs_diagonal.sweep_diagonal`.
    """
    rows, population = problem.rows, problem.population
    gamma = theta[: problem.n_means].reshape(population.precision.shape)
    marginal = Marginal(problem)
    omega = np.empty_like(psi)
    held, integrated, density = np.nan, np.nan, np.nan
    total = np.zeros(2)
    for _ in range(sweeps):
        draw_polya_gamma(psi, omega, right_table(), rng)
        marginal.read(omega)
        if moves is not None:
            integrated = move_population(marginal, theta, moves[1], rng)
        weights[...] = marginal.draw_weights(theta, rng)
        log_odds(rows, weights, psi)
        if moves is None:
            draw_population(problem, theta, weights, rng)
        else:
            lower = problem.lower(theta)
            z = solve(lower, (weights - population.design @ gamma).T).T
            draw_scales(rows, population, omega, z, gamma, lower, weights, psi, rng)
            theta[problem.n_means :] = lower[np.tril_indices_from(lower)]
            held, density = hmc_move(
                problem.rows, population, theta, z, weights, psi, *moves[0], rng
            )
            density -= 0.5 * (z**2).sum()
        total += held, integrated
        position += 1
        if store and position > 0 and position % thin == 0:
            draw = position // thin - 1
            store.theta[draw, : theta.size] = theta
            store.weights[draw] = weights
            store.stats[draw] = held, density
    return float(total[0] / sweeps), float(total[1] / sweeps)
