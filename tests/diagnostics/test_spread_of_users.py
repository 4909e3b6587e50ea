"""Whether the data say how far users differ: noted where tau is hardly more than its prior."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from triples import DESIGNS, fitted

import bayes_pref as bp
from bayes_pref.diagnostics.identifiability.spread_of_users import (
    MOSTLY_PRIOR,
    spread_note,
    spread_ratio,
)


def diagnosed(users: int, design: str, seed: int) -> tuple[np.ndarray, str]:
    posterior = fitted(users, design, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)
        report = bp.diagnose(posterior, progress=False, assessments=["identifiability"])
    assert np.array_equal(report.results["spread_ratio"], spread_ratio(posterior))
    return spread_ratio(posterior), " ".join(report.notes)


def test_one_answer_between_two_does_not_show_how_far_users_differ() -> None:
    ratio, notes = diagnosed(60, "one pair", 0)
    assert (ratio > MOSTLY_PRIOR).any()
    assert "rests mostly on the prior: the posterior sd of tau is" in notes
    ratio, notes = diagnosed(60, "fifteen pairs", 0)
    assert (ratio < 0.5).all()
    assert "rests mostly on the prior" not in notes


def test_models_without_a_spread_have_no_ratio() -> None:
    data = bp.simulate(users=5, seed=0).comparisons
    posterior = bp.fit(bp.PooledReward(), data, bp.Gibbs(progress=False))
    assert spread_ratio(posterior).shape == (0,)
    assert spread_note(posterior) == ""


@pytest.mark.long
def test_rankings_of_three_say_more_than_as_many_answers_between_two() -> None:
    ratios = {
        design: np.mean([spread_ratio(fitted(100, design, seed)) for seed in range(20)])
        for design in DESIGNS
    }
    # Means of 40 ratios, of which each has an sd of 0.15: a standard error of 0.025.
    assert ratios["one pair"] > 0.9
    assert ratios["ranking of three"] < ratios["two pairs"] - 0.05
    assert ratios["two pairs"] < ratios["one pair"] - 0.05
    assert ratios["fifteen pairs"] < 0.3
