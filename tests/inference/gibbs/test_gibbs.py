"""Gibbs against quadrature; seeds, threads, interrupts and thinning."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from cases import MODELS, small_comparisons
from interrupting import interrupt_after
from monte_carlo import mean_and_error
from scipy.special import expit, logsumexp
from scipy.stats import halfnorm, norm
from threadpoolctl import threadpool_limits

import bayes_pref as bp
from bayes_pref.inference.runtime import threads as chains


def quiet(engine: bp.Engine, model: bp.RewardModel, comparisons: bp.Comparisons) -> bp.Posterior:
    """Fit without convergence warnings: these tests judge the draws themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return bp.fit(model, comparisons, engine, seed=11)


def gibbs(**settings: int) -> bp.Gibbs:
    return bp.Gibbs(**({"draws": 500, "warmup": 300, "chains": 2, "progress": False} | settings))


def one_feature() -> bp.Comparisons:
    frame = small_comparisons().to_frame()
    return bp.Comparisons.from_frame(frame, user="person", choice="choice", difference=["brief"])


def quadrature(comparisons: bp.Comparisons) -> tuple[np.ndarray, np.ndarray]:
    """Posterior mean and sd of (mu, tau, w_0) of one feature, on a grid with raw priors."""
    signed = ((2 * comparisons.choice - 1) * comparisons.difference[:, 0]).reshape(10, 6)
    mu = np.linspace(-5, 6, 111)
    tau = 5 * (np.arange(160) + 0.5) / 160  # midpoints: the density does not end at zero
    z = np.linspace(-6, 6, 73)
    weight = mu[:, None, None] + tau[None, :, None] * z
    log_z = norm.logpdf(z) + np.log(z[1] - z[0])
    total = norm.logpdf(mu, 0, 2)[:, None] + halfnorm.logpdf(tau)
    first = None
    for rows in signed:  # ten users, each a grid of its own: memory, not speed, decides
        value = log_z + sum(np.log(expit(row * weight)) for row in rows)
        evidence = logsumexp(value, axis=2)
        total = total + evidence
        if first is None:
            share = np.exp(value - evidence[..., None])
            first = (share * weight).sum(axis=2), (share * weight**2).sum(axis=2)
    assert first is not None
    mass = np.exp(total - logsumexp(total))
    moments = [(mass * mu[:, None]).sum(), (mass * tau).sum(), (mass * first[0]).sum()]
    squares = [(mass * mu[:, None] ** 2).sum(), (mass * tau**2).sum(), (mass * first[1]).sum()]
    means = np.array(moments)
    return means, np.sqrt(np.array(squares) - means**2)


@pytest.mark.slow
@pytest.mark.parametrize("covariance", ["diagonal", pytest.param("full", marks=pytest.mark.long)])
def test_one_feature_agrees_with_quadrature(covariance: str) -> None:
    comparisons = one_feature()
    mean, sd = quadrature(comparisons)
    model = bp.HierarchicalReward(covariance=covariance, scale="raw")
    posterior = quiet(gibbs(draws=30_000, warmup=1000), model, comparisons)
    draws = posterior.draws
    found = np.concatenate([draws["mu"], draws["tau"], draws["weights"].isel(user=0)], axis=2)
    found_mean, error = mean_and_error(found)
    assert (np.abs(found_mean - mean) < 4.5 * error).all()
    variance, variance_error = mean_and_error((found - mean) ** 2)
    assert (np.abs(variance - sd**2) < 4.5 * variance_error).all()
    assert (np.abs(found_mean + 0.1 * sd - mean) > 4.5 * error).all()  # the test has power


def test_pooled_gibbs_agrees_with_quadrature() -> None:
    comparisons = one_feature()
    signed = (2 * comparisons.choice - 1) * comparisons.difference[:, 0]
    grid = np.linspace(-4, 6, 4001)
    log_density = norm.logpdf(grid, 0, 2) + np.log(expit(grid[:, None] * signed)).sum(axis=1)
    mass = np.exp(log_density - logsumexp(log_density))
    posterior = quiet(gibbs(draws=20_000), bp.PooledReward(scale="raw"), comparisons)
    found, error = mean_and_error(posterior.draws["mu"].to_numpy())
    assert abs(found[0] - (mass * grid).sum()) < 4.5 * error[0]


