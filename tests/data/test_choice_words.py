"""Choices as words mean the same in every reader."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_pref as bp
from bayes_pref.data.outcome import GradedChoice
from bayes_pref.errors import DataError

WORDS = [
    ("left", "right", "tie"),
    ("A", "B", "Tie"),
    ("model_a", "model_b", "tie (bothbad)"),
    ("Model A", "model-b", "both bad"),
    ("first", "second", "neither"),
    ("response_1", "response_2", "draw"),
    ("one", "other", "equal"),  # the names of the columns
    (True, 0, 0.5),
    (Decimal(1), False, Decimal("0.5")),
    (1, "right", np.float32(0.5)),
]


def votes(left: Any, right: Any, tie: Any) -> pd.DataFrame:
    won = pd.Series([left, right, tie, left], dtype=object)
    # Item labels and responses in one: of three lengths.
    texts = {"one": ["a b c", "d e", "f", "a b c"], "other": ["d e", "f", "a b c", "f"]}
    return pd.DataFrame({"who": "me", "prompt": "p", **texts, "x": [1.0, -1, 2, 1], "won": won})


@pytest.mark.parametrize("words", WORDS, ids=str)
def test_words_are_read_alike_everywhere(words: tuple[Any, Any, Any]) -> None:
    frame = votes(*words)
    by_item = bp.Comparisons.from_items(frame, left="one", right="other", choice="won")
    by_text = bp.text.comparisons(
        frame, left="one", right="other", winner="won", surface=["length"]
    )
    expected = [1.0, 0.0, 0.5, 1.0]
    assert by_item.choice.tolist() == by_text.choice.tolist() == expected
    if words[0] != "one":
        by_row = bp.Comparisons.from_frame(frame, user="who", choice="won", difference=["x"])
        assert by_row.choice.tolist() == expected


def test_categories_of_words_are_read_too() -> None:
    frame = votes("A", "B", "tie").astype({"won": "category"})
    read = bp.Comparisons.from_frame(frame, user="who", choice="won", difference=["x"])
    assert read.choice.tolist() == [1.0, 0.0, 0.5, 1.0]


@pytest.mark.parametrize("odd", ["C", "", "left or right", "2", [1], b"left", 2, Decimal("sNaN")])
def test_what_is_no_word_for_a_side_is_refused_where_it_stands(odd: Any) -> None:
    frame = votes("A", "B", odd)
    with pytest.raises(DataError, match=r"^column 'won': (unknown|missing) outcome .* in row 2"):
        bp.Comparisons.from_frame(frame, user="who", choice="won", difference=["x"])


def test_without_a_column_of_users_all_votes_are_of_one() -> None:
    frame = votes(1, 0, 0.5).rename(columns={"who": "user"})
    read = bp.Comparisons.from_items(frame, left="one", right="other", choice="won")
    assert read.users.tolist() == ["everyone"]
    assert read.user_name == "_user"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, 2.0, "1.5", 3], "text '1.5' in row 2; a number is needed: convert the column"),
        ([1.0, 2.0, "oops", "1"], "text 'oops' in row 2; a number is needed: drop the row"),
        ([1.0, 2, np.array([[1, 2], [3, 4]]), 3], "array([[1, 2], [3, 4]]) in row 2; a number"),
        ([1.0, 2, pd.DataFrame({"a": [1, 2]}), 3], "a 0  1 1  2 in row 2; a number is needed"),
        ([1.0, 2, 10**400, 3], "infinite value (inf) in row 2"),
    ],
)
def test_messages_name_the_cell_in_one_line(values: list[Any], message: str) -> None:
    column = np.empty(4, dtype=object)
    for place, value in enumerate(values):
        column[place] = value
    frame = votes(1, 0, 1).assign(x=column)
    with pytest.raises(DataError) as refused:
        bp.Comparisons.from_frame(frame, user="who", choice="won", difference=["x"])
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_numbers_and_truth_values_may_stand_in_one_column() -> None:
    frame = votes(1, 0, 1).assign(x=pd.Series([True, 0, 2.5, Decimal(1)], dtype=object))
    read = bp.Comparisons.from_frame(frame, user="who", choice="won", difference=["x"])
    assert read.difference[:, 0].tolist() == [1.0, 0.0, 2.5, 1.0]


def test_a_row_whose_label_repeats_is_named_by_its_position() -> None:
    frame = votes(1, 0, 1).assign(x=[1.0, 2.0, np.nan, 3.0])
    frame.index = ["a", "b", "a", "c"]
    with pytest.raises(DataError, match=r"in row 'a' at position 2 \(from 0; other rows"):
        bp.Comparisons.from_frame(frame, user="who", choice="won", difference=["x"])


@pytest.mark.parametrize("levels", [10**9, 10**30, np.int64(2**62)])
def test_levels_are_counted_before_they_are_listed(levels: Any) -> None:
    with pytest.raises(DataError, match="levels must be 3 to 7 in number, got "):
        GradedChoice(levels)
