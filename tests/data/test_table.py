"""Tables are read strictly: a value that breaks a rule is refused with its place."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from bayes_pref.data import Comparisons, PairedChoice
from bayes_pref.data.table import Table
from bayes_pref.errors import DataError, Place


def table(**columns: Any) -> pd.DataFrame:
    """Four comparisons of two users, row labels r0 to r3; columns can be replaced or added."""
    base = {"who": ["a", "b", "a", "b"], "x": [1.0, -1.0, 2.0, 0.5], "won": [1, 0, 0, 1]}
    return pd.DataFrame(base | columns, index=["r0", "r1", "r2", "r3"])


def read(frame: Any, **changes: Any) -> Comparisons:
    arguments = {"user": "who", "choice": "won", "difference": ["x"]} | changes
    return Comparisons.from_frame(frame, **arguments)


def sentence(excinfo: pytest.ExceptionInfo[DataError]) -> str:
    """The message, which must be a single line."""
    message = str(excinfo.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, np.nan, 2.0, 3.0], "column 'x': missing value (nan) in row 'r1'; drop the row"),
        ([1.0, 2.0, np.inf, 3.0], "column 'x': infinite value (inf) in row 'r2'; drop the row"),
        ([1.0, 2.0, 3.0, -np.inf], "column 'x': infinite value (-inf) in row 'r3'; drop the row"),
        (["1", "2", "oops", "3"], "column 'x': text 'oops' in row 'r2'; a number is needed"),
        (["1", "2", "3", "4"], "column 'x': text '1' in row 'r0'; a number is needed: convert"),
        ([None, "2", "3", "4"], "column 'x': text '2' in row 'r1'; a number is needed: convert"),
        ([1, "two", 3, 4], "column 'x': text 'two' in row 'r1'; a number is needed"),
        ([1, [2], 3, 4], "column 'x': [2] in row 'r1'; a number is needed"),
        ([None] * 4, "column 'x': missing value (nan) in row 'r0'"),
        ([1, 2, 3, 4j], "column 'x': complex128 (1+0j) in row 'r0'; numbers are needed"),
        (pd.Categorical([1, 2, 1, 2]), "column 'x': category 1 in row 'r0'; numbers are needed"),
        (
            pd.date_range("2020", periods=4, unit="ns"),
            "column 'x': datetime64[ns] Timestamp('2020-01-01",
        ),
        (pd.array([1, 2, pd.NA, 4], dtype="Int64"), "column 'x': missing value (nan) in row 'r2'"),
        (
            pd.array([1, None, 3, 4], dtype="int64[pyarrow]"),
            "column 'x': missing value (nan) in row 'r1'",
        ),
    ],
)
def test_a_value_that_is_no_finite_number_is_refused_with_its_place(
    values: Any, expected: str
) -> None:
    with pytest.raises(DataError) as refused:
        read(table(x=values))
    assert sentence(refused).startswith(expected)


@pytest.mark.parametrize(
    "values",
    [
        pd.array([1, 0, 1, 0], dtype="Int64"),
        pd.array([1, 0, 1, 0], dtype="Float32"),
        pd.array([True, False, True, False], dtype="boolean"),
        pd.array([1, 0, 1, 0], dtype="int32[pyarrow]"),
        pd.array([1.0, 0.0, 1.0, 0.0], dtype="double[pyarrow]"),
        pd.array([True, False, True, False], dtype="bool[pyarrow]"),
        pd.arrays.SparseArray([1.0, 0.0, 1.0, 0.0]),
        [True, False, True, False],
        np.array([1, 0, 1, 0], dtype=np.uint8),
        np.array([1, 0, 1, 0], dtype=np.float16),
        np.array([1, 0, 1.0, np.int8(0)], dtype=object),
        [Decimal(1), Decimal(0), Decimal(1), Decimal(0)],
    ],
    ids=lambda values: str(getattr(values, "dtype", type(values[0]).__name__)),
)
def test_every_kind_of_number_is_read(values: Any) -> None:
    read_values = Table.read(table(x=values)).numbers(["x"])
    np.testing.assert_array_equal(read_values[:, 0], [1.0, 0.0, 1.0, 0.0])
    assert read_values.dtype == np.float64


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 0, 2, 1], "column 'won': unknown outcome 2 in row 'r2'; expected 1 or True (left"),
        ([1, 0, -1, 1], "column 'won': unknown outcome -1 in row 'r2'"),
        ([1, 0, 0.4, 1], "column 'won': unknown outcome 0.4 in row 'r2'"),
        ([1, 0, np.nan, 1], "column 'won': missing outcome nan in row 'r2'"),
        ([1, 0, None, "no"], "column 'won': missing outcome None in row 'r2'"),
        (["yes", "no", "no", "yes"], "column 'won': unknown outcome 'yes' in row 'r0'"),
        (["1", "0", "yes", "1"], "column 'won': unknown outcome 'yes' in row 'r2'"),
        (["1", "0", "0", "1"], "column 'won': unknown outcome '1' in row 'r0'"),
        (pd.Categorical([1, 0, 0, 1]), "column 'won': unknown outcome 1 in row 'r0'"),
        (
            pd.array([True, False, False, pd.NA], dtype="boolean"),
            "column 'won': missing outcome <NA> in row",
        ),
        ([1, 0, [1], 1], "column 'won': unknown outcome [1] in row 'r2'"),
    ],
)
def test_an_outcome_other_than_1_0_or_a_half_is_refused(values: Any, expected: str) -> None:
    with pytest.raises(DataError) as refused:
        read(table(won=values))
    message = sentence(refused)
    assert message.startswith(expected)
    assert "expected 1 or True (left preferred), 0 or False (right) or 0.5 (a tie)" in message


@pytest.mark.parametrize("values", [["1", "0", "0", "1"], pd.Categorical([1, 0, 0, 1])])
def test_outcomes_of_the_wrong_kind_are_told_to_become_numbers(values: Any) -> None:
    with pytest.raises(DataError, match=r"as a number and not as (str|object|category)$"):
        read(table(won=values))


@pytest.mark.parametrize(
    "values",
    [
        [True, False, False, True],
        [1.0, 0.0, 0.0, 1.0],
        np.array([True, False, False, True], dtype=object),
        pd.array([True, False, False, True], dtype="boolean"),
        pd.array([1, 0, 0, 1], dtype="int8[pyarrow]"),
    ],
)
def test_outcomes_may_be_booleans_or_numbers(values: Any) -> None:
    made = read(table(won=values))
    assert made.to_frame().loc[["r0", "r1", "r2", "r3"], "won"].tolist() == [1.0, 0.0, 0.0, 1.0]


def test_a_tie_is_kept_as_a_half() -> None:
    made = read(table(won=[1, 0.5, 0, 1]))
    assert made.outcome == PairedChoice(ties=True)
    assert read(table()).outcome == PairedChoice(ties=False)
    assert made.to_frame().loc["r1", "won"] == 0.5


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_a_missing_user_is_refused_with_its_row(missing: Any) -> None:
    with pytest.raises(DataError, match=r"^column 'who': missing label in row 'r1'; label"):
        read(table(who=["a", missing, "a", "b"]))


def test_users_that_cannot_be_labels_are_refused() -> None:
    with pytest.raises(DataError, match=r"^column 'who': labels must be plain values"):
        read(table(who=[["a"], ["b"], ["a"], ["b"]]))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"difference": ["tone"]}, "the table has no column 'tone'; its columns are 'who', 'x' "),
        ({"user": "whom"}, "the table has no column 'whom'; did you mean 'who'?"),
        (
            {"user": "whom", "choice": "wonn"},
            "the table has no columns 'whom' and 'wonn'; did you mean 'who'? did you mean 'won'?",
        ),
        ({"context": ["topic"]}, "the table has no column 'topic'; its columns are"),
        ({"difference": ["x", "x"]}, "column 'x' is named twice in difference; name each"),
        ({"context": ["x"]}, "column 'x' is used both as difference and as context; name each"),
        ({"user": "won"}, "column 'won' is used both as user and as choice"),
        (
            {"difference": None, "left": ["x"], "right": ["x"]},
            "column 'x' is used both as left and as right",
        ),
    ],
)
def test_columns_that_are_missing_or_named_twice_are_refused(
    arguments: dict[str, Any], expected: str
) -> None:
    with pytest.raises(DataError) as refused:
        read(table(), **arguments)
    assert sentence(refused).startswith(expected)


def test_two_columns_of_one_name_are_refused() -> None:
    doubled = pd.concat([table(), table()[["x"]]], axis=1)
    with pytest.raises(DataError, match=r"^the table has more than one column named 'x'; give"):
        read(doubled)
    # Names that differ in type alone would be the same text.
    with pytest.raises(DataError, match="more than one column named '1'"):
        read(table().assign(**{"1": 0.0}).rename(columns={"x": 1}), difference=["1"])


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(DataError, match=r"^the table is empty: it has no rows"):
        read(table().iloc[:0])


def test_numbered_columns_are_found_by_their_number() -> None:
    made = read(table().rename(columns={"x": 0}), difference=[0])
    assert made.feature_names == ("0",)


class OnlyInterchange:
    """A table that offers nothing but the dataframe interchange protocol."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> Any:
        table = pa.Table.from_pandas(self.frame, preserve_index=False)
        return table.__dataframe__(nan_as_null, allow_copy)


