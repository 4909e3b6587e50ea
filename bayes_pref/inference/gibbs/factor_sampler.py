"""Gibbs sweeps for users with positions in a space of factors: w_i = gamma' f_i + noise * u_i.

The users' positions z_i ~ Normal(0, I) are the last entries of f_i, and V' the last rows of gamma.
Given them the model is that of `gibbs_diagonal`, with positions as covariates. A sweep draws

1. the Polya-Gamma variables omega given the log-odds;
2. every user's (z_i, u_i) as one Gaussian block, given omega, gamma and the noise;
3. feature by feature, its noise, its row of gamma and everyone's weight jointly, as there; without
   noise, its row of gamma, which decides the weights;
4. the Hamiltonian move of `hmc`, z and u held;
5. what leaves all weights as they are, and so concerns the priors alone: z_r moves along another
   column m of the design, z_r + t f_m, while gamma_m - t gamma_r; and z_r grows, a z_r, while
   gamma_r / a.

Step 5 is the generalised Gibbs sampler of Liu & Sabatti (2000, Biometrika 87) for two groups: t is
drawn from a Gaussian, the shift having Jacobian 1, and log a from the density of the priors with
the Jacobian a^(n_users - n_features), by slice sampling. Without it the sizes of V and z hold each
other fast.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_pref.inference.gibbs.diagonal_sampler import draw_feature, standardise
from bayes_pref.inference.gibbs.kernels.cholesky import factor, solve_lower, solve_upper
from bayes_pref.inference.gibbs.kernels.design_matrix import log_odds
from bayes_pref.inference.gibbs.kernels.hmc import STILL, Move, hmc_move
from bayes_pref.inference.gibbs.kernels.jit import compiled, compiled_part
from bayes_pref.inference.gibbs.kernels.polya_gamma import draw_polya_gamma, right_table
from bayes_pref.inference.gibbs.kernels.store import NEVER, Store, keep, nowhere
from bayes_pref.inference.gibbs.problem import Problem

Array = NDArray[np.float64]

SLICE_STEPS = 30  # of stepping out, each side


@compiled_part
def _draw_positions(
    rows: Any,
    omega: Array,
    rank: int,
    noise: Array,
    gamma: Array,
    design: Array,
    weights: Array,
    rng: np.random.Generator,
) -> None:
    """Draw everyone's (z_i, u_i) given omega, gamma and `noise` (d,), or (0,) without any."""
    n_users, d = weights.shape
    known = gamma.shape[0] - rank
    size = rank + noise.size
    information = np.empty((d, d))
    score = np.empty(d)
    matrix = np.empty((size, size))
    vector = np.empty(size)
    along = np.empty((rank, d))  # V' G
    for i in range(n_users):
        for k in range(d):
            score[k] = 0.0
            weights[i, k] = 0.0
            for j in range(known):
                weights[i, k] += design[i, j] * gamma[j, k]
            for m in range(d):
                information[k, m] = 0.0
        for n in range(rows.offsets[i], rows.offsets[i + 1]):
            for e in range(rows.starts[n], rows.starts[n + 1]):
                k, a = rows.columns[e], rows.values[e]
                score[k] += a * (0.5 - omega[n] * rows.shift[n])
                for f in range(rows.starts[n], rows.starts[n + 1]):
                    information[k, rows.columns[f]] += omega[n] * a * rows.values[f]
        for k in range(d):
            for m in range(d):
                score[k] -= information[k, m] * weights[i, m]
        for r in range(rank):
            vector[r] = 0.0
            for k in range(d):
                vector[r] += gamma[known + r, k] * score[k]
                along[r, k] = 0.0
                for m in range(d):
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
def _draw_row(
    k: int,
    rows: Any,
    population: Any,
    omega: Array,
    gamma: Array,
    weights: Array,
    psi: Array,
    rng: np.random.Generator,
) -> None:
    """Draw column k of gamma given omega and the other features, where there is no noise."""
    p1 = gamma.shape[0]
    matrix = np.zeros((p1, p1))
    vector = np.zeros(p1)
    for j in range(p1):
        matrix[j, j] = population.precision[j, k]
    for b in range(rows.feature_starts[k], rows.feature_starts[k + 1]):
        i = rows.block_users[b]
        information, score = 0.0, 0.0
        for e in range(rows.block_starts[b], rows.block_starts[b + 1]):
            a, n = rows.entry_values[e], rows.entry_rows[e]
            information += omega[n] * a * a
            score += a * (0.5 - omega[n] * (psi[n] - a * weights[i, k]))
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
            for e in range(rows.block_starts[b], rows.block_starts[b + 1]):
                psi[rows.entry_rows[e]] += rows.entry_values[e] * (new - weights[i, k])
            b += 1
        weights[i, k] = new


