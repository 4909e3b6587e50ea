"""Probabilities and parameters of the true population agree with brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from bayes_pref.logistic_normal import expected_choice
from bayes_pref.simulation import World, simulate

FloatArray = NDArray[np.float64]


# Standard errors that a true statement may be off by chance: each test makes at most some dozens
# of them, and a normal deviate exceeds 4.5 once in 150,000.
LIMIT = 4.5


# What makes a population hard: everything at once, and strong.
HARD: dict[str, Any] = {
    "features": 2,
    "contexts": 2,
    "covariates": 1,
    "interactions": True,
    "heterogeneity": 1.2,
    "correlation": 0.3,
    "confounding": 0.8,
    "intraclass": 0.4,
    "overlap": 0.7,
    "seed": 3,
}


def shares_ignoring_what_a_context_tells(world: World, between: float, within: float) -> FloatArray:
    """A wrong p_obs: the mean moves with the context, the variance stays that of all users."""
    truth, d = world.truth, world.comparisons.difference
    weights = truth.covariance.to_numpy() + truth.B.to_numpy() @ truth.B.to_numpy().T
    slope = d @ truth.coupling.to_numpy()
    regression = np.sqrt(between) / (between + within)
    moved = d @ truth.mu.to_numpy() + (slope * world.comparisons.context).sum(1) * regression
    return expected_choice(moved, np.einsum("nf,fg,ng->n", d, weights, d))


def clustered_z(terms: FloatArray, user: NDArray[np.int64]) -> float:
    """Sum over its standard error, with the rows of a user dependent."""
    sums = np.bincount(user, terms)
    return float(sums.sum() / np.sqrt((sums**2).sum()))


def test_p_do_and_p_obs_are_what_brute_force_over_many_users_gives() -> None:
    world = simulate(users=30, comparisons=2, **HARD)
    # Mean and coupling have streams of their own: the same population, but 300,000 users of it.
    many = simulate(users=300_000, comparisons=2, **HARD).truth
    pd.testing.assert_series_equal(many.mu, world.truth.mu)
    pd.testing.assert_frame_equal(many.coupling, world.truth.coupling)

    rows = np.arange(0, 60, 2)
    chances = expit(many.weights.to_numpy() @ world.comparisons.difference[rows].T)
    truth = world.truth.comparisons.iloc[rows]
    z = (chances.mean(0) - truth["p_do"]) / (chances.std(0) / np.sqrt(len(chances)))
    assert np.abs(z).max() < LIMIT

    # Bayes without a formula for s given x: every user counts by the density of x at their s.
    between, within = 0.4, 0.6 * 0.7**2
    x = world.comparisons.context[rows]
    gaps = x[None] - np.sqrt(between) * many.exposure.to_numpy()[:, None]
    density = np.exp(-0.5 * (gaps**2).sum(2) / within)
    density /= density.sum(0)
    p_obs = (density * chances).sum(0)
    error = np.sqrt((density**2 * (chances - p_obs) ** 2).sum(0))
    assert np.abs((p_obs - truth["p_obs"]) / error).max() < LIMIT

    wrong = shares_ignoring_what_a_context_tells(world, between, within)[rows]
    assert np.abs((p_obs - wrong) / error).max() > 2 * LIMIT
    assert np.abs((p_obs - truth["p_do"]) / error).max() > 2 * LIMIT


def test_choices_among_those_shown_a_context_are_calibrated_to_p_obs_and_not_to_p_do() -> None:
    world = simulate(users=20_000, comparisons=10, **HARD)
    truth, data = world.truth.comparisons, world.comparisons
    shift = truth["shift"].to_numpy()
    p_do, p_obs = truth["p_do"].to_numpy(), truth["p_obs"].to_numpy()
    wrong = shares_ignoring_what_a_context_tells(world, 0.4, 0.6 * 0.7**2)
    # E[choice | d, x] = p_obs, so what any function of d and x picks out must average to zero.
    for function in (shift, p_obs - wrong, p_do - 0.5, data.context[:, 0] * data.difference[:, 0]):
        assert abs(clustered_z((data.choice - p_obs) * function, data.user)) < LIMIT
    assert clustered_z((data.choice - p_do) * shift, data.user) > 2 * LIMIT
    assert clustered_z((data.choice - wrong) * (p_obs - wrong), data.user) > 2 * LIMIT


@pytest.mark.parametrize(
    "knobs",
    [{"confounding": 0.0}, {"contexts": 0}, {"confounding": 0.9, "intraclass": 0.0}],
    ids=["unrelated preferences", "no contexts", "randomised contexts"],
)
def test_nothing_is_shifted_without_confounding(knobs: dict[str, Any]) -> None:
    truth = simulate(users=20, **knobs).truth.comparisons
    assert (truth["shift"] == 0).all()
    assert (simulate(users=20, confounding=0.5).truth.comparisons["shift"] != 0).all()


@pytest.mark.parametrize("confounding", [0.0, 0.5, 0.9])
def test_confounding_is_the_correlation_with_exposure_and_leaves_the_spread_alone(
    confounding: float,
) -> None:
    n = 40_000
    truth = simulate(
        users=n, comparisons=2, contexts=2, confounding=confounding, heterogeneity=0.8, seed=5
    ).truth
    weights = truth.weights.to_numpy()
    drawn = simulate(users=2, contexts=2, confounding=1.0, heterogeneity=1.0, seed=5).truth
    directions = drawn.coupling.to_numpy()
    np.testing.assert_allclose(truth.coupling, 0.8 * confounding * directions)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0)

    related = truth.exposure.to_numpy() @ directions.T
    found = [np.corrcoef(weights[:, k], related[:, k])[0, 1] for k in range(4)]
    assert np.abs(np.array(found) - confounding).max() < LIMIT * (1 - confounding**2) / np.sqrt(n)

    error = LIMIT * 0.8 / np.sqrt(2 * n)
    assert np.abs(weights.std(0) - 0.8).max() < error
    np.testing.assert_allclose(truth.tau, 0.8)
    # The limit would notice if the part unrelated to exposure were not shrunk to make room.
    assert confounding == 0 or 0.8 * (np.sqrt(1 + confounding**2) - 1) > 2 * error


def test_truth_names_the_distribution_of_the_weights() -> None:
    n = 40_000
    truth = simulate(users=n, comparisons=2, **HARD).truth
    covariates = simulate(users=n, comparisons=2, **HARD).covariates
    assert covariates is not None
    centred = (truth.weights - truth.mu).to_numpy()
    c = covariates.to_numpy()
    effects = np.linalg.lstsq(c, centred, rcond=None)[0].T
    assert np.abs(effects - truth.B.to_numpy()).max() < LIMIT * truth.tau.max() / np.sqrt(n)
    assert truth.B.abs().to_numpy().min() > 10 * LIMIT * truth.tau.max() / np.sqrt(n)

    rest = centred - c @ truth.B.to_numpy().T
    tau = truth.tau.to_numpy()
    # The variance of a sample covariance of normals is (s_ff s_gg + s_fg^2) / n <= 2 tau^4 / n.
    error = np.outer(tau, tau) * np.sqrt(2 / n)
    assert (np.abs(rest.T @ rest / n - truth.covariance) / error).to_numpy().max() < LIMIT
    assert np.abs(rest.mean(0) / (tau / np.sqrt(n))).max() < LIMIT
    np.testing.assert_allclose(np.sqrt(np.diag(truth.covariance)), tau)
    assert np.abs(centred.std(0) - 1.2).max() < LIMIT * 1.2 / np.sqrt(2 * n)
    np.testing.assert_allclose(c.mean(0), 0.0, atol=1e-12)


def test_correlation_and_mean_and_heterogeneity_are_taken_as_given() -> None:
    n, matrix = 40_000, np.array([[1.0, -0.6], [-0.6, 1.0]])
    truth = simulate(
        users=n, comparisons=2, features=2, mean=[1, -2], heterogeneity=[0.5, 2], correlation=matrix
    ).truth
    assert truth.mu.tolist() == [1.0, -2.0]
    assert truth.tau.tolist() == [0.5, 2.0]
    found = np.corrcoef(truth.weights.to_numpy().T)[0, 1]
    assert abs(found + 0.6) < LIMIT * (1 - 0.6**2) / np.sqrt(n)
    same = simulate(users=20, features=3, mean=0.0, correlation=1.0).truth.weights.to_numpy()
    # The root of a singular matrix is exact up to sqrt(eps).
    np.testing.assert_allclose(same - same[:, :1], 0.0, atol=1e-6)
