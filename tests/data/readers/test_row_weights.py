"""Weights of rows: frequencies repeat answers, survey weights stay with the users."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_pref as bp

Reader = Callable[..., bp.Comparisons]
FREQUENCY = np.array([1, 3, 2, 1])  # of the tasks below


def long() -> pd.DataFrame:
    """Four tasks of three alternatives by two users."""
    rng = np.random.default_rng(0)
    task = np.repeat(np.arange(4), 3)
    place = np.concatenate([rng.permutation(3) + 1 for _ in range(4)])
    return pd.DataFrame(
        {
            "who": np.where(task < 2, "ann", "bob"),
            "id": task,
            "alt": np.tile(["a", "b", "c"], 4),
            "x": rng.normal(size=12),
            "place": place,
            "won": (place == 1).astype(int),
            "lost": (place == 3).astype(int),
            "n": FREQUENCY[task],
            "people": np.where(task < 2, 2.0, 0.5),
        }
    )


def wide() -> pd.DataFrame:
    """The same tasks, one row each."""
    frame = long()
    table = frame.pivot(index="id", columns="alt", values="x").add_prefix("x_")
    first = frame.drop_duplicates("id").set_index("id")[["who", "n", "people"]]
    chosen = frame[frame["won"] == 1].set_index("id")["alt"].rename("won")
    return table.join(first).join(chosen)


def pairs() -> pd.DataFrame:
    """Four pairs of items, with attributes of both sides."""
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "who": ["ann", "ann", "bob", "bob"],
            "first": ["tea", "milk", "mate", "tea"],
            "second": ["milk", "mate", "tea", "mate"],
            "left_x": rng.normal(size=4),
            "right_x": rng.normal(size=4),
            "chosen": [1, 0, 1, 1],
            "n": FREQUENCY,
            "people": [2.0, 2.0, 0.5, 0.5],
        },
        index=["p", "q", "r", "s"],
    )


def _frame(frame: pd.DataFrame, **options: Any) -> bp.Comparisons:
    roles = {"user": "who", "choice": "chosen", "left": ["left_x"], "right": ["right_x"]}
    return bp.Comparisons.from_frame(frame, **roles, **options)


def _items(frame: pd.DataFrame, **options: Any) -> bp.Comparisons:
    roles = {"user": "who", "choice": "chosen", "left": "first", "right": "second"}
    return bp.Comparisons.from_items(frame, **roles, **options)


def _tasks(frame: pd.DataFrame, **options: Any) -> bp.Comparisons:
    roles = {"user": "who", "task": "id", "choice": "won", "attributes": ["x"]}
    return bp.Comparisons.from_tasks(frame, **roles, **options)


def _best_worst(frame: pd.DataFrame, **options: Any) -> bp.Comparisons:
    roles = {"user": "who", "task": "id", "best": "won", "worst": "lost", "alternative": "alt"}
    return bp.Comparisons.from_tasks(frame, **roles, **options)


def _ranked(frame: pd.DataFrame, **options: Any) -> bp.Comparisons:
    roles = {"user": "who", "ranking": "id", "item": "alt", "rank": "place"}
    return bp.Comparisons.from_rankings(frame, **roles, **options)


def _wide(frame: pd.DataFrame, **options: Any) -> bp.Comparisons:
    names = {"attributes": ["x"], "alternatives": ["a", "b", "c"]}
    return bp.Comparisons.from_wide(frame, user="who", choice="won", **names, **options)


READERS: dict[str, tuple[Reader, Callable[[], pd.DataFrame]]] = {
    "frame": (_frame, pairs),
    "items": (_items, pairs),
    "tasks": (_tasks, long),
    "best-worst": (_best_worst, long),
    "rankings": (_ranked, long),
    "wide": (_wide, wide),
}


def read(name: str, frame: pd.DataFrame, **options: Any) -> bp.Comparisons:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)  # few rows
        return READERS[name][0](frame, **options)


def by_hand(frame: pd.DataFrame) -> pd.DataFrame:
    """Repeat rows; the tasks of copies get ids of their own."""
    parts = [frame[frame["n"] > copy].assign(copy=copy) for copy in range(frame["n"].max())]
    found = pd.concat(parts)
    if "id" in found:
        found["id"] = found["id"] + 10 * found["copy"]
    return found.sort_values("copy", kind="stable")


@pytest.mark.parametrize("name", READERS)
def test_a_frequency_is_so_many_equal_rows(name: str) -> None:
    frame = READERS[name][1]()
    weighted = read(name, frame, frequency="n")
    copied = read(name, by_hand(frame).drop(columns="n"))

    def answers(data: bp.Comparisons) -> list[tuple[Any, ...]]:
        """Every observation: its user, differences and choices, in any order."""
        edges = data.outcome.observations(len(data))
        return sorted(
            (
                str(data.users[data.user[low]]),
                data.difference[low:high].tolist(),
                data.choice[low:high].tolist(),
            )
            for low, high in pairwise(edges)
        )

    assert answers(weighted) == answers(copied)
    tasks = weighted.outcome.tasks(len(weighted))
    assert int(tasks[-1]) + 1 == FREQUENCY.sum()
    plain = read(name, frame)
    assert sorted(set(weighted.tasks)) == sorted(plain.tasks)  # under the labels of the caller
    counts = pd.Series(weighted.tasks).value_counts()[plain.tasks]
    labels = pairs().index if name in ("frame", "items") else range(4)
    assert dict(counts) == dict(zip(labels, FREQUENCY, strict=True))
    assert len(plain) < len(weighted)


@pytest.mark.parametrize("name", READERS)
def test_survey_weights_stay_with_the_users(name: str) -> None:
    frame = READERS[name][1]()
    weighted, plain = read(name, frame, survey_weight="people"), read(name, frame)
    assert weighted.survey_weights is not None
    assert dict(zip(weighted.users, weighted.survey_weights, strict=True)) == {
        "ann": 2.0,
        "bob": 0.5,
    }
    assert np.array_equal(weighted.difference, plain.difference)  # the likelihood is the same
    assert weighted["bob"].survey_weights.tolist() == [0.5]
    assert weighted[["bob", "ann"]].user_shares.tolist() == [0.2, 0.8]
    train, test = weighted.split(by="user", test=0.5, seed=0)
    assert {**_by_user(train), **_by_user(test)} == {"ann": 2.0, "bob": 0.5}
    assert plain.user_shares.tolist() == [0.5, 0.5]
    assert "survey weights: 0.5 to 2" in repr(weighted)


def _by_user(data: bp.Comparisons) -> dict[str, float]:
    assert data.survey_weights is not None
    return dict(zip(data.users, data.survey_weights, strict=True))


@pytest.mark.parametrize("bad", [0.0, 1.5, -1.0, np.nan, np.inf, 1e9, "two"])
@pytest.mark.parametrize("name", ["frame", "tasks", "rankings", "wide"])
def test_frequencies_that_cannot_be_meant_are_refused(name: str, bad: Any) -> None:
    frame = READERS[name][1]()
    frame["n"] = frame["n"].astype(object)
    frame.loc[frame.index[-3:], "n"] = bad
    with pytest.raises(bp.DataError, match="column 'n'"):
        read(name, frame, frequency="n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: -1.0, 1: -1.0}, "column 'people': survey weight -1.0 is negative in row 'p'"),
        ({0: np.nan}, r"column 'people': missing value \(nan\) in row 'p'"),
        ({2: np.inf}, r"column 'people': infinite value \(inf\) in row 'r'"),
        ({3: 4.0}, "user 'bob' has the survey weights 0.5 and 4.0 in row 's'; give each user one"),
        (dict.fromkeys(range(4), 0.0), "all survey weights are 0"),
    ],
)
def test_survey_weights_that_cannot_be_meant_are_refused(
    change: dict[int, float], message: str
) -> None:
    frame = pairs()
    for row, value in change.items():
        frame.iloc[row, frame.columns.get_loc("people")] = value
    with pytest.raises(bp.DataError, match=message):
        read("frame", frame, survey_weight="people")


def test_columns_that_are_not_there_and_tasks_of_two_frequencies_are_refused() -> None:
    for name, option in ((name, option) for name in READERS for option in ("n", "people")):
        frame = READERS[name][1]().drop(columns=option)
        role = {"n": "frequency", "people": "survey_weight"}[option]
        with pytest.raises(bp.DataError, match=f"no column '{option}'"):
            read(name, frame, **{role: option})
    frame = long()
    frame.loc[4, "n"] = 7
    for name, noun in (("tasks", "task"), ("best-worst", "task"), ("rankings", "ranking")):
        with pytest.raises(bp.DataError, match=f"column 'n': 7 beside 3 in {noun} 1"):
            read(name, frame, frequency="n")
    with pytest.raises(bp.DataError, match="used both as choice and as frequency"):
        read("frame", pairs(), frequency="chosen")
    with pytest.raises(bp.DataError, match="there are no users"):
        bp.Comparisons.from_items(
            pairs(), left="first", right="second", choice="chosen", survey_weight="people"
        )


def test_people_of_no_weight_are_read_and_stand_for_nobody() -> None:
    data = read("frame", pairs().assign(people=[0.0, 0.0, 1.0, 1.0]), survey_weight="people")
    assert data.user_shares.tolist() == [0.0, 1.0]
    with pytest.raises(bp.DataError, match="stand for nobody; select other users"):
        _ = data["ann"].user_shares


def test_votes_on_texts_have_both_weights() -> None:
    votes = [
        {"who": who, "prompt": "Hi", "chosen": "Hello " * k, "rejected": "Hm.", "n": k, "w": w}
        for who, w in (("ann", 2.0), ("bob", 1.0))
        for k in (1, 2)
    ]
    read_votes = bp.text.comparisons(
        votes, user="who", surface=["length"], frequency="n", survey_weight="w"
    )
    assert len(read_votes) == 6
    assert read_votes.survey_weights is not None
    assert read_votes.survey_weights.tolist() == [2.0, 1.0]
    with pytest.raises(bp.DataError, match="no record has the field 'm'"):
        bp.text.comparisons(votes, user="who", surface=["length"], frequency="m")
