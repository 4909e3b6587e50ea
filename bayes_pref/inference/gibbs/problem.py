"""Data and priors as Gibbs sweeps read them, signed and scaled, and the way back to raw units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.sparse import csr_array

from bayes_pref.data import Comparisons
from bayes_pref.data.selection import rows_of
from bayes_pref.data.sparse_rows import is_sparse, scaled_rows, turned_rows
from bayes_pref.inference.gibbs.kernels.design_matrix import Rows, build_rows
from bayes_pref.inference.gibbs.kernels.population_density import PopulationPrior
from bayes_pref.inference.runtime.checkpoint import digest
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.types import FloatArray, IntArray


@dataclass(frozen=True)
class Problem:
    """Comparisons and a Gaussian population, on features scaled to have differences of size one.

    Attributes
    ----------
    rows, population
        What the sweeps read.
    covariance
        "none", "diagonal" or "full".
    feature_scale
        (n_features,): raw units are scaled units divided by these.
    regressors
        Name of the coefficients and units (k,) of each block of known regressors, in the order of
        the design's columns after the first.
    position_sd
        Prior sd of the position bias; None: there is none. Its draws stand after theta's.
    rank
        Number of factors: the last columns of the design are the users' scores z, which are
        sampled, and the last rows of gamma are V'. The covariance is that of the rest.
    """

    rows: Rows
    population: PopulationPrior
    covariance: str
    feature_scale: FloatArray
    regressors: tuple[tuple[str, FloatArray], ...]
    position_sd: float | None = None
    rank: int = 0

    @classmethod
    def build(
        cls, spec: PopulationSpec, comparisons: Comparisons, position_sd: float | None = None
    ) -> Problem:
        """Scale the data, and the priors with them."""
        rows = _scaled_rows(comparisons, comparisons.feature_scale)
        return cls(rows=rows, position_sd=position_sd, **scaled_population(spec, comparisons))

    @classmethod
    def of_users(
        cls,
        spec: PopulationSpec,
        comparisons: Comparisons,
        users: IntArray,
        position_sd: float | None = None,
    ) -> Problem:
        """Read what `build` does of some users alone, by position, in the same units."""
        stated = scaled_population(spec, comparisons)
        population = stated["population"]
        stated["population"] = population._replace(
            design=np.ascontiguousarray(population.design[users])
        )
        own = comparisons.take(rows_of(users, comparisons.offsets))
        rows = _scaled_rows(own, comparisons.feature_scale)
        return cls(rows=rows, position_sd=position_sd, **stated)

    @property
    def n_means(self) -> int:
        """Number of entries of gamma, which come first in theta."""
        return int(self.population.precision.size)

    @property
    def n_parameters(self) -> int:
        """Length of theta."""
        d: int = self.population.precision.shape[1]
        if self.rank:
            return self.n_means + d  # without noise, its scales are drawn from their prior
        scales = {"none": 0, "diagonal": d, "full": d * (d + 1) // 2}
        return self.n_means + scales[self.covariance]

    @property
    def n_columns(self) -> int:
        """Number of draws kept beside the weights: theta, and the position bias if any."""
        return self.n_parameters + (self.position_sd is not None)

    @property
    def n_values(self) -> int:
        """Length of what is kept of every user: positions, then weights."""
        return 0 if self.pooled else int(self.population.precision.shape[1]) + self.rank

    @property
    def pooled(self) -> bool:
        """Whether everyone has the same weights."""
        return self.covariance == "none" and not self.rank

    @property
    def weights_shape(self) -> tuple[int, int]:
        """Users and values of each that a draw holds; no users where all are alike."""
        return 0 if self.pooled else self.population.design.shape[0], self.n_values

    def identity(self) -> dict[str, Any]:
        """Return what decides the posterior, ready for JSON."""
        population = self.population
        arrays = (*self.rows, population.design, population.precision, population.spread)
        return {
            "covariance": self.covariance,
            "concentration": population.concentration,
            "position": self.position_sd,
            "data and priors": digest(*arrays),
        }

    def with_scores(self, rng: np.random.Generator) -> Problem:
        """Return the same problem with positions of its own, which a chain may write into."""
        design = self.population.design.copy()
        design[:, design.shape[1] - self.rank :] = rng.standard_normal((len(design), self.rank))
        return replace(self, population=self.population._replace(design=design))

    def start(self, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Return theta and weights far from each other between chains, tau never near zero."""
        p1, d = self.population.precision.shape
        gamma = np.zeros((p1, d))
        gamma[0] = rng.normal(0, 0.5, d)
        if self.rank:
            gamma[-self.rank :] = rng.normal(0, 0.5, (self.rank, d))
        tau = np.exp(rng.normal(np.log(0.5), 0.5, d))
        scale = np.diag(tau)[np.tril_indices(d)] if self.population.full else tau
        deviation = rng.standard_normal((self.population.design.shape[0], d))
        if self.covariance == "none":
            deviation[...] = 0.0
        weights = self.population.design @ gamma + tau * deviation
        return np.concatenate([gamma.ravel(), scale]), weights

    def scaled(self, draw: Mapping[str, FloatArray]) -> tuple[FloatArray, FloatArray]:
        """Return theta and weights of one draw of the sites, as `raw` gives them, without factors.

        Parameters
        ----------
        draw
            mu (d,), tau (d,), weights (n_users, d), with a full covariance the correlation (d, d),
            and the coefficients (d, k) of known regressors, by site.
        """
        gamma = [draw["mu"][None] * self.feature_scale]
        for name, unit in self.regressors:
            gamma.append(draw[name].T * np.outer(unit, self.feature_scale))
        tau = draw["tau"] * self.feature_scale
        scale = tau
        if self.population.full:
            lower = tau[:, None] * np.linalg.cholesky(draw["correlation"])
            scale = lower[np.tril_indices(len(tau))]
        theta = np.concatenate([np.vstack(gamma).ravel(), scale])
        return theta, draw["weights"] * self.feature_scale

    def lower(self, theta: FloatArray) -> FloatArray:
        """Take L, (..., d, d), from theta (..., m)."""
        d = self.population.precision.shape[1]
        lower = np.zeros((*theta.shape[:-1], d, d))
        row, column = np.tril_indices(d) if self.population.full else np.diag_indices(d)
        lower[..., row, column] = theta[..., self.n_means : self.n_parameters]
        return lower

    def deviations(self, theta: FloatArray, weights: FloatArray) -> FloatArray:
        """Standardise: z = L^-1 (w - gamma' f), (n_users, d)."""
        gamma = theta[: self.n_means].reshape(self.population.precision.shape)
        centred = weights - self.population.design @ gamma
        return np.ascontiguousarray(solve_triangular(self.lower(theta), centred.T, lower=True).T)

    def raw(self, theta: FloatArray, weights: FloatArray) -> dict[str, FloatArray]:
        """Put draws (chain, draw, ...) on raw units, by site; `weights` are changed in place.

        `theta` has `n_columns`; `weights` (chain, draw, user, n_values) have the positions first.
        """
        gamma = theta[..., : self.n_means].reshape(
            *theta.shape[:2], *self.population.precision.shape
        )
        values = {"mu": gamma[:, :, 0] / self.feature_scale}
        if self.position_sd is not None:
            values["position"] = theta[..., -1]
        if self.pooled:
            return values
        at = 1
        for name, unit in self.regressors:
            rows = gamma[:, :, at : at + unit.size]
            values[name] = (rows / np.outer(unit, self.feature_scale)).swapaxes(2, 3)
            at += unit.size
        lower = self.lower(theta)
        if self.rank:
            loadings = gamma[:, :, -self.rank :]
            values["V"] = (loadings / self.feature_scale).swapaxes(2, 3)
            values["z"], weights = np.split(weights, [self.rank], axis=3)
            square = (loadings**2).sum(axis=2)
            if self.covariance == "diagonal":
                noise = theta[..., self.n_means : self.n_parameters]
                values["noise"] = noise / self.feature_scale
                square += noise**2
            values["tau"] = np.sqrt(square) / self.feature_scale
            values["weights"] = weights / self.feature_scale
            return values
        tau = np.sqrt((lower**2).sum(axis=-1))
        values["tau"] = tau / self.feature_scale
        if self.population.full:
            unit = lower / tau[..., None]
            values["correlation"] = unit @ unit.swapaxes(-1, -2)
        weights /= self.feature_scale  # in place: these are most of the memory
        values["weights"] = weights
        return values


