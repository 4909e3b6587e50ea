"""Rows are taken by position, and split at random into a training and a test part."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from raw_tables import assert_same, random_frame, read

from bayes_pref.data import Comparisons
from bayes_pref.errors import DataError, DataWarning


@pytest.mark.parametrize("seed", range(5))
def test_taking_rows_equals_reading_those_rows(seed: int) -> None:
    frame = random_frame(seed)
    ages = pd.DataFrame({"age": np.arange(12.0)}, index=[f"u{code}" for code in range(12)])
    made = read(frame, covariates=ages)
    chosen = np.random.default_rng(seed).permutation(len(made))[:40]
    taken = made.take(chosen)
    again = frame.loc[made.rows[chosen]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        assert_same(taken, read(again, covariates=ages.loc[again["who"].unique()]))
    mask = np.isin(np.arange(len(made)), chosen)
    assert_same(made.take(mask), made.take(np.sort(chosen)))
    assert_same(made.take(list(range(len(made)))), made)


def test_a_row_may_be_taken_twice() -> None:
    made = read(random_frame(0))
    taken = made.take([4, 4, 4])
    assert taken.rows.tolist() == [made.rows[4]] * 3
    assert taken.n_users == 1


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], "no comparison is selected; at least 1 is needed"),
        (np.zeros(114, dtype=bool), "no comparison is selected; at least 1 is needed"),
        ([True, False], "the mask has 2 entries for 114 comparisons"),
        ([0, 114], "row position 114 is not between 0 and 113"),
        ([-1], "row position -1 is not between 0 and 113"),
        ([0.0, 1.0], "rows must be a list of integer positions or a mask of booleans"),
        ([[0, 1]], "rows must be a list of integer positions or a mask of booleans"),
        (["u1"], "rows must be a list of integer positions or a mask of booleans"),
    ],
)
def test_positions_that_do_not_exist_are_refused(rows: Any, expected: str) -> None:
    with pytest.raises(DataError, match=f"^{expected}"):
        read(random_frame(0)).take(rows)


@pytest.mark.parametrize("by", ["user", "comparison"])
@pytest.mark.parametrize("test", [0.05, 0.2, 0.5, 0.95])
def test_a_split_keeps_every_row_once_and_repeats_with_its_seed(by: Any, test: float) -> None:
    made = read(random_frame(2))
    train, held = made.split(by=by, test=test, seed=4)
    assert sorted([*train.rows, *held.rows]) == sorted(made.rows)
    again = made.split(by=by, test=test, seed=np.random.default_rng(4))
    assert_same(train, again[0])
    assert_same(held, again[1])
    other = made.split(by=by, test=test, seed=5)[1]
    assert other.rows.tolist() != held.rows.tolist()


@pytest.mark.parametrize(("test", "expected"), [(0.001, 1), (0.25, 3), (0.5, 6), (0.999, 11)])
def test_a_split_by_user_holds_out_whole_users(test: float, expected: int) -> None:
    made = read(random_frame(2))
    train, held = made.split(by="user", test=test)
    assert held.n_users == expected
    assert not set(train.users) & set(held.users)


@pytest.mark.parametrize("test", [0.1, 0.2, 1 / 3, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("seed", range(3))
def test_a_split_by_comparison_takes_the_share_within_each_user(test: float, seed: int) -> None:
    made = read(random_frame(seed))
    train, held = made.split(by="comparison", test=test, seed=seed)
    assert train.users.tolist() == made.users.tolist()
    counts = pd.Series(0, index=made.users)
    counts[held.users] = held.counts
    wanted = made.counts * test
    assert (counts >= np.minimum(np.floor(wanted), made.counts - 1)).all()
    assert (counts <= np.minimum(np.ceil(wanted), made.counts - 1)).all()
    if test <= 0.5:  # nobody is down to the last row, so that nothing is capped
        assert abs(len(held) - test * len(made)) <= 1


def test_users_with_few_comparisons_are_held_out_in_the_right_share() -> None:
    # 0.2 of 2 rows is less than one row each, yet a fifth of all rows is held out.
    frame = pd.DataFrame({"who": np.repeat(np.arange(500), 2), "x": 1.0, "won": [1, 0] * 500})
    made = Comparisons.from_frame(frame, user="who", choice="won", difference=["x"])
    train, held = made.split(by="comparison", test=0.2, seed=0)
    assert len(held) in {199, 200, 201}
    assert train.n_users == 500


def test_a_split_by_comparison_holds_out_every_row_equally_often() -> None:
    frame = pd.DataFrame({"who": np.repeat(["a", "b"], [5, 10]), "x": 1.0, "won": 1})
    made = Comparisons.from_frame(frame, user="who", choice="won", difference=["x"])
    seeds = 2_000
    random = np.zeros(len(made))
    for seed in range(seeds):
        random[made.split(by="comparison", test=0.2, seed=seed)[1].rows] += 1 / seeds
    # Binomial standard error of a share of 0.2; 15 rows stay within 4.5 of them in all but one
    # run of 10,000.
    allowed = 4.5 * np.sqrt(0.2 * 0.8 / seeds)
    assert np.abs(random - 0.2).max() < allowed
    # The wrong way, the first rows of each user, is far outside.
    first = np.r_[[1, 0, 0, 0, 0], [1, 1], np.zeros(8)]
    assert np.abs(first - 0.2).max() > allowed


def test_something_is_held_out_even_of_three_rows() -> None:
    frame = pd.DataFrame({"who": ["a"] * 3, "x": 1.0, "won": 1})
    made = Comparisons.from_frame(frame, user="who", choice="won", difference=["x"])
    assert {len(made.split(by="comparison", test=0.01, seed=s)[1]) for s in range(50)} == {1}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"test": 0.0}, "test must be a number between 0 and 1, got 0.0"),
        ({"test": 1}, "test must be a number between 0 and 1, got 1"),
        ({"test": np.nan}, "test must be a number between 0 and 1, got nan"),
        ({"by": "row"}, "by must be 'user', 'comparison' or 'task', got 'row'"),
        ({"by": "user"}, "a split by user needs at least 2 users, and here is 1"),
        ({"by": "comparison"}, "a split by comparison needs a user with at least 2 comparisons"),
    ],
)
def test_a_split_that_cannot_be_is_refused(arguments: dict[str, Any], expected: str) -> None:
    made = read(random_frame(0)).take([0])
    with pytest.raises(DataError, match=f"^{expected}$"):
        made.split(**arguments)
