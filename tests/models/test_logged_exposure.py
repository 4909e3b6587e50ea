"""Exposure is what users come to see by themselves: what was assigned at random does not count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayes_pref as bp
from bayes_pref.diagnostics.confounding.exposure_distribution import draw_exposure
from bayes_pref.models.regressors import exposures


def with_assigned(comparisons: bp.Comparisons, each: int) -> bp.Comparisons:
    """Further comparisons of every user, assigned at random."""
    rng = np.random.default_rng(0)
    log = comparisons.to_frame().assign(assigned=False)
    new = log.groupby("user", sort=False).head(each).assign(assigned=True)
    new = new.assign(context_1=rng.standard_normal(len(new)) * 3)
    return bp.Comparisons.from_frame(
        pd.concat([log, new], ignore_index=True),
        user="user",
        choice="choice",
        difference=["feature_1", "feature_2"],
        context=["context_1"],
        randomised="assigned",
    )


def test_assigned_rows_leave_exposures_and_what_is_shown_as_they_were() -> None:
    """Both are those of the log alone, whatever is assigned."""
    alone = bp.simulate(users=40, comparisons=5, features=2, confounding=0.5, seed=0).comparisons
    more = with_assigned(alone, 3)
    assert len(more) == len(alone) + 120
    np.testing.assert_allclose(exposures(more), exposures(alone), atol=1e-12)
    found, expected = (
        draw_exposure(each, 20, np.random.default_rng(1)).observed for each in (more, alone)
    )
    np.testing.assert_allclose(found.offset, expected.offset, atol=1e-8)
    np.testing.assert_allclose(found.variance, expected.variance, atol=1e-8)


def test_users_without_a_log_have_an_average_exposure() -> None:
    """Of them nothing is known, and nobody else is moved by it."""
    comparisons = bp.simulate(users=30, comparisons=4, features=2, seed=0).comparisons
    assigned = comparisons.user < 2
    found = exposures(replace(comparisons, randomised=assigned))
    assert found[:2] == pytest.approx(found[2:].mean(axis=0)[None].repeat(2, axis=0), abs=1e-12)
    everything = replace(comparisons, randomised=np.ones(len(comparisons), dtype=bool))
    np.testing.assert_array_equal(exposures(everything), exposures(comparisons))
