"""Gibbs sweeps for independent features: w_ik ~ Normal(gamma_k' f_i, tau_k^2).

A sweep draws, in this order,

1. the Polya-Gamma variables omega given the log-odds;
2. where rows are dense, every user's weights as one Gaussian block;
3. feature by feature, its spread, mean and weights jointly: with the mean and the weights
   integrated out, log tau is drawn by slice sampling (Neal 2003), then gamma_k, then all w_ik;
4. the Hamiltonian move of `hmc`.

Step 3 leaves tau free to pass near zero, where a sampler that draws tau given the weights sticks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_pref.inference.gibbs.kernels.cholesky import factor, solve_lower, solve_upper
from bayes_pref.inference.gibbs.kernels.design_matrix import log_odds
from bayes_pref.inference.gibbs.kernels.hmc import STILL, Move, hmc_move
from bayes_pref.inference.gibbs.kernels.jit import compiled, compiled_part, compiled_reordering_part
from bayes_pref.inference.gibbs.kernels.polya_gamma import draw_polya_gamma, right_table
from bayes_pref.inference.gibbs.kernels.store import NEVER, Store, keep, nowhere
from bayes_pref.inference.gibbs.problem import Problem

Array = NDArray[np.float64]

DENSE = 0.5  # share of non-zero entries from which every user's weights are drawn as a block
SLICE_WIDTH = 0.6
SLICE_STEPS = 30  # of stepping out, each side


@compiled_part
def draw_users(
    rows: Any,
    omega: Array,
    design: Array,
    gamma: Array,
    inverse: Array,
    weights: Array,
    rng: np.random.Generator,
) -> None:
    """Draw every user's weights as one block given omega, their mean and `inverse` = Sigma^-1."""
    n_users, d = weights.shape
    precision = np.empty((d, d))
    linear = np.empty(d)
    mean = np.empty(d)
    row = np.empty(d)
    for i in range(n_users):
        for k in range(d):
            mean[k] = 0.0
            for j in range(gamma.shape[0]):
                mean[k] += design[i, j] * gamma[j, k]
            linear[k] = 0.0
        for m in range(d):
            for k in range(d):
                linear[k] += inverse[m, k] * mean[m]
                precision[m, k] = inverse[m, k]
        for n in range(rows.offsets[i], rows.offsets[i + 1]):
            first = rows.starts[n]
            pull = 0.5 - omega[n] * rows.shift[n]
            if rows.starts[n + 1] - first == d:
                # No zeros: a copy of the row, so that the sums run in parallel lanes.
                for k in range(d):
                    row[k] = rows.values[first + k]
                for k in range(d):
                    a = row[k]
                    linear[k] += a * pull
                    a *= omega[n]
                    for m in range(k + 1):
                        precision[k, m] += a * row[m]
                continue
            for e in range(first, rows.starts[n + 1]):
                k = rows.columns[e]
                a = rows.values[e]
                linear[k] += a * pull
                a *= omega[n]
                # Columns ascend within a row, so this fills the lower triangle only.
                for f in range(first, e + 1):
                    precision[k, rows.columns[f]] += a * rows.values[f]
        factor(precision, d)
        solve_lower(precision, linear, d)
        for k in range(d):
            linear[k] += rng.standard_normal()
        solve_upper(precision, linear, d)
        for k in range(d):
            weights[i, k] = linear[k]


@compiled_reordering_part
def _log_marginal(
    log_tau: float,
    information: Array,
    score: Array,
    design: Array,
    prior: Array,
    spread: float,
    matrix: Array,
    vector: Array,
    shrunk: Array,
) -> float:
    """Log density of log tau with the feature's mean and weights integrated out.

    `information` and `score` (n_blocks,) are each user's Gaussian likelihood given omega, and
    `design` (p + 1, n_blocks) their covariates; `shrunk` (2, n_blocks) is room to work in. Leaves
    in `matrix` the Cholesky factor of gamma's precision and in `vector` the factor's solve of its
    linear term.
    """
    square = np.exp(2.0 * log_tau)
    p1 = prior.size
    total = 0.0
    product = 1.0
    quadratic = 0.0
    # One loop for each sum: those over blocks then run in parallel lanes.
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


