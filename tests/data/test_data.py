"""Comparisons: grouped by user under the caller's labels, frozen, selected, split and returned."""

from __future__ import annotations

import dataclasses
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayes_pref.data import Comparisons, Features
from bayes_pref.errors import DataError, DataWarning

ARRAYS = ("difference", "choice", "user", "context", "covariates")


def random_frame(seed: int, *, users: int = 12, rows: int = 90) -> pd.DataFrame:
    """Comparisons in no order, with unequal numbers a user, under shuffled row labels."""
    rng = np.random.default_rng(seed)
    who = np.concatenate([np.repeat(np.arange(users), 2), rng.integers(users, size=rows)])
    frame = pd.DataFrame(
        {
            "who": [f"u{code}" for code in rng.permutation(who)],
            "x": rng.normal(size=len(who)),
            "y": rng.normal(size=len(who)),
            "hard": rng.normal(size=len(who)),
            "won": rng.choice([0.0, 0.5, 1.0], size=len(who)),
        }
    )
    return frame.set_index(rng.permutation(len(who)) + 1_000)


def read(frame: pd.DataFrame, **changes: Any) -> Comparisons:
    arguments: dict[str, Any] = {
        "user": "who",
        "choice": "won",
        "difference": ["x", "y"],
        "context": ["hard"],
        "interactions": [("y", "hard")],
    }
    return Comparisons.from_frame(frame, **(arguments | changes))


def assert_same(one: Comparisons, other: Comparisons) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.users.tolist() == other.users.tolist()
    assert one.rows.tolist() == other.rows.tolist()
    assert one.features == other.features
    assert one.covariate_names == other.covariate_names


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


def test_the_scale_is_the_root_mean_square_of_each_difference() -> None:
    frame = random_frame(3).assign(zero=0.0, huge=1e200, tiny=-1e-200)
    with pytest.warns(DataWarning, match="'zero'"):
        made = read(frame, difference=["x", "zero", "huge", "tiny"], interactions=None)
    # A mean of about 100 squares of numbers near 1, in float64.
    np.testing.assert_allclose(
        made.feature_scale,
        [np.sqrt(np.mean(frame["x"] ** 2)), 1.0, 1e200, 1e-200],
        rtol=1e-13,
    )


def test_arrays_cannot_be_written_and_fields_cannot_be_set() -> None:
    frame = random_frame(0)
    made = read(frame)
    for part in (made, made.take([0, 5, 2]), made[made.users[:2]], *made.split()):
        for name in (*ARRAYS, "offsets", "counts", "feature_scale"):
            with pytest.raises(ValueError, match="read-only"):
                getattr(part, name)[...] = 0
        assert part.difference.flags.c_contiguous
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.choice = made.choice  # type: ignore[misc]


def test_the_callers_table_is_neither_changed_nor_shared() -> None:
    frame = random_frame(0)
    before = frame.copy()
    made = read(frame)
    pd.testing.assert_frame_equal(frame, before)
    kept = made.difference.copy()
    frame.loc[:, "x"] = 99.0
    np.testing.assert_array_equal(made.difference, kept)


def test_arrays_given_to_the_constructor_are_copied_unless_nobody_can_write_to_them() -> None:
    made = read(random_frame(0))
    mine = np.array(made.difference)
    copied = dataclasses.replace(made, difference=mine)
    mine[:] = 0.0
    np.testing.assert_array_equal(copied.difference, made.difference)
    assert mine.flags.writeable
    assert not copied.difference.flags.writeable
    assert dataclasses.replace(made).difference is made.difference


def parts(**changes: Any) -> dict[str, Any]:
    return {
        "difference": np.array([[1.0], [2.0], [3.0]]),
        "choice": np.array([1.0, 0.0, 0.5]),
        "user": np.array([0, 0, 1]),
        "users": pd.Index(["a", "b"]),
        "features": Features(("x",)),
        "context": np.empty((3, 0)),
        "covariates": np.empty((2, 0)),
        "covariate_names": (),
        "rows": pd.Index([5, 6, 7]),
    } | changes


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"choice": np.ones(2)}, "difference has shape (3, 1), but (2, 1) fits the other parts"),
        ({"context": np.ones((3, 1))}, "context has shape (3, 1), but (3, 0) fits the other"),
        ({"covariates": np.ones((3, 0))}, "covariates has shape (3, 0), but (2, 0) fits"),
        ({"rows": pd.Index([5, 6])}, "rows has shape (2,), but (3,) fits the other parts"),
        ({"user": np.array([0, 1, 0])}, "user must hold each code from 0 to 1, in nondecreasing"),
        ({"user": np.array([0, 0, 0])}, "user must hold each code from 0 to 1, in nondecreasing"),
        ({"user": np.array([0, 1, 2])}, "user must hold each code from 0 to 1, in nondecreasing"),
        ({"users": pd.Index(["a", "a"])}, "users must be different labels"),
        ({"choice": np.array([1.0, 0.0, 2.0])}, "choice must hold 1, 0 or 0.5 only"),
        (
            {"difference": np.array([[1.0], [np.nan], [3.0]])},
            "feature 'x' is missing or too large for a float in row 6; drop the row or use",
        ),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(changes: dict[str, Any], expected: str) -> None:
    assert len(Comparisons(**parts())) == 3
    with pytest.raises(DataError) as refused:
        Comparisons(**parts(**changes))
    assert str(refused.value).startswith(expected)


