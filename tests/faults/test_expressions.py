"""Texts and labels of 100,000 characters take time in proportion to their length."""

from __future__ import annotations

import contextlib
import random
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sweep

import bayes_pref as bp
from bayes_pref.cli.screen import paragraph
from bayes_pref.data.shared_names import shared_names
from bayes_pref.messages import closest, printable, shown
from bayes_pref.plots.style import wrapped
from bayes_pref.text.conversations import turns
from bayes_pref.text.surface import _ITEM, _SENTENCE_END, SURFACE

pytestmark = pytest.mark.slow

_SIZE = 100_000
_SECONDS = 3.0  # work that grows with the length takes up to one on a busy machine
# What expressions begin at, run along, and fail at.
_UNITS = [
    "!",
    "?",
    ".",
    "-",
    "- ",
    "* ",
    "1",
    "1.",
    "1) ",
    "\n",
    " ",
    "\t",
    " \n",
    "`",
    "``",
    "```",
]
_UNITS += ["```\n", "`a", "a", "A", "Aa", "aA", "e", "_", ":", "a-", "a'", "'", "\u2019", "1a", "٣"]
_UNITS += [
    "\n\n",
    "\n\n ",
    "\n\nHuman:",
    "\n\nAssistant: ",
    "Human: ",
    "taste_1",
    "$",
    "\\",
    "\x85",
]
_UNITS += ["\u2028", "<", "&", "=", ",", '"', "😀", "\x1b", "\x1b[", "[", "(", "{", "\r", "\r\n"]
_ENDS = ["", "x", "!x", "\n", " ", "`", ":", "\nx", "]"]
_STARTS = ["", "a", "Human: ", "- ", "```\n", "\n", "`"]


def doors() -> dict[str, Callable[[str], Any]]:
    """Everything that reads a text or a label with an expression, or lays it out."""

    def votes(text: str) -> Any:
        record = {"prompt": text, "chosen": text, "rejected": "no"}
        return bp.text.comparisons([record, record | {"chosen": "yes"}], user=None)

    return {
        **{f"surface {name}": measure for name, measure in SURFACE.items()},
        "turns": turns,
        "votes": votes,
        "label of a plot": wrapped,
        "paragraph": paragraph,
        "printable": printable,
        "shown": shown,
        "closest": lambda text: closest(text, [text[::-1], "a", f"{text}b"]),
        "names of columns": lambda text: shared_names([f"left_{text}"], [f"right_{text}"]),
    }


def hostile(count: int) -> Iterator[str]:
    """Texts of 100,000 characters: a start, a unit many times, an end; then mixtures of units."""
    rng = random.Random(0)
    every = [(start, unit, end) for unit in _UNITS for start in _STARTS for end in _ENDS]
    rng.shuffle(every)
    yield "!" * _SIZE + "x"
    yield "\n" * _SIZE + "x"
    for n in range(count - 2):
        start, unit, end = every[n % len(every)]
        body = unit if n < len(every) else "".join(rng.choices(_UNITS, k=3))
        yield start + body * (_SIZE // len(body)) + end


@pytest.mark.filterwarnings("ignore::bayes_pref.DataWarning")
def test_no_text_is_slow() -> None:
    tried = held = 0
    slow = []
    for text in hostile(sweep.cases(24, 4000)):
        for name, door in doors().items():
            begin = time.process_time()
            with contextlib.suppress(bp.DataError):  # refused in words, and in time
                door(text)
            seconds = time.process_time() - begin
            tried, held = tried + 1, held + (seconds < _SECONDS)
            if seconds >= _SECONDS:
                slow.append((name, text[:20], round(seconds, 2)))
    sweep.report("slow expressions", tried, held)
    assert slow == []


def test_a_quadratic_expression_is_caught() -> None:
    text = "!" * 6_000 + "x"
    begin = time.process_time()
    re.findall(r"[.!?]+(?=\s|$)", text)
    quadratic = time.process_time() - begin
    begin = time.process_time()
    SURFACE["reading_ease"](text)
    assert time.process_time() - begin < quadratic / 5


def test_marks_items_and_sentences_are_counted_as_before() -> None:
    # The expressions as they read before they were linear.
    ends = re.compile(r"[.!?]+(?=\s|$)")
    items = re.compile(r"(?m)^\s*(?:[-*•]|\d{1,3}[.)])\s+\S")
    rng = random.Random(1)
    pieces = [*"!?.-* \n\t1a)`•", "- ", "12. ", "\n\n", "\r", "\x85", "\u2028", "\v"]
    for _ in range(sweep.cases(3000, 100_000)):
        text = "".join(rng.choices(pieces, k=rng.randint(0, 25)))
        assert len(_SENTENCE_END.findall(text)) == len(ends.findall(text)), text
        assert len(_ITEM.findall(text)) == len(items.findall(text)), text