def _scaled_rows(comparisons: Comparisons, scale: FloatArray) -> Rows:
    """Rows signed by choice, on features divided by a scale (d,)."""
    signs, difference = 2 * comparisons.choice - 1, comparisons.difference
    signed: FloatArray | csr_array
    if is_sparse(difference):
        signed = scaled_rows(turned_rows(difference, signs < 0), scale)
    else:
        signed = signs[:, None] * difference / scale
    return build_rows(signed, comparisons.user, comparisons.offsets, signs)


def scaled_population(spec: PopulationSpec, comparisons: Comparisons) -> dict[str, Any]:
    """Return the fields of `Problem` that describe the population, on scaled features."""
    scale, n_users = comparisons.feature_scale, comparisons.n_users
    if spec.signs is not None:  # of logarithms, which have no unit
        scale = np.where(spec.signs.on, 1.0, scale)
    prior_sd, columns, regressors = [spec.mean_sd * scale], [np.ones(n_users)], []
    rank = 0
    for term in spec.terms:
        if term.values is None:
            rank = term.size
            prior_sd += [row * scale for row in term.prior_sd.T]
            columns.append(np.zeros((n_users, rank)))
            continue
        unit = np.ones(term.size)
        if term.dim == "covariate":
            unit = term.values.std(axis=0)
        prior_sd.append(term.prior_sd.T * np.outer(unit, scale))
        columns.append(term.values / unit)
        regressors.append((term.name, unit))
    population = PopulationPrior(
        design=np.column_stack(columns),
        precision=1 / np.vstack(prior_sd) ** 2,
        spread=spec.spread_sd * scale if spec.spread_sd.size else np.ones_like(scale),
        concentration=float(spec.concentration),
        full=spec.covariance == "full",
    )
    return {
        "population": population,
        "covariance": spec.covariance,
        "feature_scale": scale,
        "regressors": tuple(regressors),
        "rank": rank,
    }
