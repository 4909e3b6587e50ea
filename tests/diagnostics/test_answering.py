"""What the report says of people who answer at random, and of answers given twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made_posteriors import made_comparisons, made_posterior

import bayes_pref as bp

ASKED: dict[str, Any] = {
    "assessments": ["answering"],
    "verdicts": ["not assessed"],
    "progress": False,
}


def answered(contrary: str) -> bp.Posterior:
    """Everybody surely wants more of everything, and all but one user answer so."""
    data = made_comparisons(interactions=False)
    posterior = made_posterior(data, bp.HierarchicalReward(lapse=True))
    want = data.difference.sum(axis=1) > 0
    choice = np.where(data.users[data.user] == contrary, ~want, want).astype(float)
    draws = posterior.draws
    draws = draws.assign(weights=100.0 + 0.0 * draws["weights"], lapse=0.1 + 0.0 * draws["lapse"])
    return replace(posterior, draws=draws, comparisons=replace(data, choice=choice))


@pytest.mark.parametrize("contrary", ["ann", "nobody"])
def test_the_report_names_who_answers_at_random_and_nobody_else(contrary: str) -> None:
    posterior = answered(contrary)
    report = bp.diagnose(posterior, **ASKED)
    named = [note for note in report.notes if "look random ('ann')" in note]
    assert len(named) == (contrary == "ann")
    assert [note for note in report.notes if "random" in note] == named
    found = posterior.reliability().set_index("user")["mean"]
    assert report.users.set_index("user")["random"].to_dict() == pytest.approx(found.to_dict())


def test_the_report_says_how_many_repeated_answers_are_alike() -> None:
    [note] = bp.diagnose(made_posterior(made_comparisons()), **ASKED).notes
    assert "of 30 such pairs of answers 100 % are alike, and the model expects" in note
    few = made_comparisons()
    few = few.take(np.unique(few.difference, axis=0, return_index=True)[1])
    assert bp.diagnose(made_posterior(few), **ASKED).notes == ()
