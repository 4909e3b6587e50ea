"""Words for messages: values shown, listed, and suggested where a name is close to a known one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import numpy as np

_LONGEST = 60  # characters of a value in a message


def shown(value: object) -> str:
    """Show a value in a message, as Python writes it and not longer than 60 characters.

    Examples
    --------
    >>> shown(np.int64(3)), shown("a")
    ('3', "'a'")
    """
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def listed(values: Iterable[object], *, limit: int = 5, last: str = "and") -> str:
    """List values in a message.

    Parameters
    ----------
    values
        What to list.
    limit
        How many to name; the others are counted.
    last
        The word before the last one.

    Examples
    --------
    >>> listed(["a", "b", "c"]), listed(range(9), limit=2), listed("ab", last="or")
    ("'a', 'b' and 'c'", '0, 1 and 7 more', "'a' or 'b'")
    """
    texts = [shown(value) for value in values]
    if len(texts) > limit:
        return f"{', '.join(texts[:limit])} and {len(texts) - limit:,} more"
    if not texts:
        return "none"
    return f" {last} ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))


def suggestion(name: object, known: Iterable[object]) -> str:
    """Ask for the nearest known name, or return nothing where none comes near.

    Examples
    --------
    >>> suggestion("lenght", ["length", "tone"]), suggestion("x", ["length"])
    ("did you mean 'length'?", '')
    """
    by_text = {str(label): label for label in known}
    found = difflib.get_close_matches(str(name), by_text, n=1)
    return f"did you mean {shown(by_text[found[0]])}?" if found else ""


def closest(name: object, known: Iterable[object]) -> str:
    """Return `suggestion` as a clause to append to a sentence.

    Examples
    --------
    >>> closest("lenght", ["length", "tone"])
    "; did you mean 'length'?"
    """
    found = suggestion(name, known)
    return f"; {found}" if found else ""
