"""Exposure and covariates of users: over all users, and among the users who see a context x.

Let h_i = (c_i, z_i) be the regressors of the exposure model, covariates first; in the flexible one
squares and products of exposures come last. Over all users h has mean hbar_u and variance V. Over
comparisons n of users i(n) shown x_n, the linear regression
    R = Cov_n(h_i(n), x_n) Var_n(x)^-1
(the row's own x is part of z_i) gives h among the users who see x:
    observed:  mean hbar_n + R (x - xbar_n),  variance Var_n(h) - R Var_n(x) R'.
Since weights are linear in h given all of a user's contexts, their mean given one of them is
linear in E(h | x). With m(x) = E(z | x), that of a product is
    E(z_a z_b | x) = m_a(x) m_b(x) + Cov(z_a, z_b | x).
m is linear and the covariance constant where all are normal and users make equally many
comparisons, and then few numbers are to be learned. Where one of them is not (Wald tests with
squares and products of x, by the bootstrap below), x stands for the contexts and their squares and
products, in the regression of everything.

Adjusting for c compares users with the same covariates, and then averages over the covariates of
all users (the back-door formula). With the partial regression over comparisons
    E(z | c, x) = zbar_n + R_c (c - cbar_n) + R_x (x - xbar_n)
and c distributed as among all users, it is
    adjusted:  c keeps its mean and variance V_c,
               z has mean zbar_n + R_c (cbar_u - cbar_n) + R_x (x - xbar_n), and (c, z) variance
               [I; R_c] V_c [I; R_c]' + [0, 0; 0, Var_n(z) - (R_c, R_x) Var_n(c, x) (R_c, R_x)'].
Without covariates the two are the same. z is measured with error (it is a user's mean of a few
contexts), which makes G too small and R too large by the same factor. Given covariates, it cancels
with the partial regression only.

The distribution of users is uncertain itself: each draw has Exp(1) weights over users, the Bayesian
bootstrap (Rubin 1981, Ann. Statist. 9).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.stats import f

from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.confounding.context_basis import ContextBasis, varying
from bayes_pref.models.regressors import (
    CurvedExposures,
    centred_covariates,
    curved_exposures,
    exposures,
    logged,
)
from bayes_pref.types import FloatArray as Array

_BENT = 0.01  # level of the test of whether exposure is linear in the contexts
_SINGULAR = 1e-8  # of the largest eigenvalue of a variance: contexts or covariates are collinear


@dataclass(frozen=True, eq=False)
class ExposureDistribution:
    """Regressors of the users who see x: mean offset + slope basis(x), and variance, by draw.

    Attributes
    ----------
    offset
        (draw, k): mean where the basis is 0, minus the mean over all users.
    slope
        (draw, k, q): per unit of the basis.
    variance
        (draw, k, k).
    basis
        Contexts in raw units, and what squares and products of them there are; None: contexts.
    products
        How means of squares and products of exposures, which come last, follow from those of the
        exposures; None: from offset and slope.
    """

    offset: Array
    slope: Array
    variance: Array
    basis: ContextBasis | None = None
    products: Products | None = None

    def moved(self, context: Array) -> Array:
        """Return means (draw, row, k) at contexts (row, q), minus those over all users."""
        at = context if self.basis is None else self.basis(context)
        means = self.offset[:, None] + at @ self.slope.swapaxes(1, 2)
        if self.products is not None:
            size = len(self.products.curves.first)
            means[..., -size:] = self.products.of(means[..., :-size])
        return np.asarray(means)


@dataclass(frozen=True, eq=False)
class Products:
    """Means of squares and products of exposures, given those of the exposures.

    Attributes
    ----------
    curves
        The squares and products.
    middle
        (draw, q): mean exposures over all users.
    constant
        (draw, k): what is added, so that the mean over comparisons is right.
    """

    curves: CurvedExposures
    middle: Array
    constant: Array

    def of(self, moved: Array) -> Array:
        """Return means (draw, row, k) of products, of those of covariates and exposures."""
        curves, q = self.curves, len(self.curves.slope)
        away = moved[..., moved.shape[-1] - q :]
        z = away + self.middle[:, None]
        product = z[..., curves.first] * z[..., curves.second] - away @ curves.slope
        return np.asarray(product / curves.unit + self.constant[:, None])


@dataclass(frozen=True, eq=False)
class ExposureDraws:
    """Draws of the distribution of users' regressors: over all users, and given the context.

    Attributes
    ----------
    mean, variance
        (draw, k) and (draw, k, k), over all users.
    observed
        Among the users who see x.
    adjusted
        The same among users with equal covariates, averaged over the covariates of all users; the
        same object as `observed` where there are no covariates.
    curves
        The squares and products of exposures, which are the last regressors; None without.
    """

    mean: Array
    variance: Array
    observed: ExposureDistribution
    adjusted: ExposureDistribution
    curves: CurvedExposures | None = None


def draw_exposure(
    comparisons: Comparisons, draws: int, rng: np.random.Generator, *, curved: bool = False
) -> ExposureDraws:
    """Draw the distribution of h = (covariates, exposures) and its regression on the contexts.

    Parameters
    ----------
    comparisons
        Comparisons with contexts. Covariates enter in raw units, centred; exposures standardised.
    draws
        Number of draws of the Bayesian bootstrap.
    rng
        Generator of its weights.
    curved
        Whether h has the squares and products of exposures, too.

    Returns
    -------
    ExposureDraws, in raw units of the contexts
    """
    covariates = centred_covariates(comparisons)
    curves = curved_exposures(comparisons) if curved else None
    p, z = covariates.shape[1], exposures(comparisons)
    # Scaled and centred, so that singular matrices are found whatever the units.
    units = covariates.std(axis=0)
    h = np.column_stack([covariates / units, z, *([] if curves is None else [curves.columns])])
    basis = ContextBasis.of_data(comparisons.context)
    x = basis(comparisons.context)
    middle, spread = x.mean(axis=0), varying(x)
    scale = np.where(spread > 0, spread, 1.0)
    x = np.where(spread > 0, (x - middle) / scale, 0.0)
    share = rng.standard_exponential((draws, comparisons.n_users))
    mean, variance = _users(h, share)
    centre, covariance = _comparisons(h, x, comparisons, share)
    k, q = h.shape[1], comparisons.context.shape[1]
    tests = _Tests(covariance, slice(p, p + q), k, q, comparisons.n_users)
    straight = not tests.bent() and (curves is None or not tests.uneven(curves, basis, scale))
    if straight:
        basis, kept = basis.straight(), k + q
        centre, covariance = centre[:, :kept], covariance[:, :kept, :kept]
        middle, scale = middle[:q], scale[:q]
    curves_of = curves if straight else None
    back = np.concatenate([units, np.ones(k - p)])

    def raw(scaled: ExposureDistribution) -> ExposureDistribution:
        slope = scaled.slope * back[:, None] / scale
        offset = scaled.offset * back - slope @ middle
        return ExposureDistribution(
            offset, slope, scaled.variance * np.outer(back, back), basis, scaled.products
        )

    moments = (mean, variance, centre, covariance)
    observed = raw(_given(moments, p, curves_of))
    adjusted = raw(_given_covariates(moments, p, curves_of)) if p else observed
    return ExposureDraws(mean * back, variance * np.outer(back, back), observed, adjusted, curves)


def draw_covariates(
    comparisons: Comparisons, draws: int, rng: np.random.Generator
) -> ExposureDraws:
    """Draw the distribution of covariates alone, which is the same whatever is shown.

    Where contexts do not say who sees what, those who see a pair are taken for all users.

    Parameters
    ----------
    comparisons, draws, rng
        As for `draw_exposure`.
    """
    covariates = centred_covariates(comparisons)
    share = rng.standard_exponential((draws, comparisons.n_users))
    mean, variance = _users(covariates, share)
    slope = np.zeros((*mean.shape, comparisons.context.shape[1]))
    everyone = ExposureDistribution(np.zeros_like(mean), slope, variance)
    return ExposureDraws(mean, variance, everyone, everyone)


@dataclass(frozen=True, eq=False)
class _Tests:
    """Whether exposures given contexts are as they are where all is normal, by Wald tests.

    Attributes
    ----------
    covariance
        (draw, k + q + curves, ...) of the regressors, the contexts, and squares and products.
    z, k, q
        Which regressors are exposures, and how many regressors and contexts there are.
    users
        Number of users, by which comparisons are clustered.
    """

    covariance: Array
    z: slice
    k: int
    q: int
    users: int

    def bent(self) -> bool:
        """Whether mean exposures depend on squares and products of contexts."""
        return self._rejects(self._curved(self.z))

    def uneven(self, curves: CurvedExposures, basis: ContextBasis, scale: Array) -> bool:
        """Whether (co)variances of exposures depend on contexts: means of products do otherwise."""
        slope = _regression(self.covariance, self.z, slice(self.k, self.k + self.q))
        one, other = slope[:, curves.first], slope[:, curves.second]
        first, second = basis.pairs
        both = one[..., first] * other[..., second] + one[..., second] * other[..., first]
        unit = np.where(basis.curves, basis.unit, 0.0) * scale[self.q :]
        implied = both / np.where(first == second, 2.0, 1.0) * unit / curves.unit[:, None]
        return self._rejects(self._curved(slice(self.z.stop, self.k)) - implied)

    def _curved(self, of: slice) -> Array:
        """Coefficients (draw, of, curves) of squares and products, beside the contexts."""
        x, square = slice(self.k, self.k + self.q), slice(self.k + self.q, None)
        onto = _regression(self.covariance, square, x).swapaxes(1, 2)
        own = self.covariance[:, square, square] - self.covariance[:, square, x] @ onto
        part = self.covariance[:, of, square] - self.covariance[:, of, x] @ onto
        return np.asarray(part @ np.linalg.pinv(own, rcond=_SINGULAR, hermitian=True))

    def _rejects(self, slope: Array) -> bool:
        """Whether the means of coefficients (draw, ...) are not 0, clustered by user."""
        slope = slope.reshape(len(slope), -1)
        slope = slope[:, slope.std(axis=0) > 1e-9]
        df = slope.shape[1]
        if not df or 3 * df > min(self.users, len(slope)):
            return False
        found = slope.mean(axis=0)
        inverse = np.linalg.pinv(np.cov(slope.T).reshape(df, df), hermitian=True)
        statistic = found @ inverse @ found
        residual = self.users - df
        return bool(f.sf(statistic * residual / (self.users * df), df, residual) <= _BENT)


def collinear(context: Array) -> bool:
    """Whether some contexts that vary are linear combinations of others."""
    moving = context[:, varying(context) > 0]
    if moving.shape[1] < 2:
        return False
    values = np.linalg.eigvalsh(np.corrcoef(moving.T))
    return bool(values[0] < _SINGULAR * values[-1])


def _users(h: Array, share: Array) -> tuple[Array, Array]:
    """Weighted mean (draw, k) and variance (draw, k, k) over users."""
    total = share.sum(axis=1)
    mean = share @ h / total[:, None]
    square = share @ np.einsum("uk,ul->ukl", h, h).reshape(len(h), -1) / total[:, None]
    square = square.reshape(len(share), h.shape[1], h.shape[1])
    return mean, square - mean[:, :, None] * mean[:, None, :]


def _comparisons(h: Array, x: Array, comparisons: Comparisons, share: Array) -> tuple[Array, Array]:
    """Weighted mean (draw, k + q) and variance of (h, x) over the comparisons of the log."""
    k, q, first = h.shape[1], x.shape[1], comparisons.offsets[:-1]
    own = logged(comparisons)
    count = np.add.reduceat(own, first)
    x = x * own[:, None]
    sums = np.add.reduceat(x, first, axis=0)
    square = np.empty((len(h), k + q, k + q))
    square[:, :k, :k] = np.einsum("u,uk,ul->ukl", count, h, h)
    square[:, :k, k:] = np.einsum("uk,uq->ukq", h, sums)
    square[:, k:, :k] = square[:, :k, k:].swapaxes(1, 2)
    square[:, k:, k:] = np.add.reduceat(np.einsum("nq,nr->nqr", x, x), first, axis=0)
    total = share @ count
    mean = share @ np.column_stack([count[:, None] * h, sums]) / total[:, None]
    second = (share @ square.reshape(len(h), -1) / total[:, None]).reshape(-1, k + q, k + q)
    return mean, second - mean[:, :, None] * mean[:, None, :]


def _regression(covariance: Array, of: slice, on: slice) -> Array:
    """Coefficients of one part on another; those of minimum norm where it is singular."""
    inverse = np.linalg.pinv(covariance[:, on, on], rcond=_SINGULAR, hermitian=True)
    return np.asarray(covariance[:, of, on] @ inverse)


Moments: TypeAlias = tuple[Array, Array, Array, Array]  # of users, and of comparisons


def _given(moments: Moments, p: int, curves: CurvedExposures | None) -> ExposureDistribution:
    """Return the distribution of h among the users who see x."""
    mean, _, centre, covariance = moments
    k = mean.shape[1]
    h, x = slice(k), slice(k, None)
    slope = _regression(covariance, h, x)
    offset = centre[:, h] - mean - np.einsum("skq,sq->sk", slope, centre[:, x])
    known = slope @ covariance[:, x, x] @ slope.swapaxes(1, 2)
    products = None if curves is None else _products(curves, p, mean, centre, known)
    return ExposureDistribution(offset, slope, covariance[:, h, h] - known, products=products)


def _products(
    curves: CurvedExposures, p: int, mean: Array, centre: Array, known: Array
) -> Products:
    """Return how means of products follow from means of exposures, which contexts explain.

    `known` (draw, k, k) is the variance of what they explain, over comparisons.
    """
    z = slice(p, p + len(curves.slope))
    h = slice(z.stop, mean.shape[1])
    shown, spread = centre[:, z], known[:, z, z]
    square = shown[:, curves.first] * shown[:, curves.second]
    square += spread[:, curves.first, curves.second]
    explained = (square - (shown - mean[:, z]) @ curves.slope) / curves.unit
    return Products(curves, mean[:, z], centre[:, h] - mean[:, h] - explained)


def _given_covariates(
    moments: Moments, p: int, curves: CurvedExposures | None
) -> ExposureDistribution:
    """Return the distribution of (c, z): c of all users, z of the users who see x and have c.

    The first axis of every array is the bootstrap draw.
    """
    mean, variance, centre, covariance = moments
    k = mean.shape[1]
    c, z, x = slice(p), slice(p, k), slice(k, None)
    # Covariates and contexts side by side, for the partial regression of z on both.
    order = np.r_[p:k, :p, k : centre.shape[1]]
    moved = covariance[:, order][:, :, order]
    both = _regression(moved, slice(k - p), slice(k - p, None))
    on_c, on_x = both[:, :, :p], both[:, :, p:]
    offset = np.zeros_like(mean)
    offset[:, z] = centre[:, z] - mean[:, z]
    offset[:, z] += np.einsum("szc,sc->sz", on_c, mean[:, c] - centre[:, c])
    offset[:, z] -= np.einsum("szq,sq->sz", on_x, centre[:, x])
    slope = np.zeros((*mean.shape, on_x.shape[2]))
    slope[:, z] = on_x
    lift = np.concatenate([np.broadcast_to(np.eye(p), (len(mean), p, p)), on_c], axis=1)
    spread = lift @ variance[:, c, c] @ lift.swapaxes(1, 2)
    known = np.zeros_like(spread)
    known[:, z, z] = both @ moved[:, k - p :, k - p :] @ both.swapaxes(1, 2)
    products = None
    if curves is not None:
        # Covariates of all users move the exposures about their mean given x, too.
        products = _products(curves, p, mean, centre, known - spread)
    spread[:, z, z] += covariance[:, z, z] - known[:, z, z]
    return ExposureDistribution(offset, slope, spread, products=products)


def quadratic(loadings: Array, matrix: Array) -> Array:
    """Products a' M a of loadings (draw, row, k) and matrices (draw, k, k): (draw, row)."""
    return np.asarray(((loadings @ matrix) * loadings).sum(axis=2))
