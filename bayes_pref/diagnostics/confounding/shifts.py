"""Confounding shifts: choices of all users and of those who see a context, by posterior draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.confounding.choice_shares import ChoiceShares, choices_of_pairs
from bayes_pref.diagnostics.confounding.exposure_distribution import (
    ExposureDistribution,
    ExposureDraws,
    quadratic,
)
from bayes_pref.diagnostics.query import Query
from bayes_pref.draws import evenly_spaced, stacked
from bayes_pref.models.choice import ChoiceDistribution, Logit
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray as Array

# Of the posterior: fewer where every draw takes a numerical integral, or simulated users.
_MOST_DRAWS, _MOST_INTEGRATED, _MOST_SIMULATED = 1000, 250, 250
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
    choices
        Distribution of choices at the draws, without position bias.
    """

    mu: Array
    slopes: Array
    tau: Array
    covariance: Array | None
    choices: ChoiceDistribution = field(default_factory=Logit().at)

    @classmethod
    def read(cls, posterior: Posterior, most: int = _MOST_DRAWS) -> PopulationDraws:
        """Read at most so many of them from a posterior of the exposure model."""
        draws = posterior.draws
        kept = evenly_spaced(draws.sizes["chain"] * draws.sizes["draw"], most)

        def read(name: str, *dims: str) -> Array:
            return stacked(draws, name, *dims)[kept]

        regressors = (("B", "covariate"), ("G", "context"))
        slopes = [read(name, "feature", dim) for name, dim in regressors if name in draws]
        tau, covariance = read("tau", "feature"), None
        if "correlation" in draws:
            correlation = read("correlation", "feature", "feature_bis")
            covariance = correlation * tau[:, :, None] * tau[:, None, :]
        choices = choices_of_pairs(posterior, draws, kept)
        return cls(read("mu", "feature"), np.concatenate(slopes, axis=2), tau, covariance, choices)

    def own(self, difference: Array) -> Array:
        """Return the variance d' Sigma d, (draw, n), for differences (n, d)."""
        if self.covariance is None:
            return np.asarray(self.tau**2 @ (difference**2).T)
        outer = np.einsum("rf,rg->rfg", difference, difference).reshape(len(difference), -1)
        return np.asarray(self.covariance.reshape(len(self.tau), -1) @ outer.T)

    def spread(self, variance: Array) -> Array:
        """Return the covariance of the weights, (draw, d, d), given that of the regressors."""
        own = self.covariance
        if own is None:
            own = self.tau[:, :, None] ** 2 * np.eye(self.tau.shape[1])
        return np.asarray(self.slopes @ variance @ self.slopes.swapaxes(1, 2) + own)


def most_draws(posterior: Posterior, query: Query) -> int:
    """Return of how many draws, at most, shifts are computed."""
    if (query.sizes > 2).any():
        return _MOST_SIMULATED
    logistic = choices_of_pairs(posterior, posterior.draws).logistic
    return _MOST_DRAWS if logistic else _MOST_INTEGRATED


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
    shares = ChoiceShares.of(population.choices, query, draws)
    everyone = shares.factor(population, exposure.variance)
    adjusted = shares.factor(population, exposure.adjusted.variance)
    seeing = shares.factor(population, exposure.observed.variance) if adjusts else None
    for part in shares.blocks(_BLOCK // (draws * max(k, wide))):
        difference, context = query.difference[part], query.context[part]
        loadings = difference @ population.slopes
        centre = population.mu @ difference.T + _along(loadings, exposure.mean[:, None])
        own = population.own(difference)

        variance = (quadratic(loadings, exposure.variance) + own).clip(0.0)
        p_do = shares.chosen(part, centre, variance, everyone)
        rows = _Rows(shares, part, loadings, centre, own, context)
        observed = rows.of_shown(exposure.observed, seeing) if adjusts else None
        yield part, p_do, rows.of_shown(exposure.adjusted, adjusted), observed


@dataclass(frozen=True, eq=False)
class _Rows:
    """A block of rows, and what the choices of all users have in common with those of some."""

    shares: ChoiceShares
    part: slice
    loadings: Array
    centre: Array
    own: Array
    context: Array

    def of_shown(self, shown: ExposureDistribution, factor: Array | None) -> Array:
        """(draw, row) probability of left among the users who see the context of each row."""
        variance = (quadratic(self.loadings, shown.variance) + self.own).clip(0.0)
        moved = shown.offset[:, None] + self.context @ shown.slope.swapaxes(1, 2)
        centre = self.centre + _along(self.loadings, moved)
        return self.shares.chosen(self.part, centre, variance, factor)


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
