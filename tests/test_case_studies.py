"""The paper's case studies: their data are what they say, and their tables tell the errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import case_positivity
from confounding_study import data, sweep


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.6, 0.9])
def test_the_share_of_informative_pairs_is_that_of_the_formula(rho: float) -> None:
    drawn = case_positivity.pairs(40_000, rho, np.random.default_rng(0))
    share = (drawn.prod(axis=1) < 0).mean()
    tolerance = 4 * 0.5 / np.sqrt(40_000)  # four standard errors of a share
    assert abs(share - case_positivity.informative(rho)) < tolerance
    if rho:  # the straight line that the formula is not
        assert abs(share - (1 - rho) / 2) > tolerance


@pytest.mark.slow
def test_the_less_factors_part_the_less_the_ratio_is_known_and_at_one_the_verdict_names_both() -> (
    None
):
    found = pd.DataFrame([case_positivity.replicate(rho, 0) for rho in (0.0, 0.9, 1.0)])
    assert found["ratio sd"].is_monotonic_increasing
    assert found["elas_ref"].is_monotonic_increasing
    assert found["unidentifiable"].tolist() == [False, False, True]
    assert found["names both"].tolist()[-1]
    assert (
        "informative pairs, formula"
        in case_positivity.report(
            pd.concat([found.assign(rho=rho) for rho in case_positivity.RHOS])
        ).index
    )


def test_training_sets_have_the_size_and_the_share_asked_and_never_a_held_out_pair(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAYES_PREF_DATA", str(shared_data))
    judged = data.load()
    allocation = data.Allocation.draw(judged, np.random.default_rng(0))
    held = np.concatenate(list(allocation.held.values()))
    assert len(held) == len(set(held)) == 4 * data.HELD_OUT
    for rho in sweep.RHOS:
        rows = allocation.training(rho)
        for objective in data.OBJECTIVES:
            mine = rows[judged.objective[rows] == objective]
            assert len(set(mine)) == data.TRAINING
            assert judged.consistent[mine].mean() == pytest.approx(rho, abs=0.5 / data.TRAINING)
        assert not set(rows) & set(held)


def test_the_sweep_reports_means_with_errors_beside_the_papers() -> None:
    rng = np.random.default_rng(0)
    records = pd.DataFrame(
        [
            {"seed": s, "rho": r, "model": m, "pairs": k, "accuracy": 0.6 + 0.01 * rng.normal()}
            for s in range(3)
            for r in sweep.RHOS
            for m in sweep.MODELS
            for k in ("consistent", "inconsistent")
        ]
    )
    text = sweep.report(records)
    assert "| inconsistent | Base | paper | 60.0 | 59.6 |" in text
    assert "Multihead - Base, inconsistent, rho .5" in text
    accuracies = records[
        (records["model"] == "Linear")
        & (records["rho"] == 0.5)
        & (records["pairs"] == "consistent")
    ]["accuracy"]
    assert f"{100 * accuracies.mean():.1f} ± {100 * accuracies.sem():.1f}" in text
