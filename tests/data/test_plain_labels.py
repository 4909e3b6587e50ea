"""Labels of any kind are kept as they are, or refused on reading, by name."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_pref as bp
from bayes_pref.data.plain_labels import odd_label, why_not_plain
from bayes_pref.errors import DataError
from bayes_pref.posterior.labels import decode_index, encode_index


class Colour(enum.Enum):
    RED = 1


KEPT = [
    ["", "nan", "None", " a ", "x" * 10**5, "two\nlines", "\x1b[31m"],
    [1, "1", 2.5, "2.5"],
    [True, "True", False],
    [2**70, -(2**70)],
    [np.inf, -np.inf, 1e-300],
    [dt.date(2024, 1, 1), pd.Timestamp("2024-02-01"), dt.datetime(2024, 1, 1, 5)],
    [np.str_("a"), np.int8(3), np.float32(0.5)],
    np.array([2**63 + 1, 2**63 + 2], dtype="u8"),
    pd.Categorical(["b", "a"]),
    pd.date_range("2024", periods=2, tz="Europe/Rome"),
    pd.to_timedelta([1, 2], unit="D"),
]
REFUSED = [
    (("a", 1), "is a tuple"),
    (b"a", "is of type bytes"),
    (Decimal("0.1"), "is of type Decimal"),
    (uuid.UUID(int=1), "is of type UUID"),
    (Colour.RED, "is of type Colour"),
    (pd.Period("2024-01", "M"), "is of type Period"),
    (pd.Interval(0, 1), "is of type Interval"),
    (dt.time(1), "is of type time"),
    (1j, "is of type complex"),
    ([1], "is of type list"),
    (pd.Timestamp("2024", tz="UTC"), "is a time with a zone of its own"),
    (np.datetime64("2024"), "is of type datetime64"),
    ("\ud83d", "holds half a character"),
    ("a\0b", "holds the character NUL"),
]


def series(labels: Any) -> pd.Series:
    return pd.Series(labels, dtype=object if isinstance(labels, list) else None)


@pytest.mark.parametrize("labels", KEPT, ids=str)
def test_plain_labels_are_kept_and_come_back_from_a_file(labels: Any) -> None:
    assert odd_label(series(labels)) is None
    index = pd.Index(series(labels))
    again = decode_index(encode_index(index))
    assert again.tolist() == index.tolist()
    assert [type(label) for label in again] == [type(label) for label in index]


@pytest.mark.parametrize(("label", "reason"), REFUSED, ids=repr)
@pytest.mark.parametrize("role", ["user", "item", "known item", "row"])
def test_other_labels_are_refused_by_name(label: Any, reason: str, role: str) -> None:
    odd = np.empty(4, dtype=object)
    odd[:] = ["p", "q", label, "r"]
    odd_column = pd.Series(odd, dtype=object)
    votes = pd.DataFrame({"who": 1, "a": ["x", "y", "z", "x"], "b": "v", "won": [1, 0, 1, 1]})
    votes = votes.astype({"who": object, "a": object})
    items = None
    if role == "user":
        votes["who"] = odd_column
    elif role == "item":
        votes["a"] = odd_column
    elif role == "known item":
        items = pd.DataFrame(
            {"size": range(4)}, index=pd.Index(odd, dtype=object, tupleize_cols=False)
        )
        votes[["a", "b"]] = ["p", "q"]
    elif isinstance(label, tuple):
        return  # rows may be labelled by tuples
    else:
        votes.index = pd.Index(odd, dtype=object, tupleize_cols=False)
    with pytest.raises(DataError, match=reason) as refused:
        bp.Comparisons.from_items(votes, items, user="who", left="a", right="b", choice="won")
    assert "\n" not in str(refused.value)
    assert role == "row" or "row 2" in str(refused.value)


def test_true_and_1_are_not_taken_for_one_user() -> None:
    frame = pd.DataFrame({"who": [1, True, 1, "b"], "x": [1.0, 2, 3, 4], "won": [1, 0, 1, 0]})
    with pytest.raises(DataError, match=r"column 'who': .*True stands among .* in row 1"):
        bp.Comparisons.from_frame(frame, user="who", choice="won", difference=["x"])


def test_ids_of_two_types_do_not_become_floats() -> None:
    big = 2**53
    votes = pd.DataFrame(
        {
            "a": pd.Series([big, big + 1], dtype="int64"),
            "b": pd.Series([big + 1, big + 2], dtype="uint64"),
            "won": [1, 0],
        }
    )
    made = bp.Comparisons.from_items(votes, left="a", right="b", choice="won")
    assert made.feature_names == tuple(str(big + k) for k in (0, 1, 2))


@pytest.mark.parametrize("name", ["a\0b", "\ud83d"])
def test_names_of_columns_are_refused_too(name: str) -> None:
    frame = pd.DataFrame([["a", 1.0, 1], ["a", 2.0, 0]], dtype=object)
    frame.columns = pd.Index(["who", name, "won"], dtype=object)
    with pytest.raises(DataError, match=r"the feature '.*' holds"):
        bp.Comparisons.from_frame(frame, user="who", choice="won", difference=[name])


def test_parts_of_tuples_are_looked_at() -> None:
    assert why_not_plain(("a", (1, b"b"))) == "is of type bytes"
    assert why_not_plain(("a", (1, "b"))) == ""


def test_an_item_may_be_called_like_a_column() -> None:
    votes = pd.DataFrame({"who": "me", "a": ["won", "who"], "b": "_won", "won": [1, 0]})
    made = bp.Comparisons.from_items(votes, user="who", left="a", right="b", choice="won")
    assert made.feature_names == ("won", "_won", "who")
    frame = made.to_frame()
    assert frame.columns.tolist() == ["_who", "won", "_won", "who", "__won"]
    again = bp.Comparisons.from_frame(
        frame, user="_who", choice="__won", difference=["won", "_won", "who"]
    )
    np.testing.assert_array_equal(again.difference, made.difference)
