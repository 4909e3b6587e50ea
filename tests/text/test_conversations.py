"""Conversations of every format have the same prompt and responses."""

from __future__ import annotations

from typing import Any

import pytest
from text_votes import encode, read

HUMAN = "\n\nHuman: Hi\n\nAssistant: Yes?\n\nHuman: Tea or milk?\n\nAssistant:"


MESSAGES = [{"role": "user", "content": "Tea or milk?"}]


def said(text: str) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": [{"type": "text", "text": text}]}]


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "Tea or milk?", "chosen": "tea tea", "rejected": "milk."},
        {"chosen": f"{HUMAN} tea tea", "rejected": f"{HUMAN} milk."},
        {"prompt": HUMAN, "chosen": f"{HUMAN} tea tea", "rejected": f"{HUMAN} milk."},
        {"prompt": HUMAN, "chosen": "tea tea", "rejected": "milk."},
        {"prompt": MESSAGES, "chosen": said("tea tea"), "rejected": said("milk.")},
        {
            "prompt": "Tea or milk?",
            "chosen": MESSAGES + said("tea tea"),
            "rejected": MESSAGES + said("milk."),
        },
        {"chosen": MESSAGES + said("tea tea"), "rejected": MESSAGES + said("milk.")},
    ],
)
def test_every_form_of_a_conversation_gives_the_same_prompt_and_responses(
    record: dict[str, Any],
) -> None:
    seen: list[str] = []

    def spy(texts: list[str]) -> Any:
        seen.extend(texts)
        return encode(texts)

    read(
        [record, record | {"prompt": "Why?", "chosen": "a b", "rejected": "sun"}],
        user=None,
        encoder=spy,
        components=1,
        prompt_components=1,
        train=[True, True],
    )
    assert {"Tea or milk?", "tea tea", "milk."} <= set(seen)
    assert not any("Human:" in text for text in seen)
