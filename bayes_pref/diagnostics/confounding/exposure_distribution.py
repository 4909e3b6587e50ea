"""Exposure and covariates of users: over all users, and among the users who see a context x.

Let h_i = (c_i, z_i) be the regressors of the exposure model, covariates first. Over all users h has
mean hbar_u and variance V. Over comparisons n of users i(n) shown x_n, the linear regression
    R = Cov_n(h_i(n), x_n) Var_n(x)^-1
(the row's own x is part of z_i) gives h among the users who see x:
    observed:  mean hbar_n + R (x - xbar_n),  variance V - R Var_n(x) R'.

Adjusting for c compares users with the same covariates, and then averages over the covariates of
all users (the back-door formula). With the partial regression over comparisons
    E(z | c, x) = zbar_n + R_c (c - cbar_n) + R_x (x - xbar_n)
and c distributed as among all users, it is
    adjusted:  c keeps its mean and variance V_c,
               z has mean zbar_n + R_c (cbar_u - cbar_n) + R_x (x - xbar_n), and (c, z) variance
               [I; R_c] V_c [I; R_c]' + [0, 0; 0, Var_users(z | c) - R_x Var_n(x | c) R_x'].
Without covariates the two are the same. z is measured with error (it is a user's mean of a few
contexts), which makes G too small and R too large by the same factor where users make equally many
comparisons. Given covariates, it cancels with the partial regression only.

The distribution of users is uncertain itself: each draw has Exp(1) weights over users, the Bayesian
bootstrap (Rubin 1981, Ann. Statist. 9).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.models.regressors import centred_covariates, exposures
from bayes_pref.types import FloatArray as Array

_SINGULAR = 1e-8  # of the largest eigenvalue of a variance: contexts or covariates are collinear


@dataclass(frozen=True, eq=False)
class ExposureDistribution:
    """Regressors of the users who see x: Normal(offset + slope x, variance), draw by draw.

    Attributes
    ----------
    offset
        (draw, k): mean at x = 0, minus the mean over all users.
    slope
        (draw, k, q): per unit of x.
    variance
        (draw, k, k).
    """

    offset: Array
    slope: Array
    variance: Array


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
    """

    mean: Array
    variance: Array
    observed: ExposureDistribution
    adjusted: ExposureDistribution


def draw_exposure(comparisons: Comparisons, draws: int, rng: np.random.Generator) -> ExposureDraws:
    """Draw the distribution of h = (covariates, exposures) and its regression on the contexts.

    Parameters
    ----------
    comparisons
        Comparisons with contexts. Covariates enter in raw units, centred; exposures standardised.
    draws
        Number of draws of the Bayesian bootstrap.
    rng
        Generator of its weights.

    Returns
    -------
    ExposureDraws, in raw units of the contexts
    """
    covariates = centred_covariates(comparisons)
    p, q = covariates.shape[1], comparisons.context.shape[1]
    # Scaled and centred, so that singular matrices are found whatever the units.
    units = covariates.std(axis=0)
    h = np.column_stack([covariates / units, exposures(comparisons)])
    middle = comparisons.context.mean(axis=0)
    spread = varying(comparisons.context)
    scale = np.where(spread > 0, spread, 1.0)
    x = np.where(spread > 0, (comparisons.context - middle) / scale, 0.0)
    share = rng.standard_exponential((draws, comparisons.n_users))
    mean, variance = _users(h, share)
    centre, covariance = _comparisons(h, x, comparisons, share)
    back = np.concatenate([units, np.ones(q)])

    def raw(scaled: ExposureDistribution) -> ExposureDistribution:
        slope = scaled.slope * back[:, None] / scale
        offset = scaled.offset * back - slope @ middle
        return ExposureDistribution(offset, slope, scaled.variance * np.outer(back, back))

    observed = raw(_given(mean, variance, centre, covariance))
    adjusted = raw(_given_covariates(mean, variance, centre, covariance, p)) if p else observed
    return ExposureDraws(mean * back, variance * np.outer(back, back), observed, adjusted)


def varying(context: Array) -> Array:
    """(q,) sd of each context over comparisons; exactly 0 where it is constant."""
    return np.where(np.ptp(context, axis=0) > 0, context.std(axis=0), 0.0)


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
    return mean, square.reshape(len(share), h.shape[1], -1) - mean[:, :, None] * mean[:, None, :]


def _comparisons(h: Array, x: Array, comparisons: Comparisons, share: Array) -> tuple[Array, Array]:
    """Weighted mean (draw, k + q) and variance of (h, x) over comparisons."""
    k, q, first = h.shape[1], x.shape[1], comparisons.offsets[:-1]
    count = comparisons.counts.astype(np.float64)
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


def _given(mean: Array, variance: Array, centre: Array, covariance: Array) -> ExposureDistribution:
    """Return the distribution of h among the users who see x."""
    k = mean.shape[1]
    h, x = slice(k), slice(k, None)
    slope = _regression(covariance, h, x)
    offset = centre[:, h] - mean - np.einsum("skq,sq->sk", slope, centre[:, x])
    known = slope @ covariance[:, x, x] @ slope.swapaxes(1, 2)
    return ExposureDistribution(offset, slope, variance - known)


def _given_covariates(
    mean: Array, variance: Array, centre: Array, covariance: Array, p: int
) -> ExposureDistribution:
    """Return the distribution of (c, z): c of all users, z of the users who see x and have c.

    The first axis of every array is the bootstrap draw.
    """
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
    rest = variance[:, z, z] - _regression(variance, z, c) @ variance[:, c, z]
    within = covariance[:, x, x] - _regression(covariance, x, c) @ covariance[:, c, x]
    spread[:, z, z] += rest - on_x @ within @ on_x.swapaxes(1, 2)
    return ExposureDistribution(offset, slope, spread)


def quadratic(loadings: Array, matrix: Array) -> Array:
    """Products a' M a of loadings (draw, row, k) and matrices (draw, k, k): (draw, row)."""
    return np.asarray(((loadings @ matrix) * loadings).sum(axis=2))
