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
from bayes_pref.inference.compiled import compiled, compiled_part
from bayes_pref.inference.gibbs_diagonal import draw_users
from bayes_pref.inference.gibbs_factor import draw_wishart, move_rows, square_of_row
from bayes_pref.inference.gibbs_problem import Problem
from bayes_pref.inference.gibbs_store import NEVER, Store, keep, nowhere
from bayes_pref.inference.hmc import STILL, Move, hmc_move
from bayes_pref.inference.polya_gamma import draw_polya_gamma, right_table
from bayes_pref.inference.rows import log_odds

Array = NDArray[np.float64]

ROW_MOVES = 2  # passes over the rows of L in a sweep


@compiled_part
def precision_from_factor(lower: Array, inverse: Array) -> None:
    """Fill `inverse` with (L L')^-1."""
    d = lower.shape[0]
    column = np.empty(d)
    for k in range(d):
        for m in range(d):
            column[m] = 1.0 if m == k else 0.0
        solve_lower(lower, column, d)
        solve_upper(lower, column, d)
        for m in range(d):
            inverse[m, k] = column[m]


@compiled_part
def draw_means(
    gram: Array,
    cross: Array,
    precision: Array,
    inverse: Array,
    gamma: Array,
    rng: np.random.Generator,
) -> None:
    """Draw gamma (p + 1, d) given all users' weights and `inverse` = Sigma^-1.

    `gram` is F'F and `cross` F'W Sigma^-1, F the users' design and W their weights.
    """
    p1, d = gamma.shape
    size = p1 * d
    matrix = np.empty((size, size))
    vector = np.empty(size)
    for j in range(p1):
        for k in range(d):
            vector[j * d + k] = cross[j, k]
            for m in range(p1):
                for q in range(d):
                    matrix[j * d + k, m * d + q] = gram[j, m] * inverse[k, q]
            matrix[j * d + k, j * d + k] += precision[j, k]
    factor(matrix, size)
    solve_lower(matrix, vector, size)
    for k in range(size):
        vector[k] += rng.standard_normal()
    solve_upper(matrix, vector, size)
    for j in range(p1):
        for k in range(d):
            gamma[j, k] = vector[j * d + k]


@compiled_part
def _solve_users(lower: Array, z: Array) -> None:
    """Replace each row of z (n_users, d) by L^-1 times it."""
    for i in range(z.shape[0]):
        solve_lower(lower, z[i], z.shape[1])


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


@compiled_part
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


@compiled_part
def _draw_population(
    population: Any,
    gram: Array,
    inverse: Array,
    settled: bool,
    gamma: Array,
    lower: Array,
    weights: Array,
    z: Array,
    rng: np.random.Generator,
) -> None:
    """Draw gamma, then L, given everyone's weights; leaves z = L^-1 (w - gamma' f)."""
    p1, d = gamma.shape
    n_users = weights.shape[0]
    sums = np.zeros((p1, d))
    cross = np.zeros((p1, d))
    for i in range(n_users):
        for j in range(p1):
            for k in range(d):
                sums[j, k] += population.design[i, j] * weights[i, k]
    for j in range(p1):
        for m in range(d):
            for k in range(d):
                cross[j, k] += sums[j, m] * inverse[m, k]
    draw_means(gram, cross, population.precision, inverse, gamma, rng)
    scatter = np.zeros((d, d))
    for i in range(n_users):
        for k in range(d):
            z[i, k] = weights[i, k]
            for j in range(p1):
                z[i, k] -= population.design[i, j] * gamma[j, k]
        for k in range(d):
            for m in range(k + 1):
                scatter[k, m] += z[i, k] * z[i, m]
    if settled:
        for _ in range(ROW_MOVES):
            move_rows(scatter, n_users, population.spread, population.concentration, lower, rng)
    else:
        draw_wishart(scatter, n_users, lower, rng)
    _solve_users(lower, z)


@compiled
def _sweeps(
    rows: Any,
    population: Any,
    settled: bool,
    table: Array,
    theta: Array,
    weights: Array,
    psi: Array,
    whiten: Array,
    step: float,
    leaps: int,
    rng: np.random.Generator,
    sweeps: int,
    store: Any,
    position: int,
    thin: int,
) -> float:
    """Run sweeps, in place and into the store; see `sweep_full`."""
    p1, d = population.precision.shape
    gamma = theta[: p1 * d].reshape(p1, d)
    omega = np.empty(psi.size)
    z = np.empty(weights.shape)
    inverse = np.empty((d, d))
    lower = np.zeros((d, d))
    gram = np.zeros((p1, p1))
    for i in range(weights.shape[0]):
        for j in range(p1):
            for m in range(p1):
                gram[j, m] += population.design[i, j] * population.design[i, m]
    total = 0.0
    for _ in range(sweeps):
        at = p1 * d
        for k in range(d):
            for m in range(k + 1):
                lower[k, m] = theta[at + m]
            at += k + 1
        draw_polya_gamma(psi, omega, table, rng)
        precision_from_factor(lower, inverse)
        draw_users(rows, omega, population.design, gamma, inverse, weights, rng)
        log_odds(rows, weights, psi)
        _draw_population(population, gram, inverse, settled, gamma, lower, weights, z, rng)
        draw_scales(rows, population, omega, z, gamma, lower, weights, psi, rng)
        at = p1 * d
        for k in range(d):
            for m in range(k + 1):
                theta[at + m] = lower[k, m]
            at += k + 1
        acceptance, density = np.nan, np.nan
        if leaps:
            acceptance, density = hmc_move(
                rows, population, theta, z, weights, psi, whiten, step, leaps, rng
            )
            for i in range(weights.shape[0]):
                for k in range(d):
                    density -= 0.5 * z[i, k] * z[i, k]
        total += acceptance
        position += 1
        keep(store, position, thin, theta, weights, acceptance, density)
    return total / sweeps


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

    Parameters
    ----------
    move, store, position, thin
        As for `gibbs_diagonal.sweep_diagonal`.
    settled
        Until then L is drawn from an inverse Wishart without regard to its prior, which brings a
        chain from a far start to where the moves are efficient.
    """
    move = STILL if move is None else move
    return _sweeps(
        problem.rows,
        problem.population,
        settled,
        right_table(),
        theta,
        weights,
        psi,
        move.whiten,
        move.step,
        move.leaps,
        rng,
        sweeps,
        store or nowhere(theta.size, *weights.shape),
        position,
        thin,
    )
