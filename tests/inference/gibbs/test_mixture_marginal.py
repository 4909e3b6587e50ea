"""The density of a mixture with components and weights integrated out, and moves on it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import logsumexp
from scipy.stats import halfnorm, kstest, multivariate_normal, norm, uniform

from bayes_pref.inference.gibbs import mixture_marginal as marginal_module
from bayes_pref.inference.gibbs.kernels.component_updates import draw_components
from bayes_pref.inference.gibbs.kernels.design_matrix import build_rows, log_odds
from bayes_pref.inference.gibbs.kernels.hmc import Move
from bayes_pref.inference.gibbs.kernels.polya_gamma import draw_polya_gamma, right_table
from bayes_pref.inference.gibbs.kernels.population_density import PopulationPrior
from bayes_pref.inference.gibbs.marginal import move_population
from bayes_pref.inference.gibbs.mixture_marginal import MixtureMarginal
from bayes_pref.inference.gibbs.problem import Problem

USERS, EACH, FEATURES, COMPONENTS = 7, 4, 3, 2
MEAN_SD, SPREAD, CONCENTRATION = 1.5, np.array([1.0, 0.5, 2.0]), 1.0
REPLICATIONS, SWEEPS = 1000, 5
LEVEL = 1e-4


def made(
    mu: np.ndarray, tau: np.ndarray, share: np.ndarray, spread: np.ndarray, seed: int
) -> tuple[Problem, np.ndarray]:
    """Data of users with these parameters, as the sampler reads them, and the users' weights."""
    rng = np.random.default_rng(seed)
    component = rng.choice(COMPONENTS, USERS, p=share)
    weights = mu[component] + tau * rng.standard_normal((USERS, FEATURES))
    difference = rng.standard_normal((USERS * EACH, FEATURES))
    user = np.repeat(np.arange(USERS), EACH)
    eta = (difference * weights[user]).sum(axis=1)
    sign = np.where(rng.random(eta.size) < 1 / (1 + np.exp(-eta)), 1.0, -1.0)
    rows = build_rows(sign[:, None] * difference, user, np.arange(USERS + 1) * EACH, sign)
    precision = np.full((COMPONENTS, FEATURES), 1 / MEAN_SD**2)
    design = np.zeros((USERS, COMPONENTS))
    population = PopulationPrior(design, precision, spread, 1.0, False)
    return Problem(rows, population, "diagonal", np.ones(FEATURES), ()), weights


@pytest.fixture
def marginal(monkeypatch: pytest.MonkeyPatch) -> MixtureMarginal:
    monkeypatch.setattr(marginal_module, "BATCH", 4)  # two SIMD batches, the last with one empty
    rng = np.random.default_rng(0)
    mu, share = rng.standard_normal((COMPONENTS, FEATURES)), np.array([0.3, 0.7])
    problem, _ = made(mu, SPREAD, share, SPREAD, seed=0)
    marginal = MixtureMarginal(problem, CONCENTRATION)
    shown = rng.standard_normal((USERS, COMPONENTS))
    marginal.read(rng.uniform(0.05, 0.25, USERS * EACH), shown)
    return marginal


@pytest.fixture
def x(marginal: MixtureMarginal) -> np.ndarray:
    rng = np.random.default_rng(1)
    theta = np.concatenate([rng.standard_normal(COMPONENTS * FEATURES), 0.7 * SPREAD])
    return marginal.joined(theta, np.array([0.4, 0.6]), rng)


