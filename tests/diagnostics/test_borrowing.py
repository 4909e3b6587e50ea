"""Borrowing: the share of a pair outside the span of its user's own comparisons."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_posteriors import pooled_posterior

import bayes_pref as bp
from bayes_pref.diagnostics.identifiability import borrowing
from bayes_pref.diagnostics.identifiability.borrowing import borrowed
from bayes_pref.diagnostics.query import Query, read_query


def by_least_squares(comparisons: bp.Comparisons, pairs: Query) -> np.ndarray:
    """Share of each pair that no combination of its user's own differences reaches."""
    share = []
    for d, user in zip(pairs.difference / comparisons.feature_scale, pairs.user, strict=True):
        rows = comparisons.difference[comparisons.user == user] / comparisons.feature_scale
        rest = d - rows.T @ np.linalg.lstsq(rows.T, d, rcond=1e-6)[0]
        share.append(rest @ rest / (d @ d))
    return np.array(share)


@pytest.mark.parametrize("at_once", [None, 40])
@pytest.mark.parametrize("each", [2, 12])
def test_borrowed_is_what_least_squares_leaves(
    each: int, at_once: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if at_once:
        monkeypatch.setattr(borrowing, "_BLOCK", at_once)
    counts = np.random.default_rng(1).integers(2, each + 1, 30)
    made = bp.simulate(users=30, comparisons=counts, features=5, contexts=0, seed=1)
    posterior = pooled_posterior(made.comparisons)
    rng = np.random.default_rng(2)
    asked = pd.DataFrame(rng.normal(size=(80, 5)), columns=list(made.comparisons.feature_names))
    asked["user"] = made.comparisons.users[rng.integers(0, 30, 80)]
    pairs = read_query(posterior, asked)
    expected = by_least_squares(made.comparisons, pairs)
    assert expected.max() > 0.5
    np.testing.assert_allclose(borrowed(posterior, pairs), expected, atol=1e-9)
    assert borrowed(posterior, read_query(posterior)).max() < 1e-9
    # The wrong way: the row space of everyone's differences, outside of which nothing lies.
    everyone = np.linalg.matrix_rank(made.comparisons.difference)
    assert everyone == 5


def test_borrowed_by_hand() -> None:
    frame = pd.DataFrame(
        {
            "user": ["ann", "ann", "bob", "bob"],
            "a": [1.0, 2.0, 1.0, 1.0],
            "b": [0.0, 0.0, 1.0, -1.0],
            "choice": [1, 0, 1, 0],
        }
    )
    comparisons = bp.Comparisons.from_frame(
        frame, user="user", choice="choice", difference=["a", "b"]
    )
    posterior = pooled_posterior(comparisons)
    a, b = comparisons.feature_scale
    asked = pd.DataFrame(
        {
            "user": ["ann", "ann", "bob", "new", "ann"],
            "a": [a, a, a, a, 0.0],
            "b": [0.0, b, b, b, 0.0],
        }
    )
    found = borrowed(posterior, read_query(posterior, asked))
    np.testing.assert_allclose(found, [0.0, 0.5, 0.0, 1.0, 0.0], atol=1e-12)