@compiled_part
def _log_growth(x: float, power: float, square: float, inverse: float) -> float:
    """Log density of log a = x: of z_r and gamma_r under their priors, with the Jacobian."""
    growth = np.exp(2.0 * x)
    return float(power * x - 0.5 * square * growth - 0.5 * inverse / growth)


@compiled_part
def _draw_growth(power: float, square: float, inverse: float, rng: np.random.Generator) -> float:
    """One slice-sampling update of log a, from 0."""
    # Twice the sd of log a at the mode, which is the same from wherever the move starts.
    width = 2.0 / np.sqrt(2.0 * np.sqrt(power * power + 4.0 * square * inverse))
    height = _log_growth(0.0, power, square, inverse) - rng.standard_exponential()
    low = -width * rng.random()
    high = low + width
    for _ in range(SLICE_STEPS):
        if _log_growth(low, power, square, inverse) <= height:
            break
        low -= width
    for _ in range(SLICE_STEPS):
        if _log_growth(high, power, square, inverse) <= height:
            break
        high += width
    while True:
        value = low + (high - low) * rng.random()
        if _log_growth(value, power, square, inverse) > height:
            return float(value)
        if value < 0.0:
            low = value
        else:
            high = value


@compiled
def move_along_weights(
    rank: int, precision: Array, gamma: Array, design: Array, rng: np.random.Generator
) -> None:
    """Step 5: move positions and gamma so that no weight changes."""
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
        a = np.exp(_draw_growth(float(n_users - d), square, inverse, rng))
        for i in range(n_users):
            design[i, r] *= a
        for k in range(d):
            gamma[r, k] /= a


@compiled
def _sweeps(
    rows: Any,
    population: Any,
    rank: int,
    noisy: bool,
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
    """Run sweeps, in place and into the store; see `sweep_factors`."""
    p1, d = population.precision.shape
    gamma = theta[: p1 * d].reshape(p1, d)
    noise = theta[p1 * d :]
    design = population.design
    omega = np.empty(psi.size)
    own = np.zeros(weights.shape)  # u; stays 0 without noise
    both = np.empty((weights.shape[0], rank + d))
    total = 0.0
    for _ in range(sweeps):
        draw_polya_gamma(psi, omega, table, rng)
        _draw_positions(
            rows, omega, rank, noise if noisy else noise[:0], gamma, design, weights, rng
        )
        log_odds(rows, weights, psi)
        for k in range(d):
            if noisy:
                draw_feature(k, rows, population, omega, gamma, noise, weights, psi, rng)
            else:
                _draw_row(k, rows, population, omega, gamma, weights, psi, rng)
        acceptance, density = np.nan, np.nan
        if leaps:
            if noisy:
                standardise(population, theta, weights, own)
            acceptance, density = hmc_move(
                rows, population, theta, own, weights, psi, whiten, step, leaps, rng
            )
            for k in range(d):
                noise[k] = abs(noise[k])  # noise and u change sign together: the weights stay
                if not noisy:  # not a parameter of the model
                    density += 0.5 * (noise[k] / population.spread[k]) ** 2
            for i in range(weights.shape[0]):
                for k in range(d):
                    density -= 0.5 * own[i, k] * own[i, k]
                for r in range(p1 - rank, p1):
                    density -= 0.5 * design[i, r] * design[i, r]
        move_along_weights(rank, population.precision, gamma, design, rng)
        total += acceptance
        position += 1
        if position > 0 and position % thin == 0:
            for i in range(weights.shape[0]):
                for r in range(rank):
                    both[i, r] = design[i, p1 - rank + r]
                for k in range(d):
                    both[i, rank + k] = weights[i, k]
            keep(store, position, thin, theta, both, acceptance, density)
    return total / sweeps


def sweep_factors(
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
    problem
        With positions of this chain's own in the design; they are changed, too.
    move, store, position, thin
        As for `gibbs_diagonal.sweep_diagonal`.
    """
    move = STILL if move is None else move
    return _sweeps(
        problem.rows,
        problem.population,
        problem.rank,
        problem.covariance == "diagonal",
        right_table(),
        theta,
        weights,
        psi,
        move.whiten,
        move.step,
        move.leaps,
        rng,
        sweeps,
        store or nowhere(theta.size, len(weights), problem.n_values),
        position,
        thin,
    )


def unturned(problem: Problem, metric: Array) -> Array:
    """Average a metric (m, m) of theta over all rotations of the factors, among which chains drift.

    What remains: between factors nothing, each with the mean of their own blocks.
    """
    d = problem.population.precision.shape[1]
    first = problem.n_means - problem.rank * d
    factors = slice(first, problem.n_means)
    blocks = metric[factors, factors].reshape(problem.rank, d, problem.rank, d)
    averaged = metric.copy()
    averaged[factors] = 0.0
    averaged[:, factors] = 0.0
    mean = np.einsum("rfrg->fg", blocks) / problem.rank
    averaged[factors, factors] = np.kron(np.eye(problem.rank), mean)
    return averaged
