"""Words for answers in tables of votes: for the side preferred ("left", "B"), and for yes or no."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

import numpy as np

SOME = "'left', 'right' or 'tie', 'A' or 'B', 'model_a' or 'model_b'"
_TIES = ("tie", "tied", "draw", "equal", "neither", "both_bad", "bothbad", "tie_(bothbad)")
_NOUNS = ("model", "response", "answer", "option", "output", "completion", "item", "candidate")
_WORDS = {"left": 1.0, "right": 0.0, "first": 1.0, "second": 0.0, "a": 1.0, "b": 0.0}
_WORDS |= {f"{noun}_{mark}": side for noun in _NOUNS for mark, side in (("a", 1.0), ("b", 0.0))}
_WORDS |= {f"{noun}_{mark}": side for noun in _NOUNS for mark, side in (("1", 1.0), ("2", 0.0))}
_WORDS |= dict.fromkeys(_TIES, 0.5)
_TRUTHS = {"yes": True, "no": False, "true": True, "false": False, "y": True, "n": False}
_NUMBERS = (bool, int, float, Decimal, np.bool_, np.number)


def side_of(value: object, sides: Sequence[str] = ()) -> float | None:
    """Read a vote: 1 if left was preferred, 0 if right, 0.5 for a tie; None if it is no vote.

    Parameters
    ----------
    value
        1, 0, 0.5, True, False or a word; capitals, spaces and hyphens do not matter.
    sides
        The caller's names of left and right, which come before the words.

    Examples
    --------
    >>> [side_of(vote) for vote in (True, "B", "Model A", "tie", "1", 2)]
    [1.0, 0.0, 1.0, 0.5, None, None]
    >>> side_of("b", ["b", "a"])
    1.0
    """
    if isinstance(value, str):
        named = {_plain(name): 1.0 - place for place, name in enumerate(sides)}
        return (_WORDS | named).get(_plain(value))
    if not isinstance(value, _NUMBERS):
        return None
    try:
        number = float(value)
    except (ArithmeticError, ValueError, TypeError):  # too large, or no number in spite of its type
        return None
    return number if number in (0.0, 0.5, 1.0) else None


def truth_of(value: object) -> bool | None:
    """Read whether something holds, such as that a row is chosen; None if the value does not say.

    Examples
    --------
    >>> [truth_of(answer) for answer in (1, False, "Yes", "n", 0.5, "1")]
    [True, False, True, False, None, None]
    """
    if isinstance(value, str):
        return _TRUTHS.get(_plain(value))
    side = side_of(value)
    return None if side is None or side == 0.5 else bool(side)


def _plain(word: str) -> str:
    return re.sub(r"[\s_-]+", "_", word.strip().lower())
