"""Choices among four suppliers of electricity, against long chains of another system."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from reference_scores import check, check_moved, check_precision

import bayes_pref as bp

pytestmark = pytest.mark.long

Fitted = tuple[bp.Posterior, dict[str, Any], list[int]]


@pytest.fixture(scope="module")
def fitted(shared_data: Path) -> Fitted:
    """Posterior, the reference in arrays, and the users whose weights it holds."""
    reference = json.loads((shared_data / "electricity_reference.json").read_text())
    frame = pd.read_csv(shared_data / "electricity_long.csv")
    scale = pd.Series(reference["scale"])
    frame[scale.index] = frame[scale.index] / scale
    comparisons = bp.Comparisons.from_tasks(
        frame,
        user="id",
        task="chid",
        choice="choice",
        alternative="alt",
        attributes=list(scale.index),
    )
    users = reference["weights"]
    arrays = {
        name: {
            key: [[part[feature][key] for feature in scale.index] for part in parts]
            for key in ("mean", "sd", "ess")
        }
        for name, parts in {
            "mu": [reference["mu"]],
            "tau": [reference["tau"]],
            "weights": list(users.values()),
        }.items()
    }
    model = bp.HierarchicalReward(mean_sd=2.0, spread_sd=1.0, scale="raw")
    engine = bp.Gibbs(draws=1500, warmup=500, chains=4, progress=False)
    # The precision is judged below; a warning for one of thousands of weights is no failure here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return bp.fit(model, comparisons, engine, seed=0), arrays, [int(user) for user in users]


def test_means_and_sds_are_those_of_the_reference(fitted: Fitted) -> None:
    check(*fitted)


def test_a_posterior_off_by_a_fifth_of_an_sd_is_caught(fitted: Fitted) -> None:
    check_moved(*fitted)


def test_the_means_are_estimated_precisely_enough_to_tell(fitted: Fitted) -> None:
    check_precision(fitted[0].summary("population"))