@pytest.mark.parametrize(
    "convert",
    [
        pl.from_pandas,
        lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
        OnlyInterchange,
    ],
    ids=["polars", "arrow", "interchange"],
)
def test_other_tables_give_the_same_comparisons_as_pandas(
    convert: Callable[[pd.DataFrame], Any],
) -> None:
    frame = table(hard=[0, 1, 0, 1], won=[True, False, False, True]).reset_index(drop=True)
    ages = pd.DataFrame({"who": ["b", "a"], "age": [1.5, 2.5]})
    arguments: dict[str, Any] = {"context": ["hard"], "interactions": "all"}
    ours = read(frame, covariates=ages, **arguments)
    theirs = read(convert(frame), covariates=convert(ages), **arguments)
    for name in ("difference", "choice", "user", "context", "covariates"):
        np.testing.assert_array_equal(getattr(theirs, name), getattr(ours, name))
    pd.testing.assert_index_equal(theirs.users, ours.users)
    assert theirs.rows.tolist() == ours.rows.tolist()
    np.testing.assert_array_equal(
        theirs.features.matrix(convert(frame)), ours.features.matrix(frame)
    )


def test_a_text_column_of_an_arrow_table_is_refused_with_its_place() -> None:
    with pytest.raises(DataError, match=r"^column 'x': text 'oops' in row 1; a number is needed"):
        read(pl.DataFrame({"who": ["a", "b"], "x": ["1", "oops"], "won": [1, 0]}))


