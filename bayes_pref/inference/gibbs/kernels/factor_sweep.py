"""A sweep of the sampler with factors; see `factor_sampler` for the updates and their order."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_pref.inference.gibbs.kernels.design_matrix import log_odds
from bayes_pref.inference.gibbs.kernels.diagonal_sweep import standardise
from bayes_pref.inference.gibbs.kernels.factor_updates import draw_scores, move_along_weights
from bayes_pref.inference.gibbs.kernels.feature_updates import draw_feature, draw_row
from bayes_pref.inference.gibbs.kernels.hmc import hmc_move
from bayes_pref.inference.gibbs.kernels.jit import compiled
from bayes_pref.types import FloatArray


@compiled
def factor_sweep(
    rows: Any,
    population: Any,
    rank: int,
    noisy: bool,
    omega: FloatArray,
    theta: FloatArray,
    weights: FloatArray,
    psi: FloatArray,
    whiten: FloatArray,
    step: float,
    leaps: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Run the rest of a sweep given omega, in place; see `factor_sampler`.

    Returns
    -------
    Acceptance of the Hamiltonian move and log density; nan without the move.
    """
    p1, d = population.precision.shape
    gamma = theta[: p1 * d].reshape(p1, d)
    noise = theta[p1 * d :]
    design = population.design
    own = np.zeros(weights.shape)  # u; stays 0 without noise
    draw_scores(rows, omega, rank, noise if noisy else noise[:0], gamma, design, weights, rng)
    log_odds(rows, weights, psi)
    for k in range(d):
        if noisy:
            draw_feature(k, rows, population, omega, gamma, noise, weights, psi, rng)
        else:
            draw_row(k, rows, population, omega, gamma, weights, psi, rng)
    acceptance, density = np.nan, np.nan
    if leaps:
        if noisy:
            standardise(population, theta, weights, own)
        acceptance, density = hmc_move(
            rows, population, theta, own, weights, psi, whiten, step, leaps, rng
        )
        for k in range(d):
            noise[k] = abs(noise[k])  # without noise its sign has no meaning
            if not noisy:  # not a parameter of the model
                density += 0.5 * (noise[k] / population.spread[k]) ** 2
        for i in range(weights.shape[0]):
            for k in range(d):
                density -= 0.5 * own[i, k] * own[i, k]
            for r in range(p1 - rank, p1):
                density -= 0.5 * design[i, r] * design[i, r]
    move_along_weights(rank, population.precision, gamma, design, rng)
    return acceptance, density
