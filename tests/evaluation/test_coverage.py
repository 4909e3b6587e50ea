"""In many worlds, 90 % intervals contain the truth 90 % of the time, and mis-scaled ones do not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.stats import norm

import bayes_pref as bp

pytestmark = pytest.mark.slow

WORLDS, USERS, EACH, FEATURES = 50, 30, 12, 3


@pytest.fixture(scope="module", params=["diagonal", "full"])
def shares(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """Where the truth lies in its posterior: for users (world, user, feature) and population.

    Each world's population is drawn from the prior that the model has (for "full", from the
    diagonal model's, so that coverage there is that of a user who allows for correlations which
    are not), which makes the coverage of the first exact.
    """
    users, population = [], []
    for seed in range(WORLDS):
        rng = np.random.default_rng([seed, 12])
        world = bp.simulate(
            users=USERS,
            comparisons=EACH,
            features=FEATURES,
            contexts=0,
            mean=2.0 * rng.standard_normal(FEATURES),
            heterogeneity=np.abs(rng.standard_normal(FEATURES)),
            seed=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bp.ConvergenceWarning)
            posterior = bp.fit(
                bp.HierarchicalReward(covariance=request.param, scale="raw"),
                world.comparisons,
                bp.Gibbs(draws=500, warmup=300, chains=2, progress=False),
                seed=seed,
            )
        draws = posterior.draws.stack(sample=("chain", "draw"))
        weights = draws["weights"].transpose("sample", "user", "feature").to_numpy()
        users.append((weights < world.truth.weights.to_numpy()).mean(axis=0))
        mu = draws["mu"].transpose("sample", "feature").to_numpy()
        population.append((mu < world.truth.mu.to_numpy()).mean(axis=0))
    return np.array(users), np.array(population)


def covered(shares: np.ndarray, interval: float = 0.9) -> bool:
    """Whether intervals contain the truth as often as they say, within four standard errors.

    Intervals of one world share a population, so the error is that of the mean over worlds, and
    at least binomial.
    """
    inside = np.abs(shares - 0.5) < interval / 2
    by_world = inside.reshape(WORLDS, -1).mean(axis=1)
    binomial = np.sqrt(interval * (1 - interval) / inside.size)
    error = max(by_world.std(ddof=1) / np.sqrt(WORLDS), binomial)
    return bool(abs(by_world.mean() - interval) < 4 * error)


def test_intervals_of_users_and_of_the_population_cover_the_truth(
    shares: tuple[np.ndarray, np.ndarray],
) -> None:
    for found in shares:
        for interval in (0.5, 0.9):
            assert covered(found, interval), np.mean(np.abs(found - 0.5) < interval / 2)


def test_a_posterior_with_sds_a_third_too_small_is_caught(
    shares: tuple[np.ndarray, np.ndarray],
) -> None:
    for found in shares:
        # A posterior shrunk around its median moves every place outwards on the normal scale.
        squeezed = norm.cdf(norm.ppf(np.clip(found, 1e-6, 1 - 1e-6)) / 0.67)
        assert not covered(squeezed)
