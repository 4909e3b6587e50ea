"""What a comparison was about: differences, both sides, items, contexts and answers in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
from made_posteriors import made_comparisons, made_votes

from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.pairs import Pairs
from bayes_pref.diagnostics.query import Query


def pairs_of(comparisons: Comparisons) -> Pairs:
    """The pairs of these comparisons, as a diagnosis of them would have them."""
    people = comparisons.users[comparisons.user]
    shown = (comparisons.difference, comparisons.context, comparisons.user)
    return Pairs(Query(*shown, people, comparisons.rows), comparisons)


def test_differences_are_named_largest_first_and_those_of_zero_are_not() -> None:
    frame = pd.DataFrame(
        {"who": list("aabb"), "won": [1, 0, 1, 0], "price": [100.0, 0.0, 50.0, -80.0]}
    )
    frame = frame.assign(size=[0.0, 2.5, 2.0, 1 / 3], about=[1.5, 0.0, 2.0, 3.0])
    read = Comparisons.from_frame(
        frame, user="who", choice="won", difference=["size", "price"], context=["about"]
    )
    assert pairs_of(read).texts([0, 1, 2, 3]) == [
        "price +100; about = 1.5",
        "size +2.5; about = 0",
        "size +2, price +50; about = 2",
        "price -80, size +0.3333; about = 3",
    ]
    assert pairs_of(read).answers == ["left", "right", "left", "right"]


def test_of_many_differences_the_rest_is_counted() -> None:
    rng = np.random.default_rng(0)
    names = [f"f{k}" for k in range(15)]
    frame = pd.DataFrame(rng.normal(size=(6, 15)), columns=names)
    frame = frame.assign(who=list("aabbcc"), won=1)
    frame.loc[3, names[:4]] = 0.0
    read = Comparisons.from_frame(frame, user="who", choice="won", difference=names)
    data = pairs_of(read).data(np.arange(6))
    assert data["left_out"] == [3, 3, 3, 0, 3, 3]
    assert [len(row) for row in data["differences"]] == [12, 12, 12, 11, 12, 12]
    assert "and 3 more" in pairs_of(read).texts([0])[0]


def test_an_item_is_named_on_its_side() -> None:
    votes = made_votes()
    data = pairs_of(votes).data(np.arange(len(votes)))
    assert data["items"] == [True] * 3
    for text, difference in zip(pairs_of(votes).texts(range(24)), votes.difference, strict=True):
        left = votes.features.attributes[int(difference.argmax())]
        right = votes.features.attributes[int(difference.argmin())]
        assert set(text.split(", ")) == {f"left: {left}", f"right: {right}"}


def test_where_both_sides_are_known_both_are_told() -> None:
    rng = np.random.default_rng(1)
    items = pd.DataFrame({"price": [1.0, 2.0, 4.0]}, index=["x", "y", "z"])
    votes = pd.DataFrame({"who": np.arange(12) % 3, "one": "x", "other": "z"})
    votes = votes.assign(won=rng.integers(0, 2, size=12))
    columns = {"user": "who", "left": "one", "right": "other", "choice": "won"}
    read = Comparisons.from_items(votes, items, **columns)
    assert read.right is not None
    assert set(pairs_of(read).texts(range(12))) == {"price 1 against 4"}


def test_contexts_that_are_off_are_not_named() -> None:
    made = made_comparisons()
    frame = pd.DataFrame(made.difference, columns=["length", "tone", "tact"])
    frame = frame.assign(who=made.user, won=made.choice, code=[0, 1] * 30, maths=[1, 0] * 30)
    read = Comparisons.from_frame(
        frame, user="who", choice="won", difference=["length"], context=["code", "maths"]
    )
    ends = {text.rpartition("; ")[2] for text in pairs_of(read).texts(range(60))}
    assert ends == {"code = 1", "maths = 1"}


def test_answers_of_new_comparisons_are_not_known() -> None:
    made = made_comparisons()
    other = made_comparisons(seed=1)
    query = Query(other.difference, other.context, other.user, other.users[other.user], other.rows)
    assert Pairs(query, made).answers is None
    frame = pd.DataFrame({"who": [0, 0, 1, 1, 1, 1], "won": [1, 1, 2, 3, 2, 1], "x": 1.0})
    graded = Comparisons.from_frame(frame, user="who", choice="won", difference=["x"], levels=3)
    assert pairs_of(graded).answers is None