def test_the_density_is_that_of_the_pseudo_observations(
    marginal: MixtureMarginal, x: np.ndarray
) -> None:
    mu, tau, log_g = np.split(x, [COMPONENTS * FEATURES, COMPONENTS * FEATURES + FEATURES])
    mu = mu.reshape(COMPONENTS, FEATURES)
    row, column = np.tril_indices(FEATURES)
    log_share = log_g - logsumexp(log_g)
    expected = norm.logpdf(mu, 0, MEAN_SD).sum() + halfnorm.logpdf(tau, 0, SPREAD).sum()
    expected += CONCENTRATION * log_g.sum() - np.exp(log_g).sum()  # log g ~ log of a Gamma
    for i in range(USERS):
        own = np.zeros((FEATURES, FEATURES))
        own[row, column] = own[column, row] = marginal.information[i // 4, :, i % 4]
        seen = np.linalg.solve(own, marginal.score[i // 4, :, i % 4])
        alone = multivariate_normal(np.zeros(FEATURES), np.linalg.inv(own)).logpdf(seen)
        of_components = [
            log_share[t]
            + marginal._shown[i // 4, t, i % 4]
            + multivariate_normal(mu[t], np.diag(tau**2) + np.linalg.inv(own)).logpdf(seen)
            for t in range(COMPONENTS)
        ]
        expected += logsumexp(of_components) - alone  # which does not depend on x
    constant = norm.logpdf(0, 0, MEAN_SD) * COMPONENTS * FEATURES
    constant += halfnorm.logpdf(0, 0, SPREAD).sum()
    found = marginal.log_density(x, np.empty_like(x))
    assert found == pytest.approx(expected - constant, rel=1e-10)


def test_its_gradient_is_the_one_of_finite_differences_and_of_all_users(
    marginal: MixtureMarginal, x: np.ndarray
) -> None:
    gradient = np.empty_like(x)
    marginal.log_density(x, gradient)
    numeric = approx_fprime(x, lambda at: marginal.log_density(at, np.empty_like(x)), 1e-7)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-4)


def test_signs_of_spreads_and_the_order_of_components_change_nothing(
    marginal: MixtureMarginal, x: np.ndarray
) -> None:
    before = marginal.log_density(x, np.empty_like(x))
    turned = x.copy()
    turned[marginal.scales.start] *= -1.0
    assert marginal.log_density(turned, np.empty_like(x)) == pytest.approx(before, rel=1e-12)
    order = np.concatenate([np.arange(FEATURES) + FEATURES, np.arange(FEATURES)])
    other = x.copy()
    other[: order.size] = x[order]
    other[marginal.scales.stop :] = x[marginal.scales.stop :][::-1]
    marginal._shown[...] = marginal._shown[:, ::-1]
    assert marginal.log_density(other, np.empty_like(x)) == pytest.approx(before, rel=1e-12)
    # The metric looks the same from each of these places.
    matrix = marginal.information_on(x)
    ordered = np.concatenate([order, np.arange(order.size, x.size)])
    ordered[-COMPONENTS:] = ordered[-COMPONENTS:][::-1]
    averaged = marginal.averaged(matrix)
    np.testing.assert_allclose(averaged, averaged[np.ix_(ordered, ordered)])
    np.testing.assert_allclose(averaged, marginal.averaged(matrix[np.ix_(ordered, ordered)]))
    sign = np.ones(x.size)
    sign[marginal.scales.start] = -1.0
    np.testing.assert_array_equal(averaged, averaged * np.outer(sign, sign))
    assert np.linalg.eigvalsh(averaged + np.diag(marginal.prior_precision())).min() > 0.0


def test_steps_of_the_em_algorithm_climb_to_where_the_density_is_level() -> None:
    apart = np.full(FEATURES, 4.0)  # users so far apart that no spread ends at zero
    mu = np.random.default_rng(0).standard_normal((COMPONENTS, FEATURES))
    problem, _ = made(mu, apart, np.array([0.3, 0.7]), apart, seed=0)
    marginal = MixtureMarginal(problem, CONCENTRATION)
    marginal.read(np.full(USERS * EACH, 0.05), np.zeros((USERS, COMPONENTS)))
    theta = np.concatenate([mu.ravel(), np.ones(FEATURES)])
    x = marginal.joined(theta, np.array([0.4, 0.6]), np.random.default_rng(1))
    gradient = np.empty_like(x)
    density = [marginal.log_density(x, gradient)]
    for _ in range(2000):
        x = marginal.improved(x)
        density.append(marginal.log_density(x, gradient))
    assert (np.diff(density) > -1e-9).all()
    assert density[1] > density[0] + 0.1
    assert x[marginal.scales].min() > 0.1
    np.testing.assert_allclose(gradient, 0.0, atol=1e-6)


def replicate(spread: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Parameters from the prior, data from them, and moves; what has a known distribution."""
    rng = np.random.default_rng([seed, 1])
    share = rng.dirichlet(np.full(COMPONENTS, CONCENTRATION))
    mu = MEAN_SD * rng.standard_normal((COMPONENTS, FEATURES))
    tau = SPREAD * np.abs(rng.standard_normal(FEATURES))
    problem, weights = made(mu, tau, share, spread, seed)
    theta = np.concatenate([mu.ravel(), tau])
    marginal = MixtureMarginal(problem, CONCENTRATION)
    psi, component = np.empty(USERS * EACH), np.zeros(USERS, dtype=np.int64)
    omega = np.empty_like(psi)
    log_odds(problem.rows, weights, psi)
    move = Move(marginal.averaged(0.5 * np.eye(marginal.size) + 0.08), 0.6, 3)
    for _ in range(SWEEPS):
        draw_polya_gamma(psi, omega, right_table(), rng)
        marginal.read(omega, np.zeros((USERS, COMPONENTS)))
        x = marginal.joined(theta, share, rng)
        move_population(marginal, x, move, rng)
        theta, share = x[: theta.size].copy(), marginal.share(x)
        mu, tau = theta[: mu.size].reshape(mu.shape), theta[mu.size :]
        log_component = np.tile(np.log(share), (USERS, 1))
        draw_components(problem.rows, omega, log_component, mu, tau, component, weights, rng)
        log_odds(problem.rows, weights, psi)
    deviation = (weights - mu[component]) / tau
    return {
        "mean": mu.ravel() / MEAN_SD,
        "spread": tau / SPREAD,
        "share": share[:1],
        "deviation": deviation[0],
    }


def p_values(spread: np.ndarray = SPREAD) -> dict[str, float]:
    known = {"spread": halfnorm(), "share": uniform()}
    draws = [replicate(spread, seed) for seed in range(REPLICATIONS)]
    return {
        f"{name} {k}": float(kstest(column, known.get(name, norm()).cdf).pvalue)
        for name in draws[0]
        for k, column in enumerate(np.transpose([draw[name] for draw in draws]))
    }


@pytest.mark.slow
def test_moves_leave_the_prior_as_it_is_when_data_come_from_it() -> None:
    found = p_values()
    assert min(found.values()) > LEVEL / len(found), found


@pytest.mark.slow
@pytest.mark.long
def test_moves_with_another_prior_are_caught() -> None:
    found = p_values(spread=1.4 * SPREAD)
    assert min(found.values()) < LEVEL / len(found), found
