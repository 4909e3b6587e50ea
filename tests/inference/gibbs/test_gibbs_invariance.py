"""The sweeps leave the joint distribution of parameters and data as the model has it.

Parameters come from the prior and data from the parameters; after any number of sweeps given those
data, the parameters must still have the prior's distribution (Geweke 2004; Gandy & Scott 2021).
Replications are independent, so a Kolmogorov-Smirnov test is exact. This holds only if every
conditional, acceptance ratio and Jacobian in the sweep is right.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, halfnorm, kstest, norm, truncnorm

from bayes_pref.inference.gibbs.kernels.covariance import move_rows
from bayes_pref.inference.gibbs.kernels.design_matrix import build_rows, log_odds
from bayes_pref.inference.gibbs.kernels.factor_updates import move_along_weights
from bayes_pref.inference.gibbs.kernels.hmc import Move
from bayes_pref.inference.gibbs.kernels.population_density import PopulationPrior
from bayes_pref.inference.gibbs.kernels.scale_updates import positive_normal
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.inference.gibbs.samplers.diagonal_sampler import sweep_diagonal
from bayes_pref.inference.gibbs.samplers.factor_sampler import sweep_factors
from bayes_pref.inference.gibbs.samplers.full_sampler import sweep_full

pytestmark = pytest.mark.slow

USERS, EACH, FEATURES = 7, 4, 3
MEAN_SD, EFFECT_SD, SPREAD = 1.5, 0.7, np.array([1.0, 0.5, 2.0])
CONCENTRATION = 1.6
REPLICATIONS, SWEEPS = 1000, 20
LEVEL = 1e-4  # of each test


def population(design: np.ndarray, *, full: bool, spread: np.ndarray = SPREAD) -> PopulationPrior:
    sds = np.vstack([np.full(FEATURES, MEAN_SD), np.full(FEATURES, EFFECT_SD)])
    return PopulationPrior(design, 1 / sds**2, spread, CONCENTRATION, full)


def correlation_factor(rng: np.random.Generator) -> np.ndarray:
    """Cholesky factor of an LKJ draw by the onion method (Lewandowski et al. 2009)."""
    lower = np.zeros((FEATURES, FEATURES))
    lower[0, 0] = 1.0
    for k in range(1, FEATURES):
        beta = CONCENTRATION + (FEATURES - 1 - k) / 2
        radius = np.sqrt(rng.beta(k / 2, beta))
        direction = rng.standard_normal(k)
        lower[k, :k] = radius * direction / np.linalg.norm(direction)
        lower[k, k] = np.sqrt(1 - radius**2)
    return lower


def replicate(full: bool, dense: bool, spread: np.ndarray, seed: int) -> tuple[np.ndarray, ...]:
    """One replication: parameters from the prior, data, sweeps; the parameters after them."""
    rng = np.random.default_rng(seed)
    design = np.column_stack([np.ones(USERS), rng.standard_normal(USERS)])
    gamma = rng.standard_normal((2, FEATURES)) * [[MEAN_SD], [EFFECT_SD]]
    tau = np.abs(rng.standard_normal(FEATURES)) * SPREAD
    lower = tau[:, None] * correlation_factor(rng) if full else np.diag(tau)
    weights = design @ gamma + rng.standard_normal((USERS, FEATURES)) @ lower.T
    difference = rng.standard_normal((USERS * EACH, FEATURES))
    difference *= rng.random(difference.shape) < (0.9 if dense else 0.5)
    user = np.repeat(np.arange(USERS), EACH)
    eta = (difference * weights[user]).sum(axis=1)
    sign = np.where(rng.random(eta.size) < 1 / (1 + np.exp(-eta)), 1.0, -1.0)
    rows = build_rows(sign[:, None] * difference, user, np.arange(USERS + 1) * EACH, sign)
    scale = lower[np.tril_indices(FEATURES)] if full else tau
    theta = np.concatenate([gamma.ravel(), scale])
    psi = np.empty(eta.size)
    log_odds(rows, weights, psi)
    problem = Problem(
        rows,
        population(design, full=full, spread=spread),
        "full" if full else "diagonal",
        np.ones(FEATURES),
        np.ones(1),
    )
    # The metric ties parameters to each other: signs of tau must not matter to it.
    move = Move(0.5 * np.eye(theta.size) + 0.08, 0.7, 3)
    if full:
        sweep_full(problem, theta, weights, psi, (move, move), rng, SWEEPS)
    else:
        sweep_diagonal(problem, theta, weights, psi, move, rng, SWEEPS)
    return theta, weights, design


def p_values(full: bool, dense: bool, spread: np.ndarray = SPREAD) -> dict[str, float]:
    """Kolmogorov-Smirnov p-values of the parameters after the sweeps against the prior."""
    draws = [replicate(full, dense, spread, seed) for seed in range(REPLICATIONS)]
    theta = np.stack([draw[0] for draw in draws])
    found = {f"mu {k}": kstest(theta[:, k], norm(0, MEAN_SD).cdf).pvalue for k in range(FEATURES)}
    found |= {
        f"B {k}": kstest(theta[:, FEATURES + k], norm(0, EFFECT_SD).cdf).pvalue
        for k in range(FEATURES)
    }
    lower = np.zeros((REPLICATIONS, FEATURES, FEATURES))
    where = np.tril_indices(FEATURES) if full else np.diag_indices(FEATURES)
    lower[(slice(None), *where)] = theta[:, 2 * FEATURES :]
    tau = np.sqrt((lower**2).sum(axis=2))
    found |= {
        f"tau {k}": kstest(tau[:, k], halfnorm(0, SPREAD[k]).cdf).pvalue for k in range(FEATURES)
    }
    gamma = theta[:, : 2 * FEATURES].reshape(-1, 2, FEATURES)
    for k in range(FEATURES):  # users' standardised deviations stay standard normal
        z = [
            np.linalg.solve(lower[n], (draws[n][1] - draws[n][2] @ gamma[n]).T)[k, 0]
            for n in range(REPLICATIONS)
        ]
        found[f"z {k}"] = kstest(z, norm.cdf).pvalue
    if full:
        # Under LKJ(c) every correlation is Beta(c + d/2 - 1) stretched over (-1, 1).
        shape = CONCENTRATION + FEATURES / 2 - 1
        correlation = np.einsum("nij,nkj->nik", lower, lower) / tau[:, :, None] / tau[:, None, :]
        for j, k in zip(*np.tril_indices(FEATURES, -1), strict=True):
            half = (correlation[:, j, k] + 1) / 2
            found[f"correlation {j} {k}"] = kstest(half, "beta", args=(shape, shape)).pvalue
    return found


@pytest.mark.parametrize(("full", "dense"), [(False, False), (False, True), (True, False)], ids=str)
def test_sweeps_leave_the_prior_as_it_is_when_data_come_from_it(full: bool, dense: bool) -> None:
    found = p_values(full, dense)
    assert min(found.values()) > LEVEL / len(found), found


@pytest.mark.parametrize("full", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_sweep_with_another_prior_is_caught(full: bool) -> None:
    found = p_values(full, False, spread=1.4 * SPREAD)
    assert min(found.values()) < LEVEL / len(found)


def test_the_row_move_alone_leaves_the_prior_of_the_factor_as_it_is() -> None:
    taus, factors = [], []
    for seed in range(3000):
        rng = np.random.default_rng(seed)
        tau = np.abs(rng.standard_normal(FEATURES)) * SPREAD
        lower = tau[:, None] * correlation_factor(rng)
        deviations = rng.standard_normal((USERS, FEATURES)) @ lower.T
        for _ in range(10):
            move_rows(deviations.T @ deviations, USERS, SPREAD, CONCENTRATION, lower, rng)
        norms = np.sqrt((lower**2).sum(axis=1))
        taus.append(norms / SPREAD)
        factors.append((lower @ lower.T / np.outer(norms, norms))[np.tril_indices(FEATURES, -1)])
    shape = CONCENTRATION + FEATURES / 2 - 1
    found = [kstest(column, halfnorm.cdf).pvalue for column in np.transpose(taus)]
    found += [
        kstest((column + 1) / 2, "beta", args=(shape, shape)).pvalue
        for column in np.transpose(factors)
    ]
    assert min(found) > LEVEL / len(found), found


RANK, LOADING_SD = 2, np.array([0.8, 0.4, 1.6])
SWEEPS_OF_FACTORS = 8


def replicate_tastes(noisy: bool, loading_sd: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """One replication of the sampler with factors; what has a known law after the sweeps."""
    rng = np.random.default_rng(seed)
    known = np.column_stack([np.ones(USERS), rng.standard_normal(USERS)])
    design = np.column_stack([known, rng.standard_normal((USERS, RANK))])
    sds = np.vstack([np.full(FEATURES, MEAN_SD), np.full(FEATURES, EFFECT_SD)])
    gamma = rng.standard_normal((2 + RANK, FEATURES))
    gamma *= np.vstack([sds, np.tile(LOADING_SD, (RANK, 1))])
    noise = np.abs(rng.standard_normal(FEATURES)) * SPREAD
    own = rng.standard_normal((USERS, FEATURES)) if noisy else np.zeros((USERS, FEATURES))
    weights = design @ gamma + noise * own
    difference = rng.standard_normal((USERS * EACH, FEATURES))
    difference *= rng.random(difference.shape) < 0.6
    user = np.repeat(np.arange(USERS), EACH)
    eta = (difference * weights[user]).sum(axis=1)
    sign = np.where(rng.random(eta.size) < 1 / (1 + np.exp(-eta)), 1.0, -1.0)
    rows = build_rows(sign[:, None] * difference, user, np.arange(USERS + 1) * EACH, sign)
    precision = 1 / np.vstack([sds, np.tile(loading_sd, (RANK, 1))]) ** 2
    problem = Problem(
        rows,
        PopulationPrior(design, precision, SPREAD, 1.0, False),
        "diagonal" if noisy else "none",
        np.ones(FEATURES),
        np.ones(1),
        RANK,
    )
    theta, psi = np.concatenate([gamma.ravel(), noise]), np.empty(eta.size)
    log_odds(rows, weights, psi)
    move = Move(0.4 * np.eye(theta.size), 0.7, 3)
    moves = (move, move) if noisy else (move,)
    sweep_factors(problem, theta, weights, psi, moves, rng, SWEEPS_OF_FACTORS)
    gamma, noise = theta[: gamma.size].reshape(gamma.shape), theta[gamma.size :]
    loadings, z = gamma[2:] / LOADING_SD, design[:, 2:]
    return {
        "mean": np.concatenate([gamma[0] / MEAN_SD, gamma[1] / EFFECT_SD]),
        "loading": loadings.ravel(),
        "z": z[:2].ravel(),
        "mean z": np.sqrt(USERS) * z.mean(axis=0),
        "size of V": np.array([(loadings**2).sum()]),
        "size of z": np.array([(z**2).sum()]),
        "noise": noise / SPREAD if noisy else np.empty(0),
        "u": ((weights - design @ gamma) / noise)[0] if noisy else np.empty(0),
    }


def taste_p_values(noisy: bool, loading_sd: np.ndarray = LOADING_SD) -> dict[str, float]:
    laws = {
        "noise": halfnorm(),
        "size of V": chi2(RANK * FEATURES),
        "size of z": chi2(RANK * USERS),
    }
    draws = [replicate_tastes(noisy, loading_sd, seed) for seed in range(REPLICATIONS)]
    return {
        f"{name} {k}": float(kstest(column, laws.get(name, norm()).cdf).pvalue)
        for name in draws[0]
        for k, column in enumerate(np.transpose([draw[name] for draw in draws]))
    }


@pytest.mark.parametrize("noisy", [True, False])
def test_sweeps_with_tastes_leave_the_prior_as_it_is(noisy: bool) -> None:
    found = taste_p_values(noisy)
    assert min(found.values()) > LEVEL / len(found), found


@pytest.mark.long
def test_a_sweep_with_another_prior_of_the_tastes_is_caught() -> None:
    found = taste_p_values(True, loading_sd=1.4 * LOADING_SD)
    assert min(found.values()) < LEVEL / len(found), found


def test_moves_along_the_weights_leave_them_and_the_prior_as_they_are() -> None:
    # Without data, these moves alone: an error in a Jacobian is not hidden by the other steps.
    sds, sizes = np.vstack([np.full(FEATURES, MEAN_SD), *np.tile(LOADING_SD, (RANK, 1))]), []
    for seed in range(3000):
        rng = np.random.default_rng(seed)
        design = np.column_stack([np.ones(USERS), rng.standard_normal((USERS, RANK))])
        gamma = rng.standard_normal(sds.shape) * sds
        before = design @ gamma
        for _ in range(5):
            move_along_weights(RANK, 1 / sds**2, gamma, design, rng)
        np.testing.assert_allclose(design @ gamma, before, atol=1e-9)
        scaled = (gamma / sds) ** 2
        sizes.append([scaled[0].sum(), scaled[1:].sum(), (design[:, 1:] ** 2).sum()])
    laws = [chi2(FEATURES), chi2(RANK * FEATURES), chi2(RANK * USERS)]
    for column, law in zip(np.transpose(sizes), laws, strict=True):
        assert kstest(column, law.cdf).pvalue > LEVEL / 3


@pytest.mark.parametrize("mean", [-8.0, -1.1, -0.5, 0.0, 3.0])
def test_a_truncated_normal_has_its_law(mean: float) -> None:
    rng = np.random.default_rng(0)
    draws = [positive_normal(mean, 0.7, rng) for _ in range(20_000)]
    law = truncnorm(-mean / 0.7, np.inf, loc=mean, scale=0.7)
    assert kstest(draws, law.cdf).pvalue > LEVEL
    assert kstest(np.array(draws) + 0.1 * law.std(), law.cdf).pvalue < LEVEL
