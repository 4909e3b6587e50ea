"""What to serve: rules against their definitions, draw by draw, for one person and for many."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_posteriors import (
    ATTRIBUTES,
    made_comparisons,
    made_posterior,
    made_votes,
    pooled_posterior,
)

import bayes_pref as bp
from bayes_pref.posterior import choosing, estimates

RULES = ("mean", "lower", "probability best", "regret")


@pytest.fixture(scope="module")
def posterior() -> bp.Posterior:
    return made_posterior(made_comparisons(range(5), covariates=True))


@pytest.fixture(scope="module")
def items() -> pd.DataFrame:
    values = np.random.default_rng(1).normal(size=(4, 3))
    return pd.DataFrame(values, ["a", "b", "c", "d"], list(ATTRIBUTES))


def rewards(posterior: bp.Posterior, items: pd.DataFrame) -> np.ndarray:
    """Draws (user, item, sample)."""
    drawn = posterior.reward_draws(items).transpose("user", "item", "chain", "draw").to_numpy()
    return drawn.reshape(*drawn.shape[:2], -1)


@pytest.mark.parametrize("rule", RULES)
def test_the_item_chosen_is_the_best_by_the_rule(
    posterior: bp.Posterior, items: pd.DataFrame, rule: str
) -> None:
    u = rewards(posterior, items)
    regret = u.max(axis=1, keepdims=True) - u
    best = np.stack([(u.argmax(axis=1) == j).mean(axis=1) for j in range(4)], axis=1)
    score = {
        "mean": (u - u.mean(axis=1, keepdims=True)).mean(axis=2),
        "lower": np.quantile(u - u.mean(axis=1, keepdims=True), 0.1, axis=2),
        "probability best": best,
        "regret": -np.quantile(regret, 0.9, axis=2),
    }[rule]
    found = posterior.choose(items, rule=rule, interval=0.8)
    order = np.argsort(-score, axis=1)
    rows = np.arange(5)
    assert list(found["user"]) == list(posterior.comparisons.users)
    assert list(found["item"]) == list(items.index[order[:, 0]])
    assert list(found["runner_up"]) == list(items.index[order[:, 1]])
    value = score[rows, order[:, 0]] * (-1.0 if rule == "regret" else 1.0)
    np.testing.assert_allclose(found["value"], value, atol=1e-12)
    np.testing.assert_allclose(found["probability_best"], best[rows, order[:, 0]])
    np.testing.assert_allclose(found["regret"], regret.mean(axis=2)[rows, order[:, 0]])


def test_only_differences_of_rewards_count(posterior: bp.Posterior, items: pd.DataFrame) -> None:
    for rule in RULES:
        one, moved = (posterior.choose(each, rule=rule) for each in (items, items + 3.0))
        pd.testing.assert_frame_equal(one, moved)


def test_blocks_of_users_change_nothing(
    posterior: bp.Posterior, items: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = items.iloc[[0, 1, 2, 3, 0, 2]].assign(user=[3, 0, 3, 0, 1, 1])
    whole = [posterior.choose(items), posterior.choose(own)]
    group = posterior.choose_for_group(items)
    monkeypatch.setattr(estimates, "BLOCK_VALUES", 1)
    monkeypatch.setattr("bayes_pref.posterior.predictions.BLOCK_VALUES", 1)
    for found, each in zip(whole, (items, own), strict=True):
        pd.testing.assert_frame_equal(posterior.choose(each), found)
    again = posterior.choose_for_group(items)
    pd.testing.assert_frame_equal(again.rules, group.rules)
    pd.testing.assert_frame_equal(again.items, group.items)


def test_each_user_may_be_offered_rows_of_their_own(
    posterior: bp.Posterior, items: pd.DataFrame
) -> None:
    own = items.iloc[[0, 1, 2, 3, 0]].assign(user=[3, 0, 3, 0, 1])
    found = posterior.choose(own).set_index("user")
    assert list(found.index) == [3, 0, 1]
    for user, names in ((3, ["a", "c"]), (0, ["b", "d"]), (1, ["a"])):
        alone = posterior.choose(items.loc[names], [user]).set_index("user")
        pd.testing.assert_frame_equal(found.loc[[user]], alone)
    assert found.loc[1, "runner_up"] is None
    assert (found.loc[1, "probability_best"], found.loc[1, "regret"]) == (1.0, 0.0)
    strangers = own.assign(user=["x", "y", "x", "y", 2])
    with pytest.warns(bp.DataWarning, match="2 users are new"):
        new = posterior.choose(strangers)
    assert list(new["user"]) == ["x", "y", 2]
    population = posterior.choose(items.loc[["b", "d"]], "population")
    assert new["item"][1] == population["item"][0]


def test_equal_items_share_the_probability_to_be_best(posterior: bp.Posterior) -> None:
    twins = pd.DataFrame([[1.0, 2.0, 3.0]] * 4, columns=list(ATTRIBUTES))
    found = posterior.choose(twins, rule="probability best")
    np.testing.assert_allclose(found["probability_best"], 0.25)
    assert (found[["item", "regret"]] == 0).all(axis=None)
    group = posterior.choose_for_group(twins)
    np.testing.assert_allclose(group.items[["p_utilitarian", "p_borda", "p_min_max_regret"]], 0.25)
    np.testing.assert_allclose(group.items[["p_condorcet", "largest_regret"]], 0.0)
    np.testing.assert_allclose(group.items[["borda", "majority"]], 0.5)


@pytest.mark.parametrize("by", [False, True])
def test_a_group_chooses_by_rules_computed_draw_by_draw(
    posterior: bp.Posterior, items: pd.DataFrame, by: bool
) -> None:
    users = [4, 0, 2, 1]
    u = rewards(posterior, items)[users]
    label = pd.Series(["x", "y", "y", "y", "x"], index=range(5))
    groups = [[0, 1], [2, 3]]  # x is 4 and 0, and y is 2 and 1: positions among `users`
    beats = np.stack([(u[:, [j]] > u).mean(axis=0) for j in range(4)])  # (j, k, s)
    beats[np.arange(4), np.arange(4)] = 0.5
    mean = np.stack([u[group].mean(axis=0) for group in groups]) if by else u
    regret = mean.max(axis=1, keepdims=True) - mean
    others = ~np.eye(4, dtype=bool)
    majority = np.where(others[:, :, None], beats, 1.0).min(axis=1)
    scores = {
        "utilitarian": u.mean(axis=0),
        "borda": np.where(others[:, :, None], beats, 0.0).sum(axis=1) / 3,
        "min_max_regret": -regret.max(axis=0),
    }
    found = posterior.choose_for_group(items, users, by=label if by else None, interval=0.8)
    for name, score in scores.items():
        first = score >= score.max(axis=0) - 1e-9
        chance = (first / first.sum(axis=0)).mean(axis=1)
        np.testing.assert_allclose(found.items[f"p_{name}"], chance, atol=1e-6)
    np.testing.assert_allclose(found.items["borda"], scores["borda"].mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(found.items["majority"], majority.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(found.items["p_condorcet"], (majority > 0.5 + 1e-6).mean(axis=1))
    row = found.rules.set_index("rule").loc["utilitarian"]
    item = list(items.index).index(row["item"])
    assert item == scores["utilitarian"].mean(axis=1).argmax()
    worst = regret[:, item].mean(axis=1).argmax()
    assert row["worst_off"] == (["x", "y"] if by else users)[worst]
    expected = [regret[worst, item].mean(), *np.quantile(regret[worst, item], [0.1, 0.9])]
    np.testing.assert_allclose(row[["regret", "lower", "upper"]].astype(float), expected)
    assert len(found.groups) == (8 if by else 0)


def made_rewards(rewards: list[list[float]], **options: object) -> bp.Posterior:
    """A posterior in which the rewards of three items are known, one row a user."""
    comparisons = made_comparisons(range(len(rewards)), **options)  # type: ignore[arg-type]
    posterior = made_posterior(comparisons)
    weights = np.broadcast_to(rewards, posterior.draws["weights"].shape)
    posterior.draws["weights"] = posterior.draws["weights"].copy(data=weights)
    return posterior


UNITS = pd.DataFrame(np.eye(3), ["a", "b", "c"], list(ATTRIBUTES))


def test_rules_that_disagree_recommend_nothing() -> None:
    # Three of five slightly prefer a; the others lose much by it.
    divided = made_rewards([[1.0, 0.8, 0.0]] * 3 + [[-5.0, 3.0, 0.0]] * 2)
    found = divided.choose_for_group(UNITS)
    assert found.item is None
    named = dict(zip(found.rules["rule"], found.rules["item"], strict=True))
    assert named == {"utilitarian": "b", "Borda": "b", "Condorcet": "a", "min-max regret": "b"}
    assert found.rules.set_index("rule").loc["Condorcet", "worst_off"] == 3
    assert found.sentence.startswith("No recommendation, because the rules disagree")
    assert "Condorcet names 'a' (100 %)" in found.sentence
    agreed = divided.choose_for_group(UNITS, [0, 1])
    assert agreed.item == "a"
    assert agreed.sentence.startswith("Serve 'a': all four rules name it")
    for each in (found, agreed):
        assert each.sentence in repr(each)
        assert "<table" in each._repr_html_()


def test_a_circle_of_majorities_has_no_condorcet_winner() -> None:
    circle = made_rewards([[3.0, 2.0, 1.0], [1.0, 3.0, 2.0], [2.0, 1.0, 3.0]])
    row = circle.choose_for_group(UNITS).rules.set_index("rule").loc["Condorcet"]
    assert (row["item"], row["probability"]) == (None, 1.0)


def test_the_worst_off_subgroup_is_the_small_one() -> None:
    people = made_rewards([[1.0, 0.0, 0.0]] * 3 + [[0.0, 2.0, 0.0]])
    group = pd.Series(["many"] * 3 + ["few"], index=range(4))
    found = people.choose_for_group(UNITS, by=group)
    assert set(found.rules["worst_off"]) == {"few", "many"}
    rules = found.rules.set_index("rule")
    assert rules.loc["utilitarian", "item"] == "a"
    assert (rules.loc["utilitarian", "worst_off"], rules.loc["utilitarian", "regret"]) == ("few", 2)
    assert rules.loc["min-max regret", ["item", "regret"]].tolist() == ["b", 1.0]
    assert found.item is None


def test_what_cannot_be_chosen_from_is_refused(
    posterior: bp.Posterior, items: pd.DataFrame
) -> None:
    with pytest.raises(bp.DataError, match="rule must be 'mean', 'lower'"):
        posterior.choose(items, rule="median")  # type: ignore[arg-type]
    with pytest.raises(bp.DataError, match="items: there are none"):
        made_posterior(made_votes()).choose([])
    with pytest.raises(bp.DataError, match="unknown user 'eve'"):
        posterior.choose(items, "eve")
    with pytest.raises(bp.DataError, match=f"offer 2 to {choosing._MOST}"):
        posterior.choose_for_group(items.iloc[:1])
    with pytest.raises(bp.DataError, match="named twice"):
        posterior.choose_for_group(items, [1, 1])
    with pytest.raises(bp.DataError, match="'average' is no group"):
        posterior.choose_for_group(items, "average")
    with pytest.raises(bp.DataError, match="none of these users is in the group 'y'"):
        posterior.choose_for_group(items, [0], by=pd.Series(list("xyyyx"), index=range(5)))
    with pytest.raises(bp.ModelError, match="all users are alike"):
        pooled_posterior().choose_for_group(items)
    varying = made_posterior(made_comparisons(interactions=True))
    with pytest.raises(bp.DataError, match="'hard': row 'b' differs from row 'a'"):
        varying.choose(items.assign(hard=[0.0, 1.0, 0.0, 0.0]))
    own = items.assign(hard=[0.0, 1.0, 0.0, 1.0], user=["zoe", "ann", "zoe", "ann"])
    assert len(varying.choose(own)) == 2  # each of them is offered two in a context of their own
