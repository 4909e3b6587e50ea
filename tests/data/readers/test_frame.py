"""Tables with one row a comparison are read row by row, grouped by user."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from raw_tables import assert_same, random_frame, read

from bayes_pref.data import Comparisons
from bayes_pref.errors import DataError, DataWarning


@pytest.mark.parametrize("seed", range(5))
def test_every_row_keeps_its_numbers_user_and_label_when_grouped(seed: int) -> None:
    frame = random_frame(seed)
    made = read(frame)
    caller = frame.loc[made.rows]
    np.testing.assert_array_equal(made.difference[:, :2], caller[["x", "y"]])
    np.testing.assert_array_equal(made.difference[:, 2], caller["y"] * caller["hard"])
    np.testing.assert_array_equal(made.context[:, 0], caller["hard"])
    np.testing.assert_array_equal(made.choice, caller["won"])
    assert made.users[made.user].tolist() == caller["who"].tolist()


@pytest.mark.parametrize("seed", range(5))
def test_rows_are_grouped_by_user_in_order_of_appearance(seed: int) -> None:
    frame = random_frame(seed)
    made = read(frame)
    assert made.users.tolist() == frame["who"].drop_duplicates().tolist()
    assert (np.diff(made.user) >= 0).all()
    place = pd.Series(range(len(frame)), index=frame.index)
    for code, label in enumerate(made.users):
        rows = made.rows[made.offsets[code] : made.offsets[code + 1]]
        assert rows.tolist() == frame.index[frame["who"] == label].tolist()
        assert place[rows].is_monotonic_increasing
    assert made.counts.tolist() == frame["who"].value_counts()[made.users].tolist()
    assert (made.n_users, made.n_features, len(made)) == (len(made.users), 3, len(frame))


@pytest.mark.parametrize("seed", range(3))
def test_left_and_right_columns_are_subtracted(seed: int) -> None:
    frame = random_frame(seed)
    rng = np.random.default_rng(seed)
    for name in ("x", "y"):
        frame[f"right_{name}"] = rng.integers(-5, 5, size=len(frame))
        frame[f"left_{name}"] = frame[name] + frame[f"right_{name}"]
    sides = {"left": ["left_x", "left_y"], "right": ["right_x", "right_y"]}
    made = read(frame, difference=None, **sides)
    assert made.feature_names == ("x", "y", "y:hard")
    # Adding and subtracting an integer below 8 rounds in the last place of numbers below 16.
    np.testing.assert_allclose(made.difference, read(frame).difference, atol=1e-14)
    named = read(frame, difference=None, features=["p", "q"], interactions="all", **sides)
    assert named.feature_names == ("p", "q", "p:hard", "q:hard")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"difference": None}, "give either difference=[...] or both left=[...] and right=[...]"),
        ({"left": ["x"], "right": ["y"]}, "give either difference=[...] or both left=[...]"),
        ({"difference": []}, "give either difference=[...] or both left=[...] and right=[...]"),
        (
            {"difference": None, "left": ["x", "y"], "right": ["hard"], "context": None},
            "left has 2 columns and right has 1; pair them one to one",
        ),
        ({"features": ["p"]}, "features has 1 names for 2 features"),
        ({"features": ["p", "p"], "interactions": None}, "would be named 'p'; give each its own"),
        ({"features": ["x", "won"], "interactions": None}, "feature 'won' is also the name of the"),
        ({"features": ["who", "y"]}, "feature 'who' is also the name of the user or the choice"),
        ({"interactions": [("z", "hard")]}, "interactions: unknown feature 'z'"),
        ({"context": None}, "interactions need context columns; name them in context=[...]"),
    ],
)
def test_roles_that_make_no_sense_are_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(DataError) as refused:
        read(random_frame(0), **changes)
    assert expected in str(refused.value)


def test_a_single_column_may_be_named_without_a_list() -> None:
    frame = random_frame(0)
    assert_same(
        read(frame, difference="x", context="hard", interactions="all"),
        read(frame, difference=["x"], context=["hard"], interactions="all"),
    )


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        (pd.Categorical(["b", "a", "b"], categories=["z", "a", "b"]), ["b", "a"]),
        (pd.Categorical([7, 5, 7]), [7, 5]),
        (pd.array([7, 5, 7], dtype="Int64"), [7, 5]),
        (pd.array(["b", "a", "b"], dtype="string[pyarrow]"), ["b", "a"]),
        ([3, "x", 3], [3, "x"]),
        (pd.to_datetime(["2020-01-02", "2020-01-01", "2020-01-02"]), None),
    ],
)
@pytest.mark.filterwarnings("ignore::bayes_pref.errors.DataWarning")
def test_users_of_any_type_become_ordinary_labels(who: Any, expected: list[Any] | None) -> None:
    frame = pd.DataFrame({"who": who, "x": [1.0, 2.0, 3.0], "won": [1, 0, 1]})
    made = Comparisons.from_frame(frame, user="who", choice="won", difference=["x"])
    assert made.user.tolist() == [0, 0, 1]
    assert made.users.tolist() == (expected or list(pd.unique(frame["who"])))
    assert not isinstance(made.users, pd.CategoricalIndex)
    assert made.users.dtype == pd.Index(made.users.tolist()).dtype
    assert len(made[made.users[0]]) == 2


def test_the_callers_table_is_neither_changed_nor_shared() -> None:
    frame = random_frame(0)
    before = frame.copy()
    made = read(frame)
    pd.testing.assert_frame_equal(frame, before)
    kept = made.difference.copy()
    frame.loc[:, "x"] = 99.0
    np.testing.assert_array_equal(made.difference, kept)


def test_a_difference_too_large_for_a_float_is_refused_with_its_row() -> None:
    frame = random_frame(0).assign(left_x=1e308, right_x=-1e308)
    arguments = {"difference": None, "left": ["left_x"], "right": ["right_x"]}
    with pytest.raises(DataError, match=r"^feature 'x' is missing or too large for a float in row"):
        read(frame, interactions=None, **arguments)
    with pytest.raises(DataError, match=r"^feature 'y:hard' is missing or too large for a float"):
        read(frame.assign(y=1e200, hard=-1e200))


def test_features_that_never_differ_are_pointed_out_at_the_callers_line() -> None:
    with pytest.warns(DataWarning) as warned:
        made = Comparisons.from_frame(
            random_frame(0).assign(flat=0, still=0.0),
            user="who",
            choice="won",
            difference=["flat", "x", "still"],
        )
    assert made.constant == ("flat", "still")
    (warning,) = warned
    assert warning.filename == __file__
    assert str(warning.message) == (
        "features that never differ within a pair cancel, and their weights come from the prior "
        "alone: 'flat' and 'still'; leave them out, or record pairs in which they differ"
    )


def test_users_with_a_single_comparison_are_counted() -> None:
    frame = random_frame(0)
    frame.iloc[3, 0], frame.iloc[8, 0] = "solo", "once"
    with pytest.warns(DataWarning, match=r"^2 of 14 users made a single comparison \('solo' and "):
        read(frame)


def test_ordinary_data_warn_of_nothing_and_neither_do_their_parts() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = read(random_frame(0))
        made.take([0]), made[made.users[0]], made.split(by="comparison", test=0.9)


def test_a_million_comparisons_are_read_in_seconds() -> None:
    rng = np.random.default_rng(0)
    n, d = 1_000_000, 20
    frame = pd.DataFrame(rng.normal(size=(n, d)), columns=[f"f{k}" for k in range(d)])
    features = list(frame.columns)
    frame["who"], frame["won"] = rng.integers(50_000, size=n), rng.integers(2, size=n)
    start = time.perf_counter()
    made = Comparisons.from_frame(frame, user="who", choice="won", difference=features)
    made.split(by="comparison")
    # About 1.5 s on one free core; a loop over rows or users takes a minute or more.
    assert time.perf_counter() - start < 20


def test_the_bank_study_is_read_as_it_was_recorded(shared_data: Path) -> None:
    frame = pd.read_csv(shared_data / "bank_choices.csv")
    made = Comparisons.from_frame(
        frame,
        user="id",
        choice="choice",
        difference=list(frame.columns[2:]),
        covariates=pd.read_csv(shared_data / "bank_demo.csv"),
    )
    assert (len(made), made.n_users, made.n_features) == (14_799, 946, 14)
    assert made.covariate_names == ("age", "income", "gender")
    assert made.rows.tolist() == frame.index.tolist()
    assert set(np.unique(made.difference)) == {-1.0, 0.0, 1.0}
