"""Leaderboards and correlations: of differences and ranks in each draw, whatever the origin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_comparisons, made_posterior, made_votes

import bayes_pref as bp


@pytest.fixture(scope="module")
def votes() -> bp.Posterior:
    return made_posterior(made_votes(), draws=200)


def average(posterior: bp.Posterior) -> np.ndarray:
    """Mean weights over users, (sample, feature)."""
    weights = posterior.draws["weights"].mean("user").transpose("chain", "draw", "feature")
    return weights.to_numpy().reshape(-1, weights.sizes["feature"])


def test_rows_describe_differences_from_the_mean_item_and_ranks(votes: bp.Posterior) -> None:
    found = votes.leaderboard(interval=0.8).set_index("item")
    drawn = pd.DataFrame(average(votes), columns=list(votes.comparisons.feature_names))
    centred = drawn.sub(drawn.mean(axis=1), axis=0)
    ranks = drawn.rank(axis=1, ascending=False)
    assert found["mean"].is_monotonic_decreasing
    assert found["rank"].tolist() == [1, 2, 3]
    for item, row in found.iterrows():
        assert row["mean"] == pytest.approx(centred[item].mean())
        assert row[["lower", "upper"]].tolist() == pytest.approx(
            centred[item].quantile([0.1, 0.9]).tolist()
        )
        assert row["p_best"] == pytest.approx((ranks[item] == 1).mean())
        outside = (ranks[item] < row["rank_lower"]) | (ranks[item] > row["rank_upper"])
        assert outside.mean() <= 0.2 + 1e-9
    assert found["p_best"].sum() == pytest.approx(1.0)


def test_an_origin_that_wanders_changes_no_leaderboard(votes: bp.Posterior) -> None:
    weights = votes.draws["weights"]
    shift = np.random.default_rng(0).normal(0.0, 50.0, weights.shape[:2])
    wandering = weights + shift.reshape(*weights.shape[:2], *[1] * (weights.ndim - 2))
    moved = replace(votes, draws=votes.draws.assign(weights=wandering.transpose(*weights.dims)))
    before, after = votes.leaderboard(), moved.leaderboard()
    pd.testing.assert_frame_equal(before, after)
    # The intervals of single rewards do hold it.
    width = [p.reward(users="average").eval("upper - lower").max() for p in (votes, moved)]
    assert width[1] > 10 * width[0]


def test_differences_from_one_item_are_zero_for_that_item(votes: bp.Posterior) -> None:
    found = votes.leaderboard(against="milk", user=1).set_index("item")
    assert found.loc["milk", ["mean", "sd", "lower", "upper"]].tolist() == [0.0] * 4
    with pytest.raises(bp.DataError, match="against: no item 'mulk'; did you mean 'milk'"):
        votes.leaderboard(against="mulk")


def test_a_leaderboard_needs_two_items_and_one_user(votes: bp.Posterior) -> None:
    with pytest.raises(bp.DataError, match="needs two items or more"):
        votes.leaderboard(["tea"])
    with pytest.raises(bp.DataError, match="name one user, or 'average'"):
        votes.leaderboard(user=[0, 1])


def test_items_that_are_worth_the_same_share_the_first_place() -> None:
    posterior = made_posterior()
    same = pd.DataFrame({"length": [1.0, 1.0], "tone": 0.0, "tact": 0.0}, ["a", "b"])
    found = posterior.leaderboard(same)
    assert found["p_best"].tolist() == [0.5, 0.5]
    assert found["rank_lower"].tolist() == [1, 1]


def test_correlations_are_those_of_the_draws() -> None:
    posterior = made_posterior(model=bp.HierarchicalReward(covariance="full"))
    found = posterior.correlations().set_index(["feature", "other"])
    drawn = posterior.draws["correlation"]
    assert len(found) == 3
    assert found["mean"].abs().is_monotonic_decreasing
    for (one, other), row in found.iterrows():
        values = drawn.sel(feature=one, feature_bis=other).to_numpy().ravel()
        assert row["mean"] == pytest.approx(values.mean())
        assert row["lower"] == pytest.approx(np.quantile(values, 0.05))


def test_correlations_of_factors_are_those_of_their_covariance() -> None:
    posterior = made_posterior(model=bp.LowRankReward(rank=2))
    loadings = posterior.draws["V"].transpose("chain", "draw", "feature", "factor").to_numpy()
    noise = posterior.draws["noise"].transpose("chain", "draw", "feature").to_numpy()
    own = noise[..., None] ** 2 * np.eye(noise.shape[2])
    covariance = loadings @ loadings.swapaxes(2, 3) + own
    sd = np.sqrt(np.diagonal(covariance, axis1=2, axis2=3))
    expected = (covariance / sd[..., None] / sd[..., None, :]).mean(axis=(0, 1))
    names = list(posterior.comparisons.feature_names)
    for row in posterior.correlations().itertuples():
        at = names.index(row.feature), names.index(row.other)
        assert row.mean == pytest.approx(expected[at])


def test_without_correlations_there_are_none() -> None:
    for model in (bp.HierarchicalReward(), bp.PooledReward()):
        with pytest.raises(bp.ModelError, match="has no correlations of users' weights"):
            made_posterior(made_comparisons(), model).correlations()
