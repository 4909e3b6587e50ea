"""Features of which the choices can say little are named on reading, and others are not."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import bayes_pref as bp
from bayes_pref.data.redundancy import doubtful_features


def shown(columns: dict[str, np.ndarray]) -> bp.Comparisons:
    n = len(next(iter(columns.values())))
    frame = pd.DataFrame(columns).assign(who=np.arange(n) % 2, won=np.arange(n) // 2 % 2)
    return bp.Comparisons.from_frame(frame, user="who", choice="won", difference=list(columns))


def factor(levels: int, rng: np.random.Generator, n: int = 400) -> np.ndarray:
    """(n, levels) differences of dummies of a factor."""
    pairs = np.array([rng.permutation(levels)[:2] for _ in range(n)])
    return np.eye(levels)[pairs[:, 0]] - np.eye(levels)[pairs[:, 1]]


def test_all_levels_of_factors_are_named_factor_by_factor() -> None:
    rng = np.random.default_rng(0)
    colour, size = factor(3, rng), factor(4, rng)
    columns = {f"colour{k}": column for k, column in enumerate(colour.T)}
    columns |= {f"size{k}": column for k, column in enumerate(size.T)}
    columns["price"] = rng.normal(size=400)
    with pytest.warns(bp.DataWarning) as said:
        shown(columns)
    [warning] = said
    assert "'colour0', 'colour1' and 'colour2' are all levels of a factor" in str(warning.message)
    assert "'size0', 'size1', 'size2' and 'size3' are all" in str(warning.message)
    assert "price" not in str(warning.message)


def test_what_differs_in_next_to_no_pair_is_named() -> None:
    rng = np.random.default_rng(1)
    code = np.zeros(500)
    code[[3, 70, 200]] = 1.0
    with pytest.warns(bp.DataWarning, match=r"^'code' differs in 3 of 500 pairs, so that"):
        shown({"code": code, "length": rng.normal(size=500)})


def test_ordinary_features_are_not_doubted() -> None:
    rng = np.random.default_rng(2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        colour = factor(3, rng)[:, :2]
        shown({"red": colour[:, 0], "green": colour[:, 1], "length": rng.normal(size=400)})
        shown({"rare": (rng.random(400) < 0.05).astype(float)})
        # Few rows depend on one another by chance.
        few = factor(3, rng, 6)
        shown({f"few{k}": column for k, column in enumerate(few.T)})


def test_items_are_all_levels_by_design() -> None:
    levels = factor(3, np.random.default_rng(3))
    names = ("a", "b", "c")
    assert doubtful_features(levels, bp.Features(names, indicators=True)) == ""
    assert doubtful_features(levels, bp.Features(names)) != ""
