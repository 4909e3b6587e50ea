"""Comparisons of many items are those of few, held without zeros, in memory that does not grow."""

from __future__ import annotations

import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

import bayes_pref as bp
from bayes_pref.data.alignment import aligned
from bayes_pref.data.joining import joined
from bayes_pref.data.more_answers import MoreAnswers, with_answers
from bayes_pref.data.same_pairs import same_pairs
from bayes_pref.data.sparse_rows import SparseRows, is_sparse

ITEMS, ROWS = 3_000, 3_200  # of an array of 77 MB


def votes(items: int = ITEMS, rows: int = ROWS, users: int = 40, seed: int = 0) -> pd.DataFrame:
    """Return votes in which every item appears."""
    rng = np.random.default_rng(seed)
    left = np.append(np.arange(items), rng.integers(0, items, rows - items))
    right = (left + rng.integers(1, items, rows)) % items
    return pd.DataFrame(
        {
            "who": rng.integers(0, users, rows),
            "a": [f"i{k}" for k in left],
            "b": [f"i{k}" for k in right],
            "won": rng.integers(0, 2, rows).astype(float),
            "length": rng.normal(size=rows),
            "hot": rng.integers(0, 2, rows).astype(float),
            "topic": rng.normal(size=rows),
        }
    )


def read(frame: pd.DataFrame, **options: Any) -> bp.Comparisons:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)
        return bp.Comparisons.from_items(
            frame, user="who", left="a", right="b", choice="won", **options
        )


def expected(comparisons: bp.Comparisons, frame: pd.DataFrame) -> np.ndarray:
    """Return the indicators' differences of the rows, from the table."""
    place = {name: k for k, name in enumerate(comparisons.features.items)}
    shown = frame.loc[comparisons.rows]
    found = np.zeros((len(shown), len(place)))
    found[np.arange(len(shown)), shown["a"].map(place)] += 1.0
    found[np.arange(len(shown)), shown["b"].map(place)] -= 1.0
    return found


def test_items_are_held_without_zeros_and_are_the_same_numbers() -> None:
    frame = votes()
    comparisons = read(frame)
    assert is_sparse(comparisons.difference)
    np.testing.assert_array_equal(np.asarray(comparisons.difference), expected(comparisons, frame))
    assert comparisons.feature_scale.tolist() == [1.0] * ITEMS
    assert not comparisons.constant
    assert comparisons.catalogue is not None
    assert comparisons.catalogue.iloc[7].to_numpy().nonzero()[0].tolist() == [7]


def test_products_with_contexts_and_attributes_beside_items_are_the_same_numbers() -> None:
    frame = votes()
    comparisons = read(
        frame, attributes={"length": "length"}, context=["hot", "topic"], interactions="all"
    )
    assert is_sparse(comparisons.difference)
    shown = frame.loc[comparisons.rows]
    plain = np.column_stack([expected(comparisons, frame), shown["length"]])
    whole = comparisons.features.expand(plain, shown[["hot", "topic"]].to_numpy())
    assert whole.shape[1] == 3 * (ITEMS + 1)
    np.testing.assert_array_equal(np.asarray(comparisons.difference), np.asarray(whole))
    # By their definition: of an item's product the context's root mean square.
    size = np.sqrt((shown["topic"] ** 2).mean())
    place = comparisons.feature_names.index("i7:topic")
    assert comparisons.feature_scale[place] == pytest.approx(size)
    assert comparisons.feature_scale[ITEMS] == pytest.approx(np.sqrt((shown["length"] ** 2).mean()))


def test_sides_are_tossed_as_of_few_items() -> None:
    frame = votes()
    shown, tossed = read(frame), read(frame, sides="toss")
    turned = tossed.choice != shown.choice
    assert 0.4 < turned.mean() < 0.6
    signs = np.where(turned, -1.0, 1.0)[:, None]
    np.testing.assert_array_equal(
        np.asarray(tossed.difference), signs * np.asarray(shown.difference)
    )


