"""Conversations of every format have the same prompt and responses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from text_votes import encode, read

from bayes_pref.errors import DataError
from bayes_pref.text.conversations import exchanges, split, texts

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


SAID = [{"role": "assistant", "content": "Seven."}]


@pytest.mark.parametrize(
    "given",
    ["Seven.", np.array("Seven."), ["Seven."], ("Seven.",), pd.Series(["Seven."]), SAID, SAID[0],
     [SAID], [[{"role": "assistant", "content": [{"type": "text", "text": "Seven."}]}]]],
)  # fmt: skip
def test_one_string_or_one_list_of_messages_is_one_text(given: Any) -> None:
    assert texts(given, "responses") == ["Seven."]
    assert exchanges("3 + 4?", given) == (["3 + 4?"], ["Seven."])
    assert exchanges([{"role": "user", "content": "3 + 4?"}], given)[0] == ["3 + 4?"]


def test_one_prompt_is_that_of_all_responses_and_a_list_is_paired() -> None:
    assert exchanges("a", ["x", "y"]) == (["a", "a"], ["x", "y"])
    assert exchanges(["a", "b"], ["x", "y"]) == (["a", "b"], ["x", "y"])
    with pytest.raises(DataError, match="2 prompts for 1 responses: pair them"):
        exchanges(["a", "b"], "xyz")


def test_a_conversation_that_goes_on_from_the_prompt_is_the_rest_of_it() -> None:
    start = "\n\nHuman: Hi\n\nAssistant:"
    assert exchanges(start, f"{start} Hello!") == (["Hi"], ["Hello!"])
    asked = [{"role": "user", "content": "Hi"}]
    said = [[*asked, {"role": "assistant", "content": "Hello!"}]]
    assert exchanges("Hi", said) == exchanges(asked, said) == (["Hi"], ["Hello!"])


@pytest.mark.parametrize(
    "wrong", [None, 3, 2.5, b"text", {"a"}, [None], ["a", 3], [b"x"], [{"role": "user"}], [[3]],
              [{"content": 3}], np.zeros((2, 2)), {"role": "user"}, np.array([1.0])]
)  # fmt: skip
def test_what_is_neither_text_nor_messages_is_refused(wrong: Any) -> None:
    with pytest.raises(DataError, match="responses"):
        texts(wrong, "responses")
    with pytest.raises(DataError, match="responses"):
        exchanges("a", wrong)
    with pytest.raises(DataError, match="prompts"):
        exchanges(wrong, "a")


def test_messages_beside_a_text_are_read_as_what_they_say() -> None:
    pair = split("Hi", [{"role": "assistant", "content": "Hello!"}], "Go away.")
    assert pair == ("Hi", "Hello!", "Go away.")
