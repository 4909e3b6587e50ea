"""Simulated choice tasks: answers have the probabilities of the model, and the truth is true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

import bayes_pref as bp
from bayes_pref.data import PairedChoice
from bayes_pref.simulation.choice_tasks import draw_task_answers

BRANDS = {"brand": ["A", "B", "C"], "size": ["S", "L"]}


def rewards(world: bp.World) -> np.ndarray:
    """(task, alternative) rewards of the users of a world, from its raw table and true weights."""
    features, frame = world.comparisons.features, world.frame
    outside = frame["alternative"] == "none"
    design = features.matrix(frame.assign(none=outside.astype(float)))
    weights = world.truth.weights.loc[frame["user"]].to_numpy()
    return (design * weights).sum(axis=1).reshape(frame["task"].nunique(), -1)


@pytest.mark.parametrize(
    ("knobs", "columns"),
    [
        ({"alternatives": 4}, ["choice"]),
        ({"alternatives": 3, "none": True, "categories": BRANDS}, ["choice"]),
        ({"alternatives": 1, "none": True}, ["choice"]),
        ({"categories": BRANDS, "features": 0, "interactions": True}, ["choice"]),
        ({"alternatives": 5, "best_worst": True, "none": True}, ["best", "worst"]),
        ({"alternatives": 4, "rankings": 2, "none": True, "interactions": True}, ["rank"]),
        ({"alternatives": 3, "rankings": True, "covariates": 1, "lapses": 0.2}, ["rank"]),
    ],
)
def test_the_raw_table_makes_the_same_tasks(knobs: dict[str, Any], columns: list[str]) -> None:
    world = bp.simulate(users=20, comparisons=6, seed=1, **knobs)
    frame, data = world.frame, world.comparisons
    assert list(frame)[: 3 + len(columns)] == ["user", "task", "alternative", *columns]
    assert data.feature_names == tuple(world.truth.weights.columns)
    size = knobs.get("alternatives", 2) + knobs.get("none", False)
    assert frame.groupby("task").size().eq(size).all()
    chances = world.truth.comparisons["probability"]
    expected = softmax(rewards(world), axis=1)
    if isinstance(data.outcome, PairedChoice):
        assert size == 2
        assert chances.to_numpy() == pytest.approx(expected[:, 0])
        assert chances.index.tolist() == data.rows.tolist()
    else:
        assert chances.to_numpy() == pytest.approx(expected.ravel())
        assert len(np.unique(data.outcome.task)) == 120
        eta = (data.difference * world.truth.weights.to_numpy()[data.user]).sum(axis=1)
        label = data.rows.to_frame(index=False).astype(object)
        place = pd.Series(
            np.log(expected.ravel()), pd.MultiIndex.from_frame(frame[["task", "alternative"]])
        )
        one, other = (
            place.loc[list(zip(label["task"], label[name], strict=True))].to_numpy()
            for name in ("better", "worse")
        )
        assert eta == pytest.approx(one - other)
    assert repr(world).startswith("World: 20 users, 120 ")


def test_answers_have_the_probabilities_of_the_model() -> None:
    reward, count = np.array([0.8, 0.0, -0.5, 0.3]), 100_000
    answers = draw_task_answers(np.tile(reward, (count, 1)), 0.0, np.random.default_rng(0))
    share = softmax(reward)
    # Standard errors of shares of 100,000 independent tasks are at most 0.0016; 4.5 of them.
    for first in range(4):
        of = answers.place[:, first] == 1
        assert of.mean() == pytest.approx(share[first], abs=4.5 * 0.0016)
        rest = [k for k in range(4) if k != first]
        error = 4.5 * 0.5 / np.sqrt(of.sum())
        for position, chance in zip(rest, softmax(reward[rest]), strict=True):
            assert (answers.place[of, position] == 2).mean() == pytest.approx(chance, abs=error)
        for position, chance in zip(rest, softmax(-reward[rest]), strict=True):
            assert (answers.worst[of] == position).mean() == pytest.approx(chance, abs=error)
    # The wrong partner: the last of the ranking is not the worst that is named.
    last = np.bincount(answers.place.argmax(axis=1), minlength=4) / count
    named = np.bincount(answers.worst, minlength=4) / count
    assert np.abs(last - named).max() > 4.5 * 0.0016 * np.sqrt(2)
    lapsed = draw_task_answers(np.tile(reward, (count, 1)), 0.3, np.random.default_rng(1))
    assert lapsed.lapsed.mean() == pytest.approx(0.3, abs=4.5 * 0.0015)
    assert (lapsed.place[lapsed.lapsed, 0] == 1).mean() == pytest.approx(0.25, abs=4.5 * 0.0025)


@pytest.mark.slow
def test_p_do_and_p_obs_are_those_of_many_users() -> None:
    knobs: dict[str, Any] = {
        "alternatives": 3,
        "none": True,
        "features": 2,
        "confounding": 0.7,
        "categories": {"brand": ["A", "B"]},
        "interactions": True,
        "covariates": 1,
    }
    world = bp.simulate(users=2_500, comparisons=1, seed=3, **knobs)
    frame = world.frame[world.frame["task"] <= 20]
    rows = world.truth.comparisons
    features = world.comparisons.features
    outside = (frame["alternative"] == "none").astype(float)
    design = features.matrix(frame.assign(none=outside)).reshape(20, 4, -1)
    chance = softmax(np.einsum("tkf,uf->utk", design, world.truth.weights.to_numpy()), axis=2)
    truth = {name: rows[name].to_numpy()[:80].reshape(20, 4) for name in ("p_do", "p_obs")}
    error = chance.std(axis=0) / np.sqrt(len(chance))
    points = 0.004  # of the quasi-random points
    assert (np.abs(chance.mean(axis=0) - truth["p_do"]) < 4.5 * error + points).all()
    # Those who see the context: weighted by how likely they are to, given their exposure.
    exposure = world.truth.exposure.to_numpy()[:, 0]
    missed = []
    for task in range(20):
        seen = frame["context_1"].to_numpy()[4 * task]
        weight = np.exp(-((seen - np.sqrt(0.5) * exposure) ** 2) / (2 * 0.5))
        weight /= weight.sum()
        found = weight @ chance[:, task]
        error = np.sqrt((weight**2) @ (chance[:, task] - found) ** 2)
        assert (np.abs(found - truth["p_obs"][task]) < 4.5 * error + points).all()
        missed.append((np.abs(found - truth["p_do"][task]) > 4.5 * error + points).any())
    assert any(missed)  # the wrong partner: the average over everyone
    calm = bp.simulate(users=20, seed=3, **(knobs | {"confounding": 0.0})).truth.comparisons
    assert (calm["shift"] == 0).all()


def test_levels_are_balanced_and_numbers_differ_as_in_pairs() -> None:
    world = bp.simulate(users=60, comparisons=20, alternatives=4, features=2, categories=BRANDS)
    counts = world.frame["brand"].value_counts()
    assert counts.max() - counts.min() <= 1
    assert world.comparisons.difference[:, :2].std() == pytest.approx(1.0, abs=0.1)
    more = bp.simulate(users=60, comparisons=20, alternatives=4, features=2)
    np.testing.assert_array_equal(more.frame["feature_1"], world.frame["feature_1"])


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"alternatives": 1}, "alternatives must be a whole number of at least 2, got 1"),
        ({"none": 1}, "none must be True or False, got 1"),
        ({"alternatives": 3, "ties": 0.2}, "ties=0.2 is for choices between two; leave it out"),
        ({"alternatives": 3, "position": 0.2}, "position=0.2 is for choices between two"),
        ({"best_worst": True}, "best_worst=True needs at least 3 alternatives"),
        (
            {"alternatives": 4, "best_worst": True, "rankings": True},
            "best_worst= and rankings= are",
        ),
        ({"alternatives": 4, "rankings": 4}, "rankings must be a whole number from 1 to 3, got 4"),
        (
            {"categories": {"brand": ["A"]}},
            "categories: 'brand' must be a list of at least 2 level",
        ),
        (
            {"categories": ["brand"]},
            r"categories must be a dict of levels by name.* got \['brand'\]",
        ),
        (
            {"categories": {"brand": 3}},
            "categories: 'brand' must be a list of at least 2 levels, got 3",
        ),
        ({"categories": {"brand": ["A", "A"]}}, "attribute 'brand' has levels that are written al"),
        ({"categories": {"task": ["A", "B"]}}, "two columns would be named 'task'"),
        (
            {"users": 1, "comparisons": 1, "categories": {"brand": list("ABCDE")}},
            "categories: 'brand' has 5 levels for 2 rows",
        ),
    ],
)
def test_tasks_that_cannot_be_are_refused(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(bp.DataError, match=message):
        bp.simulate(**knobs)
