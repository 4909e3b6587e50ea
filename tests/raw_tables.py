"""Random tables of comparisons, read and compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons

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
