"""Comparisons of items by id: catalogue, differences, unknown items, disconnected groups."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from bayes_pref.data import Comparisons
from bayes_pref.errors import DataError, DataWarning

ITEMS = pd.DataFrame(
    {"sweet": [3.0, 1.0, 2.0], "hot": [1, 0, 1]},
    index=pd.Index(["cake", "ice", "pie"], name="dish"),
)


def votes(**columns: Any) -> pd.DataFrame:
    base = {
        "who": ["b", "a", "b", "a"],
        "one": ["pie", "cake", "ice", "ice"],
        "two": ["ice", "pie", "cake", "pie"],
        "won": [1, 0, 0.5, 1],
    }
    return pd.DataFrame(base | columns, index=["r0", "r1", "r2", "r3"])


def read(frame: Any, items: Any = None, **changes: Any) -> Comparisons:
    arguments = {"user": "who", "left": "one", "right": "two", "choice": "won"} | changes
    return Comparisons.from_items(frame, items, **arguments)


def test_differences_are_those_of_the_items_attributes() -> None:
    made = read(votes(), ITEMS)
    expected = {"r0": [1.0, 1.0], "r1": [1.0, 0.0], "r2": [-2.0, -1.0], "r3": [-1.0, -1.0]}
    assert dict(zip(made.rows, made.difference.tolist(), strict=True)) == expected
    assert made.feature_names == ("sweet", "hot")
    assert not made.features.indicators
    assert made.catalogue is not None
    pd.testing.assert_frame_equal(made.catalogue, ITEMS.astype(float), check_names=False)


def test_without_attributes_every_item_has_its_own_reward() -> None:
    made = read(votes())
    assert made.features.indicators
    assert made.feature_names == ("pie", "ice", "cake")  # in the order in which rows show them
    assert made.catalogue is not None
    assert made.catalogue.index.tolist() == ["pie", "ice", "cake"]
    np.testing.assert_array_equal(made.catalogue.to_numpy(), np.eye(3))
    first = made.difference[made.rows.get_loc("r0")]
    np.testing.assert_array_equal(first, [1.0, -1.0, 0.0])
    assert (made.difference.sum(axis=1) == 0).all()
    assert (np.abs(made.difference).sum(axis=1) == 2).all()
    np.testing.assert_array_equal(made.feature_scale, np.ones(3))


def test_swapping_sides_and_choices_mirrors_the_differences() -> None:
    swapped = votes().rename(columns={"one": "two", "two": "one"})
    np.testing.assert_array_equal(read(swapped, ITEMS).difference, -read(votes(), ITEMS).difference)


def test_items_given_with_their_frame_equal_columns_written_out() -> None:
    """from_items is from_frame with the attributes looked up."""
    frame = votes(hard=[0.0, 1.0, 2.0, 3.0])
    for side in ("one", "two"):
        for name in ITEMS:
            frame[f"{name}_{side}"] = frame[side].map(ITEMS[name])
    by_id = read(frame, ITEMS, context=["hard"], interactions="all")
    by_column = Comparisons.from_frame(
        frame,
        user="who",
        choice="won",
        left=["sweet_one", "hot_one"],
        right=["sweet_two", "hot_two"],
        context=["hard"],
        interactions="all",
    )
    assert by_id.features == by_column.features
    for name in ("difference", "choice", "user", "context"):
        np.testing.assert_array_equal(getattr(by_id, name), getattr(by_column, name))


def test_an_items_product_with_a_context_has_the_contexts_scale() -> None:
    made = read(votes(hard=[3.0, 4.0, 0.0, 0.0]), context=["hard"], interactions=[("pie", "hard")])
    # root mean square of 3, 4, 0, 0 is 2.5
    np.testing.assert_allclose(made.feature_scale, [1.0, 1.0, 1.0, 2.5], rtol=1e-15)


@pytest.mark.parametrize(
    "convert",
    [
        lambda column: column.astype("category"),
        lambda column: column.astype("string[pyarrow]"),
        lambda column: column.astype(object),
    ],
)
def test_ids_of_any_text_type_are_looked_up(convert: Any) -> None:
    frame = votes().assign(one=convert(votes()["one"]), two=convert(votes()["two"]))
    for items in (ITEMS, None):
        got, expected = read(frame, items), read(votes(), items)
        np.testing.assert_array_equal(got.difference, expected.difference)
        assert got.feature_names == expected.feature_names


def test_items_may_hold_their_ids_in_a_column() -> None:
    frame = ITEMS.rename_axis("item").reset_index()
    for items in (frame, pl.from_pandas(frame)):
        made = read(pl.from_pandas(votes()), items)
        assert made.catalogue is not None
        assert made.catalogue.index.tolist() == ["cake", "ice", "pie"]
        np.testing.assert_array_equal(made.difference, read(votes(), ITEMS).difference)


def test_numbered_items_keep_numbers_as_labels() -> None:
    numbers = {"pie": 30, "ice": 10, "cake": 20}
    frame = votes().assign(one=votes()["one"].map(numbers), two=votes()["two"].map(numbers))
    made = read(frame)
    assert made.feature_names == ("30", "10", "20")
    assert made.catalogue is not None
    assert made.catalogue.index.tolist() == [30, 10, 20]


@pytest.mark.parametrize(
    ("frame", "items", "expected"),
    [
        (
            votes(one=["pie", "cakes", "ice", "ice"]),
            ITEMS,
            "votes, column 'one': unknown item 'cakes' in row 'r1'; did you mean 'cake'?",
        ),
        (
            votes(two=["ice", "pie", "xyz", "pie"]),
            ITEMS,
            "votes, column 'two': unknown item 'xyz' in row 'r2'; add it to items",
        ),
        (
            votes(two=["ice", "pie", "ice", "pie"]),
            ITEMS,
            "votes, column 'two': item 'ice' is compared with itself in row 'r2'; drop the row",
        ),
        (
            votes(two=["ice", "pie", "ice", "pie"]),
            None,
            "votes, column 'two': item 'ice' is compared with itself in row 'r2'; drop the row",
        ),
        (
            votes(one=["pie", None, "ice", "ice"]),
            None,
            "votes, column 'one': missing label in row 'r1'; label every row",
        ),
        (votes(), ITEMS.iloc[[0, 1, 2, 1]], "items: item 'ice' has more than one row; keep one"),
        (votes(), ITEMS.set_index(pd.Index(["cake", "ice", None])), "items: an item has no label"),
        (votes(), ITEMS[[]], "items has no attribute columns; add one, or pass items=None"),
        (votes(), ITEMS.iloc[:0], "items is empty: it has no rows"),
        (
            votes(),
            ITEMS.assign(hot=["yes", 0, 1]),
            "items, column 'hot': text 'yes' in row 'cake'; a number is needed",
        ),
        (
            votes(),
            ITEMS.assign(hot=[1, np.nan, 1]),
            "items, column 'hot': missing value (nan) in row 'ice'",
        ),
        (votes(), {"pie": 1}, "items must be a pandas DataFrame or a polars or Arrow table"),
        (
            votes(one=[1, "1", "ice", "ice"]),
            None,
            "more than one feature or context would be named '1'",
        ),
        (votes(), ITEMS.rename(columns={"hot": "won"}), "feature 'won' is also the name of the"),
    ],
)
def test_items_that_do_not_fit_are_refused_by_name_and_row(
    frame: pd.DataFrame, items: Any, expected: str
) -> None:
    with pytest.raises(DataError) as refused:
        read(frame, items)
    assert str(refused.value).startswith(expected)


def test_a_column_in_two_roles_is_refused() -> None:
    with pytest.raises(DataError, match="column 'one' is used both as left and as right"):
        read(votes(), ITEMS, right="one")


@pytest.mark.parametrize(
    ("items", "expected"),
    [(None, "comes from the prior alone"), (ITEMS, "through the items' attributes alone")],
)
def test_groups_of_items_never_compared_are_pointed_out(items: Any, expected: str) -> None:
    frame = votes(one=["pie", "pie", "ice", "ice"], two=["cake", "cake", "tea", "tea"])
    if items is not None:
        items = pd.concat([items, pd.DataFrame({"sweet": [0], "hot": [1]}, index=["tea"])])
    with pytest.warns(DataWarning, match=f"fall into 2 groups.*{expected}") as warned:
        read(frame, items)
    (message,) = [str(warning.message) for warning in warned]
    named = re.findall(r"\('(\w+)' is in one, '(\w+)' in another\)", message)
    assert len(named) == 1
    assert len({*named[0]} & {"pie", "cake"}) == 1
    assert len({*named[0]} & {"ice", "tea"}) == 1
    assert warned[0].filename == __file__


def test_a_chain_of_comparisons_connects_all_items() -> None:
    n = 50
    frame = pd.DataFrame(
        {"who": ["a"] * n, "one": range(n), "two": range(1, n + 1), "won": [1, 0] * (n // 2)}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(frame)
    with pytest.warns(DataWarning, match="fall into 2 groups"):
        read(frame.drop(index=20))


def test_items_nobody_compared_are_no_group_of_their_own() -> None:
    more = pd.concat([ITEMS, pd.DataFrame({"sweet": [9], "hot": [9]}, index=["rare"])])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = read(votes(), more)
    assert made.catalogue is not None
    assert "rare" in made.catalogue.index


def test_an_attribute_that_all_compared_items_share_is_pointed_out() -> None:
    with pytest.warns(DataWarning, match="never differ within a pair cancel.*'hot'"):
        made = read(votes(), ITEMS.assign(hot=1))
    assert made.constant == ("hot",)
