"""Messages show plain values and short lists, and suggest a name that is close."""

from __future__ import annotations

import numpy as np

from bayes_pref.messages import closest, listed, shown, suggestion


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
