"""The permutation test: its level in worlds where exchangeability fails, and its scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import kstest

import bayes_pref as bp
from bayes_pref.diagnostics.confounding.null_scores import EfficientScores, null_scores
from bayes_pref.diagnostics.confounding.permutation import permutation_p_values
from bayes_pref.models.regressors import exposures

Array = np.ndarray


def null_world(rng: np.random.Generator, coupling: float = 0.0) -> tuple[EfficientScores, Array]:
    """Scores and exposure of users whose number of comparisons and differences go with exposure.

    Users with extreme contexts make many comparisons, and one feature is an interaction.
    """
    users = 60
    decides = rng.standard_normal(users)
    counts = np.where(np.abs(decides) > 1.2, 25, 3)
    user = np.repeat(np.arange(users), counts)
    frame = pd.DataFrame({"brief": rng.standard_normal(user.size), "who": user})
    frame["hard"] = decides[user] + rng.standard_normal(user.size)
    mu, tau = np.array([0.7, 0.4]), np.array([0.9, 0.6])
    weights = mu + coupling * decides[:, None] + tau * rng.standard_normal((users, 2))
    design = np.column_stack([frame["brief"], frame["brief"] * frame["hard"]])
    p = expit((design * weights[user]).sum(axis=1))
    frame["won"] = (rng.random(user.size) < p).astype(int)
    comparisons = bp.Comparisons.from_frame(
        frame,
        user="who",
        choice="won",
        difference=["brief"],
        context=["hard"],
        interactions="all",
    )
    scores = null_scores(comparisons, np.tile(mu, (users, 1)), np.diag(tau**2))
    return scores, exposures(comparisons)


def p_values(world: str, replications: int = 300) -> Array:
    found = []
    for seed in range(replications):
        rng = np.random.default_rng([seed, 77])
        scores, z = null_world(rng, coupling=0.5 if world == "dependent" else 0.0)
        if world == "one information for all":
            equal = np.broadcast_to(scores.information.mean(axis=0), scores.information.shape)
            scores = EfficientScores(scores.score, equal)
        p = permutation_p_values(scores, z, np.empty((len(z), 0)), permutations=199, rng=rng)
        found.append(
            p.p_value - rng.random() / 200
        )  # makes a p-value of 199 permutations continuous
    return np.array(found)


@pytest.mark.slow
def test_p_values_are_uniform_where_preferences_have_nothing_to_do_with_exposure() -> None:
    assert kstest(p_values("null"), "uniform").pvalue > 1e-3
    # Partners that must fail: a world with dependence, and a statistic that ignores that more is
    # known about users with extreme exposures.
    assert kstest(p_values("dependent"), "uniform").pvalue < 1e-6
    assert kstest(p_values("one information for all"), "uniform").pvalue < 1e-6


def test_scores_have_the_variance_that_they_claim() -> None:
    rng = np.random.default_rng(0)
    users, each, mu, tau = 4000, 6, np.array([0.7, -0.4]), np.array([1.2, 0.8])
    difference = rng.standard_normal((each, 2))  # everyone is asked the same
    weights = mu + tau * rng.standard_normal((users, 2))
    won = rng.random((users, each)) < expit(weights @ difference.T)
    frame = pd.DataFrame(np.tile(difference, (users, 1)), columns=["brief", "polite"])
    frame = frame.assign(who=np.repeat(np.arange(users), each), won=won.ravel().astype(int))
    comparisons = bp.Comparisons.from_frame(
        frame, user="who", choice="won", difference=["brief", "polite"]
    )

    def deviation(spread: Array) -> float:
        scores = null_scores(comparisons, np.tile(mu, (users, 1)), np.diag(spread**2))
        root = np.linalg.inv(np.linalg.cholesky(scores.information[0]))
        white = scores.score @ root.T
        return float(np.abs(white.T @ white / users - np.eye(2)).max())

    # Covariances of sigmoids are taken to first order, off by a few per cent at such spreads; the
    # Monte Carlo error of a variance is sqrt(2 / 4000).
    assert deviation(tau) < 4 * np.sqrt(2 / users) + 0.06
    assert deviation(np.full(2, 1e-6)) > 0.3  # without the users' spread, far too little


def test_exchangeable_exposures_make_the_test_exact_and_order_of_users_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    scores, z = null_world(rng)
    none = np.empty((len(z), 0))
    # Among all exposures that are permutations of one another, p-values are spread evenly.
    many = [
        permutation_p_values(
            scores, rng.permutation(z), none, permutations=99, rng=np.random.default_rng(seed)
        ).p_value
        for seed in range(400)
    ]
    assert abs(np.mean(np.array(many) <= 0.2) - 0.2) < 4.5 * np.sqrt(0.16 / 400)
    assert abs(np.mean(many) - 0.505) < 4.5 / np.sqrt(12 * 400)
