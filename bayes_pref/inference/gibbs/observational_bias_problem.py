"""Rows of a log that may be biased: every feature twice, for all rows and for those of the log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.inference.gibbs.kernels.design_matrix import build_rows
from bayes_pref.inference.gibbs.problem import Problem, scaled_population
from bayes_pref.inference.runtime.checkpoint import digest
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.types import FloatArray, Mask

_ZERO = 1e10  # prior precision of what is zero: means of the deviations, their regressions


@dataclass(frozen=True, kw_only=True)
class ObservationalBiasProblem(Problem):
    """A log with a bias, as the sweeps of 2 d independent features read it.

    The weights of the last d features are users' deviations from the mean bias. The mean itself
    shifts the log-odds of the log's rows, so that the sweeps do not see its prior, whose scale
    may be anything. A draw holds theta, then the sizes s and the mean b, then the position bias.

    Attributes
    ----------
    bias_scale
        (d,) scale of the half-Cauchy prior of s, on scaled features.
    signed
        (n, d) rows, signed and scaled.
    logged
        (n,) which of them are the log.
    """

    bias_scale: FloatArray
    signed: FloatArray
    logged: Mask

    @classmethod
    def read(
        cls, spec: PopulationSpec, comparisons: Comparisons, position_sd: float | None
    ) -> ObservationalBiasProblem:
        """Scale the data, and the priors with them."""
        assert spec.observational_bias is not None  # or another sampler would have it
        scale, bias = comparisons.feature_scale, spec.observational_bias
        signs = 2 * comparisons.choice - 1
        signed = signs[:, None] * comparisons.difference / scale
        both = np.hstack([signed, signed * bias.logged[:, None]])
        parts = scaled_population(spec, comparisons)
        population = parts["population"]
        zero = np.full_like(population.precision, _ZERO)
        parts["population"] = population._replace(
            precision=np.hstack([population.precision, zero]),
            spread=np.concatenate([population.spread, bias.spread_sd * scale]),
        )
        parts["feature_scale"] = np.tile(scale, 2)
        return cls(
            rows=build_rows(both, comparisons.user, comparisons.offsets, signs),
            position_sd=position_sd,
            bias_scale=bias.scale * scale,
            signed=signed,
            logged=bias.logged,
            **parts,
        )

    @property
    def n_columns(self) -> int:
        """Number of draws kept beside the weights: theta, s, b, and the position bias if any."""
        return super().n_columns + 2 * self.bias_scale.size

    def identity(self) -> dict[str, Any]:
        """Return what decides the posterior, ready for JSON."""
        return super().identity() | {"log bias": digest(self.bias_scale, self.logged)}

    def own(self) -> Self:
        """Return the same problem with shifts of its rows that a chain may write into."""
        return replace(self, rows=self.rows._replace(shift=self.rows.shift.copy()))

    def raw(self, theta: FloatArray, weights: FloatArray) -> dict[str, FloatArray]:
        """Put draws (chain, draw, ...) on raw units, by site; `weights` are changed in place."""
        d, first = self.bias_scale.size, self.n_parameters
        size, mean, rest = np.split(theta[..., first:], [d, 2 * d], axis=-1)
        found = super().raw(np.concatenate([theta[..., :first], rest], axis=-1), weights)
        both, tau, scale = found["weights"], found["tau"], self.feature_scale[:d]
        found |= {name: found[name][:, :, :d] for name, _ in self.regressors}
        return found | {
            "mu": found["mu"][..., :d],
            "tau": tau[..., :d],
            "weights": both[..., :d],
            "bias_scale": size / scale,
            "observational_bias": mean / scale,
            "bias_spread": tau[..., d:],
            "user_observational_bias": both[..., d:] + (mean / scale)[:, :, None],
        }
