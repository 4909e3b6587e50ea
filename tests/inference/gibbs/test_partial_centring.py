"""The general sampler's density, slopes and curvature, against formulas and differences."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from choice_cases import choice_comparisons, outcome_probabilities
from density_cases import MODELS, case_problem
from scipy.optimize import approx_fprime
from scipy.special import log_expit, log_ndtr, logsumexp

import bayes_pref as bp
from bayes_pref.inference.gibbs.choice_problem import ChoiceProblem
from bayes_pref.inference.gibbs.diagonal_density import DiagonalDensity
from bayes_pref.inference.gibbs.partial_density import PartialDensity, fisher_information
from bayes_pref.inference.gibbs.population_coordinates import LEAST, bounded_curvature
from bayes_pref.models.choice.kernel_form import PLAIN


def density(name: str, covariance: str) -> tuple[PartialDensity, bp.Comparisons]:
    """The density of a small problem, with users' likelihoods expanded at some weights."""
    rng = np.random.default_rng(3)
    problem, data = case_problem(name, covariance)
    made = PartialDensity(problem)
    made.expand(made.start(rng), 0.5 * rng.standard_normal((made.n_users, made.d)))
    return made, data


def curvatures(made: PartialDensity) -> np.ndarray:
    """(users, d, d) of the expansion."""
    row, column = np.tril_indices(made.d)
    whole = np.zeros((made.n_batches * 8, made.d, made.d))
    flat = made.information.swapaxes(1, 2).reshape(-1, len(row))
    whole[:, row, column] = whole[:, column, row] = flat
    return whole


def log_likelihood(
    made: PartialDensity,
    data: bp.Comparisons,
    theta: np.ndarray,
    w: np.ndarray,
) -> float:
    """Log likelihood at v (n_users, d), weights of scaled features, by the textbook's formulas."""
    raw, signs = w / data.feature_scale, made.problem.signs
    if signs is not None:
        raw = np.where(signs.on, signs.sign * np.exp(signs.centre + w), raw)
    eta = (data.difference * raw[data.user]).sum(axis=1)
    form = made.problem.form
    sites = form.draws(made.at(theta).phi)
    if not data.outcome.rowwise:
        starts = data.outcome.observations(len(data))
        chosen = 1 / (1 + np.add.reduceat(np.exp(-eta), starts[:-1]))
        lapse = sites.get("lapse", 0.0)
        return float(np.log((1 - lapse) * chosen + lapse / (1 + np.diff(starts))).sum())
    chance = outcome_probabilities(eta, "probit" if form.probit else "logit", sites)
    outcome = np.rint(data.choice * (form.n_outcomes - 1)).astype(int)
    return float(np.log(chance[outcome, np.arange(len(eta))]).sum())


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
@pytest.mark.parametrize("name", MODELS)
def test_density_and_slopes_are_those_of_the_formulas(name: str, covariance: str) -> None:
    made, data = density(name, covariance)
    rng = np.random.default_rng(1)
    theta, zeta = made.start(rng), rng.standard_normal(made.linear.shape)
    theta[made.places[1]] *= [1.0, -1.0]  # no boundary at zero
    v = np.empty_like(zeta)
    value, gradient = made.log_density(theta, zeta, v)
    moved = made.log_density(theta + 0.1, zeta, np.empty_like(v))[0]
    difference, matrices = [0.0, 0.0], curvatures(made)
    for place, point in enumerate((theta, theta + 0.1)):
        here = made.at(point)
        total, weights = 0.0, np.zeros((made.n_users, made.d))
        for i in range(made.n_batches * 8):
            b, u = divmod(i, 8)
            information, lower = matrices[i], here.lower
            root = np.linalg.cholesky(np.eye(made.d) + lower.T @ information @ lower)
            score = lower.T @ (made.linear[b, :, u] - information @ here.mean[b, :, u])
            deviation = np.linalg.solve(root.T, np.linalg.solve(root, score) + zeta[b, :, u])
            total -= 0.5 * deviation @ deviation + np.log(np.diag(root)).sum()
            if i < made.n_users:
                weights[i] = here.mean[b, :, u] + lower @ deviation
        population = made.problem.population
        total -= 0.5 * float((population.precision * here.gamma**2).sum())
        total -= 0.5 * float((here.tau**2 / population.spread**2).sum())
        if here.y.size:  # d = 2: (1 + tanh y) / 2 is Beta(concentration, concentration)
            total += population.concentration * float(np.log(1 - np.tanh(here.y) ** 2).sum())
        total += made.problem.form.log_prior(here.phi)[0]
        difference[place] = total + log_likelihood(made, data, point, weights)
    assert value == pytest.approx(difference[0], abs=1e-9)
    assert moved == pytest.approx(difference[1], abs=1e-9)
    for k in range(made.size):
        step = 1e-5 * np.eye(made.size)[k]
        ends = [made.log_density(theta + sign * step, zeta, v)[0] for sign in (1, -1)]
        assert gradient[k] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-5)


