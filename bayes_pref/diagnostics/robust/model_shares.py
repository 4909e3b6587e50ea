"""Shares that a model expects at some comparisons, p_do and p_obs, and how certain it is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bayes_pref.diagnostics.confounding.exposure_distribution import ExposureDraws
from bayes_pref.diagnostics.confounding.shifts import PopulationDraws, choices_by_row
from bayes_pref.diagnostics.query import Query
from bayes_pref.types import FloatArray

_LEAST = 1e-6  # probability


@dataclass(frozen=True, eq=False)
class ModelShares:
    """Shares of all users, and of those who see such comparisons, that choose left.

    Attributes
    ----------
    p_do, p_obs
        (n,) posterior means.
    p_do_sd, shift_sd
        (n,) posterior sds, of p_do and of p_obs - p_do.
    kappa
        (n,) how much less the log-odds of the population move than those of a user.
    """

    p_do: FloatArray
    p_obs: FloatArray
    p_do_sd: FloatArray
    shift_sd: FloatArray
    kappa: FloatArray

    @classmethod
    def at(
        cls, population: PopulationDraws, exposure: ExposureDraws, query: Query, unit: float
    ) -> ModelShares:
        """Average over draws.

        Parameters
        ----------
        population, exposure
            As many draws of both.
        query
            n rows.
        unit
            Log-odds per unit of the reward.
        """
        out = np.empty((4, len(query)))  # in the order of the fields
        for part, p_do, p_obs, _ in choices_by_row(population, exposure, query):
            means = p_do.mean(axis=0), p_obs.mean(axis=0)
            out[:, part] = (*means, p_do.std(axis=0), (p_obs - p_do).std(axis=0))
        spread = population.spread(exposure.variance).mean(axis=0) * unit**2
        scaled = query.difference * _against_one(query)[:, None]
        variance = ((scaled @ spread) * scaled).sum(axis=1)
        kappa = 1.0 / np.sqrt(1.0 + np.pi / 8.0 * variance)
        return cls(out[0], out[1], out[2], out[3], kappa).with_means(out[0], out[1])

    def with_means(self, p_do: FloatArray, p_obs: FloatArray) -> ModelShares:
        """Return the same with other means, which are kept away from 0 and 1."""
        p_do, p_obs = (each.clip(_LEAST, 1.0 - _LEAST) for each in (p_do, p_obs))
        return replace(self, p_do=p_do, p_obs=p_obs)

    def log_odds(self, query: Query) -> FloatArray:
        """Log-odds (n,) of p_do; of an alternative, relative to the mean of the others."""
        if query.task is None:
            return np.asarray(np.log(self.p_do) - np.log1p(-self.p_do))
        logs, sizes = np.log(self.p_do), query.sizes
        total = np.bincount(query.task, weights=logs)[query.task]
        return np.asarray((sizes * logs - total) / (sizes - 1.0))


def _against_one(query: Query) -> FloatArray:
    """(n,) what turns one minus the mean of the others into one against one: 1 for pairs."""
    sizes = query.sizes
    return np.asarray(np.sqrt(2.0 * (sizes - 1.0) / sizes))
