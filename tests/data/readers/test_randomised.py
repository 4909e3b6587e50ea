"""The mark of rows that were assigned at random, in every reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_pref as bp


def pairs(**more: Any) -> pd.DataFrame:
    """Four pairs of two users; the second and the third were assigned at random."""
    return pd.DataFrame(
        {
            "who": list("abab"),
            "first": ["tea", "milk", "mate", "tea"],
            "second": ["milk", "mate", "tea", "mate"],
            "length": [1.0, -2.0, 3.0, 1.0],
            "won": [1, 0, 1, 1],
            "coin": [False, True, True, False],
            **more,
        }
    )


def read(frame: pd.DataFrame) -> bp.Comparisons:
    return bp.Comparisons.from_frame(
        frame, user="who", choice="won", difference=["length"], randomised="coin"
    )


def tasks(coin: list[int]) -> pd.DataFrame:
    """Two tasks of three alternatives."""
    return pd.DataFrame(
        {
            "who": ["a"] * 3 + ["b"] * 3,
            "id": [1] * 3 + [2] * 3,
            "x": [1.0, 2.0, 4.0, 3.0, 1.0, 5.0],
            "won": [1, 0, 0, 0, 0, 1],
            "place": [1, 2, 3, 3, 2, 1],
            "item": ["u", "v", "w"] * 2,
            "coin": coin,
        }
    )


def test_the_mark_follows_its_row() -> None:
    found = read(pairs())
    assert found.rows.tolist() == [0, 2, 1, 3]
    assert found.randomised is not None
    assert found.randomised.tolist() == [False, True, True, False]
    assert found["b"].randomised.tolist() == [True, False]
    assert "50.0% of the rows" in repr(found)


def test_selection_and_splits_keep_it() -> None:
    comparisons = bp.simulate(users=20, randomised=0.3, seed=1).comparisons
    train, test = comparisons.split(by="comparison", test=0.3, seed=2)
    assert comparisons.randomised is not None
    assert comparisons.randomised.mean() == pytest.approx(0.3)
    assert train.randomised.sum() + test.randomised.sum() == comparisons.randomised.sum()


def test_a_repeated_answer_repeats_its_mark() -> None:
    found = bp.Comparisons.from_frame(
        pairs(times=[1, 2, 1, 1]),
        user="who",
        choice="won",
        difference=["length"],
        randomised="coin",
        frequency="times",
    )
    assert found.randomised.tolist() == [False, True, True, True, False]


def test_votes_on_items_have_it() -> None:
    found = bp.Comparisons.from_items(
        pairs(), user="who", left="first", right="second", choice="won", randomised="coin"
    )
    assert found.randomised.tolist() == [False, True, True, False]


def test_all_stages_of_a_task_have_its_mark() -> None:
    frame = tasks([1, 1, 1, 0, 0, 0])
    chosen = bp.Comparisons.from_tasks(
        frame, user="who", task="id", choice="won", attributes=["x"], randomised="coin"
    )
    ranked = bp.Comparisons.from_rankings(
        frame, user="who", ranking="id", item="item", rank="place", randomised="coin"
    )
    assert chosen.randomised.tolist() == [True, True, False, False]
    assert ranked.randomised.tolist() == [True] * 3 + [False] * 3


def test_wide_tasks_have_it() -> None:
    frame = pd.DataFrame(
        {
            "who": ["a", "b"],
            "x_u": [1.0, 2.0],
            "x_v": [2.0, 1.0],
            "x_w": [0.0, 5.0],
            "won": ["u", "w"],
            "coin": [True, False],
        }
    )
    found = bp.Comparisons.from_wide(
        frame,
        user="who",
        choice="won",
        attributes=["x"],
        alternatives=["u", "v", "w"],
        randomised="coin",
    )
    assert found.randomised.tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("coin", "message"),
    [
        ([False] * 4, "column 'coin': the column named by randomised= is False in every row"),
        ([0.5, 1.0, 0.0, 0.0], "column 'coin': unknown value 0.5 in row 0"),
        (["heads", True, True, False], "column 'coin': unknown value 'heads' in row 0"),
        ([None, True, True, False], "column 'coin': missing value in row 0"),
    ],
)
def test_a_column_that_marks_nothing_is_refused(coin: list[Any], message: str) -> None:
    with pytest.raises(bp.DataError, match=message):
        read(pairs(coin=pd.Series(coin, dtype=object)))


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(bp.DataError, match="'coin'"):
        read(pairs().drop(columns="coin"))


def test_a_task_is_assigned_at_random_as_a_whole() -> None:
    frame = tasks([1, 0, 1, 0, 0, 0])
    with pytest.raises(bp.DataError, match="coin"):
        bp.Comparisons.from_tasks(
            frame, user="who", task="id", choice="won", attributes=["x"], randomised="coin"
        )


def test_a_saved_posterior_has_it(tmp_path: Path) -> None:
    world = bp.simulate(users=8, comparisons=6, randomised=0.5, seed=0)
    engine = bp.Gibbs(draws=20, warmup=20, chains=2, progress=False)
    with pytest.warns(bp.ConvergenceWarning):
        posterior = bp.fit(bp.PooledReward(), world.comparisons, engine)
    posterior.save(tmp_path / "posterior")
    again = bp.Posterior.load(tmp_path / "posterior").comparisons
    assert again.randomised is not None
    assert again.randomised.tolist() == world.comparisons.randomised.tolist()


def test_randomised_contexts_do_not_depend_on_the_user() -> None:
    world = bp.simulate(users=400, comparisons=10, intraclass=0.8, randomised=0.5, seed=3)
    comparisons, exposure = world.comparisons, world.truth.exposure.to_numpy()[:, 0]
    assert comparisons.randomised is not None
    assigned, own = comparisons.randomised, exposure[comparisons.user]
    context = comparisons.context[:, 0]
    # sqrt(.8) = .89 in the log; 0, with a standard error of .02, in the rest
    assert np.corrcoef(context[~assigned], own[~assigned])[0, 1] == pytest.approx(0.89, abs=0.03)
    assert abs(np.corrcoef(context[assigned], own[assigned])[0, 1]) < 0.08
    assert context[assigned].std() == pytest.approx(context[~assigned].std(), abs=0.06)
