"""A posterior of comparisons held without zeros answers as one of the array does."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

import bayes_pref as bp
from bayes_pref.data.sparse_rows import SparseRows, is_sparse

FEW = 15


def votes(items: int, rows: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    left = np.append(np.arange(items), rng.integers(0, items, rows - items))
    right = (left + rng.integers(1, items, rows)) % items
    worth = rng.normal(size=items)
    won = worth[left] - worth[right] + rng.logistic(size=rows) > 0
    return pd.DataFrame(
        {
            "who": rng.integers(0, 6, rows),
            "a": [f"i{k}" for k in left],
            "b": [f"i{k}" for k in right],
            "won": won.astype(float),
        }
    )


def fitted(items: int, rows: int, model: bp.RewardModel | None = None) -> bp.Posterior:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = bp.Comparisons.from_items(
            votes(items, rows), user="who", left="a", right="b", choice="won"
        )
        engine = bp.Gibbs(draws=60, warmup=60, chains=2, progress=False)
        return bp.fit(model or bp.PooledReward(), data, engine)


@pytest.fixture(scope="module")
def pair() -> tuple[bp.Posterior, bp.Posterior]:
    """Return the same draws with few comparisons, without zeros and as an array."""
    dense = fitted(FEW, 300)
    return replace(dense, comparisons=without_zeros(dense.comparisons)), dense


@pytest.fixture(scope="module")
def many() -> bp.Posterior:
    """Return a posterior of items so many that they are held without zeros."""
    return fitted(3_000, 6_000)


def without_zeros(comparisons: bp.Comparisons) -> bp.Comparisons:
    return replace(comparisons, difference=SparseRows(csr_array(comparisons.difference)))


def quietly(call: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


def held_out(posterior: bp.Posterior) -> bp.Comparisons:
    rows = posterior.comparisons.take(np.arange(0, 40))
    return replace(rows, choice=1.0 - rows.choice)


ANSWERS: dict[str, Callable[[bp.Posterior], pd.DataFrame]] = {
    "weights": lambda p: p.weights(),
    "weights, baseline": lambda p: p.weights("population", baseline="i3"),
    "reward": lambda p: p.reward(["i1", "i7"], users="population"),
    "leaderboard": lambda p: p.leaderboard(),
    "preference": lambda p: p.preference(["i1", "i2"], ["i3", "i4"]),
    "predict": lambda p: p.predict(votes(FEW, 40).drop(columns="won")),
    "evaluate": lambda p: bp.evaluate(p, held_out(p)).rows,
    "evaluate, overall": lambda p: bp.evaluate(p, held_out(p)).overall,
    "loo": lambda p: bp.loo(p).pointwise,
    "checks": lambda p: bp.posterior_predictive_check(p, draws=30),
    "diagnose": lambda p: bp.diagnose(p, progress=False).comparisons,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_are_those_of_the_array(name: str, pair: tuple[bp.Posterior, bp.Posterior]) -> None:
    sparse, dense = pair
    found, expected = (quietly(lambda p=p: ANSWERS[name](p)) for p in (sparse, dense))
    # Sums in another order: 1e-10 of numbers near one.
    pd.testing.assert_frame_equal(found, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    "model",
    [bp.HierarchicalReward(), bp.HierarchicalReward(covariance="full"), bp.LowRankReward(rank=2)],
)
def test_models_of_users_draw_the_same_from_either(model: bp.RewardModel) -> None:
    dense = quietly(lambda: fitted(FEW, 300, model))
    engine = bp.Gibbs(draws=60, warmup=60, chains=2, progress=False)
    sparse = quietly(lambda: bp.fit(model, without_zeros(dense.comparisons), engine))
    assert sparse.draws.equals(dense.draws)


def test_a_file_holds_many_items_without_zeros(many: bp.Posterior, tmp_path: Path) -> None:
    many.save(tmp_path / "many.nc")
    again = bp.Posterior.load(tmp_path / "many.nc")
    draws = 8 * many.draws["mu"].size
    assert (tmp_path / "many.nc").stat().st_size < 1.5 * draws
    assert is_sparse(again.comparisons.difference)
    np.testing.assert_array_equal(
        np.asarray(again.comparisons.difference), np.asarray(many.comparisons.difference)
    )
    assert again.comparisons.catalogue is not None
    assert again.comparisons.catalogue.equals(many.comparisons.catalogue)
    pd.testing.assert_frame_equal(again.leaderboard(), many.leaderboard())


def test_a_file_of_few_items_is_what_it_was(pair: tuple[bp.Posterior, bp.Posterior]) -> None:
    groups, _ = pair[1].stored()
    assert "difference" in groups["comparisons"]
    assert "catalogue" in groups["comparisons"]
    sparse, _ = pair[0].stored()
    assert "difference" not in sparse["comparisons"]


def test_rewards_of_many_items_are_their_weights(many: bp.Posterior) -> None:
    weights = many.weights("population").set_index("feature")["mean"]
    rewards = many.reward(users="population").set_index("item")["mean"]
    np.testing.assert_allclose(rewards.to_numpy(), weights[rewards.index].to_numpy(), rtol=1e-12)
    against = many.weights("population", baseline="i5").set_index("feature")["mean"]
    np.testing.assert_allclose(against, weights - weights["i5"], atol=1e-12)
    board = many.leaderboard(against="i5").set_index("item")["mean"]
    np.testing.assert_allclose(board[against.index], against, atol=1e-12)


def test_predictions_of_many_items_are_their_preferences(many: bp.Posterior) -> None:
    asked = votes(3_000, 3_200, seed=1).head(5)
    left, right = asked["a"].tolist(), asked["b"].tolist()
    predicted = many.predict(asked.drop(columns="won"))["mean"].to_numpy()
    users = many.comparisons.users[:1].tolist()
    preferred = many.preference(left, right, users=users)["mean"].to_numpy()
    np.testing.assert_allclose(predicted, preferred, rtol=1e-12)