@pytest.mark.parametrize("name", [name for name in MODELS if "lapse" not in name])
def test_expansions_have_the_curvature_of_the_likelihood(name: str) -> None:
    made, _ = density(name, "diagonal")
    theta, rng = made.start(np.random.default_rng(3)), np.random.default_rng(2)
    signs = made.problem.signs
    weights = 0.5 * rng.standard_normal((made.n_users, made.d))

    def slope(at: np.ndarray) -> np.ndarray:
        made.expand(theta, at)
        information = curvatures(made)
        linear = made.linear.swapaxes(1, 2).reshape(-1, made.d)
        return (
            linear
            - (information @ np.pad(at, ((0, len(linear) - len(at)), (0, 0)))[..., None])[..., 0]
        )[: len(at)]

    for k in range(made.d):
        step = 1e-5 * np.eye(made.d)[k]
        change = (slope(weights + step) - slope(weights - step)) / 2e-5
        made.expand(theta, weights)
        information = curvatures(made)
        expected = -information[: made.n_users, k]
        if signs is not None and signs.on[k]:  # where the exponential bends upwards, it is left out
            expected[:, k] += np.maximum(slope(weights)[:, k], 0.0)
        np.testing.assert_allclose(change, expected, atol=1e-6)


@pytest.mark.parametrize("kind", [PartialDensity, DiagonalDensity])
def test_a_curvature_beyond_single_precision_is_left_out(kind: type[PartialDensity]) -> None:
    made, _ = density("stages, negative", "diagonal")
    small = kind(made.problem, small=True)
    weights = np.zeros((made.n_users, made.d))
    weights[1] = 60.0  # a logarithm: the curvature has its square
    small.expand(made.start(np.random.default_rng(0)), weights)
    assert np.isfinite(small.information).all()
    assert np.isfinite(small.linear).all()
    assert (small.information[0, :, 1] == 0.0).all()
    assert (small.information[0, 0, [0, 2]] > 0.0).all()