def test_no_rows_at_all_are_refused() -> None:
    nothing = {name: parts()[name][:0] for name in ("difference", "choice", "user", "context")}
    with pytest.raises(DataError, match=r"^no comparisons: at least 1 row is needed"):
        Comparisons(**parts(**nothing, rows=pd.Index([])))


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


def test_users_are_selected_by_label_in_the_order_wanted() -> None:
    frame = random_frame(1)
    made = read(frame)
    one = made["u3"]
    assert one.users.tolist() == ["u3"]
    assert one.rows.tolist() == frame.index[frame["who"] == "u3"].tolist()
    wanted = ["u7", "u0", "u3"]
    several = made[wanted]
    assert several.users.tolist() == wanted
    assert len(several) == frame["who"].isin(wanted).sum()
    for same in (pd.Index(wanted), np.array(wanted), pd.Series(wanted)):
        assert_same(made[same], several)
    assert several["u0"].rows.tolist() == made["u0"].rows.tolist()


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        ("u33", "unknown user 'u33'; did you mean 'u3'"),
        (["u3", "nobody"], "unknown user 'nobody'; known are 'u.*' and 7 more$"),
        (["u3", "u3"], "a user is selected twice in 'u3' and 'u3'; name each once"),
        (3, "unknown user 3; did you mean 'u3'"),
        ([], "no comparison is selected"),
        ([["u3"]], "a user is named by a plain value such as text or a number, got "),
        (slice(0, 3), r"users are selected by label: comparisons\[comparisons.users\[:10\]\]"),
    ],
)
def test_labels_that_do_not_exist_are_refused(users: Any, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        read(random_frame(1))[users]


def test_comparisons_are_not_iterated_by_accident() -> None:
    with pytest.raises(TypeError, match="not iterable"):
        list(read(random_frame(0)))  # type: ignore[call-overload]


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
    frame = pd.DataFrame({"who": np.repeat(np.arange(500), 2), "x": 1.0, "won": 1})
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
        ({"by": "row"}, "by must be 'user' or 'comparison', got 'row'"),
        ({"by": "user"}, "a split by user needs at least 2 users, and here is 1"),
        ({"by": "comparison"}, "a split by comparison needs a user with at least 2 comparisons"),
    ],
)
def test_a_split_that_cannot_be_is_refused(arguments: dict[str, Any], expected: str) -> None:
    made = read(random_frame(0)).take([0])
    with pytest.raises(DataError, match=f"^{expected}$"):
        made.split(**arguments)


@pytest.mark.parametrize("seed", range(3))
def test_the_frame_returned_gives_the_same_comparisons_again(seed: int) -> None:
    ages = pd.DataFrame({"age": np.arange(12.0)}, index=[f"u{code}" for code in range(12)])
    made = read(random_frame(seed), covariates=ages)
    frame = made.to_frame()
    assert frame.columns.tolist() == ["who", "x", "y", "hard", "won"]
    again = Comparisons.from_frame(
        frame,
        user=made.user_name,
        choice=made.choice_name,
        difference=made.features.attributes,
        context=made.features.contexts,
        interactions=made.features.interactions,
        covariates=ages,
    )
    assert_same(again, made)


def test_the_frame_returned_is_the_callers_own() -> None:
    made = read(random_frame(0))
    kept = made.difference.copy()
    frame = made.to_frame()
    frame["x"] = 0.0
    frame.iloc[:, 1:] = 0.0
    np.testing.assert_array_equal(made.difference, kept)


def test_a_reader_sees_what_the_data_are() -> None:
    ages = pd.DataFrame({"age": np.arange(12.0)}, index=[f"u{code}" for code in range(12)])
    frame = random_frame(0).assign(won=[1.0, 1.0, 0.5] * 38, flat=0)
    with pytest.warns(DataWarning):
        made = read(frame, difference=["x", "y", "flat"], covariates=ages)
    low, high = made.counts.min(), made.counts.max()
    assert repr(made) == (
        f"Comparisons: 114 comparisons by 12 users ({low} to {high} each)\n"
        "  4 features: x, y, flat, y:hard\n"
        "  context: hard\n"
        "  covariate: age\n"
        "  never differ within a pair: 'flat'\n"
        "  choices: 67 % left, 0 % right, 33 % ties"
    )


def test_labels_are_escaped_in_the_html_table() -> None:
    made = read(random_frame(0), features=["<b>x</b>", "y"])
    text = made._repr_html_()
    assert text.startswith("<table>")
    assert "&lt;b&gt;x&lt;/b&gt;" in text
    assert "<b>" not in text
    assert text.count("<tr>") == len(repr(made).splitlines())


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
