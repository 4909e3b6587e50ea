"""Users whose summary is not worth enough draws: who they are, and that they are drawn anew."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, chi2

import bayes_pref as bp
from bayes_pref.convergence.statistics import effective_draws
from bayes_pref.inference.users import slow_users as module
from bayes_pref.inference.users.slow_users import slow_users, with_slow_users_anew

CHAINS, DRAWS = 2, 400


@pytest.fixture(scope="module")
def fitted() -> bp.Posterior:
    """A summary of users of whom none is slow."""
    world = bp.simulate(users=60, comparisons=12, features=3, contexts=0, seed=4)
    engine = bp.Gibbs(
        users="summary", warmup=60, draws=DRAWS, chains=CHAINS, thin=2, progress=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return bp.fit(bp.HierarchicalReward(), world.comparisons, engine, seed=2)


def copied(posterior: bp.Posterior) -> bp.Posterior:
    assert posterior.users is not None
    users = replace(posterior.users, mean=posterior.users.mean.copy(), sd=posterior.users.sd.copy())
    return replace(posterior, users=users)


@pytest.mark.parametrize("chains", [2, 4])
@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_effective_draws_are_those_of_autocorrelated_chains(
    chains: int, correlation: float
) -> None:
    """AR(1) draws are worth (1 - r) / (1 + r) of as many independent ones."""
    rng = np.random.default_rng(0)
    shape = (chains, 500, 2000, 6)  # 2,000 users with six weights each
    draws = rng.standard_normal(shape)
    for t in range(1, shape[1]):
        draws[:, t] *= np.sqrt(1.0 - correlation**2)
        draws[:, t] += correlation * draws[:, t - 1]
    total = chains * shape[1]
    between = shape[1] * draws.mean(axis=1).var(axis=0, ddof=1)
    found = effective_draws(between, draws.var(axis=1, ddof=1).mean(axis=0), total)
    slowness = total / found
    expected = (1.0 + correlation) / (1.0 - correlation)
    if correlation:  # its mean over users; 10 % for the bias of within, and of the maximum
        assert slowness.mean() == pytest.approx(expected, rel=0.1)
        # Nearly all users are worth less than a quarter of the draws.
        assert len(slow_users(found, total)) > 0.95 * shape[2]
    else:
        assert found.max() == total
        # By chance, for two chains: six chi-squared with one degree of freedom have a mean above 4.
        assert len(slow_users(found, total)) <= 2 + binom.isf(1e-3, shape[2], chi2.sf(24.0, 6))


def test_one_weight_that_stands_still_in_each_chain_makes_a_user_slow() -> None:
    between, within = np.ones((3, 20)), np.ones((3, 20))
    between[1, 7] = 60.0
    between[2], within[2] = 0.0, 0.0  # fixed by the model
    assert slow_users(effective_draws(between, within, 800), 800).tolist() == [1]


def test_slow_users_are_drawn_anew_and_nobody_else(fitted: bp.Posterior) -> None:
    posterior = copied(fitted)
    assert posterior.users is not None
    assert fitted.users is not None
    slow = [3, 40]
    posterior.users.mean[slow] = 9.0
    posterior.users.sd[slow] = 9.0
    effective = np.full(60, 800.0)
    effective[slow] = 50.0
    found = with_slow_users_anew(posterior, effective, seed=0).users
    assert found is not None
    others = np.delete(np.arange(60), slow)
    for name in ("mean", "sd"):
        now, before = (getattr(users, name).to_numpy() for users in (found, fitted.users))
        np.testing.assert_array_equal(now[others], before[others])
    # Both summaries are of the same posterior: 12 numbers within Monte Carlo error of two runs.
    assert compared(fitted, found.mean.to_numpy(), found.sd.to_numpy(), slow) < 4.5
    assert compared(fitted, found.mean.to_numpy()[::-1], found.sd.to_numpy(), slow) > 4.5


def test_all_users_drawn_anew_have_the_posterior_of_the_chains(
    fitted: bp.Posterior, monkeypatch: pytest.MonkeyPatch
) -> None:
    posterior = copied(fitted)
    before = posterior.users.mean.copy() if posterior.users else None
    with_slow_users_anew(posterior, np.ones(60), seed=0)  # nobody: all seem slow
    assert posterior.users is not None
    assert posterior.users.mean.equals(before)
    monkeypatch.setattr(module, "_MOST", 1.0)
    monkeypatch.setattr(module, "_AT_A_TIME", 25)  # three parts
    found = with_slow_users_anew(posterior, np.ones(60), seed=0).users
    assert found is not None
    mean, sd = found.mean.to_numpy(), found.sd.to_numpy()
    assert compared(fitted, mean, sd, range(60)) < 4.5
    assert compared(fitted, mean + 0.3 * sd, sd, range(60)) > 4.5


def compared(
    posterior: bp.Posterior, mean: np.ndarray, sd: np.ndarray, users: list[int] | range
) -> float:
    """Largest distance of means and of sds, in Monte Carlo standard errors.

    Those of a mean and of a sd of n independent draws, sd / sqrt(n) and sd / sqrt(2 n), of two
    samples, the first with half as many effective draws as draws.
    """
    assert posterior.users is not None
    own = list(users)
    before_mean, before_sd = (
        posterior.users.mean.to_numpy()[own],
        posterior.users.sd.to_numpy()[own],
    )
    error = before_sd * np.sqrt((1.0 / 0.5 + 1.0) / (CHAINS * DRAWS))
    of_means = np.abs(mean[own] - before_mean) / error
    of_sds = np.abs(sd[own] - before_sd) / (error / np.sqrt(2.0))
    return float(max(of_means.max(), of_sds.max()))


def test_a_model_whose_users_cannot_be_drawn_is_left_as_it_is() -> None:
    world = bp.simulate(users=30, comparisons=12, features=2, contexts=0, seed=4)
    engine = bp.Gibbs(users="summary", warmup=20, draws=40, chains=2, progress=False)
    model = bp.HierarchicalReward(constraints={"feature_1": "positive"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        posterior = bp.fit(model, world.comparisons, engine, seed=2)
    assert posterior.users is not None
    before = posterior.users.mean.copy()
    with_slow_users_anew(posterior, np.append(np.full(29, 80.0), 1.0), seed=0)
    assert posterior.users.mean.equals(before)
