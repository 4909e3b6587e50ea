"""Prompts and responses in the formats of common data sets.

A side is a string, a list of messages ({"role": ..., "content": ...}), or a whole conversation in
the format of HH-RLHF (Bai et al. 2022): turns that begin with "Human:" and "Assistant:". The turns
that both conversations of a pair share from the start are the prompt; the rest is the response.
Wherever texts are taken, one string, or one list of messages, is one text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from bayes_pref.errors import DataError

# One text, one message, one list of messages, or several of these.
Texts: TypeAlias = "str | Mapping[str, Any] | Sequence[str | Sequence[Mapping[str, Any]]]"

_MARK = re.compile(r"(?:^|\n\n)[ ]*(Human|Assistant):[ ]?")
_ROLES = {"Human": "user", "Assistant": "assistant"}


class Turn(NamedTuple):
    """One turn of a conversation: the role ("user", "assistant", "system") and the text."""

    role: str
    text: str


def turns(value: Any) -> list[Turn] | None:
    r"""Split a conversation into turns; None for a string that is no conversation.

    Raises
    ------
    DataError
        If the value is neither text nor messages.

    Examples
    --------
    >>> turns("\n\nHuman: Hi\n\nAssistant: Hello")
    [Turn(role='user', text='Hi'), Turn(role='assistant', text='Hello')]
    >>> turns("Hello") is None
    True
    """
    if isinstance(value, str):
        text = value.strip()
        if not text.startswith(("Human:", "Assistant:")):
            return None
        marks = list(_MARK.finditer(text))
        ends = [mark.start() for mark in marks[1:]] + [len(text)]
        return [
            Turn(_ROLES[mark.group(1)], text[mark.end() : end].strip())
            for mark, end in zip(marks, ends, strict=True)
        ]
    if isinstance(value, Mapping):
        return [_message(value)]
    if _is_list(value):
        return [_message(message) for message in value]
    raise DataError(f"is {type(value).__name__}; expected text or a list of messages")


def _is_list(value: Any) -> bool:
    # A list is read from Parquet as an array.
    return isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim == 1)


def _message(message: Any) -> Turn:
    """Return one message; of several parts the texts."""
    if not isinstance(message, Mapping) or "content" not in message:
        raise DataError("has a message without 'content'; expected {'role': ..., 'content': ...}")
    content = message["content"]
    if not isinstance(content, str):  # several parts, of which the texts are kept
        parts = [] if content is None else content
        if not _is_list(parts):
            raise DataError(f"has a message whose content is {type(content).__name__}, not text")
        texts = [part.get("text") if isinstance(part, Mapping) else part for part in parts]
        content = "\n".join(text for text in texts if isinstance(text, str))
    return Turn(str(message.get("role", "assistant")), content.strip())


class Pair(NamedTuple):
    """A prompt (its last request) and two responses to it."""

    prompt: str
    left: str
    right: str


def split(prompt: Any, left: Any, right: Any) -> Pair:
    r"""Separate the prompt from the two responses.

    Parameters
    ----------
    prompt
        The prompt as given; None: the turns that the two conversations share.
    left, right
        The responses, or whole conversations.

    Raises
    ------
    DataError
        If there is no prompt, or a side is neither text nor messages.

    Examples
    --------
    >>> start = "\n\nHuman: Hi\n\nAssistant: "
    >>> split(None, start + "Hello!", start + "Go away.")
    Pair(prompt='Hi', left='Hello!', right='Go away.')
    """
    before = None if prompt is None else turns(prompt)
    one, other = turns(left), turns(right)
    if one is not None and other is not None:
        shared = _shared(one, other)
        responses = _joined(one[shared:]), _joined(other[shared:])
        before = one[:shared] or before
    else:
        given = ((one, left), (other, right))
        sides = [str(side) if said is None else _joined(said) for said, side in given]
        if isinstance(prompt, str) and prompt and all(side.startswith(prompt) for side in sides):
            sides = [side[len(prompt) :] for side in sides]
        responses = _bare(sides[0]), _bare(sides[1])
    if before is None and prompt is None:
        raise DataError(
            "has no prompt, and its two sides are not conversations that begin alike",
            "name the field with prompt=...",
        )
    return Pair(str(prompt).strip() if before is None else _request(before), *responses)


def texts(values: Any, what: str) -> list[str]:
    """Return the texts that are given: one text, one list of messages, or several of these.

    Parameters
    ----------
    values
        Texts are kept as they are; of messages, what they say.
    what
        The argument's name, for messages.

    Raises
    ------
    DataError
        If one is neither text nor messages.

    Examples
    --------
    >>> texts("Seven.", "responses"), texts([{"role": "assistant", "content": "7"}], "responses")
    (['Seven.'], ['7'])
    """
    found = []
    # A loop over texts: their formats may differ.
    for n, value in enumerate(_several(values, what)):
        try:
            found.append(value if isinstance(value, str) else _joined(turns(value) or []))
        except DataError as err:
            raise DataError(f"{what}: number {n} {err}") from None
    return found


def exchanges(prompts: Any, responses: Any) -> tuple[list[str], list[str]]:
    r"""Return prompts and responses, paired row by row, as `split` reads those of a vote.

    Parameters
    ----------
    prompts
        n prompts, or one for all responses: texts, lists of messages, or conversations.
    responses
        n responses, or one: texts, lists of messages, or conversations that go on from the prompt.

    Returns
    -------
    prompts, responses: n each

    Raises
    ------
    DataError
        If one is neither text nor messages, or there are more prompts than one and not n.

    Examples
    --------
    >>> exchanges([{"role": "user", "content": "3 + 4?"}], ["Seven.", "8"])
    (['3 + 4?', '3 + 4?'], ['Seven.', '8'])
    """
    asked, said = _several(prompts, "prompts"), _several(responses, "responses")
    if len(asked) != len(said):
        if not _is_one(prompts):
            raise DataError(f"{len(asked)} prompts for {len(said)} responses: pair them")
        asked = asked * len(said)
    pairs = [_exchange(n, *pair) for n, pair in enumerate(zip(asked, said, strict=True))]
    return [prompt for prompt, _ in pairs], [response for _, response in pairs]


def _exchange(n: int, prompt: Any, response: Any) -> tuple[str, str]:
    """Prompt and response of one exchange."""
    what = "prompts"
    try:
        before = turns(prompt)
        what = "responses"
        said = turns(response)
    except DataError as err:
        raise DataError(f"{what}: number {n} {err}") from None
    request = str(prompt).strip() if before is None else _request(before)
    if said is None:
        return request, _bare(response)
    asked = [Turn("user", request)] if before is None else before
    if asked and not asked[-1].text:  # "Assistant:", whose turn it is
        asked = asked[:-1]
    repeated = said[: len(asked)] == asked and len(said) > len(asked)
    return request, _joined(said[len(asked) :] if repeated else said)


def _is_one(value: Any) -> bool:
    """Whether a value is one text or one list of messages."""
    if isinstance(value, str | Mapping):
        return True
    return _is_list(value) and len(value) > 0 and all(isinstance(part, Mapping) for part in value)


def _several(values: Any, what: str) -> list[Any]:
    """Return one value or a list of any library as a list."""
    if isinstance(values, np.ndarray) and not values.ndim:
        values = values.item()
    if _is_one(values):
        return [values]
    if _is_list(values) or isinstance(values, pd.Series | pd.Index) or hasattr(values, "to_list"):
        return list(values)
    raise DataError(
        f"{what} is {type(values).__name__}; expected a text, a list of messages, or a list of "
        "either"
    )


def _shared(one: list[Turn], other: list[Turn]) -> int:
    most = min(len(one), len(other)) - 1  # the last turn is a response, even where both are equal
    return next((k for k in range(most) if one[k] != other[k]), max(most, 0))


def _joined(said: list[Turn]) -> str:
    """One turn as it is; several turns with their roles."""
    if len(said) == 1:
        return said[0].text
    return "\n\n".join(f"{turn.role}: {turn.text}" for turn in said)


def _request(before: list[Turn]) -> str:
    """The last request of the user."""
    asked = [turn.text for turn in before if turn.role == "user"]
    return asked[-1] if asked else "\n".join(turn.text for turn in before)


def _bare(response: str) -> str:
    response = response.strip()
    return response.removeprefix("Assistant:").strip()
