"""Comparisons of a table of their own are matched to others' features by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_comparisons, made_posterior, made_votes

import bayes_pref as bp
from bayes_pref.data.alignment import aligned
from bayes_pref.errors import DataError


def reread(comparisons: bp.Comparisons, order: list[str]) -> bp.Comparisons:
    """The same comparisons from their table, with features in another order."""
    return bp.Comparisons.from_frame(
        comparisons.to_frame(),
        user=comparisons.user_name,
        choice=comparisons.choice_name,
        difference=order,
        context=["hard"],
        interactions=[("tone", "hard")],
    )


def test_columns_in_another_order_are_scored_alike() -> None:
    fitted = made_comparisons(interactions=True)
    posterior = made_posterior(fitted)
    other = reread(fitted, ["tact", "length", "tone"])
    assert other.feature_names != fitted.feature_names
    np.testing.assert_array_equal(
        aligned(other, fitted, "held_out", all_contexts=True).difference, fitted.difference
    )
    with pytest.warns(bp.DataWarning, match="among those that the posterior was fitted to"):
        one = bp.evaluate(posterior, fitted)
    with pytest.warns(bp.DataWarning, match="among those that the posterior was fitted to"):
        two = bp.evaluate(posterior, other)
    pd.testing.assert_frame_equal(one.overall, two.overall)


def items(*votes: tuple[str, str, int]) -> bp.Comparisons:
    frame = pd.DataFrame(votes, columns=["first", "second", "chosen"]).assign(user=0)
    return bp.Comparisons.from_items(
        frame, user="user", left="first", right="second", choice="chosen"
    )


def test_items_in_another_order_or_missing_are_matched_by_name() -> None:
    fitted = made_votes()
    new = aligned(
        items(("tea", "milk", 1), ("milk", "tea", 0)), fitted, "held_out", all_contexts=True
    )
    assert new.features == fitted.features
    names = fitted.feature_names
    expected = [{"tea": 1.0, "milk": -1.0}.get(name, 0.0) for name in names]
    assert new.difference.tolist() == [expected, [-value for value in expected]]
    scored = bp.evaluate(made_posterior(fitted), items(("tea", "milk", 1), ("milk", "tea", 0)))
    assert len(scored.rows) == 2


def test_new_items_are_named() -> None:
    with pytest.raises(DataError, match=r"^held_out: the posterior was fitted to no item 'cocoa'"):
        bp.evaluate(made_posterior(made_votes()), items(("tea", "cocoa", 1), ("milk", "tea", 1)))


def test_a_new_item_of_which_no_row_is_left_does_not_matter() -> None:
    new = items(("tea", "cocoa", 1), ("milk", "tea", 1), ("tea", "milk", 1)).take([1, 2])
    assert len(bp.evaluate(made_posterior(made_votes()), new).rows) == 2


def test_features_of_one_of_both_are_named() -> None:
    fitted = made_comparisons(interactions=True)
    frame = fitted.to_frame()
    for columns, message in (
        (["length", "tone"], "has no feature 'tact', which the posterior was fitted to"),
        (["length", "tone", "tact", "hard"], "fitted to no feature 'hard'"),
    ):
        new = bp.Comparisons.from_frame(frame, user="user", choice="chosen", difference=columns)
        with pytest.raises(DataError, match=message):
            aligned(new, fitted, "held_out", all_contexts=False)
    new = bp.Comparisons.from_frame(
        frame, user="user", choice="chosen", difference=["length", "tone", "tact"]
    )
    with pytest.raises(DataError, match="held_out has no context 'hard'"):
        bp.evaluate(made_posterior(fitted), new)
