"""Data and priors of a sampler for logistic choices, whose chains keep a summary of users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.inference.gibbs.summaries.weight_units import WeightUnits
from bayes_pref.inference.runtime.checkpoint import digest
from bayes_pref.types import FloatArray, IntArray


@dataclass(frozen=True, kw_only=True)
class SummaryProblem(Problem):
    """Comparisons and a Gaussian population, whose users' draws are not kept.

    A draw of the population holds what it does in `Problem`, and then the mean of all users'
    weights per raw unit; of users it holds the weights per raw unit of those who are kept.

    Attributes
    ----------
    kept
        Positions of users whose draws are kept whole, in ascending order.
    shares
        (n_users,) of each user in averages over all users.
    units
        Of weights.
    """

    kept: tuple[int, ...]
    shares: FloatArray
    units: WeightUnits

    @classmethod
    def of(cls, problem: Problem, comparisons: Comparisons, kept: IntArray) -> SummaryProblem:
        """Return a problem with users' draws not kept, but of those at some positions."""
        units = WeightUnits.of(problem.feature_scale, None, comparisons)
        shares = comparisons.user_shares
        return cls(**vars(problem), kept=tuple(np.sort(kept).tolist()), shares=shares, units=units)

    @property
    def n_users(self) -> int:
        """Number of all users."""
        return len(self.population.design)

    @property
    def n_columns(self) -> int:
        """Length of a draw of the population."""
        return super().n_columns + len(self.feature_scale)

    @property
    def weights_shape(self) -> tuple[int, int]:
        """Users whose draws are kept whole, and values of each."""
        return len(self.kept), len(self.feature_scale)

    def identity(self) -> dict[str, Any]:
        """Return what decides the draws, ready for JSON."""
        return super().identity() | {
            "kept users": list(self.kept),
            "shares": digest(self.shares),
        }

    def raw(self, theta: FloatArray, weights: FloatArray) -> dict[str, FloatArray]:
        """Put draws (chain, draw, ...) by site; `weights` are of those kept, on raw units."""
        size = super().n_columns
        nobody = np.zeros((*theta.shape[:2], 0, len(self.feature_scale)))
        found = super().raw(theta[..., :size], nobody)
        return found | {"weights": weights, "average": theta[..., size:]}
