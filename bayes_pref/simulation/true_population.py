"""The true population: the distribution of simulated users' weights.

With exposure s_i ~ Normal(0, I) and covariates c_i ~ Normal(0, I), independent of each other,

    w_i = mu + G s_i + B c_i + V z_i + D u_i,   z_i ~ Normal(0, I), u_i ~ Normal(0, C).

G = confounding * diag(heterogeneity) * Gamma, where the rows of Gamma have unit length. B and D
divide the variance that G leaves of heterogeneity^2, so that the spread of a weight over users does
not depend on the confounding. V = factor_sd * (orthonormal columns) adds spread along a few
directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import softmax
from scipy.stats import norm
from scipy.stats.qmc import Sobol

from bayes_pref.errors import DataError
from bayes_pref.logistic_normal import expected_choice
from bayes_pref.messages import shown
from bayes_pref.types import FloatArray

# The covariates' share of the variance that exposure leaves: detectable with 200 users.
_EXPLAINED = 0.25


@dataclass(frozen=True, eq=False)
class TruePopulation:
    """Distribution of the users' weights: mean, effects of exposure and covariates, and residuals.

    Parameters
    ----------
    mu
        (d,) mean weights, log-odds per unit of a feature.
    coupling
        (d, q) G, log-odds per unit of a feature per sd of exposure.
    effects
        (d, p) B, log-odds per unit of a feature per unit of a covariate.
    noise
        (d,) diagonal of D: residual standard deviations, log-odds per unit of a feature.
    correlation
        (d, d) C: correlation of the residuals.
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

    @property
    def spread(self) -> FloatArray:
        """(d, d) covariance of the weights of all users."""
        return np.asarray(self.covariance + self.effects @ self.effects.T)

    def weights(
        self,
        exposure: FloatArray,
        covariates: FloatArray,
        scores: FloatArray,
        rng: np.random.Generator,
    ) -> FloatArray:
        """(u, d) weights of users with exposure (u, q), covariates (u, p) and scores z (u, k)."""
        # Not Cholesky, which fails on a singular correlation such as all ones.
        values, vectors = np.linalg.eigh(self.correlation)
        root = (vectors * np.sqrt(values.clip(0.0))) @ vectors.T
        own = rng.standard_normal((len(exposure), len(self.mu))) @ root * self.noise
        shared = exposure @ self.coupling.T + covariates @ self.effects.T
        shared = shared + scores @ self.loadings.T
        return np.asarray(self.mu + shared + own)

    def preferred(
        self, difference: FloatArray, context: FloatArray, between: float, within: float
    ) -> tuple[FloatArray, FloatArray]:
        """Probability that left is preferred: over all users, and over those who see the context.

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
        p_do, p_obs: (n,) each, in the limit of many users with equal numbers of comparisons
        """
        total = self.spread
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

    def shares(
        self, design: FloatArray, context: FloatArray, between: float, within: float
    ) -> tuple[FloatArray, FloatArray]:
        """Probability of each alternative: over all users, and over those who see the context.

        Expectations over users are means over 1,024 quasi-random points, of which no probability
        is off by more than a few thousandths.

        Parameters
        ----------
        design
            (n, k, d) features of the alternatives, interactions included.
        context, between, within
            As for `preferred`.

        Returns
        -------
        p_do, p_obs: (n, k) each
        """
        points = norm.ppf(Sobol(design.shape[2], rng=np.random.default_rng(0)).random(1024))
        share = between / (between + within) if between else 0.0
        shift = np.zeros((len(design), design.shape[2]))
        if share:
            shift = context @ self.coupling.T * share / np.sqrt(between)
        known = share * self.coupling @ self.coupling.T
        found = []
        for centre, covariance in ((0.0 * shift, self.spread), (shift, self.spread - known)):
            values, vectors = np.linalg.eigh(covariance)
            users = points @ (vectors * np.sqrt(values.clip(0.0))).T + self.mu
            parts = []
            step = max(1, 2**22 // (len(users) * design.shape[1]))
            for start in range(0, len(design), step):  # in blocks, so that memory does not grow
                block = design[start : start + step]
                reward = block @ users.T + (block @ centre[start : start + step, :, None])
                parts.append(softmax(reward, axis=1).mean(axis=2))
            found.append(np.concatenate(parts))
        return found[0], found[1] if self.coupling.any() else found[0].copy()


def draw_true_population(
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
    """Draw the parameters of a population that the arguments of `simulate` leave open.

    Parameters
    ----------
    sizes
        Numbers of features without interactions, of all features, contexts and covariates.
    mean, heterogeneity, correlation, confounding, factors, factor_sd
        As in `simulate`.
    rng
        Source of randomness.

    Raises
    ------
    DataError
        If `mean`, `heterogeneity` or `correlation` do not fit the d features.
    """
    plain, d, n_contexts, n_covariates = sizes
    # A stream for each parameter, so that no argument changes the draws of another parameter.
    first, second, third, fourth, fifth = rng.spawn(5)
    drawn = np.concatenate([first.standard_normal(plain), 0.5 * second.standard_normal(d - plain)])
    spread = per_feature("heterogeneity", heterogeneity, d)
    if (spread < 0).any():
        raise DataError(f"heterogeneity must be at least 0, got {spread.min():g}")
    rest = spread * np.sqrt(1 - confounding**2)
    explained = _EXPLAINED if n_covariates else 0.0
    return TruePopulation(
        mu=drawn if mean is None else per_feature("mean", mean, d),
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


def per_feature(name: str, value: ArrayLike, d: int) -> FloatArray:
    """(d,) numbers from one number or one per feature."""
    given = _numbers(name, value)
    if given.shape not in {(), (d,)}:
        raise DataError(
            f"{name} must be one number or one for each of the {d} features "
            f"(interactions included), got shape {given.shape}"
        )
    return np.broadcast_to(given, (d,)).copy()


def _correlation(value: ArrayLike, d: int) -> FloatArray:
    """Return the (d, d) correlation matrix, or refuse what is none."""
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


def _numbers(name: str, value: ArrayLike) -> FloatArray:
    try:
        given = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise DataError(f"{name} must be numbers, got {shown(value)}") from err
    if not np.isfinite(given).all():
        raise DataError(f"{name} must be finite, got {given[~np.isfinite(given)][0]}")
    return given
