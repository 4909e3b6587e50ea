"""Random tables of comparisons, read and compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons

PRICED = ("price", "brand", "quality")
SIDES: dict[str, Any] = {
    "left": [f"{name}_a" for name in PRICED],
    "right": [f"{name}_b" for name in PRICED],
}
ARRAYS = ("difference", "choice", "user", "context", "covariates")


def random_frame(seed: int, *, users: int = 12, rows: int = 90) -> pd.DataFrame:
    """Comparisons in no order, with unequal numbers a user, under shuffled row labels."""
    rng = np.random.default_rng(seed)
    who = np.concatenate([np.repeat(np.arange(users), 2), rng.integers(users, size=rows)])
    frame = pd.DataFrame(
        {
            "who": [f"u{code}" for code in rng.permutation(who)],
            "x": rng.normal(size=len(who)),
            "y": rng.normal(size=len(who)),
            "hard": rng.normal(size=len(who)),
            "won": rng.choice([0.0, 0.5, 1.0], size=len(who)),
        }
    )
    return frame.set_index(rng.permutation(len(who)) + 1_000)


def priced_votes(rows: int = 60) -> pd.DataFrame:
    """Votes between goods with a price, a brand and a quality, in `SIDES`."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"who": np.arange(rows) % 6, "won": rng.integers(0, 2, rows)})
    for side in "ab":
        frame[f"price_{side}"] = rng.uniform(1.0, 9.0, rows)
        frame[f"brand_{side}"] = rng.choice(list("ABC"), rows)
        frame[f"quality_{side}"] = rng.normal(size=rows)
    return frame


def read(frame: pd.DataFrame, **changes: Any) -> Comparisons:
    arguments: dict[str, Any] = {
        "user": "who",
        "choice": "won",
        "difference": ["x", "y"],
        "context": ["hard"],
        "interactions": [("y", "hard")],
    }
    return Comparisons.from_frame(frame, **(arguments | changes))


def assert_same(one: Comparisons, other: Comparisons) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.users.tolist() == other.users.tolist()
    assert one.rows.tolist() == other.rows.tolist()
    assert one.features == other.features
    assert one.covariate_names == other.covariate_names
