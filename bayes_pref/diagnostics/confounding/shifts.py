"""Choices of all users, and of those who are shown a context: draws, integrated over users."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.confounding.exposure_distribution import Exposure, Law, quadratic
from bayes_pref.diagnostics.query import Pairs
from bayes_pref.logistic_normal import expected_choice
from bayes_pref.posterior import Posterior

Array = NDArray[np.float64]

_MOST_DRAWS = 1000  # of the posterior that rows are integrated over
_BLOCK = 2**21  # values held at once


@dataclass(frozen=True, eq=False)
class PopulationDraws:
    """Some draws of the population, evenly spaced among all.

    Attributes
    ----------
    mu
        (draw, d), at the mean over users of covariates and exposures.
    slopes
        (draw, d, k): B and G side by side, k covariates and contexts.
    tau
        (draw, d).
    covariance
        (draw, d, d) Sigma, None where it is diagonal.
    """

    mu: Array
    slopes: Array
    tau: Array
    covariance: Array | None

    @classmethod
    def read(cls, posterior: Posterior) -> PopulationDraws:
        """Take the population's draws from a posterior of the coupled model."""
        draws = posterior.draws.drop_vars("weights").stack(sample=("chain", "draw"))  # noqa: PD013
        size = draws.sizes["sample"]
        count = min(size, _MOST_DRAWS)
        draws = draws.isel(sample=np.arange(count) * size // count)
        slopes = [
            draws[name].transpose("sample", "feature", dim).to_numpy()
            for name, dim in (("B", "covariate"), ("G", "context"))
            if name in draws
        ]
        tau = draws["tau"].transpose("sample", "feature").to_numpy()
        covariance = None
        if "correlation" in draws:
            correlation = draws["correlation"].transpose("sample", "feature", "feature_bis")
            covariance = correlation.to_numpy() * tau[:, :, None] * tau[:, None, :]
        mu = draws["mu"].transpose("sample", "feature").to_numpy()
        return cls(mu, np.concatenate(slopes, axis=2), tau, covariance)

    def own(self, difference: Array) -> Array:
        """Variance d' Sigma d, (draw, row)."""
        if self.covariance is None:
            return np.asarray(self.tau**2 @ (difference**2).T)
        outer = np.einsum("rf,rg->rfg", difference, difference).reshape(len(difference), -1)
        return np.asarray(self.covariance.reshape(len(self.tau), -1) @ outer.T)


def describe_shifts(
    population: PopulationDraws, exposure: Exposure, pairs: Pairs, threshold: float, interval: float
) -> pd.DataFrame:
    """Describe p_do, p_obs and their difference of every pair."""
    names = ["p_do", "p_obs", "shift", "shift_lower", "shift_upper", "p_confounded"]
    out = np.full((len(pairs), len(names) + 1), np.nan)
    tail = (1 - interval) / 2
    for part, p_do, adjusted, observed in _choices(population, exposure, pairs):
        delta = adjusted - p_do
        out[part, 0] = p_do.mean(axis=0)
        out[part, 1] = adjusted.mean(axis=0)
        out[part, 2] = delta.mean(axis=0)
        out[part, 3:5] = np.quantile(delta, [tail, 1 - tail], axis=0).T
        out[part, 5] = (np.abs(delta) > threshold).mean(axis=0)
        if observed is not None:
            out[part, 6] = (observed - p_do).mean(axis=0)
    return pd.DataFrame(out, columns=[*names, "shift_unadjusted"])


def _choices(
    population: PopulationDraws, exposure: Exposure, pairs: Pairs
) -> Iterator[tuple[slice, Array, Array, Array | None]]:
    """Yield rows and their p_do, p_obs adjusted and as observed, (draw, row), by blocks.

    The last is None where there are no covariates to adjust for.
    """
    draws, d, k = population.slopes.shape
    adjusts = exposure.adjusted is not exposure.observed
    wide = 1 if population.covariance is None else d * d // draws
    step = max(1, _BLOCK // (draws * max(k, wide)))
    for start in range(0, len(pairs), step):
        part = slice(start, min(start + step, len(pairs)))
        difference, context = pairs.difference[part], pairs.context[part]
        loadings = difference @ population.slopes
        centre = population.mu @ difference.T + _along(loadings, exposure.mean[:, None])
        own = population.own(difference)

        def share(law: Law | None) -> Array:
            variance = exposure.variance if law is None else law.variance
            total = (quadratic(loadings, variance) + own).clip(0.0)  # noqa: B023
            if law is None:
                return expected_choice(centre, total)  # noqa: B023
            moved = law.offset[:, None] + context @ law.slope.swapaxes(1, 2)  # noqa: B023
            return expected_choice(centre + _along(loadings, moved), total)  # noqa: B023

        observed = share(exposure.observed) if adjusts else None
        yield part, share(None), share(exposure.adjusted), observed


def _along(loadings: Array, moved: Array) -> Array:
    return np.asarray((loadings * moved).sum(axis=2))


def carried(
    population: PopulationDraws, exposure: Exposure, comparisons: Comparisons
) -> float | None:
    """Share of the fitted comparisons' shift, in log-odds, that adjusting removes."""

    def shifts(law: Law) -> Array:
        offset = np.einsum("sdk,sk->d", population.slopes, law.offset) / len(population.mu)
        slope = np.einsum("sdk,skq->dq", population.slopes, law.slope) / len(population.mu)
        moved = offset + comparisons.context @ slope.T
        return np.asarray((comparisons.difference * moved).sum(axis=1))

    before, after = shifts(exposure.observed), shifts(exposure.adjusted)
    total = float(before @ before)
    return 1 - float(before @ after) / total if total > 0 else None
