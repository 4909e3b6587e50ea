"""Votes on texts become comparisons, with features of the texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from text_votes import encode, read, votes, written

import bayes_pref as bp


def test_the_chosen_response_is_on_either_side_whoever_won() -> None:
    records = votes(400)
    choice = read(records).choice
    assert abs(choice.mean() - 0.5) < 4 * 0.5 / np.sqrt(400)  # four standard errors of a fair coin
    turned = [r | {"chosen": r["rejected"], "rejected": r["chosen"]} for r in records]
    other = read(turned)
    np.testing.assert_array_equal(other.choice, 1 - choice)
    np.testing.assert_allclose(other.difference, read(records).difference, atol=1e-9)
    assert (read(records, seed=1).choice != choice).any()


def test_components_are_fitted_on_training_rows_alone_and_applied_to_others() -> None:
    records = votes(60)
    train = np.arange(60) < 40
    whole = read(records, train=train, prompt_components=1)
    part = read(records[:40], prompt_components=1)
    rows = whole.rows.isin(range(40))
    np.testing.assert_allclose(whole.difference[rows], part.difference, atol=1e-9)
    np.testing.assert_allclose(whole.context[rows], part.context, atol=1e-9)
    rest = read(records[40:], features=part.text)
    np.testing.assert_allclose(whole.difference[~rows], rest.difference, atol=1e-9)
    peeking = read(records, prompt_components=1)  # the wrong way, which must differ
    assert np.abs(peeking.difference[rows] - part.difference).max() > 1e-3


def test_embeddings_known_already_give_what_an_encoder_gives() -> None:
    records = votes()
    known = {name: encode([r[name] for r in records]) for name in ("prompt", "chosen", "rejected")}
    given = read(records, encoder=None, embeddings=known, prompt_components=1)
    asked = read(records, prompt_components=1)
    np.testing.assert_allclose(given.difference, asked.difference, atol=1e-5)  # kept as float32
    np.testing.assert_allclose(given.context, asked.context, atol=1e-5)
    assert given.text is not None
    with pytest.raises(bp.DataError, match="know no encoder"):
        given.text.frame(["?"], ["tea"])
    again = given.text.with_encoder(encode).frame(["?"], ["tea"])
    assert asked.text is not None
    np.testing.assert_allclose(again, asked.text.frame(["?"], ["tea"]), atol=1e-5)


def wrong(shape: Any) -> Any:
    return lambda texts: np.zeros(shape(len(texts)))


def sometimes_nan(texts: list[str]) -> Any:
    values = encode(texts)
    values[[k for k, text in enumerate(texts) if text == "stone stone"]] = np.nan
    return values


def test_bad_input_is_refused_in_one_sentence_that_names_the_line(tmp_path: Path) -> None:
    good = votes(20)

    def spoilt(**changes: Any) -> Path:
        records = [dict(record) for record in good]
        records[16] |= changes
        records[16] = {key: value for key, value in records[16].items() if value is not ...}
        return written(tmp_path, records)

    for changes, settings, message in (
        ({"rejected": ...}, {}, "line 17 of votes.jsonl has no 'rejected'; its fields are 'who'"),
        ({"prompt": ...}, {}, "line 17 of votes.jsonl has no prompt"),
        ({"who": ...}, {}, "line 17 of votes.jsonl has no 'who'"),
        ({"chosen": " \n"}, {}, "line 17 of votes.jsonl has an empty response in 'chosen'"),
        ({"chosen": "tea", "rejected": "tea "}, {}, "line 17 of votes.jsonl has two identical"),
        ({"chosen": 3}, {}, "line 17 of votes.jsonl is int; expected text or a list"),
        ({"chosen": [{"role": "user"}]}, {}, "line 17 of votes.jsonl has a message without"),
        ({"chosen": "stone stone"}, {"encoder": sometimes_nan}, r"NaN .* response in line 17 of"),
        ({}, {"encoder": wrong(lambda n: (n - 1, 3))}, r"returned shape \(\d+, 3\) for"),
        ({}, {"encoder": wrong(lambda n: (n,))}, r"returned shape \(\d+,\) for"),
        ({}, {"encoder": str(tmp_path / "none")}, "there is no such folder"),
        ({}, {"components": 50}, "50 components of responses asked for, but 40 training"),
        ({}, {"winner": "chosen"}, "give left=, right= and winner= together"),
        ({}, {"surface": ["size"]}, "unknown text feature 'size'; known are length"),
        ({}, {"embeddings": {"answer": [[1.0]]}}, "embeddings: unknown 'answer'"),
        ({}, {"train": [True]}, "train must be a mask"),
    ):
        with pytest.raises(bp.DataError, match=message) as caught:
            read(spoilt(**changes), **settings)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["bfloat16", "gradient", "list"])
def test_embeddings_may_be_tensors_of_any_type(kind: str) -> None:
    numbers = np.random.default_rng(0).integers(-8, 8, (8, 3)).astype(float)  # exact in bfloat16
    votes = [{"prompt": "", "chosen": f"a{k}", "rejected": f"b{k}"} for k in range(8)]

    def given(values: np.ndarray) -> Any:
        if kind == "list":
            return list(torch.tensor(values, requires_grad=True))
        if kind == "gradient":
            return torch.tensor(values, requires_grad=True)
        return torch.tensor(values, dtype=torch.bfloat16)

    made, same = (
        bp.text.comparisons(
            votes,
            surface=False,
            embeddings={"chosen": made(numbers), "rejected": made(-numbers)},
            components=None,
        )
        for made in (given, np.asarray)
    )
    np.testing.assert_array_equal(made.difference, same.difference)
    with pytest.raises(bp.DataError, match="embeddings of 'chosen' must be numbers"):
        bp.text.comparisons(votes, embeddings={"chosen": [["x"]] * 8, "rejected": numbers})


def test_votes_on_pairs_that_were_assigned_at_random_are_marked() -> None:
    votes = [
        {"prompt": "Hi", "chosen": f"Yes, {k}.", "rejected": "No?", "random": k % 2 == 0}
        for k in range(4)
    ]
    read = bp.text.comparisons(votes, surface=["length"], randomised="random")
    assert read.randomised is not None
    assert read.randomised.tolist() == [True, False, True, False]
    votes[1]["random"] = "maybe"
    with pytest.raises(bp.DataError, match="'random'"):
        bp.text.comparisons(votes, surface=["length"], randomised="random")
