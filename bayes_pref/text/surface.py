"""Interpretable features of a text: length, lists, hedges, questions, sentiment, code.

Counts of words in a word list are per hundred words, so that they do not measure length again. The
word lists are short and English. They are meant to be read and criticised.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from bayes_pref.errors import DataError
from bayes_pref.messages import shown, suggestion
from bayes_pref.types import FloatArray

_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
# Every expression takes time in proportion to the text: none may begin at one character, run far
# and fail, and do the same at the next. So this matches the last mark of "?!?" alone, and an item
# begins on its own line, whatever blank lines there are before.
_SENTENCE_END = re.compile(r"[.!?](?=\s|\Z)")
_ITEM = re.compile(r"(?m)^[^\S\n]*(?:[-*•]|\d{1,3}[.)])\s+\S")
_VOWELS = re.compile(r"[aeiouy]+")
_FENCE = re.compile(r"(?ms)^[ \t]*```.*?(?:^[ \t]*```|\Z)")
_INLINE = re.compile(r"`[^`\n]+`")


def _list(words: str) -> frozenset[str]:
    return frozenset(words.split())


_HEDGES = _list(
    """
    maybe perhaps possibly probably might may could seems seem appears apparently somewhat
    generally usually often sometimes likely unlikely roughly depends unsure uncertain guess
    think believe suppose
    """
)
_POSITIVE = _list(
    """
    good great best better nice happy glad love like enjoy helpful useful wonderful excellent
    fun safe easy healthy beautiful perfect thanks thank welcome kind friendly interesting
    positive success successful sure yes
    """
)
_NEGATIVE = _list(
    """
    bad worse worst sad hate wrong illegal dangerous harmful harm hurt kill steal danger risk
    risky problem unfortunately sorry difficult pain sick death dead violent violence abuse
    stupid terrible awful horrible unethical no never
    """
)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _share(text: str, known: frozenset[str]) -> float:
    words = _words(text)
    return 100.0 * sum(word in known for word in words) / max(len(words), 1)


def _syllables(word: str) -> int:
    groups = len(_VOWELS.findall(word))
    silent = word.endswith("e") and not word.endswith("le") and groups > 1
    return max(groups - silent, 1)


def _reading_ease(text: str) -> float:
    """Flesch's (1948) reading ease, cut to 0 to 100: 100 is easy."""
    words = _words(text)
    if not words:
        return 100.0
    sentences = max(len(_SENTENCE_END.findall(text)), 1)
    syllables = sum(map(_syllables, words))
    ease = 206.835 - 1.015 * len(words) / sentences - 84.6 * syllables / len(words)
    return min(max(ease, 0.0), 100.0)


def _code(text: str) -> float:
    marked = [*_FENCE.findall(text), *_INLINE.findall(_FENCE.sub("", text))]
    return sum(map(len, marked)) / max(len(text), 1)


# What each feature measures, and its unit.
SURFACE: dict[str, Callable[[str], float]] = {
    "length": lambda text: float(np.log1p(len(_words(text)))),  # log of 1 + words
    "lists": lambda text: float(np.log1p(len(_ITEM.findall(text)))),  # log of 1 + items
    "hedges": lambda text: _share(text, _HEDGES),  # per 100 words
    "questions": lambda text: float(np.log1p(text.count("?"))),  # log of 1 + question marks
    "positive": lambda text: _share(text, _POSITIVE),  # per 100 words
    "negative": lambda text: _share(text, _NEGATIVE),  # per 100 words
    "code": _code,  # share of the characters, 0 to 1
    "reading_ease": lambda text: _reading_ease(text) / 10.0,  # Flesch, 0 (hard) to 10 (easy)
}


def surface_names(asked: bool | Sequence[str]) -> tuple[str, ...]:
    """Names of the requested features: all, none, or those listed.

    Raises
    ------
    DataError
        If a name is unknown.

    Examples
    --------
    >>> surface_names(["length", "code"])
    ('length', 'code')
    """
    if isinstance(asked, bool):
        return tuple(SURFACE) if asked else ()
    if not isinstance(asked, str) and not isinstance(asked, Iterable):
        raise DataError(f"surface must be True, False or names, got {shown(asked)}")
    names = (asked,) if isinstance(asked, str) else tuple(asked)
    unknown = [name for name in names if name not in SURFACE]
    if unknown:
        near = suggestion(unknown[0], SURFACE)
        remedy = near or f"known are {', '.join(SURFACE)}"
        raise DataError(f"unknown text feature {shown(unknown[0])}", remedy)
    return names


def surface(texts: str | Sequence[str], names: str | Sequence[str]) -> FloatArray:
    r"""Interpretable features of texts.

    Parameters
    ----------
    texts
        n texts, or one.
    names
        k of the names in `SURFACE`, or one.

    Returns
    -------
    values: (n, k), in the units of `SURFACE`

    Examples
    --------
    >>> surface(["Perhaps. Is it?", "- one\n- two"], ["length", "lists", "hedges"]).round(2)
    array([[ 1.39,  0.  , 33.33],
           [ 1.1 ,  1.1 ,  0.  ]])
    """
    texts = [texts] if isinstance(texts, str) else texts
    names = [names] if isinstance(names, str) else names
    values = [[SURFACE[name](text) for name in names] for text in texts]
    return np.array(values, dtype=np.float64).reshape(len(texts), len(names))
