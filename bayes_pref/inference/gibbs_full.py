"""Gibbs sweeps for correlated features: w_i ~ Normal(gamma' f_i, L L').

A sweep draws, in this order,

1. the Polya-Gamma variables omega given the log-odds;
2. every user's weights as one Gaussian block;
3. gamma given the weights, a Gaussian;
4. twice, row by row, the regression of one feature's deviations on those before it, which is a row
   of L: proposed from its conditional without the prior, accepted with the prior's ratio;
5. feature by feature, tau_k and gamma_k given omega, the correlations and z = L^-1 (w - gamma' f),
   a Gaussian truncated at tau_k = 0: with z held instead of w, tau_k passes near zero, where a
   sampler that draws it given the weights sticks (interweaving; Yu & Meng 2011);
6. the Hamiltonian move of `hmc`, which moves gamma and all of L given z.

The row move. In terms of beta_k (regression coefficients) and s_k (residual sd), rows of L are
L_k,<k = beta_k L_<k and L_kk = s_k, with Jacobian prod_k s_k^(d - k). Proposing s_k^2 from
InverseGamma((u - (k-1)) / 2 - (d - k) + d / 2 - 1, RSS / 2) and beta_k from its Gaussian cancels
the likelihood and leaves the prior's ratio
    (s'/s)^q prod_{e >= k} (tau'_e / tau_e)^-q exp((tau_e^2 - tau'_e^2) / (2 spread_e^2)),
q = d + 2 c - 2, c the LKJ concentration.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_pref.inference.cholesky import factor, solve_lower, solve_upper
from bayes_pref.inference.compiled import compiled
from bayes_pref.inference.gibbs_diagonal import draw_users
from bayes_pref.inference.gibbs_problem import Problem
from bayes_pref.inference.hmc import Move, hmc_move
from bayes_pref.inference.polya_gamma import draw_polya_gamma, right_table
from bayes_pref.inference.rows import log_odds

Array = NDArray[np.float64]

ROW_MOVES = 2  # passes over the rows of L in a sweep


@compiled
def precision_from_factor(lower: Array, inverse: Array) -> None:
    """Fill `inverse` with (L L')^-1."""
    d = lower.shape[0]
    column = np.empty(d)
    for k in range(d):
        column[:] = 0.0
        column[k] = 1.0
        solve_lower(lower, column, d)
        solve_upper(lower, column, d)
        inverse[:, k] = column


@compiled
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


@compiled
def _rebuild(lower: Array, beta: Array, residual: Array, first: int, out: Array) -> None:
    """Fill rows `first` onwards of `out` from regressions; rows before come from `lower`."""
    d = lower.shape[0]
    out[:, :] = 0.0
    for e in range(d):
        if e < first:
            out[e, : e + 1] = lower[e, : e + 1]
            continue
        for m in range(e):
            total = 0.0
            for q in range(m, e):
                total += beta[e, q] * out[q, m]
            out[e, m] = total
        out[e, e] = residual[e]


@compiled
def move_rows(
    scatter: Array,
    n_users: int,
    spread: Array,
    concentration: float,
    lower: Array,
    rng: np.random.Generator,
) -> float:
    """One pass of Metropolis moves over the rows of L; returns the share accepted.

    Parameters
    ----------
    scatter
        (d, d): sum over users of the outer product of their deviations.
    lower
        (d, d): L, changed in place.
    """
    d = lower.shape[0]
    power = d + 2.0 * concentration - 2.0
    beta = np.zeros((d, d))
    residual = np.empty(d)
    for k in range(d):
        beta[k, :k] = lower[k, :k]
        # beta_k = L_k,<k L_<k^-1, that is L_<k' beta' = L_k,<k'.
        solve_upper(lower, beta[k], k)
        residual[k] = lower[k, k]
    accepted = 0.0
    new = np.empty((d, d))
    block = np.empty((d, d))
    solved = np.empty(d)
    old_beta = np.empty(d)
    for k in range(d):
        shape = 0.5 * (n_users - k) - (d - 1 - k) + 0.5 * d - 1.0
        block[:, :] = scatter
        if shape <= 0.0 or n_users <= k + 1 or not factor(block, k):
            continue
        solved[:k] = scatter[k, :k]
        solve_lower(block, solved, k)
        remaining = scatter[k, k]
        for m in range(k):
            remaining -= solved[m] * solved[m]
        old_residual = residual[k]
        old_beta[:k] = beta[k, :k]
        proposal = np.sqrt(0.5 * remaining / rng.standard_gamma(shape))
        for m in range(k):
            solved[m] += proposal * rng.standard_normal()
        solve_upper(block, solved, k)
        beta[k, :k] = solved[:k]
        residual[k] = proposal
        _rebuild(lower, beta, residual, k, new)
        log_ratio = power * np.log(proposal / old_residual)
        for e in range(k, d):
            before = np.dot(lower[e, : e + 1], lower[e, : e + 1])
            after = np.dot(new[e, : e + 1], new[e, : e + 1])
            log_ratio -= 0.5 * power * np.log(after / before)
            log_ratio += 0.5 * (before - after) / (spread[e] * spread[e])
        if np.log(rng.random()) < log_ratio:
            lower[:, :] = new
            accepted += 1.0 / d
        else:
            residual[k] = old_residual
            beta[k, :k] = old_beta[:k]
    return accepted


@compiled
def _draw_wishart(scatter: Array, n_users: int, lower: Array, rng: np.random.Generator) -> None:
    """Replace L by the factor of a draw of InverseWishart(n_users + d + 1, scatter + I)."""
    d = lower.shape[0]
    scale = scatter.copy()
    for k in range(d):
        scale[k, k] += 1.0
    factor(scale, d)
    # Sigma = C (A A')^-1 C' with scale = C C' and A the Bartlett factor of a Wishart: lower
    # triangular, so its inverse transpose times C' gives a square root of Sigma to refactor.
    bartlett = np.zeros((d, d))
    for k in range(d):
        bartlett[k, k] = np.sqrt(2.0 * rng.standard_gamma(0.5 * (n_users + d + 1 - k)))
        for m in range(k):
            bartlett[k, m] = rng.standard_normal()
    root = np.zeros((d, d))
    for k in range(d):
        root[k, : k + 1] = scale[k, : k + 1]
        solve_lower(bartlett, root[k], d)
    sigma = np.dot(root, root.T)
    factor(sigma, d)
    for k in range(d):
        lower[k, : k + 1] = sigma[k, : k + 1]


@compiled
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
        tau = np.sqrt(np.sum(lower[k, : k + 1] ** 2))
        for i in range(n_users):
            unit[i] = 0.0
            for m in range(k + 1):
                unit[i] += lower[k, m] / tau * z[i, m]
        matrix[:, :] = 0.0
        vector[:] = 0.0
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


def sweep_full(
    problem: Problem,
    theta: Array,
    weights: Array,
    psi: Array,
    move: Move | None,
    rng: np.random.Generator,
    *,
    settled: bool = True,
) -> tuple[float, float]:
    """Run one sweep, in place; returns the acceptance of the Hamiltonian move and the log density.

    Both are nan without a `move`, which there is none of before it has a metric. Until `settled`,
    L is drawn from an inverse Wishart without regard to its prior, which brings a chain from a
    far start to where the moves are efficient.
    """
    rows, population = problem.rows, problem.population
    p1, d = population.precision.shape
    n_users = weights.shape[0]
    gamma = theta[: p1 * d].reshape(p1, d)
    triangle = np.tril_indices(d)
    omega = np.empty_like(psi)
    inverse = np.empty((d, d))
    lower = problem.lower(theta)
    draw_polya_gamma(psi, omega, right_table(), rng)
    precision_from_factor(lower, inverse)
    draw_users(rows, omega, population.design, gamma, inverse, weights, rng)
    log_odds(rows, weights, psi)
    gram = population.design.T @ population.design
    cross = population.design.T @ weights @ inverse
    draw_means(gram, cross, population.precision, inverse, gamma, rng)
    z = weights - population.design @ gamma
    scatter = z.T @ z
    if settled:
        for _ in range(ROW_MOVES):
            move_rows(scatter, n_users, population.spread, population.concentration, lower, rng)
    else:
        _draw_wishart(scatter, n_users, lower, rng)
    _solve_users(lower, z)
    draw_scales(rows, population, omega, z, gamma, lower, weights, psi, rng)
    theta[p1 * d :] = lower[triangle]
    if move is None:
        return np.nan, np.nan
    acceptance, density = hmc_move(
        rows, population, theta, z, weights, psi, move.whiten, move.step, move.leaps, rng
    )
    return acceptance, density - 0.5 * float(np.vdot(z, z))