@pytest.mark.parametrize("attributes", [False, True])
def test_tasks_and_rankings_of_many_items_are_held_without_zeros(attributes: bool) -> None:
    rng, task = np.random.default_rng(1), np.repeat(np.arange(3_000), 3)
    frame = pd.DataFrame(
        {
            "who": task % 50,
            "task": task,
            "item": (task + np.tile([0, 700, 1_600], 3_000)) % 3_000,
            "price": rng.normal(size=9_000),
            "rank": np.tile([2, 1, 3], 3_000),
        }
    )
    if attributes:
        made = bp.Comparisons.from_tasks(
            frame, user="who", task="task", rank="rank", items="item", attributes=["price"]
        )
    else:
        made = bp.Comparisons.from_rankings(
            frame, user="who", ranking="task", item="item", rank="rank"
        )
    assert is_sparse(made.difference)
    place = {int(name): k for k, name in enumerate(made.features.items)}
    for row in range(0, len(made), 97):
        number, *sides = made.rows[row]  # the task, the better and the worse
        shown = frame[frame["task"] == number]
        line = np.zeros(made.n_features)
        for side, sign in zip(sides, (1.0, -1.0), strict=True):
            one = shown.iloc[side - 1] if attributes else shown[shown["item"] == side].iloc[0]
            line[place[int(one["item"])]] += sign
            if attributes:
                line[-1] += sign * one["price"]
        np.testing.assert_array_equal(made.difference[row], line)


def pair(seed: int = 0) -> tuple[bp.Comparisons, bp.Comparisons]:
    """Return the same few comparisons, without zeros and as an array."""
    few = read(votes(12, 200, users=7, seed=seed), context=["hot"], interactions="all")
    return replace(few, difference=SparseRows(csr_array(few.difference))), few


def same(one: bp.Comparisons, other: bp.Comparisons) -> None:
    assert is_sparse(one.difference) or not is_sparse(other.difference)
    np.testing.assert_array_equal(np.asarray(one.difference), np.asarray(other.difference))
    for name in ("choice", "user", "context", "covariates"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.feature_names == other.feature_names
    np.testing.assert_array_equal(one.feature_scale, other.feature_scale)
    assert one.constant == other.constant


ANSWERS = {
    "itself": lambda data, _: data,
    "taken": lambda data, _: data.take([5, 1, 100, 5]),
    "masked": lambda data, _: data.take(np.arange(len(data)) % 2 == 0),
    "users": lambda data, _: data[list(data.users[[3, 1]])],
    "train": lambda data, _: data.split(by="comparison", seed=3)[0],
    "joined": lambda data, other: joined(
        data[list(data.users[:3])], other[list(other.users[3:])], "comparisons"
    ),
    "answers": lambda data, other: with_answers(
        data,
        MoreAnswers(
            np.array([2]), other.difference[:1], other.context[:1], np.ones(1), pd.Index(["new"])
        ),
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_made_of_comparisons_is_the_same(name: str) -> None:
    sparse, dense = pair()
    made: Callable[..., bp.Comparisons] = ANSWERS[name]
    same(made(sparse, sparse), made(dense, dense))
    same(made(sparse, dense), made(dense, dense))


def test_tables_pairs_and_descriptions_are_the_same() -> None:
    sparse, dense = pair()
    assert repr(sparse) == repr(dense)
    pd.testing.assert_frame_equal(sparse.to_frame(), dense.to_frame())
    (rows, one, turned), (expected_rows, other, back) = same_pairs(sparse), same_pairs(dense)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_array_equal(turned, back)
    assert len(set(zip(one.tolist(), other.tolist(), strict=True))) == len(set(other.tolist()))


def test_other_orders_of_items_are_brought_into_line() -> None:
    frame = votes(12, 200, users=7)
    fitted, new = read(frame), read(frame.iloc[::-1])
    held = replace(new, difference=SparseRows(csr_array(new.difference)))
    found = aligned(held, fitted, "held_out", all_contexts=True)
    wanted = aligned(new, fitted, "held_out", all_contexts=True)
    np.testing.assert_array_equal(np.asarray(found.difference), wanted.difference)
    few = read(frame[~frame["a"].isin(["i3"]) & ~frame["b"].isin(["i3"])])
    with pytest.raises(bp.errors.DataError, match=r"fitted to no item 'i3'"):
        aligned(held, few, "held_out", all_contexts=True)


def test_a_value_that_is_too_large_is_refused_by_name() -> None:
    frame = votes()
    frame.loc[5, "topic"] = 1e308
    frame["length"] *= 1e10
    with pytest.raises(bp.errors.DataError, match=r"feature 'length:topic'.*too large"):
        read(
            frame,
            attributes={"length": "length"},
            context=["topic"],
            interactions=[("length", "topic"), *((f"i{k}", "topic") for k in range(ITEMS))],
        )


def test_memory_does_not_grow_with_items_times_rows() -> None:
    frame = votes(2_000, 50_000)
    tracemalloc.start()
    try:
        comparisons = read(frame)
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    array = 8 * 2_000 * 50_000
    assert is_sparse(comparisons.difference)
    # 12 bytes an entry, a few numbers and labels a row, and the catalogue, which is an array up to
    # 2,900 items; while rows are read some copies.
    assert kept < 0.06 * array
    assert most < 0.15 * array
