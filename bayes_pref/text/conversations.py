"""Prompts and responses in the formats of common data sets.

A side is a string, a list of messages ({"role": ..., "content": ...}), or a whole conversation in
the format of HH-RLHF (Bai et al. 2022): turns that begin with "Human:" and "Assistant:". The turns
that both conversations of a pair share from the start are the prompt; the rest is the response.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from bayes_pref.errors import DataError

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
    # A list is read from Parquet as an array.
    if isinstance(value, list | tuple) or hasattr(value, "tolist"):
        return [_message(message) for message in value]
    raise DataError(f"is {type(value).__name__}; expected text or a list of messages")


def _message(message: Any) -> Turn:
    if not isinstance(message, dict) or "content" not in message:
        raise DataError("has a message without 'content'; expected {'role': ..., 'content': ...}")
    content = message["content"]
    if not isinstance(content, str):  # several parts, of which the texts are kept
        parts = [] if content is None else list(content)
        content = "\n".join(str(part["text"]) for part in parts if "text" in part)
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
        sides = [str(left), str(right)]
        if isinstance(prompt, str) and prompt and all(side.startswith(prompt) for side in sides):
            sides = [side[len(prompt) :] for side in sides]
        responses = _bare(sides[0]), _bare(sides[1])
    if before is None and prompt is None:
        raise DataError(
            "has no prompt, and its two sides are not conversations that begin alike",
            "name the field with prompt=...",
        )
    return Pair(str(prompt).strip() if before is None else _request(before), *responses)


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
