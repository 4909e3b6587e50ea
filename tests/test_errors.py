"""A refusal tells its place, what was found and the remedy, as attributes and in one sentence."""

from __future__ import annotations

import pickle

import pytest

from bayes_pref.errors import DataError, Place


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (DataError("no comparisons"), "no comparisons"),
        (DataError("no comparisons", "add one"), "no comparisons; add one"),
        (
            DataError("missing value (nan)", "drop it", place=Place("", "x", ("r0",))),
            "column 'x': missing value (nan) in row 'r0'; drop it",
        ),
        (DataError("is empty", place=Place(), subject=True), "the table is empty"),
        (DataError("is empty", place=Place("items"), subject=True), "items is empty"),
        (
            DataError("unknown item 'a'", place=Place("votes", "left", (3,), "line")),
            "votes, column 'left': unknown item 'a' in line 3",
        ),
    ],
)
def test_the_message_is_made_of_the_parts(error: DataError, message: str) -> None:
    assert str(error) == message


def test_another_table_keeps_column_row_and_remedy() -> None:
    error = DataError("unknown item 'a'", "add it", place=Place("votes", "left", (3,)))
    assert str(error.at("v.csv", unit="line")) == (
        "v.csv, column 'left': unknown item 'a' in line 3; add it"
    )
    assert str(error.at("v.csv", remedy="drop it")).endswith("in row 3; drop it")


def test_an_error_survives_its_way_out_of_another_process() -> None:
    error = DataError("unknown item 'a'", "add it", place=Place("votes", "left", (3,)))
    found = pickle.loads(pickle.dumps(error))
    assert str(found) == str(error)
    assert (found.found, found.remedy, found.place) == (error.found, error.remedy, error.place)
