"""Comparisons are frozen, validated, selected by label, described and returned as a table."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
from raw_tables import ARRAYS, assert_same, random_frame, read

from bayes_pref.data import Comparisons, Features
from bayes_pref.errors import DataError, DataWarning


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
