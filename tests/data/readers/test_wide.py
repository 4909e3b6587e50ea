"""Choice tasks in wide format: the same as in long format, and what is refused."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from raw_tables import assert_same

import bayes_pref as bp
from bayes_pref.data import PairedChoice

ROLES: dict[str, Any] = {
    "user": "who",
    "choice": "mode",
    "attributes": ["price", "time"],
    "alternatives": ["car", "bus", "tram"],
}


def trips(n: int = 12, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    names = [f"{name}_{mode}" for name in ("price", "time") for mode in ROLES["alternatives"]]
    frame = pd.DataFrame(rng.normal(size=(n, 6)), columns=names)
    frame["who"] = rng.integers(3, size=n)
    frame["rain"] = rng.normal(size=n)
    frame.loc[frame.index.isin([2, 5]), ["price_tram", "time_tram"]] = np.nan
    frame["mode"] = rng.choice(["car", "bus"], size=n)
    frame.loc[[0, 1], "mode"] = "tram"
    return frame


def long(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the same tasks in long format, written out."""
    rows = [
        {
            "who": row["who"],
            "task": task,
            "alternative": mode,
            "price": row[f"price_{mode}"],
            "time": row[f"time_{mode}"],
            "rain": row["rain"],
            "mode": row["mode"],
        }
        for task, row in frame.iterrows()
        for mode in ROLES["alternatives"]
        if pd.notna(row[f"price_{mode}"])
    ]
    return pd.DataFrame(rows)


def read(frame: pd.DataFrame, **changes: Any) -> bp.Comparisons:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)  # few rows
        return bp.Comparisons.from_wide(frame, **(ROLES | changes))


def read_long(frame: pd.DataFrame, **changes: Any) -> bp.Comparisons:
    columns: dict[str, Any] = {
        "user": "who",
        "task": "task",
        "choice": "mode",
        "alternative": "alternative",
        "attributes": ["price", "time"],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)
        return bp.Comparisons.from_tasks(frame, **(columns | changes))


def test_wide_equals_long() -> None:
    context: dict[str, Any] = {"context": ["rain"], "interactions": "all"}
    wide = read(trips(), **context)
    expected = read_long(long(trips()), **context)
    assert_same(wide, expected)
    assert wide.outcome.stage.tolist() == expected.outcome.stage.tolist()


def test_the_alternative_may_stand_first_and_anything_between() -> None:
    frame = trips()
    turned = frame.rename(
        columns={name: ".".join(name.split("_")[::-1]) for name in frame.columns if "_" in name}
    )
    assert "car.price" in turned.columns
    assert_same(read(turned, sep="."), read(frame))


def test_two_alternatives_are_pairs_and_numbers_are_labels() -> None:
    frame = trips().rename(columns=lambda name: name.replace("car", "1").replace("bus", "2"))
    frame["mode"] = (frame["mode"] == "bus") + 1
    data = read(frame, alternatives=[1, 2])
    assert isinstance(data.outcome, PairedChoice)
    rows = data.rows.to_numpy()
    np.testing.assert_array_equal(data.choice, (frame["mode"] == 1)[rows])
    ours, theirs = (frame[[f"price_{k}", f"time_{k}"]].to_numpy()[rows] for k in (1, 2))
    np.testing.assert_array_equal(data.difference, ours - theirs)


@pytest.mark.parametrize("label", [0, "home", True])
def test_the_outside_option_has_a_label_or_nothing(label: Any) -> None:
    frame = trips()
    frame["mode"] = frame["mode"].astype(object)
    frame.loc[[3, 4], "mode"] = None if label is True else label
    data = read(frame, none=label)
    given = long(frame)
    given["mode"] = (given["mode"] == given["alternative"].astype(object)).astype(int)
    expected = read_long(given, none=True)
    np.testing.assert_array_equal(data.difference, expected.difference)
    assert data.feature_names == ("price", "time", "none")
    chosen = data.rows.get_level_values("better")[data.rows.get_level_values(0) == 3]
    assert set(chosen) == {"none" if label is True else label}


@pytest.mark.parametrize(
    ("changes", "roles", "message"),
    [
        ({"price_car": [None] * 3}, {}, "column 'price_car': missing value beside others of the"),
        (
            {"mode": ["tram"] * 3},
            {},
            "'tram' is chosen, and all its attributes are missing in row 2",
        ),
        (
            {"mode": ["bus", "walk", "bus"]},
            {},
            "'mode': 'walk' is no alternative in row 1; the alt",
        ),
        ({"mode": ["bus", None, "bus"]}, {}, "'mode': no choice is given in row 1; name an"),
        ({}, {"alternatives": ["car", "car"]}, "alternatives must be different labels"),
        ({}, {"alternatives": ["car", "boat"]}, "the table has no columns 'price_boat' and 'time_"),
        ({}, {"none": "car"}, "none='car' is also one of the alternatives; leave it out"),
        ({}, {"alternatives": []}, "give the alternatives' labels"),
    ],
)
def test_what_is_no_wide_task_is_refused(
    changes: dict[str, list[object]], roles: dict[str, Any], message: str
) -> None:
    frame = trips(3).assign(**changes)
    with pytest.raises(bp.DataError, match=message):
        read(frame, **roles)
