"""Rows of a log that may be biased: every feature twice, for all rows and for those of the log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.random import Generator

from bayes_pref.data import Comparisons
from bayes_pref.inference.gibbs.kernels.design_matrix import build_rows
from bayes_pref.inference.gibbs.kernels.polya_gamma import draw_polya_gamma, right_table
from bayes_pref.inference.gibbs.kernels.slice import slice_move
from bayes_pref.inference.gibbs.problem import Problem, scaled_population
from bayes_pref.inference.runtime.checkpoint import digest
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.types import FloatArray, IntArray, Mask

_NO_EFFECT = 1e10  # prior precision of how the bias depends on covariates and exposure: not at all


@dataclass(frozen=True, kw_only=True)
class LogBiasProblem(Problem):
    """A log with a bias, as the sweeps of 2 d independent features read it.

    The last d features are those of the log's rows times s, the size of the bias: the weights of
    these, beta, have means of prior N(0, 1) and sds of prior HalfNormal(1), whatever s is, so that
    one metric serves sizes that differ by orders of magnitude. The bias is s beta. A draw holds
    theta, then s, then the position bias.

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
    ) -> LogBiasProblem:
        """Scale the data, and the priors with them."""
        assert spec.log_bias is not None  # or another sampler would have it
        scale, bias = comparisons.feature_scale, spec.log_bias
        signs = 2 * comparisons.choice - 1
        signed = signs[:, None] * comparisons.difference / scale
        both = np.hstack([signed, signed * bias.logged[:, None]])
        parts = scaled_population(spec, comparisons)
        population = parts["population"]
        own = np.full_like(population.precision, _NO_EFFECT)
        own[0] = 1.0
        parts["population"] = population._replace(
            precision=np.hstack([population.precision, own]),
            spread=np.concatenate([population.spread, np.ones_like(scale)]),
        )
        parts["feature_scale"] = np.tile(scale, 2)
        rows = build_rows(both, comparisons.user, comparisons.offsets, signs)
        return cls(
            rows=rows,
            position_sd=position_sd,
            bias_scale=bias.scale * scale,
            signed=signed,
            logged=bias.logged,
            **parts,
        )

    @property
    def n_columns(self) -> int:
        """Number of draws kept beside the weights: theta, s, and the position bias if any."""
        return super().n_columns + self.feature_scale.size // 2

    def identity(self) -> dict[str, Any]:
        """Return what decides the posterior, ready for JSON."""
        return super().identity() | {"log bias": digest(np.asarray(self.bias_scale))}

    def own(self) -> Self:
        """Return the same problem with values of its rows that a chain may write into."""
        rows = self.rows
        copied = rows._replace(values=rows.values.copy(), entry_values=rows.entry_values.copy())
        return replace(self, rows=copied)

    def raw(self, theta: FloatArray, weights: FloatArray) -> dict[str, FloatArray]:
        """Put draws (chain, draw, ...) on raw units, by site; `weights` are changed in place."""
        d = self.feature_scale.size // 2
        size = theta[..., self.n_parameters : self.n_parameters + d]
        rest = [theta[..., : self.n_parameters], theta[..., self.n_parameters + d :]]
        found = super().raw(np.concatenate(rest, axis=-1), weights)
        both, tau, mu = found.pop("weights"), found.pop("tau"), found.pop("mu")
        terms = {name: found[name][:, :, :d] for name, _ in self.regressors}
        return (
            found
            | terms
            | {
                "mu": mu[..., :d],
                "tau": tau[..., :d],
                "weights": both[..., :d],
                "log_scale": size / self.feature_scale[:d],
                "log_bias": size * mu[..., d:],
                "log_spread": size * tau[..., d:],
                "user_log_bias": size[:, :, None] * both[..., d:],
            }
        )


