"""Confounding shifts: choices of all users and of those who see a context, by posterior draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.confounding.exposure_distribution import (
    ExposureDistribution,
    ExposureDraws,
    quadratic,
)
from bayes_pref.diagnostics.query import Query
from bayes_pref.draws import evenly_spaced, stacked
from bayes_pref.logistic_normal import expected_choice
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray as Array

_MOST_DRAWS = 1000  # of the posterior
_BLOCK = 2**21  # values held at once


@dataclass(frozen=True, eq=False)
class PopulationDraws:
    """Evenly spaced draws of the population of the exposure model.

    Attributes
    ----------
    mu
        (draw, d) mean weights at the mean of covariates and exposures over users.
    slopes
        (draw, d, k) B and G side by side, for k covariates and contexts.
    tau
        (draw, d) standard deviations of the weights given covariates and exposures.
    covariance
        (draw, d, d) Sigma, None where it is diagonal.
    """

    mu: Array
    slopes: Array
    tau: Array
    covariance: Array | None

    @classmethod
    def read(cls, posterior: Posterior) -> PopulationDraws:
        """Read them from a posterior of the exposure model."""
        draws = posterior.draws
        kept = evenly_spaced(draws.sizes["chain"] * draws.sizes["draw"], _MOST_DRAWS)

        def read(name: str, *dims: str) -> Array:
            return stacked(draws, name, *dims)[kept]

        regressors = (("B", "covariate"), ("G", "context"))
        slopes = [read(name, "feature", dim) for name, dim in regressors if name in draws]
        tau, covariance = read("tau", "feature"), None
        if "correlation" in draws:
            correlation = read("correlation", "feature", "feature_bis")
            covariance = correlation * tau[:, :, None] * tau[:, None, :]
        return cls(read("mu", "feature"), np.concatenate(slopes, axis=2), tau, covariance)

    def own(self, difference: Array) -> Array:
        """Return the variance d' Sigma d, (draw, n), for differences (n, d)."""
        if self.covariance is None:
            return np.asarray(self.tau**2 @ (difference**2).T)
        outer = np.einsum("rf,rg->rfg", difference, difference).reshape(len(difference), -1)
        return np.asarray(self.covariance.reshape(len(self.tau), -1) @ outer.T)


def describe_shifts(
    population: PopulationDraws,
    exposure: ExposureDraws,
    query: Query,
    *,
    smallest: float,
    interval: float,
) -> pd.DataFrame:
    """Describe p_do, p_obs and their difference for every comparison.

    Parameters
    ----------
    population
        Draws of the weights.
    exposure
        As many draws of the users' exposure.
    query
        n comparisons.
    smallest
        Smallest difference of probabilities that matters.
    interval
        Probability inside the central credible intervals.

    Returns
    -------
    frame: n rows; `p_do`, `p_obs`, `shift`, `shift_lower`, `shift_upper`, `p_confounded`, and
        `shift_unadjusted`, which is nan without covariates
    """
    names = ["p_do", "p_obs", "shift", "shift_lower", "shift_upper", "p_confounded"]
    out = np.full((len(query), len(names) + 1), np.nan)
    tail = (1 - interval) / 2
    for part, p_do, adjusted, observed in _choices(population, exposure, query):
        delta = adjusted - p_do
        out[part, 0] = p_do.mean(axis=0)
        out[part, 1] = adjusted.mean(axis=0)
        out[part, 2] = delta.mean(axis=0)
        out[part, 3:5] = np.quantile(delta, [tail, 1 - tail], axis=0).T
        out[part, 5] = (np.abs(delta) > smallest).mean(axis=0)
        if observed is not None:
            out[part, 6] = (observed - p_do).mean(axis=0)
    return pd.DataFrame(out, columns=[*names, "shift_unadjusted"])


def _choices(
    population: PopulationDraws, exposure: ExposureDraws, query: Query
) -> Iterator[tuple[slice, Array, Array, Array | None]]:
    """Yield blocks of rows with p_do, p_obs adjusted and p_obs as observed, (draw, row) each.

    The last is None without covariates.
    """
    draws, d, k = population.slopes.shape
    adjusts = exposure.adjusted is not exposure.observed
    wide = 1 if population.covariance is None else d * d // draws
    step = max(1, _BLOCK // (draws * max(k, wide)))
    for start in range(0, len(query), step):
        part = slice(start, min(start + step, len(query)))
        difference, context = query.difference[part], query.context[part]
        loadings = difference @ population.slopes
        centre = population.mu @ difference.T + _along(loadings, exposure.mean[:, None])
        own = population.own(difference)

        p_do = expected_choice(centre, (quadratic(loadings, exposure.variance) + own).clip(0.0))
        block = (loadings, centre, own, context)
        observed = _choices_of_shown(exposure.observed, *block) if adjusts else None
        yield part, p_do, _choices_of_shown(exposure.adjusted, *block), observed


def _choices_of_shown(
    shown: ExposureDistribution,
    loadings: Array,
    centre: Array,
    own: Array,
    context: Array,
) -> Array:
    """(draw, row) probability of left among the users who see the context of each row."""
    variance = (quadratic(loadings, shown.variance) + own).clip(0.0)
    moved = shown.offset[:, None] + context @ shown.slope.swapaxes(1, 2)
    return expected_choice(centre + _along(loadings, moved), variance)


def _along(loadings: Array, moved: Array) -> Array:
    return np.asarray((loadings * moved).sum(axis=2))


def adjusted_share(
    population: PopulationDraws, exposure: ExposureDraws, comparisons: Comparisons
) -> float | None:
    """Share of the fitted comparisons' shift, in log-odds, that adjusting for covariates removes.

    With before_n and after_n the posterior means of the shifts of comparison n, it is
    1 - sum_n before_n after_n / sum_n before_n^2: 1 for all of it, 0 for none, and below 0 where
    covariates hide some of it. None without any shift.
    """

    def shifts(shown: ExposureDistribution) -> Array:
        offset = np.einsum("sdk,sk->d", population.slopes, shown.offset) / len(population.mu)
        slope = np.einsum("sdk,skq->dq", population.slopes, shown.slope) / len(population.mu)
        moved = offset + comparisons.context @ slope.T
        return np.asarray((comparisons.difference * moved).sum(axis=1))

    before, after = shifts(exposure.observed), shifts(exposure.adjusted)
    total = float(before @ before)
    return 1 - float(before @ after) / total if total > 0 else None