def test_draws_depend_on_the_seed_and_not_on_the_number_of_cores() -> None:
    comparisons = small_comparisons()
    for model in (bp.PooledReward(), bp.HierarchicalReward(covariance="full")):
        one = quiet(gibbs(draws=20, warmup=20, chains=3, cores=1), model, comparisons)
        two = quiet(gibbs(draws=20, warmup=20, chains=3, cores=3), model, comparisons)
        assert one.draws.identical(two.draws)
        assert not np.array_equal(one.draws["mu"][0], one.draws["mu"][1])


@pytest.mark.parametrize("name", ["diagonal", "full", "mixture"])
def test_rows_with_and_without_zeros_are_read_alike(name: str) -> None:
    comparisons = small_comparisons()
    difference = comparisons.difference.copy()
    difference[::3, 0] = 0.0
    drawn = []
    for least in (0.0, 1e-200):  # as good as zero, but in no row left out
        filled = np.where(difference == 0.0, least, difference)
        engine = bp.Gibbs(draws=20, warmup=20, chains=1, progress=False)
        drawn.append(quiet(engine, MODELS[name], replace(comparisons, difference=filled)).draws)
    xr.testing.assert_allclose(*drawn, rtol=1e-6)  # forty sweeps of rounding


def test_threads_of_linear_algebra_change_no_draw() -> None:
    # Large enough that they would share the work, and round otherwise.
    comparisons = bp.simulate(users=1000, comparisons=20, features=30, contexts=0).comparisons
    engine = gibbs(draws=5, warmup=10, chains=2, cores=1)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            found.append(quiet(engine, bp.PooledReward(), comparisons).draws)
    assert found[0].identical(found[1])


def test_an_interrupt_keeps_the_draws_so_far_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    # The memory for a million draws of these users is reserved but never touched.
    endless = bp.Gibbs(draws=1_000_000, warmup=20, chains=2, progress=False)
    interrupt_after(2 * (20 + 1000), chains, monkeypatch)
    with pytest.warns(bp.ConvergenceWarning) as caught:
        posterior = bp.fit(bp.HierarchicalReward(), small_comparisons(), endless)
    assert any("interrupted" in str(warning.message) for warning in caught)
    assert posterior.run.complete is False
    assert 4 <= posterior.draws.sizes["draw"] < 1_000_000
    assert np.isfinite(posterior.draws["weights"].to_numpy()).all()
    assert any(finding.statistic == "incomplete" for finding in posterior.findings)


def test_an_interrupt_before_any_draw_is_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = bp.Gibbs(draws=10, warmup=100_000_000, chains=1, progress=False)
    interrupt_after(1, chains, monkeypatch)
    with pytest.raises(KeyboardInterrupt, match="before there were draws"):
        bp.fit(bp.HierarchicalReward(), small_comparisons(), endless)


def test_separated_choices_still_give_finite_draws() -> None:
    frame = small_comparisons().to_frame()
    frame["choice"] = (frame["brief"] > 0).astype(int)
    comparisons = bp.Comparisons.from_frame(
        frame, user="person", choice="choice", difference=["brief", "polite"]
    )
    for model in (bp.PooledReward(), bp.HierarchicalReward(covariance="full")):
        posterior = quiet(gibbs(), model, comparisons)
        assert np.isfinite(posterior.draws["mu"].to_numpy()).all()
        assert float((posterior.draws["mu"].sel(feature="brief") > 0).mean()) > 0.95


def test_more_features_than_users_and_uneven_counts_can_be_fitted() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)
        world = bp.simulate(users=4, comparisons=3, features=8, unequal=1.0, seed=0)
        for covariance in ("diagonal", "full"):
            model = bp.HierarchicalReward(covariance=covariance)
            posterior = quiet(gibbs(), model, world.comparisons)
            assert np.isfinite(posterior.draws["weights"].to_numpy()).all()


@pytest.mark.parametrize("model", [bp.PooledReward(), bp.HierarchicalReward()], ids=repr)
def test_thinning_keeps_every_so_manieth_of_the_same_sweeps(model: bp.RewardModel) -> None:
    comparisons = small_comparisons()
    whole = quiet(gibbs(draws=60, warmup=20), model, comparisons)
    thinned = quiet(gibbs(draws=20, warmup=20, thin=3), model, comparisons)
    np.testing.assert_array_equal(thinned.draws["mu"], whole.draws["mu"][:, 2::3])
    np.testing.assert_array_equal(thinned.sample_stats["lp"], whole.sample_stats["lp"][:, 2::3])