class BiasSize:
    """The sizes s of the bias in one chain, each a factor of one column of its rows.

    Parameters
    ----------
    problem
        Of this chain, whose rows are written into.
    rng
        Generator of the first sizes.

    Attributes
    ----------
    value
        (d,) s, on scaled features.
    """

    def __init__(self, problem: LogBiasProblem, rng: Generator) -> None:
        self.problem, self.scale, self.rows = problem, problem.bias_scale, problem.rows
        d = self.scale.size
        self.value = self.scale * np.exp(rng.normal(0.0, 0.5, d))
        blocks = np.repeat(np.arange(2 * d), np.diff(self.rows.feature_starts))
        feature = np.repeat(blocks, np.diff(self.rows.block_starts))
        self.randomised = np.flatnonzero(~problem.logged)
        self.user = np.repeat(np.arange(self.rows.offsets.size - 1), np.diff(self.rows.offsets))
        self.places = self._of_log(self.rows.columns), self._of_log(feature)
        self.unscaled = tuple(
            values[place] for values, (place, _) in zip(self._values(), self.places, strict=True)
        )
        self.write()

    def write(self) -> None:
        """Write s into the rows."""
        for values, (place, feature), unscaled in zip(
            self._values(), self.places, self.unscaled, strict=True
        ):
            values[place] = unscaled * self.value[feature]

    def move(self, theta: FloatArray, weights: FloatArray, rng: Generator) -> None:
        """Draw s given the biases, which stay as they are; theta and weights follow, in place.

        A half-Cauchy is a mixture of inverse gammas (Makalic & Schmidt 2016, IEEE Signal Process.
        Lett. 23): with xi ~ IG(1/2, 1/scale^2) and s^2 | xi ~ IG(1/2, 1/xi), both are conjugate to
        a normal of sd s and a half-normal of scale s.
        """
        d, n_means = self.value.size, self.problem.n_means
        mean, spread = theta[d : 2 * d], theta[n_means + d : n_means + 2 * d]
        square = self.value**2
        xi = (1.0 / self.scale**2 + 1.0 / square) / rng.standard_exponential(d)
        rate = 1.0 / xi + 0.5 * square * (mean**2 + spread**2)
        new = np.sqrt(rate / rng.standard_gamma(1.5, d))
        factor = self.value / new
        mean *= factor
        spread *= factor
        weights[:, d:] *= factor
        # The effects of regressors on the bias are nil, and stay so.
        self.value[...] = new
        self.write()

    def exchange(
        self, theta: FloatArray, weights: FloatArray, psi: FloatArray, rng: Generator
    ) -> None:
        """Add to everyone's weights what is taken from everyone's bias; all follow, in place.

        The log cannot tell the two apart: of the likelihood, only randomised rows change. Given
        Polya-Gamma variables of these, the amount is Gaussian.
        """
        d, here = self.value.size, psi[self.randomised]
        rows = self.problem.signed[self.randomised]
        omega = np.empty_like(here)
        draw_polya_gamma(here, omega, right_table(), rng)
        mean, bias = theta[:d], theta[d : 2 * d]
        prior = self.problem.population.precision[0, :d]
        linear = rows.T @ (0.5 - omega * here) - prior * mean + bias / self.value
        precision = rows.T @ (omega[:, None] * rows) + np.diag(prior + 1.0 / self.value**2)
        root = np.linalg.cholesky(precision)
        half = np.linalg.solve(root, linear) + rng.standard_normal(d)
        amount = np.linalg.solve(root.T, half)
        mean += amount
        bias -= amount / self.value
        weights[:, :d] += amount
        weights[:, d:] -= amount / self.value
        psi[self.randomised] += rows @ amount

    def share_spread(
        self, theta: FloatArray, weights: FloatArray, psi: FloatArray, rng: Generator
    ) -> None:
        """Draw how much of users' spread in the log is theirs, feature by feature; all follow.

        With e and f the deviations of a user's weight and bias, of sds tau = v cos(phi) and
        t = v sin(phi), the log tells e + f and v alone. phi is drawn by slice sampling given these
        and the residual of e after regression on e + f, standardised, so that of the likelihood
        only randomised rows change.
        """
        d, here = self.value.size, psi[self.randomised]
        user = self.user[self.randomised]
        population, n_means = self.problem.population, self.problem.n_means
        gamma, tau = theta[:n_means].reshape(-1, 2 * d), theta[n_means:]
        deviations = weights - population.design @ gamma
        for k in range(d):
            size, column = self.value[k], self.problem.signed[self.randomised, k]
            e, both = deviations[:, k], deviations[:, k] + size * deviations[:, d + k]
            angle = float(np.arctan2(size * tau[d + k], tau[k]))
            v = float(np.hypot(size * tau[d + k], tau[k]))
            residual = (e - np.cos(angle) ** 2 * both) / (np.sin(angle) * np.cos(angle))

            def moved(phi: float) -> FloatArray:
                """Change of e, (n_users,)."""
                ours, theirs = np.cos(phi), np.sin(phi)
                return np.asarray(ours**2 * both + ours * theirs * residual - e)  # noqa: B023

            def log_density(phi: float) -> float:
                if not 0.0 < phi < np.pi / 2:
                    return -np.inf
                prior = (v * np.cos(phi) / population.spread[k]) ** 2  # noqa: B023
                prior += (v * np.sin(phi) / size) ** 2  # noqa: B023
                log_odds = here + column * moved(phi)[user]  # noqa: B023
                return float(-0.5 * prior - np.logaddexp(0.0, -log_odds).sum())

            phi = slice_move(angle, log_density, rng)
            change = moved(phi)
            here = here + column * change[user]
            weights[:, k] += change
            weights[:, d + k] -= change / size
            tau[k], tau[d + k] = v * np.cos(phi), v * np.sin(phi) / size
        psi[self.randomised] = here

    def move_with_biases(self, weights: FloatArray, psi: FloatArray, rng: Generator) -> None:
        """Draw s given beta: the biases move with it, and psi (n,) follows.

        By slice sampling along a random direction of log s. Where the data leave s open, this goes
        far; where they do not, `move` does (interweaving, Yu & Meng 2011, J. Comput. Graph. Stat.
        20).
        """
        d, before = self.value.size, self.value.copy()
        effect = self.problem.signed * weights[self.user, d:]
        effect[self.randomised] = 0.0
        direction = rng.standard_normal(d)

        def moved(step: float) -> tuple[FloatArray, FloatArray]:
            size = before * np.exp(step * direction)
            return size, psi + effect @ (size - before)

        def log_density(step: float) -> float:
            with np.errstate(over="ignore", invalid="ignore"):
                size, log_odds = moved(step)
                prior = np.log(size) - np.log1p((size / self.scale) ** 2)
                return float(prior.sum() - np.logaddexp(0.0, -log_odds).sum())

        step = slice_move(0.0, log_density, rng)
        self.value[...], psi[...] = moved(step)
        self.write()

    def _values(self) -> tuple[FloatArray, FloatArray]:
        return self.rows.values, self.rows.entry_values

    def _of_log(self, feature: IntArray) -> tuple[IntArray, IntArray]:
        """Entries of the log's features, and which of these each belongs to."""
        place = np.flatnonzero(feature >= self.scale.size)
        return place, feature[place] - self.scale.size
