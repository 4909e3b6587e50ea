"""Interpretable features measure what their names say."""

from __future__ import annotations

import pytest
from text_votes import read


@pytest.mark.parametrize(
    ("name", "more", "less"),
    [
        ("length", "one two three", "one"),
        ("lists", "Buy:\n- tea\n- milk\n1. bread", "Buy tea and milk"),
        ("hedges", "Perhaps it might rain", "It rains today again"),
        ("questions", "Why? And how?", "Because of that"),
        ("positive", "A wonderful, helpful answer", "An answer of some kind of sort"),
        ("negative", "A terrible and dangerous answer", "An answer of sorts"),
        ("code", "Run this:\n```\nprint(1)\n```", "Run this: print it"),
        (
            "reading_ease",
            "The cat sat. It ate.",
            "Institutional heterogeneity complicates attribution.",
        ),
    ],
)
def test_an_interpretable_feature_says_what_its_name_says(name: str, more: str, less: str) -> None:
    record = {"who": "ann", "prompt": "?", "left": more, "right": less, "winner": "left"}
    found = read(
        [record, record], encoder=None, surface=[name], left="left", right="right", winner="winner"
    )
    assert (found.difference > 0).all()