@pytest.mark.parametrize("thing", [{"who": ["a"]}, [1, 2], None, "choices.csv", pd.Series([1])])
def test_what_is_no_table_is_refused_by_its_type(thing: Any) -> None:
    expected = "^the table must be a pandas DataFrame or a polars or Arrow table, got "
    with pytest.raises(DataError, match=expected + type(thing).__name__):
        read(thing)


def test_a_single_arrow_column_is_refused() -> None:
    with pytest.raises(DataError, match=r"^the table cannot be read as a table: "):
        read(pl.Series([1, 2]))


def test_without_pyarrow_an_arrow_table_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(DataError, match="needs pyarrow to be read; install pyarrow"):
        read(pl.DataFrame({"who": ["a"]}))


def test_a_refusal_carries_its_place_what_was_found_and_the_remedy() -> None:
    with pytest.raises(DataError) as refused:
        read(table(x=[1.0, np.nan, 2.0, 3.0]))
    error = refused.value
    assert error.place == Place("", "x", ("r1",))
    assert (error.found, error.remedy) == ("missing value (nan)", "drop the row or mend it")
    with pytest.raises(DataError) as refused:
        Table.read(table(), "votes").require(["xx"])
    error = refused.value
    assert error.place == Place("votes")
    assert (error.found, error.remedy) == ("has no column 'xx'", "did you mean 'x'?")
