"""Shares of a market against a loop over users and draws."""

from __future__ import annotations

from dataclasses import replace

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
from bayes_pref.posterior import estimates

NOW = pd.DataFrame(
    {"price": [1.0, 1.0, 2.0], "brand": ["A", "B", "B"]}, index=["ours", "theirs", "rare"]
)
THEN = NOW.assign(price=[0.5, 1.0, 2.0]).drop(index="rare")


@pytest.fixture(scope="module")
def posterior() -> bp.Posterior:
    world = bp.simulate(
        users=5,
        features=["price"],
        categories={"brand": ["A", "B"]},
        alternatives=3,
        none=True,
        contexts=0,
    )
    data = replace(world.comparisons, survey_weights=np.array([1.0, 2.0, 0.0, 4.0, 3.0]))
    return made_posterior(data, bp.HierarchicalReward(lapse=True))


def by_hand(
    posterior: bp.Posterior, items: pd.DataFrame, users: list[int], *, outside: bool = False
) -> np.ndarray:
    """Shares (item, sample), user by user and draw by draw."""
    drawn = posterior.weights_draws().transpose("user", "chain", "draw", "feature").to_numpy()
    drawn = drawn.reshape(len(drawn), -1, drawn.shape[3])
    names = posterior.comparisons.feature_names
    weight = posterior.comparisons.survey_weights
    assert weight is not None
    lapse = posterior.draws["lapse"].to_numpy().ravel()
    total = np.zeros((len(items) + outside, len(lapse)))
    for user in users:
        for sample, random in enumerate(lapse):
            w = dict(zip(names, drawn[user, sample], strict=True))
            sign = np.where(items["brand"] == "B", 1.0, -1.0)  # effect coded
            u = w["price"] * items["price"].to_numpy() + w["brand[B]"] * sign
            p = np.exp([*u, *[w["none"]] * outside])
            total[:, sample] += weight[user] * ((1 - random) * p / p.sum() + random / len(p))
    return total / weight[users].sum()


@pytest.mark.parametrize("outside", [False, True])
def test_shares_are_those_of_a_loop_over_users(
    posterior: bp.Posterior, monkeypatch: pytest.MonkeyPatch, *, outside: bool
) -> None:
    expected = by_hand(posterior, NOW, [0, 1, 2, 3, 4], outside=outside)
    whole = posterior.market_shares(NOW, outside=outside, interval=0.8)
    assert list(whole["item"]) == [*NOW.index, *["none"] * outside]
    np.testing.assert_allclose(whole["mean"], expected.mean(axis=1))
    np.testing.assert_allclose(whole["upper"], np.quantile(expected, 0.9, axis=1))
    assert whole["mean"].sum() == pytest.approx(1.0)
    drawn = posterior.market_shares_draws(NOW, outside=outside)
    np.testing.assert_allclose(drawn.to_numpy().reshape(100, -1).T, expected)
    monkeypatch.setattr(estimates, "BLOCK_VALUES", 1)  # a block a user
    pd.testing.assert_frame_equal(
        posterior.market_shares(NOW, outside=outside, interval=0.8), whole
    )


def test_scenarios_differ_in_the_same_draws_and_people(posterior: bp.Posterior) -> None:
    then, now = (by_hand(posterior, each, [0, 1, 2, 3, 4]) for each in (THEN, NOW))
    difference = np.vstack([then, np.zeros_like(then[:1])]) - now
    found = posterior.market_shares(THEN, against=NOW)
    assert list(found["item"]) == ["ours", "theirs", "rare"]
    np.testing.assert_allclose(found["mean"], difference.mean(axis=1))
    np.testing.assert_allclose(found["sd"], difference.std(axis=1, ddof=1))
    np.testing.assert_allclose(found["lower"], np.quantile(difference, 0.05, axis=1))
    assert np.abs(posterior.market_shares(NOW, against=NOW)["mean"]).max() == 0.0


def test_groups_have_the_shares_of_their_users(posterior: bp.Posterior) -> None:
    old = pd.Series(["old", "young", "young", "old", "old"], posterior.comparisons.users)
    found = posterior.market_shares(NOW, by=old)
    for group, users in (("old", [0, 3, 4]), ("young", [1, 2])):
        of_group = found[found["group"] == group]
        np.testing.assert_allclose(
            of_group["mean"], by_hand(posterior, NOW, users).mean(axis=1), atol=1e-12
        )
    assert posterior.market_shares_draws(NOW, by=old).dims == ("chain", "draw", "group", "item")


def test_two_items_have_the_average_preference() -> None:
    posterior = made_posterior(made_comparisons(interactions=True))
    items = pd.DataFrame([[1.0, 0.0, 2.0], [0.0, 1.0, 0.5]], ["x", "y"], list(ATTRIBUTES))
    items = items.assign(hard=0.7)
    asked = posterior.preference(items.iloc[[0]], items.iloc[[1]], "average")
    found = posterior.market_shares(items)
    assert found["mean"].iloc[0] == pytest.approx(asked["mean"].iloc[0])
    assert found["upper"].iloc[0] == pytest.approx(asked["upper"].iloc[0])
    with pytest.raises(bp.DataError, match="column 'hard': row 'y' differs"):
        posterior.market_shares(items.assign(hard=[0.0, 1.0]))


def test_who_answers_at_random_chooses_each_equally_often() -> None:
    world = bp.simulate(users=5, features=["price"], contexts=0, alternatives=3, seed=0)
    posterior = made_posterior(world.comparisons, bp.HierarchicalReward(reliability=True))
    everybody = posterior.draws["careless"] * 0.0 + 1.0
    posterior = replace(posterior, draws=posterior.draws.assign(careless=everybody))
    found = posterior.market_shares(NOW[["price"]])
    np.testing.assert_allclose(found["mean"], 1.0 / 3.0)


def test_bad_markets_are_refused(posterior: bp.Posterior) -> None:
    with pytest.raises(bp.DataError, match="items: there are fewer than two alternatives"):
        posterior.market_shares(NOW.iloc[[0]])
    assert len(posterior.market_shares(NOW.iloc[[0]], outside=True)) == 2
    with pytest.raises(bp.DataError, match="against: two are labelled 'ours'"):
        posterior.market_shares(NOW, against=NOW.iloc[[0, 0]])
    drinks = made_posterior(made_votes())
    assert drinks.market_shares()["item"].nunique() == 3
    with pytest.raises(bp.DataError, match="outside: the data have no outside option"):
        drinks.market_shares(outside=True)
    alike = pooled_posterior(made_votes())
    half = pd.Series(np.arange(4) % 2 == 0, alike.comparisons.users)
    with pytest.raises(bp.ModelError, match="all users are alike"):
        alike.market_shares(by=half)
    normal = made_posterior(made_votes(), bp.HierarchicalReward(link="probit"))
    with pytest.raises(bp.ModelError, match="choices by Probit are not logistic"):
        normal.market_shares()
