"""Names of features whose left and right columns are named alike: left_length and right_length."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bayes_pref.errors import DataError

# Words of a column name: left_length, leftLength, length.a and length1 all hold two.
_WORD = re.compile(r"\d+|[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+")


def shared_names(left: Sequence[str], right: Sequence[str]) -> tuple[str, ...]:
    """Name features by what their left and right columns share.

    The part that tells the sides apart must be the same in every pair, or else two lists in
    different orders would silently subtract one feature from another.

    Parameters
    ----------
    left, right
        Column names, paired by position.

    Returns
    -------
    names: as many as there are pairs

    Raises
    ------
    DataError
        If a pair shares no word, or the sides are marked differently from pair to pair.

    Examples
    --------
    >>> shared_names(["left_length", "left_tone"], ["right_length", "right_tone"])
    ('length', 'tone')
    >>> shared_names(["lengthA"], ["lengthB"])
    ('length',)
    """
    pairs = [_shared(*pair) for pair in zip(left, right, strict=True)]
    for one, other, (name, marks) in zip(left, right, pairs, strict=True):
        if not name or marks != pairs[0][1]:
            reason = (
                "share no word that could name the feature"
                if not name
                else f"do not differ as {left[0]!r} and {right[0]!r} do"
            )
            raise DataError(
                f"left column {one!r} and right column {other!r} {reason}",
                "check their order, or name the features with features=[...]",
            )
    return tuple(name for name, _ in pairs)


def _shared(left: str, right: str) -> tuple[str, tuple[str, str]]:
    """Find what two column names share, and the words that set them apart."""
    ours, theirs = list(_WORD.finditer(left)), list(_WORD.finditer(right))
    words, others = [m.group() for m in ours], [m.group() for m in theirs]
    most = min(len(words), len(others))
    head = next((k for k in range(most) if words[k] != others[k]), most)
    most -= head
    tail = next((k for k in range(most) if words[-1 - k] != others[-1 - k]), most)
    marks = ("_".join(words[head : len(words) - tail]), "_".join(others[head : len(others) - tail]))
    before = left[: ours[head - 1].end()] if head else ""
    after = left[ours[-tail].start() :] if tail else ""
    if before and after:  # keep the separator in front of what follows: x_left_len -> x_len
        before += left[ours[-tail - 1].end() : ours[-tail].start()]
    return before + after, marks
