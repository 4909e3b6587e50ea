"""The density of the population with all weights integrated out, against plain algebra."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import kstest, multivariate_normal, norm

import bayes_pref as bp
from bayes_pref.inference.gibbs import marginal as marginal_module
from bayes_pref.inference.gibbs.kernels.polya_gamma import (
    draw_polya_gamma,
    mean_polya_gamma,
    right_table,
)
from bayes_pref.inference.gibbs.kernels.population_density import log_prior
from bayes_pref.inference.gibbs.marginal import Marginal
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.inference.gibbs.samplers.factor_sampler import rotation_average

USERS = 10  # three SIMD batches of four, the last half empty
MODELS = {
    "full": bp.HierarchicalReward(covariance="full"),
    "diagonal": bp.HierarchicalReward(),
    "factors": bp.LowRankReward(rank=2),
}


@pytest.fixture(params=MODELS)
def problem(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Problem:
    monkeypatch.setattr(marginal_module, "BATCH", 4)
    world = bp.simulate(users=USERS, comparisons=6, features=3, covariates=1, seed=1)
    comparisons = world.comparisons
    return Problem.build(MODELS[request.param].spec(comparisons), comparisons)


@pytest.fixture
def marginal(problem: Problem) -> Marginal:
    marginal = Marginal(problem)
    marginal.read(np.random.default_rng(0).uniform(0.05, 0.25, problem.rows.starts.size - 1))
    return marginal


@pytest.fixture
def theta(problem: Problem) -> np.ndarray:
    return problem.start(np.random.default_rng(3))[0] + 0.1


def per_user(marginal: Marginal) -> tuple[np.ndarray, np.ndarray]:
    """Take A_i and b_i out of their SIMD batches."""
    d = marginal.score.shape[1]
    row, column = np.tril_indices(d)
    flat = marginal.information.swapaxes(1, 2).reshape(-1, row.size)[:USERS]
    information = np.zeros((USERS, d, d))
    information[:, row, column] = information[:, column, row] = flat
    return information, marginal.score.swapaxes(1, 2).reshape(-1, d)[:USERS]


def mean_and_root(problem: Problem, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of users' weights (n_users, d), and a root of their covariance."""
    gamma = theta[: problem.n_means].reshape(-1, 3)
    known = len(gamma) - problem.rank
    root = np.hstack([gamma[known:].T, problem.lower(theta)])
    return problem.population.design[:, :known] @ gamma[:known], root


def log_prior_of(problem: Problem, theta: np.ndarray) -> float:
    return log_prior(problem.population, theta, np.empty_like(theta))


def test_the_density_is_that_of_the_pseudo_observations(
    problem: Problem, marginal: Marginal, theta: np.ndarray
) -> None:
    """Given omega, A_i^-1 b_i is an observation of w_i with covariance A_i^-1."""
    information, score = per_user(marginal)
    mean, lower = mean_and_root(problem, theta)
    expected = log_prior_of(problem, theta)
    for own, told, centre in zip(information, score, mean, strict=True):
        seen = np.linalg.solve(own, told)
        joint = multivariate_normal(centre, lower @ lower.T + np.linalg.inv(own))
        alone = multivariate_normal(np.zeros(3), np.linalg.inv(own))
        expected += joint.logpdf(seen) - alone.logpdf(seen)  # which does not depend on theta
    found = marginal.log_density(theta, np.empty_like(theta))
    assert found == pytest.approx(expected, rel=1e-10)


def test_its_gradient_is_the_one_of_finite_differences(
    marginal: Marginal, theta: np.ndarray
) -> None:
    gradient = np.empty_like(theta)
    marginal.log_density(theta, gradient)
    numeric = approx_fprime(
        theta, lambda at: marginal.log_density(at, np.empty_like(theta)), epsilon=1e-7
    )
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-4)


def test_outside_the_prior_it_says_so(
    problem: Problem, marginal: Marginal, theta: np.ndarray
) -> None:
    before = marginal.log_density(theta, np.empty_like(theta))
    theta[problem.n_means] *= -1.0  # the first entry of L, of the spreads or of the noise
    after = marginal.log_density(theta, np.empty_like(theta))
    if problem.population.full:
        assert after == -np.inf
    else:  # nothing is outside: signs have no meaning
        assert after == pytest.approx(before, rel=1e-12)
        theta[problem.n_means :] = 0.0  # a singular covariance
        assert marginal.log_density(theta, np.empty_like(theta)) == -np.inf


