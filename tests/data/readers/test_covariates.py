"""Covariates: one row a user, matched by label, refused where they do not match."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from bayes_pref.data import Comparisons
from bayes_pref.errors import DataError

FRAME = pd.DataFrame(
    {
        "who": ["cy", "al", "cy", "bo", "al", "bo"],
        "x": [1.0, -1.0, 2.0, 0.5, 1.0, 3.0],
        "won": [1, 0, 0, 1, 1, 0],
    }
)
PEOPLE = pd.DataFrame(
    {"who": ["al", "bo", "cy"], "age": [30, 40, 50], "left_handed": [True, False, False]}
)


def read(covariates: Any, frame: pd.DataFrame = FRAME) -> Comparisons:
    return Comparisons.from_frame(
        frame, user="who", choice="won", difference=["x"], covariates=covariates
    )


@pytest.mark.parametrize(
    "covariates",
    [
        PEOPLE,
        PEOPLE.iloc[::-1],
        PEOPLE.set_index("who"),
        PEOPLE.set_index("who").rename_axis(None),
        PEOPLE.astype({"who": "category"}),
        PEOPLE.astype({"who": "string[pyarrow]", "age": "Int64"}),
        pl.from_pandas(PEOPLE),
        pl.from_pandas(PEOPLE).to_arrow(),
    ],
)
def test_rows_are_matched_to_users_by_label(covariates: Any) -> None:
    made = read(covariates)
    assert made.users.tolist() == ["cy", "al", "bo"]
    assert made.covariate_names == ("age", "left_handed")
    np.testing.assert_array_equal(made.covariates, [[50.0, 0.0], [30.0, 1.0], [40.0, 0.0]])


def test_users_of_another_table_type_are_matched_too() -> None:
    frame = FRAME.astype({"who": "category"})
    np.testing.assert_array_equal(read(PEOPLE, frame).covariates, read(PEOPLE).covariates)
    numbers = {"cy": 3, "al": 1, "bo": 2}
    numbered = FRAME.assign(who=FRAME["who"].map(numbers))
    ages = pd.DataFrame({"who": [1.0, 2.0, 3.0], "age": [30, 40, 50]})
    np.testing.assert_array_equal(read(ages, numbered).covariates[:, 0], [50.0, 30.0, 40.0])


def test_without_covariates_there_is_no_column() -> None:
    made = read(None)
    assert made.covariates.shape == (3, 0)
    assert made.covariate_names == ()


def changed(**columns: Any) -> pd.DataFrame:
    return PEOPLE.assign(**columns)


MORE = pd.DataFrame({"who": ["di"], "age": [60], "left_handed": [False]})


@pytest.mark.parametrize(
    ("covariates", "expected"),
    [
        (
            pd.concat([PEOPLE, MORE]),
            "covariates, column 'who': user 'di' made no comparison; keep only the users of",
        ),
        (
            changed(who=["al", "bo", "cyy"]),
            "covariates, column 'who': user 'cyy' made no comparison; did you mean 'cy'?",
        ),
        (
            pd.concat([PEOPLE, MORE]).set_index("who"),
            "covariates: user 'di' made no comparison (by the index: there is no column 'who')",
        ),
        (
            PEOPLE.iloc[[0, 1, 2, 1]],
            "covariates, column 'who': user 'bo' has more than one row; keep one row a user",
        ),
        (PEOPLE.iloc[:2], "covariates, column 'who': no row for user 'cy'; add one row a user"),
        (PEOPLE.iloc[:1], "covariates, column 'who': no row for user 'cy' and 'bo'; add one row"),
        (
            PEOPLE.rename(columns={"who": "id"}),
            "covariates have no column 'who' and their index holds none of the users; add",
        ),
        (
            changed(who=["al", None, "cy"]),
            "covariates, column 'who': missing label in row 1; label every row",
        ),
        (
            changed(age=[30, np.nan, 50]),
            "covariates, column 'age': missing value (nan) in row 1; drop the row or mend it",
        ),
        (
            changed(age=[30, np.inf, 50]),
            "covariates, column 'age': infinite value (inf) in row 1; drop the row or mend it",
        ),
        (
            changed(age=["30", "old", "50"]),
            "covariates, column 'age': text 'old' in row 1; a number is needed",
        ),
        (
            changed(age=40),
            "covariates, column 'age' is 40 for every user, so it explains nothing; leave it out",
        ),
        (PEOPLE[["who"]], "covariates has no column besides 'who'; add one or leave them out"),
        (PEOPLE.iloc[:0], "covariates is empty: it has no rows; at least 1 is needed"),
        (
            pd.concat([PEOPLE, PEOPLE[["age"]]], axis=1),
            "covariates has more than one column named 'age'; give every column its own name",
        ),
        ([30, 40, 50], "covariates must be a pandas DataFrame or a polars or Arrow table, got"),
    ],
)
def test_covariates_that_do_not_fit_the_users_are_refused(covariates: Any, expected: str) -> None:
    with pytest.raises(DataError) as refused:
        read(covariates)
    assert str(refused.value).startswith(expected)
    assert "\n" not in str(refused.value)


def test_a_label_of_another_type_is_suggested() -> None:
    numbered = FRAME.assign(who=FRAME["who"].map({"cy": 13, "al": 11, "bo": 12}))
    texts = pd.DataFrame({"who": ["11", "12", "13"], "age": [30, 40, 50]})
    with pytest.raises(DataError, match="user '11' made no comparison; did you mean 11"):
        read(texts, numbered)


def test_selected_users_keep_their_own_covariates() -> None:
    made = read(PEOPLE)
    np.testing.assert_array_equal(made[["bo", "cy"]].covariates[:, 0], [40.0, 50.0])
    np.testing.assert_array_equal(made.take(made.choice == 0).covariates[:, 0], [50.0, 30.0, 40.0])
