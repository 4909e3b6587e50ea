"""Confounding shifts: choices of all users and of those who see a context, by posterior draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.confounding.choice_shares import ChoiceShares, choices_of_pairs
from bayes_pref.diagnostics.confounding.curved_spread import CurvedSpread
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
_MOST_DRAWS, _MOST_CURVED, _MOST_INTEGRATED, _MOST_SIMULATED = 1000, 500, 250, 250
_BLOCK = 2**21  # values held at once


@dataclass(frozen=True, eq=False)
class PopulationDraws:
    """Evenly spaced draws of the population of the exposure model.

    Attributes
    ----------
    mu
        (draw, d) mean weights at the mean of covariates and exposures over users.
    slopes
        (draw, d, k) B, G and H side by side, for k covariates, exposures, and squares and products
        of these.
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

        regressors = (("B", "covariate"), ("G", "context"), ("H", "exposure"))
        slopes = [np.empty((len(kept), draws.sizes["feature"], 0))]
        slopes += [read(name, "feature", dim) for name, dim in regressors if name in draws]
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


def most_draws(posterior: Posterior, query: Query, *, curved: bool = False) -> int:
    """Return of how many draws, at most, shifts are computed."""
    if (query.sizes > 2).any():
        return _MOST_SIMULATED
    if not choices_of_pairs(posterior, posterior.draws).has_formula:
        return _MOST_INTEGRATED
    return _MOST_CURVED if curved else _MOST_DRAWS


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
    for part, p_do, adjusted, observed in choices_by_row(population, exposure, query):
        delta = adjusted - p_do
        out[part, 0] = p_do.mean(axis=0)
        out[part, 1] = adjusted.mean(axis=0)
        out[part, 2] = delta.mean(axis=0)
        out[part, 3:5] = np.quantile(delta, [tail, 1 - tail], axis=0).T
        out[part, 5] = (np.abs(delta) > smallest).mean(axis=0)
        if observed is not None:
            out[part, 6] = (observed - p_do).mean(axis=0)
    return pd.DataFrame(out, columns=[*names, "shift_unadjusted"])


def choices_by_row(
    population: PopulationDraws, exposure: ExposureDraws, query: Query
) -> Iterator[tuple[slice, Array, Array, Array | None]]:
    """Yield blocks of rows with p_do, p_obs adjusted and p_obs as observed, (draw, row) each.

    The last is None without covariates.
    """
    draws, d, k = population.slopes.shape
    wide = 1 if population.covariance is None else d * d // draws
    curved = 0 if exposure.curves is None else k - len(exposure.curves.first)
    shares = ChoiceShares.of(population.choices, query, draws, curved)
    among = partial(_Among.of, population, exposure, shares)
    everyone, adjusted = among(None), among(exposure.adjusted)
    adjusts = exposure.adjusted is not exposure.observed
    seeing = among(exposure.observed) if adjusts else None
    for part in shares.blocks(_BLOCK // (draws * max(k, wide))):
        difference = query.difference[part]
        loadings = difference @ population.slopes
        centre = population.mu @ difference.T
        rows = _Rows(shares, part, loadings, centre, population.own(difference))
        observed = None if seeing is None else seeing.chosen(rows)
        yield part, everyone.chosen(rows), adjusted.chosen(rows), observed


@dataclass(frozen=True, eq=False)
class _Rows:
    """A block of rows, and what the choices of all users have in common with those of some."""

    shares: ChoiceShares
    part: slice
    loadings: Array
    centre: Array
    own: Array


@dataclass(frozen=True, eq=False)
class _Among:
    """Some users: all of them, or those who see the context of each row.

    Attributes
    ----------
    mean, variance
        Of the regressors, over all users, and variance among these.
    shown
        Those who see a context; None: all users.
    factor
        Root of the weights' covariance, for simulated users; without regressors where they are not
        Gaussian.
    spread, points
        How the regressors' part spreads where it is not Gaussian, and simulated regressors.
    """

    mean: Array
    variance: Array
    shown: ExposureDistribution | None
    factor: Array | None
    spread: CurvedSpread | None
    points: Array | None

    @classmethod
    def of(
        cls,
        population: PopulationDraws,
        exposure: ExposureDraws,
        shares: ChoiceShares,
        shown: ExposureDistribution | None,
    ) -> _Among:
        """Read users who see what `shown` says, or all users, from the draws of both posteriors."""
        variance = exposure.variance if shown is None else shown.variance
        if exposure.curves is None:
            factor = shares.factor(population, variance)
            return cls(exposure.mean, variance, shown, factor, None, None)
        size = variance.shape[1] - len(exposure.curves.first)
        known = size - len(exposure.curves.slope)
        spread = CurvedSpread(exposure.curves, known, variance[:, :size, :size])
        factor = shares.factor(population, 0.0 * variance)
        return cls(exposure.mean, variance, shown, factor, spread, shares.others)

    def chosen(self, rows: _Rows) -> Array:
        """(draw, row) probability that each row is chosen."""
        middle = self.mean[:, None]
        if self.shown is not None:
            middle = middle + self.shown.moved(rows.shares.query.context[rows.part])
        centre = rows.centre + (rows.loadings * middle).sum(axis=2)
        if self.spread is None:
            variance = (quadratic(rows.loadings, self.variance) + rows.own).clip(0.0)
            return rows.shares.chosen(rows.part, centre, variance, self.factor)
        second, third = self.spread.cumulants(rows.loadings, middle)
        away = None
        if self.points is not None:
            away = self.spread.deviations(rows.loadings, middle, self.points)
        variance = (second + rows.own).clip(0.0)
        return rows.shares.chosen(rows.part, centre, variance, self.factor, third, away)


def adjusted_share(
    population: PopulationDraws, exposure: ExposureDraws, comparisons: Comparisons
) -> float | None:
    """Share of the fitted comparisons' shift, in log-odds, that adjusting for covariates removes.

    With before_n and after_n the posterior means of the shifts of comparison n, it is
    1 - sum_n before_n after_n / sum_n before_n^2: 1 for all of it, 0 for none, and below 0 where
    covariates hide some of it. None without any shift.
    """
    draws, _, k = population.slopes.shape
    step = max(1, _BLOCK // (draws * k))

    def shifts(shown: ExposureDistribution) -> Array:
        """(row,) posterior means of the shifts in log-odds."""
        total = np.empty(len(comparisons))
        for start in range(0, len(total), step):  # in blocks, so that memory does not grow
            part = slice(start, start + step)
            moved = shown.moved(comparisons.context[part])
            mean = np.einsum("sdk,snk->nd", population.slopes, moved, optimize=True) / draws
            total[part] = (comparisons.difference[part] * mean).sum(axis=1)
        return total

    before, after = shifts(exposure.observed), shifts(exposure.adjusted)
    total = float(before @ before)
    return 1 - float(before @ after) / total if total > 0 else None
