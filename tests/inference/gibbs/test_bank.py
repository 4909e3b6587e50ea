"""The credit-card conjoint study against long independent chains of another system."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pandas as pd
import pytest
from reference_scores import check, check_moved, check_precision

import bayes_pref as bp

pytestmark = pytest.mark.long  # every time, the same sweeps are tried on their prior and by NUTS

# Sweeps that give every parameter some hundred effective draws.
DRAWS = {"diagonal": 1000, "full": 2000}


@pytest.fixture(scope="module", params=["diagonal", "full"])
def fitted(request: pytest.FixtureRequest, shared_data: Path) -> tuple[bp.Posterior, dict]:
    reference = json.loads((shared_data / "bank_reference.json").read_text())
    table = pd.read_csv(shared_data / "bank_choices.csv")
    comparisons = bp.Comparisons.from_frame(
        table, user="id", choice="choice", difference=reference["features"]
    )
    model = bp.HierarchicalReward(
        covariance=request.param, mean_sd=2.0, spread_sd=1.0, concentration=2.0, scale="raw"
    )
    engine = bp.Gibbs(draws=DRAWS[request.param], chains=4, progress=False)
    # The precision is judged below; a warning for one of thousands of weights is no failure here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return bp.fit(model, comparisons, engine, seed=0), reference[request.param]


def test_means_and_sds_are_those_of_the_reference(fitted: tuple[bp.Posterior, dict]) -> None:
    posterior, reference = fitted
    check(posterior, reference, reference["weights"]["users"])


def test_a_posterior_off_by_a_fifth_of_an_sd_is_caught(
    fitted: tuple[bp.Posterior, dict],
) -> None:
    posterior, reference = fitted
    check_moved(posterior, reference, reference["weights"]["users"])


def test_the_means_are_estimated_precisely_enough_to_tell(
    fitted: tuple[bp.Posterior, dict],
) -> None:
    check_precision(fitted[0].summary("population"))
