"""Permutation test of whether preferences depend on exposure, from a fit without exposure.

Under the null, w_i ~ Normal(mu + B c_i, Sigma) whatever the exposure z_i. The answer to row n is
then left with probability p_n = E sigmoid(d_n . w), and user i's score D_i' (y - p) has mean 0 and
variance
    A_i = D_i' diag(p (1 - p) - k^2 v) D_i + M_i Sigma M_i,   M_i = D_i' diag(k) D_i,
with k = E sigmoid'(d . w) and v = d' Sigma d. A shift of w_i by delta moves it by M_i delta: the
efficient score is u_i = M_i A_i^-1 D_i' (y - p), its information I_i = M_i A_i^-1 M_i. For
w_i = ... + G z_i, with nuisance f_i = (1, c_i), the score of G and its information are
    U = sum_i u_i z_i',   W = sum_i I_i (x) z_i z_i' minus its projection on f_i,   T = U' W^-1 U.
The reference distribution is T with the residuals of z_i after regression on c_i permuted over
users (Freedman & Lane 1983, J. Bus. Econ. Stat. 1).

The test is exact where exposures are exchangeable over users given all else. They need not be: the
mean of few contexts varies more than that of many, users who see more of a context may make more
comparisons, and interactions put the contexts themselves into D_i. W is therefore computed anew for
each permutation. Such a studentised statistic keeps its level in large samples without
exchangeability (Janssen 1997, Stat. Probab. Lett. 36; Chung & Romano 2013, Ann. Statist. 41). With
equal I_i and one context T is tr(A^-1 C' Z Z' C) / Z'Z, C the users' scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.logistic_normal import expected_choice
from bayes_pref.models.regressors import centred_covariates, exposures
from bayes_pref.types import FloatArray as Array
from bayes_pref.types import IntArray

_BLOCK = 2**22  # values held at once
_RIDGE = 1e-9  # relative to the trace; directions without information contribute nothing


@dataclass(frozen=True, eq=False)
class EfficientScores:
    """Efficient scores of each user's weights under the null.

    Attributes
    ----------
    score
        (u, d), per scaled unit of the features.
    information
        (u, d, d) variance of the score, which is minus its mean derivative.
    """

    score: Array
    information: Array


def null_scores(
    comparisons: Comparisons, centre: Array, covariance: Array, position: float = 0.0
) -> EfficientScores:
    """Efficient scores of the users' weights.

    Parameters
    ----------
    comparisons
        The fitted comparisons.
    centre
        (u, d) mu + B c_i of a fit without exposure, log-odds per raw unit.
    covariance
        (d, d) Sigma of that fit.
    position
        Position bias of that fit, log-odds for left.

    Returns
    -------
    EfficientScores
    """
    scale = comparisons.feature_scale
    rows, sigma = comparisons.difference / scale, covariance * np.outer(scale, scale)
    mean = position + np.einsum("nf,nf->n", comparisons.difference, centre[comparisons.user])
    variance = np.einsum("nf,fg,ng->n", rows, sigma, rows)
    p = expected_choice(mean, variance)
    step = 0.01  # central difference; its error, step^2 f''' / 6, is at most 1e-6
    slope = expected_choice(mean + step, variance) - expected_choice(mean - step, variance)
    slope /= 2 * step
    raw = np.add.reduceat(rows * (comparisons.choice - p)[:, None], comparisons.offsets[:-1])
    moved = _grams(rows, slope, comparisons.offsets)
    # Never negative: the variance of a function of a Gaussian is at least v (E f')^2.
    noise = _grams(rows, (p * (1 - p) - slope**2 * variance).clip(0.0), comparisons.offsets)
    total = _ridged(noise + moved @ sigma @ moved)
    solved = np.linalg.solve(total, np.concatenate([moved, raw[:, :, None]], axis=2))
    both = moved @ solved
    return EfficientScores(both[:, :, -1], both[:, :, :-1])


def permutation_p_value(
    scores: EfficientScores,
    exposure: Array,
    covariates: Array,
    *,
    permutations: int,
    rng: np.random.Generator,
) -> float:
    """Probability of a T as large if preferences do not depend on exposure.

    Parameters
    ----------
    scores
        Scores of the users under the null.
    exposure, covariates
        (u, q) and (u, p).
    permutations
        Number of permutations; the p-value is at least 1 / (permutations + 1).
    rng
        Generator of the permutations.
    """
    u, d = scores.score.shape
    nuisance = np.column_stack([np.ones(u), covariates / _sd(covariates)])
    z = exposure - nuisance @ np.linalg.lstsq(nuisance, exposure, rcond=None)[0]
    size = nuisance.shape[1] * d
    weighted = np.einsum("uf,udm->ufdm", nuisance, scores.information)
    within = np.einsum("ufdm,ug->fdgm", weighted, nuisance).reshape(size, size)
    left = np.einsum("uf,ud->fd", nuisance, scores.score).ravel()
    # One Newton step of mu and B, after which their score is zero.
    moved = np.linalg.solve(_ridged(within[None]), left[None, :, None])[0, :, 0]
    score = scores.score - np.einsum("ufdm,fm->ud", weighted, moved.reshape(-1, d))
    problem = (score, scores.information, weighted, within)
    found = float(_statistics(problem, z[None])[0])
    # A loop over blocks: all permuted exposures at once would not fit into memory.
    step = max(1, _BLOCK // (u * z.shape[1] * max(z.shape[1], nuisance.shape[1])))
    step = min(step, max(1, _BLOCK // (d * z.shape[1]) ** 2))
    larger = 0
    for start in range(0, permutations, step):
        order = np.tile(np.arange(u), (min(step, permutations - start), 1))
        permuted = z[rng.permuted(order, axis=1)]
        # Ties count, and rounding must not break them.
        larger += int((_statistics(problem, permuted) >= found * (1 - 1e-9)).sum())
    return (1 + larger) / (1 + permutations)


def _statistics(problem: tuple[Array, Array, Array, Array], z: Array) -> Array:
    """T of each of several exposures (permutation, u, q)."""
    score, information, weighted, within = problem
    (k, u, q), d = z.shape, score.shape[1]
    value = np.einsum("kuq,ud->kqd", z, score, optimize=True).reshape(k, q * d)
    square = np.einsum("kuq,kur->kqru", z, z).reshape(-1, u) @ information.reshape(u, -1)
    own = square.reshape(k, q, q, d, d).swapaxes(2, 3).reshape(k, q * d, q * d)
    f = weighted.shape[1]
    cross = z.swapaxes(1, 2).reshape(-1, u) @ weighted.reshape(u, -1)
    # Information is symmetric, so either of its axes can be that of z.
    cross = cross.reshape(k, q, f, d, d).swapaxes(2, 3).reshape(k, q * d, f * d)
    taken = np.linalg.solve(_ridged(within[None])[0], cross.swapaxes(1, 2))
    matrix = _ridged(own - cross @ taken)
    return np.asarray(
        np.einsum("ki,ki->k", value, np.linalg.solve(matrix, value[..., None])[..., 0])
    )


def _ridged(matrix: Array) -> Array:
    """Matrices (..., m, m) with a ridge that makes them regular."""
    size = matrix.shape[-1]
    trace = np.trace(matrix, axis1=-2, axis2=-1)[..., None, None]
    return np.asarray(matrix + np.eye(size) * (_RIDGE * trace / size + 1e-300))


def _grams(rows: Array, weight: Array, offsets: IntArray) -> Array:
    """(u, d, d): sum over each user's rows of weight d d'."""
    u, d = len(offsets) - 1, rows.shape[1]
    out = np.empty((u, d, d))
    step = max(1, _BLOCK // (d * d))
    # A loop over blocks of users, each of about `step` rows: memory.
    first = 0
    while first < u:
        last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + step, "right")) - 1)
        part = rows[offsets[first] : offsets[last]]
        outer = np.einsum("n,nf,ng->nfg", weight[offsets[first] : offsets[last]], part, part)
        out[first:last] = np.add.reduceat(outer, offsets[first:last] - offsets[first])
        first = last
    return out


def _sd(values: Array) -> Array:
    sd = values.std(axis=0)
    return np.where(sd > 0, sd, 1.0)


def permutation_test(
    comparisons: Comparisons,
    centre: Array,
    covariance: Array,
    position: float = 0.0,
    *,
    permutations: int,
    rng: np.random.Generator,
) -> float:
    """P-value of the test, given a fit without exposure.

    Parameters
    ----------
    comparisons
        The fitted comparisons.
    centre, covariance
        (u, d) mu + B c_i and (d, d) Sigma of the fit.
    position
        Its position bias, log-odds for left.
    permutations
        Number of permutations.
    rng
        Generator of the permutations.
    """
    return permutation_p_value(
        null_scores(comparisons, centre, covariance, position),
        exposures(comparisons),
        centred_covariates(comparisons),
        permutations=permutations,
        rng=rng,
    )
