"""A posterior against the long chains of another system that come with a study's data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from monte_carlo import mean_and_error

import bayes_pref as bp


def scores(
    posterior: bp.Posterior, reference: Mapping[str, Any], users: list[Any]
) -> tuple[np.ndarray, np.ndarray]:
    """z-scores of the means and of the log sds of mu, tau and some users' weights.

    `reference` holds "mean", "sd" and "ess" of each of "mu", "tau" and "weights".
    """
    means, sds = [], []
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

    Scores of one user or one feature are correlated, so the rms of a hundred of them spreads as if
    there were only a few dozen: 1 +- 0.4 is three standard deviations of that of thirty.
    """
    return bool(np.abs(z).max() < 4 and 0.6 < np.sqrt((z**2).mean()) < 1.4)


def check(posterior: bp.Posterior, reference: Mapping[str, Any], users: list[Any]) -> None:
    """Check that means and sds are those of the reference."""
    means, sds = scores(posterior, reference, users)
    assert behaves(means), f"means: rms {np.sqrt((means**2).mean()):.2f}, {np.abs(means).max():.2f}"
    assert np.abs(sds).max() < 4, f"sds: {np.abs(sds).max():.2f}"
    assert np.sqrt((sds**2).mean()) < 1.4


def check_moved(posterior: bp.Posterior, reference: Mapping[str, Any], users: list[Any]) -> None:
    """Check that a posterior off by a fifth of an sd is caught."""
    wrong = bp.Posterior(
        model=posterior.model,
        comparisons=posterior.comparisons,
        draws=posterior.draws + 0.2 * posterior.draws.std(("chain", "draw")),
        sample_stats=posterior.sample_stats,
        run=posterior.run,
        seed=0,
    )
    assert not behaves(scores(wrong, reference, users)[0])


def check_precision(summary: pd.DataFrame) -> None:
    """Check that the means of the population are estimated precisely enough to tell."""
    assert summary["ess_bulk"].min() > 100
    assert summary["rhat"].max() < 1.05
