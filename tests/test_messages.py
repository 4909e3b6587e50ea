"""Messages show plain values and short lists, and suggest a name that is close."""

from __future__ import annotations

import time

import numpy as np
import pytest

import bayes_pref as bp
from bayes_pref import settings
from bayes_pref.errors import (
    ConvergenceWarning,
    DataError,
    DataWarning,
    KeywordError,
    ModelError,
    Unsupported,
)
from bayes_pref.messages import closest, listed, printable, shown, suggestion


def test_messages_show_plain_values_and_short_lists() -> None:
    assert shown(np.int64(3)) == "3"
    assert shown(np.str_("a")) == "'a'"
    assert len(shown("x" * 500)) == 60
    assert listed([]) == "none"
    assert listed(["a"]) == "'a'"
    assert listed(["a", 1, "c"]) == "'a', 1 and 'c'"
    assert listed(range(1_010), limit=2) == "0, 1 and 1,008 more"
    assert closest("17", [16, 17]) == "; did you mean 17?"
    assert closest("length", ["price"]) == ""
    assert suggestion("pice", ["price"]) == "did you mean 'price'?"
    assert listed(["a", "b", "c"], last="or") == "'a', 'b' or 'c'"


def test_a_label_shows_on_one_line_and_can_do_nothing_but_be_read() -> None:
    hostile = "a\x1b[2J\x07\x00\r\nb\u202eevil\u2028c\ud83d\x9b"
    shown_label = printable(hostile)
    assert shown_label.isprintable()
    assert shown_label == r"a\x1b[2J\x07\x00\r\nb\u202eevil\u2028c\ud83d\x9b"
    assert printable("café 東京 😀 a b") == "café 東京 😀 a b"
    assert printable("one\ntwo\t", lines=True) == "one\ntwo\\t"


def test_a_value_with_a_repr_of_several_lines_is_shown_on_one() -> None:
    assert shown(np.zeros((2, 2))) == "array([[0., 0.], [0., 0.]])"


def test_errors_and_warnings_hold_no_control_characters() -> None:
    for kind in (DataError, ModelError, Unsupported, DataWarning, ConvergenceWarning):
        assert str(kind("of\nuser \x1b[2J")) == r"of user \x1b[2J"


def test_names_too_long_to_misspell_are_not_compared() -> None:
    begin = time.perf_counter()
    assert suggestion("ab" * 50_000, ["ba" * 50_000]) == ""
    assert time.perf_counter() - begin < 0.5


def test_an_unknown_keyword_is_answered_with_the_right_one() -> None:
    with pytest.raises(KeywordError, match="did you mean 'features'"):
        bp.simulate(feature=["a"])  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="'tastes'; write factors="):
        bp.simulate(tastes=2)  # type: ignore[call-arg]
    with pytest.raises(KeywordError, match="'types'; write components="):
        bp.MixtureReward(types=2)  # type: ignore[call-arg]
    with pytest.raises(KeywordError, match="'weight'; it takes 'length' and 'tone'"):
        settings.check_keywords("cut", ["weight"], ["length", "tone"])
