"""Models as Pyro programs: their sites, their density and what they refuse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyro.poutine as poutine
import pytest
import torch
import xarray as xr
from cases import MODELS, small_comparisons
from scipy.special import expit
from scipy.stats import halfnorm, multivariate_normal, norm

import bayes_pref as bp
from bayes_pref.models import from_settings
from bayes_pref.models.design import Batch
from bayes_pref.models.regressors import exposures
from bayes_pref.seeding import seeded


def log_joint(model: bp.RewardModel, comparisons: bp.Comparisons, **sites: np.ndarray) -> float:
    values = {name: torch.as_tensor(value) for name, value in sites.items()}
    trace = poutine.trace(poutine.condition(model, data=values)).get_trace(comparisons)
    return float(trace.log_prob_sum())


def log_choices(comparisons: bp.Comparisons, weights: np.ndarray) -> float:
    eta = (comparisons.difference * weights[comparisons.user]).sum(axis=1)
    return float(np.log(np.where(comparisons.choice == 1, expit(eta), expit(-eta))).sum())


@pytest.mark.parametrize("name", MODELS)
def test_every_variable_is_a_site_of_the_declared_shape(name: str) -> None:
    comparisons = small_comparisons(covariates=True)
    sizes = {"user": 10, "feature": 2, "feature_bis": 2, "covariate": 1, "context": 1}
    sizes["exposure"] = 1
    sizes["factor"] = getattr(MODELS[name], "rank", 0)
    sizes["component"] = 2
    with seeded(0):
        trace = poutine.trace(MODELS[name]).get_trace(comparisons)
    for variable, dims in MODELS[name].variables(comparisons).items():
        value = trace.nodes[variable]["value"]
        assert tuple(value.shape) == tuple(sizes[dim] for dim in dims)
        assert value.dtype == torch.float64


def test_the_pooled_density_is_the_formula() -> None:
    comparisons = small_comparisons()
    mu = np.array([0.3, -0.2])
    sd = 2.0 / comparisons.feature_scale
    expected = norm.logpdf(mu, 0, sd).sum() + log_choices(comparisons, np.tile(mu, (10, 1)))
    assert log_joint(bp.PooledReward(), comparisons, mu=mu) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("scale", ["rms", "raw"])
def test_the_diagonal_density_with_covariates_is_the_formula(scale: str) -> None:
    comparisons = small_comparisons(covariates=True)
    rng = np.random.default_rng(0)
    mu, tau, effect = rng.normal(size=2), rng.uniform(0.2, 1, 2), rng.normal(size=(2, 1)) / 10
    weights = rng.normal(size=(10, 2))
    units = comparisons.feature_scale if scale == "rms" else np.ones(2)
    age = comparisons.covariates[:, 0]
    age_sd = age.std() if scale == "rms" else 1.0
    expected = (
        norm.logpdf(mu, 0, 1.5 / units).sum()
        + halfnorm.logpdf(tau, 0, 0.7 / units).sum()
        + norm.logpdf(effect[:, 0], 0, 0.9 / units / age_sd).sum()
        + norm.logpdf(weights, mu + np.outer(age - age.mean(), effect[:, 0]), tau).sum()
        + log_choices(comparisons, weights)
    )
    model = bp.HierarchicalReward(mean_sd=1.5, spread_sd=0.7, effect_sd=0.9, scale=scale)
    found = log_joint(model, comparisons, mu=mu, tau=tau, B=effect, weights=weights)
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_the_density_with_covariates_and_exposure_is_the_formula(covariance: str) -> None:
    comparisons = small_comparisons(covariates=True)
    rng = np.random.default_rng(0)
    mu, tau, weights = rng.normal(size=2), rng.uniform(0.2, 1, 2), rng.normal(size=(10, 2))
    effect, coupling = rng.normal(size=(2, 1)) / 10, rng.normal(size=(2, 1))
    age = comparisons.covariates[:, 0] - comparisons.covariates[:, 0].mean()
    shown = np.array([comparisons.context[comparisons.user == i, 0].mean() for i in range(10)])
    z = (shown - shown.mean()) / shown.std()
    centre = mu + np.outer(age, effect[:, 0]) + np.outer(z, coupling[:, 0])
    expected = (
        norm.logpdf(mu, 0, 2 / comparisons.feature_scale).sum()
        + halfnorm.logpdf(tau, 0, 1 / comparisons.feature_scale).sum()
        + norm.logpdf(effect[:, 0], 0, 0.9 / comparisons.feature_scale / age.std()).sum()
        + norm.logpdf(coupling[:, 0], 0, 0.9 / comparisons.feature_scale).sum()
        + norm.logpdf(weights, centre, tau).sum()
        + log_choices(comparisons, weights)
    )
    sites = {"mu": mu, "tau": tau, "B": effect, "G": coupling, "weights": weights}
    if covariance == "full":
        sites["correlation_factor"] = np.eye(2)
        expected += np.log(0.75)  # LKJ(2) in two dimensions, at no correlation
    model = bp.HierarchicalReward(covariance=covariance, effect_sd=0.9, exposure=True)
    assert log_joint(model, comparisons, **sites) == pytest.approx(expected, rel=1e-10)


def test_exposure_is_in_sds_and_zero_where_all_users_are_shown_the_same() -> None:
    comparisons = small_comparisons()
    frame = comparisons.to_frame()
    frame["thousandfold"] = 1000 * frame["hard"] + 5
    frame["same"] = 0.1  # whose means over 6 rows are not 0.1 in floats
    many = bp.Comparisons.from_frame(
        frame,
        user="person",
        choice="choice",
        difference=["brief", "polite"],
        context=["hard", "thousandfold", "same"],
    )
    z = exposures(many)
    np.testing.assert_allclose(z[:, 0], z[:, 1], atol=1e-12)
    np.testing.assert_allclose(z.std(axis=0), [1, 1, 0], atol=1e-12)
    np.testing.assert_array_equal(z[:, 2], 0.0)
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=1e-12)


def test_exposure_without_contexts_is_refused() -> None:
    frame = small_comparisons().to_frame()
    bare = bp.Comparisons.from_frame(frame, user="person", choice="choice", difference=["brief"])
    with pytest.raises(
        bp.ModelError, match=r"exposure=True\) needs the contexts .* context=\[\.\.\.\]"
    ):
        bp.fit(bp.HierarchicalReward(exposure=True), bare)


def test_the_full_density_is_the_formula() -> None:
    comparisons = small_comparisons()
    rng = np.random.default_rng(0)
    mu, tau, rho = rng.normal(size=2), rng.uniform(0.2, 1, 2), 0.4
    weights = rng.normal(size=(10, 2))
    correlation = np.array([[1, rho], [rho, 1]])
    covariance = np.outer(tau, tau) * correlation
    # LKJ(2) in two dimensions: density of rho is (1 - rho^2) * 3/4; in the factor's free entry
    # L_21 = rho the volume is the same.
    expected = (
        norm.logpdf(mu, 0, 2).sum()
        + halfnorm.logpdf(tau).sum()
        + np.log(0.75 * (1 - rho**2))
        + multivariate_normal(cov=covariance).logpdf(weights - mu).sum()
        + log_choices(comparisons, weights)
    )
    found = log_joint(
        bp.HierarchicalReward(covariance="full", scale="raw"),
        comparisons,
        mu=mu,
        tau=tau,
        correlation_factor=np.linalg.cholesky(correlation),
        weights=weights,
    )
    assert found == pytest.approx(expected, rel=1e-10)


def test_priors_on_scaled_features_do_not_depend_on_units() -> None:
    comparisons = small_comparisons()
    frame = comparisons.to_frame().assign(polite=lambda table: table["polite"] * 1000)
    rescaled = bp.Comparisons.from_frame(
        frame, user="person", choice="choice", difference=["brief", "polite"]
    )
    one = bp.HierarchicalReward().prior_predictive(comparisons, draws=20, seed=1)
    other = bp.HierarchicalReward().prior_predictive(rescaled, draws=20, seed=1)
    np.testing.assert_allclose(one["probability"], other["probability"], rtol=1e-9)
    np.testing.assert_allclose(one["weights"] / [1, 1000], other["weights"], rtol=1e-9)


def test_prior_predictive_choices_follow_their_probabilities() -> None:
    prior = bp.HierarchicalReward().prior_predictive(small_comparisons(), draws=2000, seed=0)
    p, choice = prior["probability"].to_numpy(), prior["choice"].to_numpy()
    z = (choice - p).sum() / np.sqrt((p * (1 - p)).sum())
    assert abs(z) < 4
    # mu's prior sd is 2 on scaled features, by construction.
    assert prior["mu"][0].std("draw").to_numpy() == pytest.approx(
        2.0 / small_comparisons().feature_scale, rel=4 / np.sqrt(2 * 2000)
    )


def test_a_model_survives_its_settings() -> None:
    for model in MODELS.values():
        assert from_settings(model.settings()) == model


def test_ties_are_refused_by_name_and_row_where_there_are_to_be_none() -> None:
    comparisons = small_comparisons()
    frame = comparisons.to_frame()
    frame["choice"] = frame["choice"].astype(float)
    frame.loc[frame.index[7], "choice"] = 0.5
    tied = bp.Comparisons.from_frame(
        frame, user="person", choice="choice", difference=["brief", "polite"]
    )
    with pytest.raises(
        bp.ModelError, match=r"ties=False\): there are no ties .* \(1 of 60 .* row 7"
    ):
        bp.fit(bp.HierarchicalReward(ties=False), tied)


def test_one_user_is_refused_by_a_model_of_differences_between_users() -> None:
    alone = small_comparisons()["u3"]
    with pytest.raises(bp.ModelError, match=r"at least two users.*'u3'.*PooledReward"):
        bp.fit(bp.HierarchicalReward(), alone)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mean_sd": -1.0}, r"mean_sd=-1.0\): expected a positive number"),
        ({"spread_sd": float("nan")}, r"spread_sd=nan"),
        ({"covariance": "fulll"}, r"covariance='fulll'\): expected 'diagonal' or 'full'"),
        ({"exposure": 1}, r"exposure=1\): expected True or False"),
        ({"scale": "std"}, r"scale='std'\): expected 'rms' or 'raw'"),
    ],
)
def test_settings_that_no_prior_can_have_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(bp.ModelError, match=message):
        bp.HierarchicalReward(**settings)


def test_a_new_user_has_the_covariates_and_the_exposure_of_one_user() -> None:
    comparisons = small_comparisons(covariates=True)
    size = 20_000
    per_draw = ("chain", "draw", "feature")
    draws = xr.Dataset(
        {
            "mu": (per_draw, np.zeros((1, size, 2))),
            "tau": (per_draw, np.full((1, size, 2), 1e-9)),
            "B": ((*per_draw, "covariate"), np.tile([[0.1], [0.0]], (1, size, 1, 1))),
            "G": ((*per_draw, "context"), np.tile([[0.0], [1.0]], (1, size, 1, 1))),
        },
        coords={"feature": ["brief", "polite"]},
    )
    model = bp.HierarchicalReward(exposure=True)
    new = model.new_user_weights(draws, comparisons, np.random.default_rng(0)).to_numpy()[0]
    age = comparisons.covariates[:, 0]
    users = np.column_stack([0.1 * (age - age.mean()), exposures(comparisons)[:, 0]])
    # Every new user is one of the ten: the pair of numbers, not each by itself.
    distance = np.abs(new[:, None] - users).max(axis=2)
    assert (distance.min(axis=1) < 1e-6).all()
    share = np.bincount(distance.argmin(axis=1), minlength=10) / size
    assert (np.abs(share - 0.1) < 4.5 * np.sqrt(0.09 / size)).all()


def test_a_new_user_has_the_spread_and_correlation_of_the_population() -> None:
    comparisons = small_comparisons(covariates=True)
    model = bp.HierarchicalReward(covariance="full")
    size = 20_000
    correlation = np.broadcast_to([[1, 0.6], [0.6, 1]], (1, size, 2, 2))
    effect = np.broadcast_to([[0.05], [0.0]], (1, size, 2, 1))
    draws = xr.Dataset(
        {
            "mu": (("chain", "draw", "feature"), np.broadcast_to([1.0, -1.0], (1, size, 2))),
            "tau": (("chain", "draw", "feature"), np.broadcast_to([0.5, 2.0], (1, size, 2))),
            "B": (("chain", "draw", "feature", "covariate"), effect),
            "correlation": (("chain", "draw", "feature", "feature_bis"), correlation),
        },
        coords={"feature": ["brief", "polite"]},
    )
    new = model.new_user_weights(draws, comparisons, np.random.default_rng(0)).to_numpy()[0]
    explained = 0.05**2 * comparisons.covariates.var()
    expected = np.array([[0.25 + explained, 0.6], [0.6, 4.0]])
    # Standard error of a sample covariance of Gaussians: sqrt((s_ii s_jj + s_ij^2) / n).
    error = np.sqrt((np.outer(expected.diagonal(), expected.diagonal()) + expected**2) / size)
    assert (np.abs(np.cov(new.T) - expected) < 4.5 * error).all()
    assert (np.abs(new.mean(axis=0) - [1, -1]) < 4.5 * np.sqrt(expected.diagonal() / size)).all()


def test_pooled_weights_are_the_same_for_everyone() -> None:
    comparisons = small_comparisons()
    prior = bp.PooledReward().prior_predictive(comparisons, draws=5)
    weights = bp.PooledReward().user_weights(prior, pd.Index(["u1", "u2"]))
    assert weights.dims == ("chain", "draw", "user", "feature")
    np.testing.assert_array_equal(weights[:, :, 0], weights[:, :, 1])
    np.testing.assert_array_equal(weights[:, :, 0], prior["mu"])


@pytest.mark.parametrize("unequal", [False, True])
def test_log_odds_are_the_rows_own_whether_or_not_users_fill_a_table(unequal: bool) -> None:
    comparisons = small_comparisons(users=6, each=4)
    if unequal:  # one user with most rows: a table would be mostly padding
        comparisons = comparisons.take((comparisons.user == 0) | (np.arange(24) % 4 == 0))
    batch = Batch.of(comparisons, torch.arange(6))
    assert (batch.table is None) == unequal
    weights = torch.randn(3, 6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    plain = (batch.difference * weights[:, batch.user]).sum(-1)
    torch.testing.assert_close(batch.log_odds(weights), plain)


def test_a_mini_batch_has_the_log_odds_of_its_own_users() -> None:
    comparisons = small_comparisons(users=6, each=4)
    batch = Batch.of(comparisons, torch.tensor([4, 1]))
    weights = torch.randn(2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rows = np.concatenate([np.flatnonzero(comparisons.user == code) for code in (4, 1)])
    expected = (comparisons.difference[rows] * weights.numpy().repeat(4, axis=0)).sum(axis=1)
    np.testing.assert_allclose(batch.log_odds(weights).numpy(), expected)
