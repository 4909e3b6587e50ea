"""Sweeps of the diagonal sampler; see `diagonal_sampler` for the updates and their order."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_pref.inference.gibbs.kernels.cholesky import factor, solve_lower, solve_upper
from bayes_pref.inference.gibbs.kernels.design_matrix import log_odds
from bayes_pref.inference.gibbs.kernels.feature_updates import draw_feature
from bayes_pref.inference.gibbs.kernels.hmc import hmc_move
from bayes_pref.inference.gibbs.kernels.jit import compiled, compiled_part
from bayes_pref.inference.gibbs.kernels.polya_gamma import draw_polya_gamma
from bayes_pref.inference.gibbs.kernels.store import keep
from bayes_pref.inference.gibbs.kernels.user_information import add_information
from bayes_pref.types import FloatArray


@compiled_part
def draw_users(
    rows: Any,
    omega: FloatArray,
    design: FloatArray,
    gamma: FloatArray,
    inverse: FloatArray,
    weights: FloatArray,
    rng: np.random.Generator,
) -> None:
    """Draw every user's weights jointly given omega, their mean and `inverse` = Sigma^-1 (d, d)."""
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
        add_information(rows, omega, i, row, precision, linear)
        factor(precision, d)
        solve_lower(precision, linear, d)
        for k in range(d):
            linear[k] += rng.standard_normal()
        solve_upper(precision, linear, d)
        for k in range(d):
            weights[i, k] = linear[k]


@compiled_part
def standardise(population: Any, theta: FloatArray, weights: FloatArray, z: FloatArray) -> None:
    """Fill z (n_users, d) with (w_ik - gamma_k' f_i) / tau_k."""
    p1, d = population.precision.shape
    for i in range(weights.shape[0]):
        for k in range(d):
            value = weights[i, k]
            for j in range(p1):
                value -= population.design[i, j] * theta[j * d + k]
            z[i, k] = value / theta[p1 * d + k]


@compiled
def diagonal_sweeps(
    rows: Any,
    population: Any,
    block: bool,
    table: FloatArray,
    theta: FloatArray,
    weights: FloatArray,
    psi: FloatArray,
    whiten: FloatArray,
    step: float,
    leaps: int,
    rng: np.random.Generator,
    sweeps: int,
    store: Any,
    sweep: int,
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
            for i in range(weights.shape[0]):
                for k in range(d):
                    density -= 0.5 * z[i, k] * z[i, k]
        total += acceptance
        sweep += 1
        keep(store, sweep, thin, theta, weights, acceptance, density)
    return total / sweeps
