"""Predictive checks: statistics by hand, worlds in which they must and must not speak up."""

from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_posterior
from scipy.stats import binom

import bayes_pref as bp
from bayes_pref.evaluation.choice_statistics import cyclic_triads, repeated_pairs, spread_of_users

GIBBS = bp.Gibbs(draws=300, chains=2, warmup=200, progress=False)


def fit(model: bp.RewardModel, comparisons: bp.Comparisons, seed: int = 0) -> bp.Posterior:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return bp.fit(model, comparisons, GIBBS, seed=seed)


def p_values(posterior: bp.Posterior, users: str = "same") -> pd.Series:
    return bp.posterior_predictive_check(posterior, users=users).set_index("statistic")["p"]


def votes(pairs: list[tuple[str, str, str, int]]) -> bp.Comparisons:
    frame = pd.DataFrame(pairs, columns=["who", "first", "second", "won"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)
        return bp.Comparisons.from_items(
            frame, user="who", left="first", right="second", choice="won"
        )


def test_statistics_are_those_counted_by_hand() -> None:
    data = votes(
        [
            ("ann", "x", "y", 1),  # x over y
            ("ann", "y", "x", 0),  # x over y again, from the other side
            ("ann", "y", "z", 1),
            ("bob", "x", "y", 0),  # bob disagrees
            ("bob", "z", "x", 1),
        ]
    )
    agree = repeated_pairs(data)
    assert agree["agreement of a user's answers to the same pair"](data.choice[None]) == [1.0]
    # ann's two answers about x and y against bob's one.
    assert agree["agreement of different users about the same pair"](data.choice[None]) == [0.0]
    cycles = cyclic_triads(data)
    assert cycles is not None
    both = np.stack([data.choice, data.choice])
    both[1, 4] = 0.0  # x over z: no circle
    assert cycles(both).tolist() == [1.0, 0.0]
    spread = spread_of_users(data, np.ones(5))
    assert spread is not None
    shares, counts = np.array([2 / 3, 1 / 2]), np.array([3, 2])
    mean = (shares * counts).sum() / 5
    by_hand = np.sqrt((counts * (shares - mean) ** 2).sum() / 5)
    assert spread(data.choice[None])[0] == pytest.approx(by_hand)


def test_users_who_differ_fail_the_pooled_model_and_pass_the_hierarchical_one() -> None:
    world = bp.simulate(
        users=80, comparisons=20, features=2, contexts=0, heterogeneity=1.2, seed=1
    ).comparisons
    spread = [f"users' spread: feature_{k}" for k in (1, 2)]
    pooled = p_values(fit(bp.PooledReward(), world))
    assert (pooled[spread] < 0.01).all()
    for users in ("same", "new"):
        passed = p_values(fit(bp.HierarchicalReward(), world), users)
        assert (passed[spread] > 0.01).all()


def test_a_left_hand_habit_shows_in_the_share_of_left() -> None:
    world = bp.simulate(users=40, comparisons=20, features=2, contexts=0, seed=2)
    frame = world.frame.copy()
    habit = np.random.default_rng(0).random(len(frame)) < 0.3
    frame["choice"] = np.where(habit, 1, frame["choice"])
    features = list(world.comparisons.feature_names)
    biased = bp.Comparisons.from_frame(frame, user="user", choice="choice", difference=features)
    assert p_values(fit(bp.HierarchicalReward(), biased))["share of left"] < 0.01
    assert p_values(fit(bp.HierarchicalReward(), world.comparisons))["share of left"] > 0.01


def test_majorities_that_go_round_in_circles_show() -> None:
    rng = np.random.default_rng(3)
    names = list("abcdef")
    rows = []
    for user in range(30):
        for one, other in combinations(range(6), 2):
            circle = (other - one) % 6 < 3  # each beats the next two
            rows.append((user, names[one], names[other], int(rng.random() < 0.15 + 0.7 * circle)))
    found = p_values(fit(bp.PooledReward(), votes(rows)))
    assert found["cyclic triads of items"] < 0.01
    ordered = [(u, a, b, int(rng.random() < 0.85)) for u, a, b, _ in rows]  # a over b, always
    assert p_values(fit(bp.PooledReward(), votes(ordered)))["cyclic triads of items"] > 0.01


@pytest.mark.slow
def test_false_alarms_are_rarer_than_their_level_when_the_model_is_right() -> None:
    worlds, alarms, count = 20, 0, 0
    for seed in range(worlds):
        world = bp.simulate(
            users=30, comparisons=10, features=2, contexts=0, heterogeneity=0.0, seed=seed
        )
        found = p_values(fit(bp.PooledReward(), world.comparisons, seed))
        alarms += int((found < 0.05).sum())
        count += len(found)
    # Checks of one world go together: as if each world had a single one.
    assert alarms / count * worlds <= binom.ppf(1 - 1e-3, worlds, 0.05)


def test_users_own_weights_hit_the_choices_that_they_were_fitted_to_as_often_as_others() -> None:
    world = bp.simulate(
        users=40, comparisons=5, features=4, contexts=0, heterogeneity=1.5, alternatives=4
    )
    data = world.comparisons
    posterior = fit(bp.HierarchicalReward(), data)
    found = bp.posterior_predictive_check(posterior).set_index("statistic").loc["hit rate"]
    assert found["p"] > 0.05
    # The means of the same weights, which the choices have formed, are right far too often.
    mean = posterior.weights_draws().mean(("chain", "draw")).transpose("user", "feature").to_numpy()
    ahead = (mean[data.user] * data.difference).sum(axis=1) > 0
    assert ahead.reshape(-1, 3).all(axis=1).mean() > found["upper"]


def test_arguments_out_of_range_are_refused() -> None:
    posterior = made_posterior()
    with pytest.raises(bp.DataError, match="users must be 'same' or 'new'"):
        bp.posterior_predictive_check(posterior, users="all")
    with pytest.raises(bp.DataError, match="draws must be a whole number"):
        bp.posterior_predictive_check(posterior, draws=0)
    with pytest.raises(bp.ModelError, match="expected a Posterior"):
        bp.posterior_predictive_check(3)
    with pytest.raises(bp.DataError, match=r"not what bp\.posterior_predictive_check"):
        bp.plots.checks(3)
    with pytest.raises(bp.DataError, match=r"not what bp\.evaluate"):
        bp.plots.reliability(3)


def test_the_picture_has_a_row_for_each_statistic() -> None:
    found = bp.posterior_predictive_check(made_posterior())
    axes = bp.plots.checks(found)
    names = ["".join(label.get_text().split()) for label in axes.get_yticklabels()]
    assert names == ["".join(name.split()) for name in found["statistic"]]
