"""Simulated contexts, differences and choices have the requested distributions."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from bayes_pref.errors import DataError
from bayes_pref.simulation import assistant_world, simulate

# Standard errors that a true statement may be off by chance: each test makes at most some dozens
# of them, and a normal deviate exceeds 4.5 once in 150,000.
LIMIT = 4.5


def test_probability_is_the_chance_that_the_user_chooses_left() -> None:
    world = simulate(users=3_000, features=["length", "tone"], interactions=True, seed=2)
    data, truth = world.comparisons, world.truth
    assert tuple(truth.weights) == data.feature_names == tuple(truth.mu.index)
    assert truth.weights.index.equals(data.users)
    assert truth.comparisons.index.equals(data.rows)
    product = world.frame["tone"] * world.frame["context_1"]
    np.testing.assert_array_equal(data.difference[:, 3], product)

    probability = truth.comparisons["probability"].to_numpy()
    weights = truth.weights.to_numpy()[data.user]
    np.testing.assert_allclose(probability, expit((data.difference * weights).sum(1)))
    # Given the weights, choices are independent coins of these probabilities, in every tenth.
    tenth = np.clip((10 * probability).astype(int), 0, 9)
    hits = np.bincount(tenth, data.choice - probability)
    error = np.sqrt(np.bincount(tenth, probability * (1 - probability)))
    assert np.abs(hits / error).max() < LIMIT
    assert np.abs(np.bincount(tenth, data.choice - 0.5) / error).max() > 2 * LIMIT


def test_contexts_lie_between_and_within_users_as_asked() -> None:
    n, m = 10_000, 10
    data = simulate(users=n, comparisons=m, intraclass=0.3, overlap=0.5, seed=4).comparisons
    x = data.context[:, 0].reshape(n, m)
    within = x.var(axis=1, ddof=1).mean()
    between = x.mean(axis=1).var(ddof=1) - within / m
    expected = 0.7 * 0.5**2
    assert abs(within - expected) < LIMIT * expected * np.sqrt(2 / (n * (m - 1)))
    assert abs(between - 0.3) < LIMIT * (0.3 + expected / m) * np.sqrt(2 / n)


def test_without_overlap_a_user_always_sees_the_same_context() -> None:
    world = simulate(users=50, contexts=2, overlap=0.0, confounding=0.5)
    contexts = world.frame.groupby("user")[["context_1", "context_2"]]
    assert (contexts.min() == contexts.max()).all(axis=None)
    assert world.frame["context_1"].nunique() == 50
    # Then the context tells the exposure, and with full confounding the weights: nothing varies.
    told = simulate(users=50, overlap=0.0, confounding=1.0).truth.comparisons
    np.testing.assert_allclose(told["p_obs"], told["probability"])


def test_aliased_features_cannot_be_told_apart() -> None:
    data = simulate(users=20, aliased=2, interactions=True).comparisons
    d = pd.DataFrame(data.difference, columns=list(data.feature_names))
    for copy, original in (("feature_3", "feature_1"), ("feature_4", "feature_2")):
        assert (d[copy] == d[original]).all()
        assert (d[f"{copy}:context_1"] == d[f"{original}:context_1"]).all()
    assert np.linalg.matrix_rank(data.difference) == 4
    assert np.linalg.matrix_rank(simulate(users=20, interactions=True).comparisons.difference) == 8


def test_the_raw_table_makes_the_same_comparisons() -> None:
    world = simulate(users=10, features=["length"], contexts=["hard"], covariates=["age"])
    assert list(world.frame) == ["user", "choice", "length", "hard"]
    assert set(world.frame["choice"]) == {0, 1}
    assert world.covariates is not None
    np.testing.assert_array_equal(world.comparisons.covariates, world.covariates)
    assert list(world.covariates.index) == list(world.comparisons.users)
    np.testing.assert_array_equal(world.comparisons.difference[:, 0], world.frame["length"])
    np.testing.assert_array_equal(world.comparisons.context[:, 0], world.frame["hard"])
    assert simulate(users=10).covariates is None


def test_a_seed_gives_the_same_world_again_and_another_seed_another() -> None:
    knobs: dict[str, Any] = {"users": 30, "unequal": 0.3, "ties": 0.2, "lapses": 0.1}
    one, again, other = (simulate(**knobs, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one.frame, again.frame)
    pd.testing.assert_frame_equal(one.truth.weights, again.truth.weights)
    pd.testing.assert_frame_equal(one.truth.comparisons, again.truth.comparisons)
    assert len(one.frame) != len(other.frame) or not one.frame.equals(other.frame)


def test_turning_a_knob_changes_nothing_that_it_does_not_concern() -> None:
    plain = simulate(users=30)
    shown = ["user", *plain.comparisons.feature_names, "context_1"]
    for knobs in ({"confounding": 0.7}, {"covariates": 2}, {"ties": 0.3}, {"lapses": 0.5}):
        turned = simulate(users=30, **knobs)
        pd.testing.assert_frame_equal(turned.frame[shown], plain.frame[shown])
        pd.testing.assert_series_equal(turned.truth.mu, plain.truth.mu)
        assert not np.array_equal(turned.comparisons.choice, plain.comparisons.choice)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"users": 0}, "users must be a whole number of at least 1, got 0"),
        ({"users": 2.0}, "users must be a whole number of at least 1, got 2.0"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"confounding": 1.5}, "confounding must be a number from 0 to 1, got 1.5"),
        ({"confounding": True}, "confounding must be a number from 0 to 1, got True"),
        ({"intraclass": -0.1}, "intraclass must be a number from 0 to 1, got -0.1"),
        ({"overlap": "none"}, "overlap must be a number from 0 to 1, got 'none'"),
        ({"ties": float("nan")}, "ties must be a number from 0 to 1, got nan"),
        ({"ties": 0.6, "lapses": 0.4}, r"ties \+ lapses must be below 1, got 0.6 \+ 0.4"),
        ({"lapses": 2}, "lapses must be a number from 0 to 1, got 2"),
        ({"unequal": -1}, "unequal must be a number of at least 0, got -1"),
        ({"unequal": 0.5, "comparisons": 1}, "unequal=0.5 needs comparisons to be one mean"),
        ({"unequal": 0.5, "comparisons": [2, 3], "users": 2}, "needs comparisons to be one mean"),
        ({"comparisons": 0}, "comparisons must be a whole number of at least 1"),
        ({"comparisons": 1.5}, "comparisons must be a whole number of at least 1"),
        ({"comparisons": [3, 4]}, "one for each of the 200 users, got"),
        ({"features": 0}, "features must be a whole number of at least 1, got 0"),
        ({"features": []}, "no features"),
        (
            {"features": "length"},
            "features must be a whole number or a list of names, got 'length'",
        ),
        ({"contexts": -1}, "contexts must be a whole number of at least 0, got -1"),
        ({"covariates": [1]}, r"covariates must be a whole number or a list of names, got \[1\]"),
        ({"features": ["a", "user"]}, "two columns would be named 'user'"),
        ({"features": ["a"], "contexts": ["a"]}, "two columns would be named 'a'"),
        ({"aliased": 3}, "aliased must be a whole number from 0 to 2, got 3"),
        ({"interactions": "none"}, "interactions must be True or False, got 'none'"),
        ({"interactions": True, "contexts": 0}, "interactions=True needs at least one context"),
        ({"confounding": 0.5, "contexts": 0}, "confounding=0.5 needs at least one context"),
        ({"heterogeneity": -1.0}, "heterogeneity must be at least 0, got -1"),
        ({"heterogeneity": [1.0, 2.0]}, "heterogeneity must be one number or one for each of the"),
        ({"mean": [np.inf] * 4}, "mean must be finite, got inf"),
        ({"comparisons": np.ones((2, 2), dtype=int)}, r"got \[\[1, 1\], \[1, 1\]\]"),
        ({"mean": "large"}, "mean must be numbers, got 'large'"),
        ({"correlation": -0.5}, "correlation must be symmetric, .* no negative eigenvalue"),
        ({"correlation": np.triu(np.ones((4, 4)))}, "correlation must be symmetric"),
        ({"correlation": np.eye(2)}, r"correlation must be .* matrix of shape \(4, 4\)"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_knob_out_of_range_is_named_in_one_sentence(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        simulate(**knobs)
    assert "\n" not in str(caught.value)


def test_the_assistant_world_is_confounded_labelled_and_free_of_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        world = assistant_world(seed=3)
    data = world.comparisons
    assert data.features.attributes == ("length", "detail", "warmth", "hedging")
    assert data.features.contexts == ("technical",)
    assert len(data.feature_names) == 8
    assert (data.n_users, data.users[0], data.users[-1]) == (120, "u001", "u120")
    assert data.counts.min() < 10 < 25 < data.counts.max()
    assert (world.truth.comparisons["shift"].abs() > 0.03).mean() > 0.3
    text = repr(world)
    assert text.startswith("World: 120 users, ")
    assert all(name in text and name in world._repr_html_() for name in world.truth.mu.index)
