"""The law of simulated users' weights, and what it implies for a comparison.

With exposure s_i ~ Normal(0, I) and covariates c_i ~ Normal(0, I), independent of each other,

    w_i = mu + G s_i + B c_i + V z_i + D u_i,   z_i ~ Normal(0, I), u_i ~ Normal(0, C),

where G = confounding * diag(heterogeneity) * Gamma has rows Gamma of unit length, and B and D share
what G leaves of heterogeneity^2: a weight's spread over users never depends on the confounding.
V = factor_sd * (orthonormal columns) adds to it the spread along a few directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bayes_pref.data.table import FloatArray, shown
from bayes_pref.errors import DataError
from bayes_pref.logistic_normal import expected_choice

# The covariates' share of the variance that exposure leaves: enough to be found with 200 users.
_EXPLAINED = 0.25


@dataclass(frozen=True, eq=False)
class TruePopulation:
    """Users' weights around their mean: what comes with exposure, with covariates, and neither.

    Parameters
    ----------
    mu
        (d,) mean weights, log-odds per unit of a feature.
    coupling
        (d, q) G, log-odds per unit of a feature per sd of exposure.
    effects
        (d, p) B, log-odds per unit of a feature per unit of a covariate.
    noise
        (d,) diagonal of D, log-odds per unit of a feature.
    correlation
        (d, d) C.
    loadings
        (d, k) V, log-odds per unit of a feature per sd of a factor.
    """

    mu: FloatArray
    coupling: FloatArray
    effects: FloatArray
    noise: FloatArray
    correlation: FloatArray
    loadings: FloatArray

    @property
    def covariance(self) -> FloatArray:
        """(d, d) covariance of the weights of users with the same covariates."""
        own = np.outer(self.noise, self.noise) * self.correlation
        shared = np.hstack([self.coupling, self.loadings])
        return np.asarray(shared @ shared.T + own)

    def weights(
        self,
        exposure: FloatArray,
        covariates: FloatArray,
        positions: FloatArray,
        rng: np.random.Generator,
    ) -> FloatArray:
        """(u, d) weights of users with exposure (u, q), covariates (u, p), positions z (u, k)."""
        # Not Cholesky, which fails on a singular correlation such as all ones.
        values, vectors = np.linalg.eigh(self.correlation)
        root = (vectors * np.sqrt(values.clip(0.0))) @ vectors.T
        own = rng.standard_normal((len(exposure), len(self.mu))) @ root * self.noise
        shared = exposure @ self.coupling.T + covariates @ self.effects.T
        shared = shared + positions @ self.loadings.T
        return np.asarray(self.mu + shared + own)

    def preferred(
        self, difference: FloatArray, context: FloatArray, between: float, within: float
    ) -> tuple[FloatArray, FloatArray]:
        """Shares of users who prefer left: among all, and among those who are shown the context.

        Parameters
        ----------
        difference
            (n, d) left minus right, interactions included.
        context
            (n, q) x = sqrt(between) s + sqrt(within) e, with e ~ Normal(0, I).
        between, within
            Variance of every context between users and within a user.

        Returns
        -------
        p_do, p_obs: (n,) each, for infinitely many users who make equally many comparisons
        """
        total = self.covariance + self.effects @ self.effects.T
        centre = difference @ self.mu
        variance = ((difference @ total) * difference).sum(axis=1)
        p_do = expected_choice(centre, variance)
        slope = difference @ self.coupling
        if not between or not slope.any():
            return p_do, p_do.copy()
        # s | x ~ Normal(sqrt(between) x, between) / (between + within), up to the unit variance.
        share = between / (between + within)
        shift = (slope * context).sum(axis=1) * share / np.sqrt(between)
        known = (slope**2).sum(axis=1) * share
        return p_do, expected_choice(centre + shift, (variance - known).clip(0.0))


def draw_population(
    sizes: tuple[int, int, int, int],
    *,
    mean: ArrayLike | None,
    heterogeneity: ArrayLike,
    correlation: ArrayLike,
    confounding: float,
    factors: int,
    factor_sd: float,
    rng: np.random.Generator,
) -> TruePopulation:
    """Draw what the arguments of `simulate` leave open.

    Parameters
    ----------
    sizes
        Numbers of features without interactions, of all features, contexts and covariates.
    mean, heterogeneity, correlation, confounding, factors, factor_sd
        As in `simulate`.
    rng
        Where the draws come from.

    Raises
    ------
    DataError
        If `mean`, `heterogeneity` or `correlation` do not fit the d features.
    """
    plain, d, n_contexts, n_covariates = sizes
    # A stream for each, so that no argument changes what another one draws.
    first, second, third, fourth, fifth = rng.spawn(5)
    drawn = np.concatenate([first.standard_normal(plain), 0.5 * second.standard_normal(d - plain)])
    spread = _per_feature("heterogeneity", heterogeneity, d)
    if (spread < 0).any():
        raise DataError(f"heterogeneity must be at least 0, got {spread.min():g}")
    rest = spread * np.sqrt(1 - confounding**2)
    explained = _EXPLAINED if n_covariates else 0.0
    return TruePopulation(
        mu=drawn if mean is None else _per_feature("mean", mean, d),
        coupling=confounding * spread[:, None] * _directions(d, n_contexts, third),
        effects=np.sqrt(explained) * rest[:, None] * _directions(d, n_covariates, fourth),
        noise=np.sqrt(1 - explained) * rest,
        correlation=_correlation(correlation, d),
        loadings=factor_sd * np.linalg.qr(fifth.standard_normal((d, factors)))[0],
    )


def _directions(rows: int, columns: int, rng: np.random.Generator) -> FloatArray:
    """(rows, columns) random rows of unit length."""
    drawn = rng.standard_normal((rows, columns))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


def _per_feature(knob: str, value: ArrayLike, d: int) -> FloatArray:
    given = _numbers(knob, value)
    if given.shape not in {(), (d,)}:
        raise DataError(
            f"{knob} must be one number or one for each of the {d} features "
            f"(interactions included), got shape {given.shape}"
        )
    return np.broadcast_to(given, (d,)).copy()


def _correlation(value: ArrayLike, d: int) -> FloatArray:
    given = _numbers("correlation", value)
    matrix = given if given.ndim else np.where(np.eye(d, dtype=bool), 1.0, given)
    if matrix.shape != (d, d):
        raise DataError(
            f"correlation must be one number or a matrix of shape {(d, d)} "
            f"(interactions included), got shape {given.shape}"
        )
    # Rounding leaves the eigenvalues of a singular matrix within about 1e-15 * d of zero.
    lowest = np.linalg.eigvalsh(matrix).min()
    if lowest < -1e-9 or not (np.allclose(matrix, matrix.T) and np.allclose(matrix.diagonal(), 1)):
        raise DataError(
            "correlation must be symmetric, with ones on the diagonal and no negative eigenvalue; "
            f"here the lowest is {lowest:.2g}"
        )
    return matrix


def _numbers(knob: str, value: ArrayLike) -> FloatArray:
    try:
        given = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise DataError(f"{knob} must be numbers, got {shown(value)}") from err
    if not np.isfinite(given).all():
        raise DataError(f"{knob} must be finite, got {given[~np.isfinite(given)][0]}")
    return given