@compiled_part
def _draw_log_tau(
    start: float,
    information: Array,
    score: Array,
    design: Array,
    prior: Array,
    spread: float,
    matrix: Array,
    vector: Array,
    shrunk: Array,
    rng: np.random.Generator,
) -> float:
    """One slice-sampling update of log tau; `matrix` and `vector` end at the value returned."""
    args = (information, score, design, prior, spread, matrix, vector, shrunk)
    height = _log_marginal(start, *args) - rng.standard_exponential()
    low = start - SLICE_WIDTH * rng.random()
    high = low + SLICE_WIDTH
    for _ in range(SLICE_STEPS):
        if _log_marginal(low, *args) <= height:
            break
        low -= SLICE_WIDTH
    for _ in range(SLICE_STEPS):
        if _log_marginal(high, *args) <= height:
            break
        high += SLICE_WIDTH
    while True:
        value = low + (high - low) * rng.random()
        if _log_marginal(value, *args) > height:
            return value
        if value < start:
            low = value
        else:
            high = value


@compiled_part
def draw_feature(
    k: int,
    rows: Any,
    population: Any,
    omega: Array,
    gamma: Array,
    tau: Array,
    weights: Array,
    psi: Array,
    rng: np.random.Generator,
) -> None:
    """Draw tau_k, gamma_k and everyone's w_ik jointly, given omega and the other features."""
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
        known, pull, weight = 0.0, 0.0, weights[i, k]
        for e in range(rows.block_starts[first + b], rows.block_starts[first + b + 1]):
            a = rows.entry_values[e]
            n = rows.entry_rows[e]
            known += omega[n] * a * a
            pull += a * (0.5 - omega[n] * (psi[n] - a * weight))
        information[b], score[b] = known, pull
    matrix = np.empty((p1, p1))
    vector = np.empty(p1)
    log_tau = _draw_log_tau(
        np.log(tau[k]),
        information,
        score,
        design,
        population.precision[:, k],
        population.spread[k],
        matrix,
        vector,
        shrunk,
        rng,
    )
    tau[k] = np.exp(log_tau)
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
            for e in range(rows.block_starts[first + b], rows.block_starts[first + b + 1]):
                psi[rows.entry_rows[e]] += rows.entry_values[e] * (new - weights[i, k])
            weights[i, k] = new
            b += 1
        else:
            weights[i, k] = mean + tau[k] * rng.standard_normal()


@compiled_part
def standardise(population: Any, theta: Array, weights: Array, z: Array) -> None:
    """Fill z (n_users, d) with (w_ik - gamma_k' f_i) / tau_k."""
    p1, d = population.precision.shape
    for i in range(weights.shape[0]):
        for k in range(d):
            value = weights[i, k]
            for j in range(p1):
                value -= population.design[i, j] * theta[j * d + k]
            z[i, k] = value / theta[p1 * d + k]


@compiled
def _sweeps(
    rows: Any,
    population: Any,
    block: bool,
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
    """Run sweeps, in place and into the store; see `sweep_diagonal`."""
    p1, d = population.precision.shape
    gamma = theta[: p1 * d].reshape(p1, d)
    tau = theta[p1 * d :]
    omega = np.empty(psi.size)
    z = np.empty(weights.shape)
    inverse = np.zeros((d, d))
    total = 0.0
    for _ in range(sweeps):
        draw_polya_gamma(psi, omega, table, rng)
        if block:
            for k in range(d):
                inverse[k, k] = 1.0 / (tau[k] * tau[k])
            draw_users(rows, omega, population.design, gamma, inverse, weights, rng)
            log_odds(rows, weights, psi)
        for k in range(d):
            draw_feature(k, rows, population, omega, gamma, tau, weights, psi, rng)
        acceptance, density = np.nan, np.nan
        if leaps:
            standardise(population, theta, weights, z)
            acceptance, density = hmc_move(
                rows, population, theta, z, weights, psi, whiten, step, leaps, rng
            )
            for k in range(d):
                tau[k] = abs(tau[k])  # tau and z change sign together: the weights stay
            for i in range(weights.shape[0]):
                for k in range(d):
                    density -= 0.5 * z[i, k] * z[i, k]
        total += acceptance
        position += 1
        keep(store, position, thin, theta, weights, acceptance, density)
    return total / sweeps


def sweep_diagonal(
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
) -> float:
    """Run sweeps, in place; returns the mean acceptance of the Hamiltonian move.

    Parameters
    ----------
    move
        None before there is a metric; the acceptance is then nan.
    store, position, thin
        Where to keep which sweeps: every `thin`-th, counted from `position` sweeps after warm-up.
    """
    move = STILL if move is None else move
    rows, population = problem.rows, problem.population
    return _sweeps(
        rows,
        population,
        rows.density >= DENSE,
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
