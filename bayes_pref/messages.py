"""Words for messages: values shown, listed, and suggested where a name is close to a known one.

Labels are the caller's, and may hold anything. `printable` is the one place that decides which
characters of them reach a terminal, a page, a picture or a message as they are.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

_LONGEST = 60  # characters of a value in a message
_PACKAGE = str(Path(__file__).parent)
_LONGEST_NAME = 100  # characters of a name that is compared with others: the time grows with both
_NAMED, _LARGE = 3, 0.5  # most features that name a direction, and their least relative size
_MOST_NAMES = 2000  # names that one is compared with


class _Escapes(dict[int, str]):
    """Code points that are not printable, and what is written for them; found when first met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        # As Python decides: no controls, formats (of direction, too), halves, separators.
        kept = character == " " or character.isprintable()
        self[code] = character if kept else repr(character)[1:-1]
        return self[code]


_ESCAPES: Final = _Escapes()
_ESCAPES_BUT_LINES: Final = _Escapes({ord("\n"): "\n"})


def printable(value: object, *, lines: bool = False) -> str:
    r"""Write a label so that it shows on one line and can do nothing but be read.

    Control characters, marks that change the direction of text, separators of lines, halves of
    characters and unassigned ones become escapes, as Python writes them.

    Parameters
    ----------
    value
        The label, or a text that holds some.
    lines
        Whether to keep line feeds: for a whole text, whose labels were written before.

    Examples
    --------
    >>> print(printable("red\x1b[31m"), printable("two\nlines"), printable("caf\xe9"))
    red\x1b[31m two\nlines café
    """
    return str(value).translate(_ESCAPES_BUT_LINES if lines else _ESCAPES)


def shown(value: object) -> str:
    """Show a value in a message, as Python writes it on one line of at most 60 characters.

    Examples
    --------
    >>> shown(np.int64(3)), shown("a")
    ('3', "'a'")
    """
    try:
        text = repr(value.item() if isinstance(value, np.generic) else value)
    except Exception:  # noqa: BLE001  # the message is about the value, not about its broken repr
        text = f"<{type(value).__name__}>"
    text = printable(" ".join(line.strip() for line in text.splitlines()))
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
    if len(str(name)) > _LONGEST_NAME:
        return ""
    names = islice(((str(label), label) for label in known), _MOST_NAMES)
    by_text = {text: label for text, label in names if len(text) <= _LONGEST_NAME}
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


def direction_name(vector: np.ndarray[Any, Any], names: Sequence[str]) -> str:
    """Name a direction by its largest features, the first with a plus.

    Parameters
    ----------
    vector
        (d,) loadings of scaled features.
    names
        (d,) the features.

    Examples
    --------
    >>> direction_name(np.array([-0.7, 0.1, 0.6]), ["price", "brand", "size"])
    'price - size'
    """
    size = np.abs(vector)
    order = np.argsort(-size, kind="stable")[:_NAMED]
    largest = [k for k in order if size[k] >= _LARGE * size[order[0]]]
    text = str(names[largest[0]])
    for k in largest[1:]:
        text += f" {'+' if vector[k] * vector[largest[0]] > 0 else '-'} {names[k]}"
    return text


def unknown_keyword(
    function: str, name: str, known: Iterable[str], renamed: Mapping[str, str] | None = None
) -> str:
    """Say that a function has no such keyword, and which one is meant.

    Parameters
    ----------
    function
        Name of the function or class.
    name
        The keyword that was given.
    known
        Keywords that there are.
    renamed
        Old keyword -> what to write instead.

    Examples
    --------
    >>> print(unknown_keyword("cut", "lenght", ["length"]))
    cut() got an unexpected keyword argument 'lenght'; did you mean 'length'?
    >>> print(unknown_keyword("cut", "size", ["length"], {"size": "length="}))
    cut() got an unexpected keyword argument 'size'; write length=
    """
    names = list(known)
    start = f"{function}() got an unexpected keyword argument {shown(name)}"
    if renamed and name in renamed:
        return f"{start}; write {renamed[name]}"
    if near := closest(name, names):
        return f"{start}{near}"
    return f"{start}; it takes {listed(names, limit=len(names))}"


def callers_level() -> int:
    """Return the `stacklevel` at which a warning shows the line that called the package.

    However many functions of the package lie between.

    Examples
    --------
    >>> callers_level()
    1
    """
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    return level
