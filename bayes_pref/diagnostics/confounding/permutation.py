"""Permutation test of whether preferences depend on exposure, from a fit without exposure.

`null_scores` gives the efficient score u_i of each user's weights under the null, and its
information I_i. For w_i = ... + G z_i, with nuisance f_i = (1, c_i), the score of G and its
information are
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

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.confounding.exposure_posterior import NullFit
from bayes_pref.diagnostics.confounding.null_scores import EfficientScores, null_scores, ridged
from bayes_pref.models.regressors import centred_covariates, exposures
from bayes_pref.types import FloatArray as Array

_BLOCK = 2**22  # values held at once


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
    moved = np.linalg.solve(ridged(within[None]), left[None, :, None])[0, :, 0]
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
    taken = np.linalg.solve(ridged(within[None])[0], cross.swapaxes(1, 2))
    matrix = ridged(own - cross @ taken)
    return np.asarray(
        np.einsum("ki,ki->k", value, np.linalg.solve(matrix, value[..., None])[..., 0])
    )


def _sd(values: Array) -> Array:
    sd = values.std(axis=0)
    return np.where(sd > 0, sd, 1.0)


def permutation_test(
    comparisons: Comparisons, null: NullFit, *, permutations: int, rng: np.random.Generator
) -> float:
    """P-value of the test, given a fit without exposure.

    Parameters
    ----------
    comparisons
        The fitted comparisons.
    null
        That fit.
    permutations
        Number of permutations.
    rng
        Generator of the permutations.
    """
    scores = null_scores(comparisons, null.centre, null.covariance, null.position, null.choices)
    return permutation_p_value(
        scores,
        exposures(comparisons),
        centred_covariates(comparisons),
        permutations=permutations,
        rng=rng,
    )
