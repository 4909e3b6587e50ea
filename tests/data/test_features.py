"""Features: named columns, their products with contexts, and names found from two sides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayes_pref.data.asked_features import interaction_pairs
from bayes_pref.data.features import Features
from bayes_pref.data.shared_names import shared_names
from bayes_pref.errors import DataError


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (["left_length"], ["right_length"], ["length"]),
        (["length_a"], ["length_b"], ["length"]),
        (["length_left", "tone_left"], ["length_right", "tone_right"], ["length", "tone"]),
        (["chosen.word count"], ["rejected.word count"], ["word count"]),
        (["x_left_len", "y_left_len"], ["x_right_len", "y_right_len"], ["x_len", "y_len"]),
        (["leftLength"], ["rightLength"], ["Length"]),
        (["lengthA"], ["lengthB"], ["length"]),
        (["len1"], ["len2"], ["len"]),
        (["response_1_length"], ["response_2_length"], ["response_length"]),
        (["length"], ["length_b"], ["length"]),
        (["größe_links"], ["größe_rechts"], ["größe"]),
        (["a_a"], ["a_b"], ["a"]),
        (["left_pc1", "left_pc2"], ["right_pc1", "right_pc2"], ["pc1", "pc2"]),
    ],
)
def test_features_are_named_by_what_both_sides_share(
    left: list[str], right: list[str], expected: list[str]
) -> None:
    assert shared_names(left, right) == tuple(expected)
    assert shared_names(right, left) == tuple(expected)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (["price"], ["cost"], "left column 'price' and right column 'cost' share no word"),
        (["left_x", "left_y"], ["right_y", "right_x"], "'left_x' and right column 'right_y' share"),
        (
            ["answer_length_left", "answer_tone_left"],
            ["answer_tone_right", "answer_length_right"],
            "left column 'answer_tone_left' and right column 'answer_length_right' do not differ "
            "as 'answer_length_left' and 'answer_tone_right' do; check their order",
        ),
    ],
)
def test_sides_that_do_not_match_are_refused_rather_than_subtracted(
    left: list[str], right: list[str], expected: str
) -> None:
    with pytest.raises(DataError) as refused:
        shared_names(left, right)
    assert expected in str(refused.value)
    assert "features=[...]" in str(refused.value)


def test_products_follow_the_attributes_in_the_order_named() -> None:
    features = Features(("a", "b"), ("p", "q"), (("b", "p"), ("a", "q")))
    rng = np.random.default_rng(0)
    attributes, contexts = rng.normal(size=(7, 2)), rng.normal(size=(7, 2))
    expanded = features.expand(attributes, contexts)
    assert features.names == ("a", "b", "b:p", "a:q")
    np.testing.assert_array_equal(expanded[:, :2], attributes)
    np.testing.assert_array_equal(expanded[:, 2], attributes[:, 1] * contexts[:, 0])
    np.testing.assert_array_equal(expanded[:, 3], attributes[:, 0] * contexts[:, 1])


def test_a_matrix_is_read_by_name_and_not_by_place() -> None:
    features = Features(("a", "b"), ("p",), (("b", "p"),))
    frame = pd.DataFrame({"p": [3], "other": ["text"], "b": [2], "a": [1]})
    np.testing.assert_array_equal(features.matrix(frame), [[1.0, 2.0, 6.0]])


def test_a_matrix_asks_only_for_contexts_that_interact() -> None:
    frame = pd.DataFrame({"a": [2.0], "q": [5.0]})
    assert Features(("a",), ("p", "q"), (("a", "q"),)).matrix(frame).tolist() == [[2.0, 10.0]]
    assert Features(("a",), ("p",)).matrix(frame).tolist() == [[2.0]]
    with pytest.raises(DataError, match="has no column 'p'"):
        Features(("a",), ("p",), (("a", "p"),)).matrix(frame)


def test_the_difference_of_two_matrices_is_the_matrix_of_the_difference() -> None:
    features = Features(("a", "b"), ("p",), (("a", "p"), ("b", "p")))
    rng = np.random.default_rng(1)
    left = pd.DataFrame(rng.normal(size=(9, 3)), columns=["a", "b", "p"])
    right = pd.DataFrame(rng.normal(size=(9, 3)), columns=["a", "b", "p"]).assign(p=left["p"])
    between = (left - right).assign(p=left["p"])
    # Sums of products of numbers near 1: a few units in the last place.
    np.testing.assert_allclose(
        features.matrix(left) - features.matrix(right), features.matrix(between), atol=1e-14
    )


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"a": [1.0]}, "items has no column 'bb'; its columns are 'a'"),
        ({"a": [1.0], "bbb": [1.0]}, "items has no column 'bb'; did you mean 'bbb'?"),
        ({"a": [1.0, np.nan], "bb": [1.0, 1.0]}, "items, column 'a': missing value (nan) in row 1"),
        ({"a": [1.0, 2.0], "bb": ["x", 1.0]}, "items, column 'bb': text 'x' in row 0"),
        ({"a": [], "bb": []}, "items is empty"),
    ],
)
def test_a_matrix_names_the_place_of_what_it_refuses(frame: dict[str, Any], expected: str) -> None:
    with pytest.raises(DataError) as refused:
        Features(("a", "bb")).matrix(pd.DataFrame(frame), name="items")
    assert str(refused.value).startswith(expected)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (((),), "no features: name at least one column"),
        ((("a", "a"),), "more than one feature or context would be named 'a'"),
        ((("a",), ("a",)), "more than one feature or context would be named 'a'"),
        ((("a", "a:p"), ("p",), (("a", "p"),)), "would be named 'a:p'"),
        ((("a",), ("p",), (("a", "p"), ("a", "p"))), "would be named 'a:p'"),
        ((("length",), ("p",), (("lenght", "p"),)), "unknown feature 'lenght'; did you mean 'len"),
        ((("a",), ("topic",), (("a", "topics"),)), "unknown context 'topics'; did you mean 'top"),
    ],
)
def test_features_whose_names_are_ambiguous_or_unknown_are_refused(
    arguments: tuple[Any, ...], expected: str
) -> None:
    with pytest.raises(DataError) as refused:
        Features(*arguments)
    assert expected in str(refused.value)


def test_all_interactions_are_every_feature_by_every_context() -> None:
    pairs = interaction_pairs("all", ["a", "b"], ["p", "q"])
    assert pairs == (("a", "p"), ("a", "q"), ("b", "p"), ("b", "q"))
    assert interaction_pairs(None, ["a"], []) == ()
    assert interaction_pairs([("a", "p")], ["a"], ["p"]) == (("a", "p"),)


@pytest.mark.parametrize(
    ("interactions", "contexts", "expected"),
    [
        ("all", [], "interactions need context columns; name them in context="),
        ("every", ["p"], "interactions must be None, 'all' or pairs (feature, context), got 'ev"),
        (["a:p"], ["p"], "interactions: expected pairs (feature, context), got ('a:p',)"),
        ([("a", "p", "q")], ["p"], "interactions: expected pairs (feature, context), got ('a',"),
    ],
)
def test_interactions_in_another_form_are_refused(
    interactions: Any, contexts: list[str], expected: str
) -> None:
    with pytest.raises(DataError) as refused:
        interaction_pairs(interactions, ["a"], contexts)
    assert str(refused.value).startswith(expected)
