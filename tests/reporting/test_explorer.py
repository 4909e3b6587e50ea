"""Rows of a page as JSON: what is read back is what was written, whatever the labels hold."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from bayes_pref.messages import printable
from bayes_pref.reporting.explorer import (
    SEPARATOR,
    Explorer,
    embedded,
    level_column,
    number_column,
    sentence_column,
)

HOSTILE = [
    "</script><script>alert(1)</script>", "<!--", "<b>bold</b>", "it's \"so\"", "a\u2028b", "\x1f",
    "", "1,000.5 of 3", "\\u003c", "caf\xe9", "\ud83d", "&lt;", "$x$", "7", "None",
]  # fmt: skip


def read_sentences(column: dict[str, Any]) -> list[str]:
    """As the script of the page does it."""
    found = []
    for place, numbers in zip(column["values"], column["numbers"], strict=True):
        first, *rest = column["templates"][place].split(SEPARATOR)
        parts = zip(numbers.split(" "), rest, strict=False)
        found.append(first + "".join(number + part for number, part in parts))
    return found


def test_labels_and_sentences_come_back() -> None:
    shown = [printable(text) for text in HOSTILE]
    levels = level_column("user", "user", [*HOSTILE, *HOSTILE])
    assert [levels["levels"][k] for k in levels["values"]] == [*shown, *shown]
    assert read_sentences(sentence_column("sentence", "why", HOSTILE)) == shown
    said = [f"Shift {k / 7:.2f} of user {k}." for k in range(50)]
    assert len(sentence_column("sentence", "why", said)["templates"]) == 1


def test_nothing_in_the_data_ends_the_element_of_a_script() -> None:
    text = embedded(HOSTILE)
    assert "<" not in text
    assert json.loads(text) == HOSTILE
    columns = (level_column(HOSTILE[0], HOSTILE[0], HOSTILE),)
    page = Explorer(name="x", noun=HOSTILE[0], rows=1, columns=columns, shown=()).html()
    assert re.findall(r"<(/?\w+)", page) == [
        *("div", "/div", "noscript", "p", "/p", "/noscript", "script", "/script"),
    ]


def test_verdicts_keep_their_order_and_others_are_sorted_by_the_page() -> None:
    column = level_column("verdict", "verdict", ["b", "a", "b"], ordered=["c", "b", "a"])
    assert column["levels"] == ["b", "a"]
    assert column["values"] == [0, 1, 0]
    assert column["ordered"]
    assert "ordered" not in level_column("user", "user", ["b", "a"])


@pytest.mark.parametrize(
    ("values", "digits"),
    [([1.0, -2.0], 0), ([0.5, 3.25], 3), ([0.0025, 0.001], 6), ([1e-16, 0.0], 3), ([1.5e7], 0)],
)
def test_numbers_come_back_to_the_digits_that_are_shown(values: list[float], digits: int) -> None:
    column = number_column("mean", "mean", np.array([*values, np.nan, np.inf]))
    assert column["digits"] == digits
    assert column["values"][-2:] == [None, None]
    again = np.array(column["values"][:-2]) / column["scale"]
    assert np.abs(again - values).max() <= 0.5 * 10.0**-digits * (1 + 1e-9)


def test_numbers_round_in_the_table_as_they_do_in_sentences() -> None:
    given = np.array([14.8448, -14.8448, 14.8452, -14.8452, 0.1248, 3.0051, 0.5])
    column = number_column("mean", "mean", given)
    shown = [f"{value / column['scale']:.2f}" for value in column["values"]]
    assert shown == [f"{value:.2f}" for value in given]
    # Rounded twice, 14.8448 would be 14.85.
    assert np.round(np.round(given[0], 3) + 1e-12, 2) == 14.85