def test_weights_are_drawn_from_their_gaussian(
    problem: Problem, marginal: Marginal, theta: np.ndarray
) -> None:
    information, score = per_user(marginal)
    mean, lower = mean_and_root(problem, theta)
    prior = np.linalg.inv(lower @ lower.T)
    rng = np.random.default_rng(0)
    draws = np.stack([marginal.draw_weights(theta, rng) for _ in range(2000)])
    for user in range(USERS):
        precision = information[user] + prior
        centre = np.linalg.solve(precision, score[user] + prior @ mean[user])
        standard = (draws[:, user] - centre) @ np.linalg.cholesky(precision)
        for column in standard.T:
            assert kstest(column, norm.cdf).pvalue > 1e-4 / (3 * USERS)
        assert abs(np.corrcoef(standard.T) - np.eye(3)).max() < 4.5 / np.sqrt(len(draws))


def test_the_information_is_the_covariance_of_the_gradient(
    problem: Problem, marginal: Marginal, theta: np.ndarray
) -> None:
    """In worlds drawn from theta, A_i held (Fisher)."""
    information, _ = per_user(marginal)
    mean, lower = mean_and_root(problem, theta)
    of_prior = np.empty_like(theta)
    log_prior(problem.population, theta, of_prior)
    rng = np.random.default_rng(0)
    score = np.zeros((marginal.score.shape[0] * marginal.score.shape[2], 3))
    gradients = np.empty((4000, theta.size))
    for gradient in gradients:
        weights = mean + rng.standard_normal((USERS, lower.shape[1])) @ lower.T
        noise = np.linalg.cholesky(information) @ rng.standard_normal((USERS, 3, 1))
        score[:USERS] = (information @ weights[:, :, None] + noise)[:, :, 0]
        marginal.score[...] = score.reshape(-1, 4, 3).swapaxes(1, 2)
        marginal.log_density(theta, gradient)
        gradient -= of_prior
    expected = marginal.fisher(theta)
    sd = np.sqrt(np.diag(expected))
    z = gradients.mean(axis=0) / sd * np.sqrt(len(gradients))
    assert abs(z).max() < 4.5
    # Entries of a correlation matrix; gradients in L have longer tails than a normal's.
    found = gradients.T @ gradients / len(gradients) / np.outer(sd, sd)
    tied = np.zeros(found.shape, dtype=bool)  # left out, so that signs of scales do not matter
    tied[marginal.scales, marginal.scales] = True
    np.fill_diagonal(tied, val=False)
    away = abs(found - expected / np.outer(sd, sd))
    assert away[~tied].max() < 8 / np.sqrt(len(gradients))
    assert (expected[tied] == 0.0).all()


@pytest.mark.parametrize("problem", ["diagonal", "factors"], indirect=True)
def test_the_metric_looks_the_same_for_either_sign_of_each_scale(
    problem: Problem, marginal: Marginal, theta: np.ndarray
) -> None:
    """It ties a scale to nothing else, so that a move may be followed by a change of its sign."""
    metric = marginal.fisher(theta)
    if problem.rank:
        assert (metric[marginal.scales, : marginal.scales.start] != 0.0).any()  # to loadings
        metric = rotation_average(problem, metric)
    tied = metric[marginal.scales]
    tied[:, marginal.scales] -= np.diag(np.diag(metric)[marginal.scales])
    assert (tied == 0.0).all()
    assert (metric != np.diag(np.diag(metric))).any()


def test_the_mean_of_polya_gamma_variables() -> None:
    psi = np.repeat([0.0, 0.3, -4.0, 30.0], 20_000)
    omega = np.empty_like(psi)
    draw_polya_gamma(psi, omega, right_table(), np.random.default_rng(0))
    drawn = omega.reshape(4, -1)
    z = (drawn.mean(axis=1) - mean_polya_gamma(psi[::20_000])) / drawn.std(axis=1) * np.sqrt(20_000)
    assert abs(z).max() < 4
