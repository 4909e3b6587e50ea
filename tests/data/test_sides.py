"""Sides that were decided after the answer are tossed anew, or found and said."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import bayes_pref as bp
from bayes_pref.data.sides import one_sided

LEVELS = ["much worse", "worse", "better", "much better"]


def shown(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Votes with both sides' attributes, as they were shown."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"who": rng.integers(0, 20, rows), "hard": rng.normal(size=rows)})
    for name in ("left_x", "right_x", "left_y", "right_y"):
        frame[name] = rng.normal(size=rows)
    for name in ("x", "y"):
        frame[name] = frame[f"left_{name}"] - frame[f"right_{name}"]
    eta = 1.5 * frame["x"] - frame["y"]
    frame["choice"] = (rng.random(rows) < 1 / (1 + np.exp(-eta))).astype(int)
    frame["level"] = np.digitize(eta + rng.logistic(size=rows), [-1.0, 0.0, 1.0]) + 1
    return frame


def winner_first(frame: pd.DataFrame) -> pd.DataFrame:
    """The same votes with the chosen item on the left."""
    lost = (frame["choice"] == 0).to_numpy()
    turned = frame.copy()
    for name in ("x", "y"):
        turned[name] = np.where(lost, -frame[name], frame[name])
        turned[f"left_{name}"] = np.where(lost, frame[f"right_{name}"], frame[f"left_{name}"])
        turned[f"right_{name}"] = np.where(lost, frame[f"left_{name}"], frame[f"right_{name}"])
    return turned.assign(choice=1)


def read(frame: pd.DataFrame, **changes: Any) -> bp.Comparisons:
    columns = {"user": "who", "choice": "choice", "difference": ["x", "y"], "context": ["hard"]}
    return bp.Comparisons.from_frame(frame, **columns | {"interactions": "all"} | changes)


def contents(read: bp.Comparisons) -> pd.DataFrame:
    """Every row with its user, differences and choice, whatever the order of the rows."""
    frame = pd.DataFrame(read.difference).assign(choice=read.choice, who=read.users[read.user])
    return frame.sort_values(list(frame.columns)).reset_index(drop=True)


def test_tossed_rows_do_not_depend_on_who_was_written_first_or_on_the_order() -> None:
    frame = shown()
    made = read(frame, sides="toss")
    columns = {"difference": None, "left": ["left_x", "left_y"], "right": ["right_x", "right_y"]}
    orders = [winner_first(frame), frame.sample(frac=1, random_state=1), frame.iloc[::-1]]
    for same in [*orders, winner_first(frame).iloc[::-1]]:
        pd.testing.assert_frame_equal(contents(read(same, sides="toss")), contents(made))
        pd.testing.assert_frame_equal(
            contents(read(same, sides="toss", **columns)), contents(made), check_exact=False
        )
    swapped = read(frame, difference=["y", "x"], interactions=None, sides="toss")
    np.testing.assert_array_equal(swapped.difference, made.difference[:, [1, 0]])
    assert made.sides == "toss"
    assert not np.array_equal(made.choice, read(frame).choice)
    other = read(frame, sides="toss", seed=1)
    assert 0.3 < np.mean(other.choice == made.choice) < 0.7


def test_an_exchanged_row_is_the_same_row_from_the_other_side() -> None:
    frame = shown()
    sides = {"difference": None, "left": ["left_x", "left_y"], "right": ["right_x", "right_y"]}
    before, after = read(frame, **sides), read(frame, **sides, sides="toss")
    turned = before.choice != after.choice
    sign = np.where(turned, -1.0, 1.0)[:, None]
    np.testing.assert_array_equal(after.difference, sign * before.difference)
    np.testing.assert_array_equal(after.context, before.context)
    assert after.right is not None
    assert before.right is not None
    expected = np.where(turned[:, None], before.right + before.difference[:, :2], before.right)
    np.testing.assert_allclose(after.right, expected, atol=1e-14)
    # Sides are a fair coin, of which the answer knows nothing.
    for which in (before.choice == 1, before.choice == 0):
        low, high = binom.ppf([1e-5, 1 - 1e-5], which.sum(), 0.5)
        assert low <= turned[which].sum() <= high


def test_levels_and_ties_are_mirrored() -> None:
    frame = shown()
    for levels in (4, LEVELS):
        said = frame["level"] if levels == 4 else frame["level"].map(lambda k: LEVELS[k - 1])
        before, after = (
            read(frame.assign(choice=said), levels=levels, sides=sides)
            for sides in ("as shown", "toss")
        )
        turned = (before.difference[:, 0] != after.difference[:, 0]).astype(bool)
        code = np.rint(3 * before.choice)
        np.testing.assert_array_equal(after.choice, np.where(turned, 3 - code, code) / 3)
    tied = read(frame.assign(choice=0.5), sides="toss")
    assert (tied.choice == 0.5).all()


def test_pairs_without_a_difference_are_tossed_one_by_one() -> None:
    same = shown().assign(x=0.0, y=0.0, hard=0.0, who="ann", choice=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)  # the features never differ
        made = read(same, sides="toss")
    low, high = binom.ppf([1e-5, 1 - 1e-5], len(same), 0.5)
    assert low <= made.choice.sum() <= high


def test_winner_and_loser_columns_say_what_a_tossed_choice_says() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.permuted(np.tile(np.array(list("abcde")), (300, 1)), axis=1)[:, :2].T
    votes = pd.DataFrame({"who": rng.integers(0, 9, 300), "a": first, "b": second})
    votes["won"] = (rng.random(300) < 0.6).astype(int)
    asked = {"user": "who", "left": "a", "right": "b", "choice": "won"}
    tossed = bp.Comparisons.from_items(votes, **asked, sides="toss")
    decided = votes.assign(
        winner=np.where(votes["won"], votes["a"], votes["b"]),
        loser=np.where(votes["won"], votes["b"], votes["a"]),
    )
    found = bp.Comparisons.from_items(decided, user="who", winner="winner", loser="loser")
    assert found.sides == tossed.sides == "toss"
    assert 0.3 < found.choice.mean() < 0.7
    order = [tossed.feature_names.index(name) for name in found.feature_names]
    np.testing.assert_array_equal(found.difference, tossed.difference[:, order])
    np.testing.assert_array_equal(found.choice, tossed.choice)
    for wrong in ({"winner": "winner"}, {"winner": "winner", "loser": "loser", "choice": "won"}):
        with pytest.raises(bp.DataError, match="winner= and loser= together"):
            bp.Comparisons.from_items(decided, user="who", **wrong)
    with pytest.raises(bp.DataError, match="give left=, right= and choice=, or winner="):
        bp.Comparisons.from_items(decided, user="who", left="a", right="b")


def test_one_sided_answers_are_pointed_out_on_reading_and_remembered() -> None:
    frame = winner_first(shown())
    for changes in ({}, {"choice": "level", "levels": 4}):
        told = frame.assign(level=np.where(frame["level"] > 2, frame["level"], 5 - frame["level"]))
        with pytest.warns(bp.DataWarning, match=r"all 400 .*are for left.*with sides='toss'"):
            made = read(told, **changes)
        assert made.sides == made.take([0, 1, 2]).sides == "one-sided"
        assert read(told, **changes, sides="toss").sides == "toss"
    with pytest.warns(bp.DataWarning, match="395 of 400 answers other than ties are for right"):
        made = read(frame.assign(choice=[1] * 5 + [0] * 395))
    with pytest.raises(bp.DataError, match="sides must be 'as shown' or 'toss', got 'tossed'"):
        read(frame, sides="tossed")
    with pytest.raises(bp.DataError, match="seed must be a whole number"):
        read(frame, sides="toss", seed=-1)


@pytest.mark.parametrize("fields", [{}, {"left": "good", "right": "bad", "winner": "won"}])
def test_texts_are_tossed_as_tables_are(fields: dict[str, str]) -> None:
    votes = [
        {"prompt": "Hi", "good": f"Good {'x' * k}.", "bad": "No.", "won": "left"}
        for k in range(1, 51)
    ]
    names = fields or {"chosen": "good", "rejected": "bad"}
    if fields:
        with pytest.warns(bp.DataWarning, match="all 50"):
            assert bp.text.comparisons(votes, **names, surface=["length"]).sides == "one-sided"
    made = bp.text.comparisons(votes, **names, surface=["length"], sides="toss")
    assert made.sides == "toss"
    assert 0.2 < made.choice.mean() < 0.8
    np.testing.assert_array_equal(made.choice == 1, made.difference[:, 0] > 0)


def test_honest_answers_are_hardly_ever_called_one_sided_and_winners_first_always() -> None:
    # Exactly, over the number of answers for the rarer side, by how often left is favoured.
    for favoured, most in ((0.5, 1e-8), (0.7, 2e-5), (0.8, 1e-3)):
        for count in (31, 50, 100, 200, 1000):
            chance = sum(
                binom.pmf(k, count, favoured)
                for k in range(count + 1)
                if one_sided(np.repeat([1.0, 0.0], [k, count - k]))
            )
            assert chance <= most
    assert not one_sided(np.ones(30))
    assert not one_sided(np.full(500, 0.5))
    assert all(one_sided(np.repeat(1.0, count)) for count in range(31, 200))
    assert one_sided(np.repeat([1.0, 0.5, 0.0], [980, 500, 20]))