@pytest.mark.parametrize("name", ["stages", "ties, lapse, position", "stages, negative"])
def test_feature_by_feature_the_density_is_that_of_diagonal_expansions(name: str) -> None:
    made, _ = density(name, "diagonal")
    apart = DiagonalDensity(made.problem)
    rng = np.random.default_rng(3)
    apart.expand(apart.start(rng), 0.5 * rng.standard_normal((made.n_users, made.d)))
    made.information[:, 1] = 0.0
    made.linear[...] = apart.linear
    np.testing.assert_allclose(made.information[:, [0, 2]], apart.information)
    theta, zeta = made.start(rng), rng.standard_normal(made.linear.shape)
    v, other = np.empty_like(zeta), np.empty_like(zeta)
    value, gradient = made.log_density(theta, zeta, v)
    found, slope = apart.log_density(theta, zeta, other)
    assert found == pytest.approx(value)
    np.testing.assert_allclose(other, v)
    np.testing.assert_allclose(slope, gradient, atol=1e-9)
    np.testing.assert_allclose(apart.standardised(theta, v), zeta)
    np.testing.assert_allclose(apart.fisher(theta), made.fisher(theta), atol=1e-9)
    ends = []
    for each in (made, apart):
        moved, at = zeta.copy(), v.copy()
        each.move_users(theta, moved, at, 0.7, 2, np.random.default_rng(1))
        ends.append(moved)
    np.testing.assert_allclose(*ends)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_the_density_and_what_is_reported_are_the_same_when_signs_change_together(
    covariance: str,
) -> None:
    made, _ = density("stages", covariance)
    rng = np.random.default_rng(1)
    theta, zeta = made.start(rng), rng.standard_normal(made.linear.shape)
    v, signs = np.empty_like(zeta), np.array([1.0, -1.0])
    before, weights = made.log_density(theta, zeta, v)[0], made.weights(theta, v)
    turned = theta.copy()
    turned[made.places[1]] *= signs
    turned[made.places[2]] *= signs.prod()
    other = zeta * signs[:, None]
    assert made.log_density(turned, other, v)[0] == pytest.approx(before)
    np.testing.assert_allclose(made.weights(turned, v), weights)
    reported = made.lower_entries(turned)
    np.testing.assert_allclose(reported, made.lower_entries(theta))
    lower = reported[made.places[1].start :]
    assert (lower[[0, -1]] > 0).all()


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_of_gaussian_likelihoods_the_information_is_that_of_the_marginal(covariance: str) -> None:
    """Curvature of log Normal(h; H m, H (Sigma + H^-1) H), averaged over h from the population."""
    made, _ = density("probit", covariance)
    theta = made.start(np.random.default_rng(4))
    information = curvatures(made)[: made.n_users] + 0.5 * np.eye(made.d)
    design = made.design[: made.n_users]
    found = fisher_information(made, theta, information, design)

    def slope(at: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Of the log density of pseudo-observations seen (n_users, d) of the weights."""

        def total(theta: np.ndarray) -> float:
            here = made.at(theta)
            sigma = here.lower @ here.lower.T + np.linalg.inv(information)
            away = seen - design @ here.gamma
            solved = np.linalg.solve(sigma, away[:, :, None])[:, :, 0]
            return float(-0.5 * (away * solved).sum() - 0.5 * np.linalg.slogdet(sigma)[1].sum())

        return approx_fprime(at, total, 1e-6)

    rng = np.random.default_rng(5)
    here = made.at(theta)
    root = np.linalg.cholesky(here.lower @ here.lower.T + np.linalg.inv(information))
    slopes = []
    for _ in range(1500):
        noise = rng.standard_normal((made.n_users, made.d, 1))
        slopes.append(slope(theta, design @ here.gamma + (root @ noise)[:, :, 0]))
    outer = np.einsum("sa,sb->ab", slopes, slopes) / len(slopes)
    sd = np.sqrt(np.diag(found))
    moving = sd > 0  # the choice model's parameters are not in it
    away = (outer - found)[np.ix_(moving, moving)] / np.outer(sd[moving], sd[moving])
    assert abs(away).max() < 8 / np.sqrt(len(slopes))


def test_a_curvature_is_bounded_in_units_of_what_is_expected() -> None:
    rng = np.random.default_rng(0)
    root = rng.standard_normal((4, 4))
    expected = root @ root.T + np.eye(4)
    np.testing.assert_allclose(bounded_curvature(2.0 * expected, expected), 2.0 * expected)
    factor = np.linalg.cholesky(expected)
    for given, found in ((0.01, LEAST), (-0.01, LEAST), (-5.0, 5.0), (0.5, 0.5)):
        curvature = factor @ np.diag([1.0, 1.0, given, 3.0]) @ factor.T
        wanted = factor @ np.diag([1.0, 1.0, found, 3.0]) @ factor.T
        np.testing.assert_allclose(bounded_curvature(curvature, expected), wanted, atol=1e-10)


def test_probabilities_are_exact_far_in_the_tails() -> None:
    data = choice_comparisons("probit")
    form = bp.Probit().kernel_form(data.outcome)
    assert form is not None
    made = PartialDensity(ChoiceProblem.read(bp.HierarchicalReward().spec(data), data, form))
    theta = np.zeros(made.size)
    theta[: made.d] = 40.0
    v = np.zeros(made.linear.shape)
    value, slope = made.log_density(theta, v.copy(), v)
    eta = 40.0 * (data.difference / data.feature_scale).sum(axis=1)
    expected = log_ndtr((2 * data.choice - 1) * eta).sum()
    prior = 0.5 * (made.problem.population.precision * 40.0**2).sum()
    assert value == pytest.approx(expected - prior, rel=1e-9)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("stretch", [1.0, 30.0, 3000.0])
def test_sparse_rows_and_large_log_odds_have_the_slopes_of_the_formula(stretch: float) -> None:
    made, data = density("stages", "diagonal")
    rng = np.random.default_rng(2)
    theta, weights = made.start(rng), stretch * rng.standard_normal((made.n_users, made.d))
    difference = data.difference / data.feature_scale
    eta = (difference * weights[data.user]).sum(axis=1)
    stages = data.outcome.observations(len(data))
    rows = np.repeat(np.arange(len(stages) - 1), np.diff(stages))
    top = np.maximum(np.maximum.reduceat(-eta, stages[:-1]), 0.0)
    other = np.exp(-eta - top[rows])
    share = other / (np.exp(-top) + np.add.reduceat(other, stages[:-1]))[rows]
    slope = np.zeros_like(weights)
    np.add.at(slope, data.user, difference * (share - (1.0 - data.choice))[:, None])
    kept = made.problem.rows
    assert kept.dense.size
    sparse = replace(made.problem, rows=kept._replace(dense=np.zeros((0, 0))))
    for one in (made, PartialDensity(sparse)):
        one.expand(theta, weights)
        information = curvatures(one)
        linear = one.linear.swapaxes(1, 2).reshape(-1, one.d)[: len(weights)]
        moved = (information[: len(weights)] @ weights[..., None])[..., 0]
        np.testing.assert_allclose(linear - moved, slope, atol=1e-9 * stretch)


def log_chance(name: str, eta: np.ndarray, outcome: np.ndarray, sites: dict) -> np.ndarray:
    """Log probability of each outcome, exact for large log-odds too."""
    if name.startswith("ties"):
        tie = np.full_like(eta, sites["tie"])
        options = np.stack([-eta / 2, tie, eta / 2])
        return np.asarray(options[outcome, np.arange(eta.size)] - logsumexp(options, axis=0))
    if name == "probit":
        return np.asarray(log_ndtr((2 * outcome - 1) * eta))
    cuts = np.concatenate([[-np.inf], np.atleast_1d(sites.get("cutpoints", 0.0)), [np.inf]])
    low, high = cuts[outcome] - eta, cuts[outcome + 1] - eta
    width = np.log(-np.expm1(cuts[outcome] - cuts[outcome + 1]))
    return np.asarray(log_expit(high) + log_expit(-low) + width)


@pytest.mark.parametrize("stretch", [1.0, 30.0, 1000.0])
@pytest.mark.parametrize("name", ["ties", "graded", "pairs", "probit"])
def test_rows_with_large_log_odds_have_the_likelihood_of_the_formula(
    name: str, stretch: float
) -> None:
    link: Literal["logit", "probit"] = "probit" if name == "probit" else "logit"
    data, model = choice_comparisons(name), bp.HierarchicalReward(link=link)
    form = PLAIN if name == "pairs" else model.choice_model(data).kernel_form(data.outcome)
    assert form is not None
    made = PartialDensity(ChoiceProblem.read(model.spec(data), data, form))
    rng = np.random.default_rng(4)
    theta, zeta = made.start(rng), stretch * rng.standard_normal(made.linear.shape)
    here, v = made.at(theta), np.empty_like(zeta)
    # Without an expansion zeta is v.
    sums = made.sums(here, zeta, v)
    value = sums.total + 0.5 * float((zeta**2).sum())
    eta = (data.difference / data.feature_scale * made.weights(theta, zeta)[data.user]).sum(axis=1)
    outcome = np.rint(data.choice * (form.n_outcomes - 1)).astype(int)
    sites = form.draws(here.phi)
    expected = log_chance(name, eta, outcome, sites)
    assert value == pytest.approx(float(expected.sum()), rel=1e-10)
    ends = [log_chance(name, eta + step, outcome, sites) for step in (1e-4, -1e-4)]
    slope = np.zeros((made.n_users, made.d))
    of_rows = (ends[0] - ends[1]) / 2e-4
    np.add.at(slope, data.user, data.difference / data.feature_scale * of_rows[:, None])
    np.testing.assert_allclose(sums.means[0], slope.sum(axis=0), rtol=1e-6, atol=1e-5)
