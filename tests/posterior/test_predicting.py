"""Each row of a table is predicted for its own user, in the columns that the fit had."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_comparisons, made_posterior
from scipy.special import softmax

import bayes_pref as bp
from bayes_pref.draws import stack_last

ESTIMATE = ["mean", "sd", "lower", "upper"]


def weights(posterior: bp.Posterior) -> np.ndarray:
    """Draws (user, feature, sample)."""
    return stack_last(posterior.weights_draws(), "user", "feature")


def sides(rng: np.random.Generator, rows: int = 40) -> pd.DataFrame:
    """Pairs with a number and a word on either side, and a context."""
    frame = pd.DataFrame(rng.normal(size=(rows, 3)), columns=["price_a", "price_b", "hard"])
    for side in "ab":
        frame[f"brand_{side}"] = rng.permutation(np.resize(["A", "B", "C"], rows))
    frame["price"] = 99.0  # a column that is called like the feature, and is not it
    return frame.assign(who=np.resize(["zoe", "ann", "bob"], rows), chosen=rng.integers(0, 2, rows))


def from_sides(frame: pd.DataFrame) -> bp.Comparisons:
    return bp.Comparisons.from_frame(
        frame,
        user="who",
        choice="chosen",
        left=["price_a", "brand_a"],
        right=["price_b", "brand_b"],
        context=["hard"],
        interactions=[("price", "hard")],
    )


def test_differences_are_predicted_as_preference_does() -> None:
    posterior = made_posterior(made_comparisons(interactions=True))
    frame = posterior.comparisons.to_frame().sample(frac=1.0, random_state=0)
    found = posterior.predict(frame, interval=0.8)
    expected = posterior.preference(frame, interval=0.8)
    assert found.index.equals(frame.index)
    columns = ["user", *ESTIMATE, "epistemic", "aleatoric"]
    pd.testing.assert_frame_equal(found[columns].reset_index(drop=True), expected[columns])


def test_both_sides_are_found_in_the_columns_of_the_fitted_table(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    posterior = made_posterior(from_sides(sides(rng)))
    new = sides(rng, 12).drop(columns="chosen").set_axis([f"row {k}" for k in range(12)])
    read = from_sides(new.assign(chosen=[0, 1] * 6))
    w, back = weights(posterior), read.rows.get_indexer(new.index)
    codes = posterior.comparisons.users.get_indexer(new["who"])
    eta = np.einsum("nf,nfs->ns", read.difference[back], w[codes])
    chance = 1 / (1 + np.exp(-eta))
    found = posterior.predict(new, interval=0.8)
    assert found.index.equals(new.index)
    assert list(found["user"]) == list(new["who"])
    np.testing.assert_allclose(found["mean"], chance.mean(axis=1))
    np.testing.assert_allclose(found["lower"], np.quantile(chance, 0.1, axis=1))
    path = tmp_path / "posterior.nc"
    posterior.save(path)
    pd.testing.assert_frame_equal(bp.Posterior.load(path).predict(new, interval=0.8), found)
    with pytest.raises(bp.DataError, match="'brand_b'"):
        posterior.predict(new.drop(columns="brand_b"))
    with pytest.raises(bp.DataError, match="'price_a'"):
        posterior.predict(new[["who", "hard"]])


@pytest.mark.parametrize("beside", [False, True])
def test_items_are_found_in_the_columns_of_the_fitted_table(beside: bool) -> None:
    rng = np.random.default_rng(3)
    pairs = np.array(["tea", "milk", "mate"])[[rng.permutation(3)[:2] for _ in range(24)]]
    votes = pd.DataFrame(pairs, columns=["first", "second"])
    votes = votes.assign(who=np.arange(24) % 4, chosen=rng.integers(0, 2, 24), warm=rng.normal())
    votes["warm"] = rng.normal(size=24)
    extra: dict[str, Any] = {"attributes": {"warm": "warm"}} if beside else {}
    data = bp.Comparisons.from_items(
        votes, user="who", left="first", right="second", choice="chosen", **extra
    )
    posterior = made_posterior(data)
    found = posterior.predict(votes)
    eta = np.einsum("nf,nfs->ns", data.difference, weights(posterior)[data.user])
    expected = (1 / (1 + np.exp(-eta))).mean(axis=1)
    np.testing.assert_allclose(found["mean"].loc[data.rows], expected)
    with pytest.raises(bp.DataError, match="unknown item 'coffee'"):
        posterior.predict(votes.replace("milk", "coffee"))


def tasks(rng: np.random.Generator, none: bool) -> pd.DataFrame:
    """Three alternatives a task, and a row of the outside option if it has one."""
    rows = []
    for task in range(12):
        for place in ["x", "y", "z"] + ["no"] * none:
            given = place != "no"
            price, brand = (rng.normal(), rng.choice(["A", "B"])) if given else (np.nan, None)
            rows.append((f"user {task % 3}", task, place, price, brand, float(place == "y")))
    columns = ["who", "question", "option", "price", "brand", "bought"]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize("none", [None, "no", True])
@pytest.mark.parametrize("lapse", [False, True])
def test_alternatives_of_tasks_have_the_probabilities_of_a_softmax(none: Any, lapse: bool) -> None:
    rng = np.random.default_rng(1)
    frame = tasks(rng, none == "no")
    data = bp.Comparisons.from_tasks(
        frame,
        user="who",
        task="question",
        choice="bought",
        alternative="option",
        attributes=["price", "brand"],
        none=none,
    )
    posterior = made_posterior(data, bp.HierarchicalReward(lapse=lapse))
    w = weights(posterior)
    brand = {"A": -1.0, "B": 1.0}  # effect coded
    shuffled = frame.sample(frac=1.0, random_state=0).drop(columns="bought")
    found = posterior.predict(shuffled)
    assert found.index.equals(shuffled.index)
    assert list(found["task"]) == list(shuffled["question"])
    rate = posterior.draws["lapse"].to_numpy().ravel() if lapse else 0.0
    for _, part in frame.groupby("question"):
        features = np.array(
            [
                [0.0, 0.0, 1.0] if row.option == "no" else [row.price, brand[row.brand], 0.0]
                for row in part.itertuples()
            ]
        )
        if none is True:
            features = np.vstack([features, [0.0, 0.0, 1.0]])
        if none is None:
            features = features[:, :2]
        user = data.users.get_loc(part["who"].iloc[0])
        chance = softmax(features @ w[user], axis=0)
        chance = (1 - rate) * chance + rate / len(features)
        np.testing.assert_allclose(found.loc[part.index, "mean"], chance.mean(axis=1)[: len(part)])
    total = found.groupby(["user", "task"])["mean"].sum()
    assert (total < 1.0 - 1e-6).all() if none is True else np.allclose(total, 1.0)


def test_of_pairs_that_were_read_as_tasks_the_first_row_is_left() -> None:
    frame = tasks(np.random.default_rng(2), none=False).query("option != 'z'")
    data = bp.Comparisons.from_tasks(
        frame, user="who", task="question", choice="bought", attributes=["price"]
    )
    model = bp.HierarchicalReward(position=True)
    posterior = made_posterior(data, model)
    bias = posterior.draws["position"].to_numpy().ravel()
    eta = np.einsum("nf,nfs->ns", data.difference, weights(posterior)[data.user]) + bias
    left = (1 / (1 + np.exp(-eta))).mean(axis=1)
    found = posterior.predict(frame).set_index("task", append=True).swaplevel()["mean"]
    firsts = frame.groupby("question").head(1)
    np.testing.assert_allclose(found.groupby("task").sum(), 1.0)
    got = found.loc[list(zip(firsts["question"], firsts.index, strict=True))].droplevel(1)
    np.testing.assert_allclose(got.loc[data.rows], left)
    with pytest.raises(bp.DataError, match="the fitted tasks have two"):
        posterior.predict(tasks(np.random.default_rng(2), none=False))


def test_users_who_were_not_fitted_are_refused_or_new() -> None:
    posterior = made_posterior()
    frame = posterior.comparisons.to_frame().head(3)
    stranger = frame.assign(user=["zoe", "eve", "eve"])
    with pytest.raises(bp.DataError, match="'user': user 'eve' is not in the posterior in row"):
        posterior.predict(stranger)
    found = posterior.predict(stranger, new_users="population")
    alone = posterior.preference(frame.drop(columns="user"), users="population")
    np.testing.assert_allclose(found["mean"].iloc[1:], alone["mean"].iloc[1:])
    known = posterior.predict(frame.head(1).assign(user="zoe"))
    pd.testing.assert_frame_equal(found.head(1), known)
    with pytest.raises(bp.DataError, match="no column 'user' of users"):
        posterior.predict(frame.drop(columns="user"))
    everyone = posterior.predict(frame.drop(columns="user"), new_users="population")
    assert set(everyone["user"]) == {"population"}
    with pytest.raises(bp.DataError, match="new_users must be 'refuse' or 'population'"):
        posterior.predict(frame, new_users="ignore")  # type: ignore[arg-type]


def test_users_who_answer_at_random_are_predicted_to() -> None:
    posterior = made_posterior(made_comparisons(), bp.HierarchicalReward(reliability=True))
    careless = posterior.draws["careless"]
    values = np.broadcast_to([1.0, 0.0, 0.0, 0.0], careless.shape)
    changed = posterior.draws.assign(careless=careless.copy(data=values))
    posterior = replace(posterior, draws=changed)
    found = posterior.predict(posterior.comparisons.to_frame()).set_index("user")["mean"]
    np.testing.assert_allclose(found["zoe"], 0.5)
    assert (found[["ann", "bob", "kim"]] - 0.5).abs().max() > 0.1


def test_tasks_that_make_no_choice_are_refused() -> None:
    rng = np.random.default_rng(1)
    frame = tasks(rng, none=False).assign(hard=1.0)
    data = bp.Comparisons.from_tasks(
        frame,
        user="who",
        task="question",
        choice="bought",
        attributes=["price"],
        context=["hard"],
        interactions="all",
    )
    posterior = made_posterior(data)
    with pytest.raises(bp.DataError, match="task 0 has 1 alternative"):
        posterior.predict(frame.iloc[2:])
    with pytest.raises(bp.DataError, match="'question'"):
        posterior.predict(frame.drop(columns="question"))
    with pytest.raises(bp.DataError, match="'hard': row 1 differs from row 0"):
        posterior.predict(frame.assign(hard=np.arange(len(frame), dtype=float)))
