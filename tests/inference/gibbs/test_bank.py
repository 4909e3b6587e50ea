"""The credit-card conjoint study against long independent chains of another system."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from monte_carlo import mean_and_error

import bayes_pref as bp

pytestmark = pytest.mark.slow

# Sweeps that give every parameter some hundred effective draws.
DRAWS = {"diagonal": 1000, "full": 2000}


@pytest.fixture(scope="module", params=["diagonal", pytest.param("full", marks=pytest.mark.long)])
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


def scores(posterior: bp.Posterior, reference: dict) -> tuple[np.ndarray, np.ndarray]:
    """z-scores of the means and of the log sds of mu, tau and ten users' weights."""
    means, sds = [], []
    users = reference["weights"]["users"]
    for name in ("mu", "tau", "weights"):
        draws = posterior.draws[name]
        draws = draws.sel(user=users) if name == "weights" else draws
        values = draws.to_numpy()
        mean, sd, ess = (np.ravel(reference[name][key]) for key in ("mean", "sd", "ess"))
        found, error = mean_and_error(values)
        means.append((found - mean) / np.hypot(error, sd / np.sqrt(ess)))
        flat = values.reshape(*values.shape[:2], -1)
        variance, variance_error = mean_and_error((flat - found) ** 2)
        # Relative error of a variance of the reference from n effective draws of a distribution
        # whose kurtosis is taken from ours: sqrt((kurtosis - 1) / n). Half of it for an sd; the
        # effective sample size of squares is taken to be half of that of the mean.
        kurtosis = ((flat - found) ** 4).mean(axis=(0, 1)) / variance**2
        of_reference = np.sqrt((kurtosis - 1) / (ess / 2)) / 2
        sds.append(
            (0.5 * np.log(variance) - np.log(sd))
            / np.hypot(variance_error / variance / 2, of_reference)
        )
    return np.concatenate(means), np.concatenate(sds)


def behaves(z: np.ndarray) -> bool:
    """Whether scores look standard normal: rms about 1, none above 4.

    Scores of one user or one feature are correlated, so the rms of 168 of them spreads as if there
    were only a few dozen: 1 +- 0.4 is three standard deviations of that of thirty.
    """
    return bool(np.abs(z).max() < 4 and 0.6 < np.sqrt((z**2).mean()) < 1.4)


def test_means_and_sds_are_those_of_the_reference(fitted: tuple[bp.Posterior, dict]) -> None:
    means, sds = scores(*fitted)
    assert behaves(means), f"means: rms {np.sqrt((means**2).mean()):.2f}, {np.abs(means).max():.2f}"
    assert np.abs(sds).max() < 4, f"sds: {np.abs(sds).max():.2f}"
    assert np.sqrt((sds**2).mean()) < 1.4


def test_a_posterior_off_by_a_fifth_of_an_sd_is_caught(
    fitted: tuple[bp.Posterior, dict],
) -> None:
    posterior, reference = fitted
    moved = posterior.draws + 0.2 * posterior.draws.std(("chain", "draw"))
    wrong = bp.Posterior(
        model=posterior.model,
        comparisons=posterior.comparisons,
        draws=moved,
        sample_stats=posterior.sample_stats,
        run=posterior.run,
        seed=0,
    )
    assert not behaves(scores(wrong, reference)[0])


def test_the_means_are_estimated_precisely_enough_to_tell(
    fitted: tuple[bp.Posterior, dict],
) -> None:
    posterior, _ = fitted
    summary = posterior.summary("population")
    assert summary["ess_bulk"].min() > 100
    assert summary["rhat"].max() < 1.05
