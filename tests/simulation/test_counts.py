"""Numbers of comparisons have their mean and variation."""

from __future__ import annotations

import numpy as np
import pytest

from bayes_pref.errors import DataWarning
from bayes_pref.simulation import simulate

# Standard errors that a true statement may be off by chance: each test makes at most some dozens
# of them, and a normal deviate exceeds 4.5 once in 150,000.
LIMIT = 4.5


def test_counts_are_as_unequal_as_asked_and_unrelated_to_preferences() -> None:
    n = 20_000
    assert set(simulate(users=50, comparisons=7).comparisons.counts) == {7}
    with pytest.warns(DataWarning, match="single comparison"):
        world = simulate(users=n, comparisons=12, unequal=0.8, features=2, seed=8)
    counts = world.comparisons.counts
    sd = 0.8 * 12
    assert counts.min() >= 1
    assert abs(counts.mean() - 12) < LIMIT * sd / np.sqrt(n)
    # A gamma of 11 and sd 9.6 has kurtosis 3 + 6 (9.6 / 11)^2; rounding adds up to 1/4 to 92.
    error = np.sqrt((2 + 6 * (sd / 11) ** 2) / n)
    assert -LIMIT * error < counts.var() / sd**2 - 1 < LIMIT * error + 0.25 / sd**2
    for weights in world.truth.weights.to_numpy().T:
        assert abs(np.corrcoef(weights, counts)[0, 1]) < LIMIT / np.sqrt(n)


def test_exact_counts_are_kept() -> None:
    data = simulate(users=3, comparisons=[2, 5, 3]).comparisons
    assert data.counts.tolist() == [2, 5, 3]
