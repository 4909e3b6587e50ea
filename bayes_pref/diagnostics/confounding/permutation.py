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

Each square and product h_j of the exposures has a statistic as well: T of (z, h_j) minus T of z,
which is the score test of h_j beside z. All statistics of a permutation have p-values among all
permutations; the smallest of those of squares and products is compared with that of all
permutations, and then the smaller one of that and the p-value of z: as exact as any one of them.
With coefficients Normal(0, sd^2) the statistic of h_j is 1 + sd^2 w times a chi-squared variable, w
their mean information.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.confounding.exposure_posterior import NullFit
from bayes_pref.diagnostics.confounding.null_scores import EfficientScores, null_scores, ridged
from bayes_pref.models.regressors import centred_covariates, curved_exposures, exposures
from bayes_pref.types import FloatArray as Array

_BLOCK = 2**22  # values held at once
_SURPRISING = 0.1


class PermutationTest(NamedTuple):
    """P-values of permutation tests that preferences do not depend on exposure.

    Attributes
    ----------
    p_value
        Of any kind: that of the smaller of the other two.
    linear
        Linearly.
    curved
        On a square or product, beyond what is linear; 1 where there are none.
    curves
        (k,) p-values of each square and product, adjusted for their number.
    curve_sd
        (k,) how much preferences depend on each: sd of the coefficients, in units of eta per scaled
        unit of a feature and sd of the square or product. As large as is plausible: a smaller one
        than this makes the statistic surprising (in one case out of four).
    """

    p_value: float
    linear: float
    curved: float
    curves: Array
    curve_sd: Array


def permutation_p_values(
    scores: EfficientScores,
    exposure: Array,
    covariates: Array,
    *,
    permutations: int,
    rng: np.random.Generator,
    curves: Array | None = None,
) -> PermutationTest:
    """Probabilities of statistics as large if preferences do not depend on exposure.

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
    curves
        (u, k) squares and products of exposures; None: none.
    """
    u, d = scores.score.shape
    q = exposure.shape[1]
    if curves is not None:
        exposure = np.column_stack([exposure, curves])
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
    # A loop over blocks: all permuted exposures at once would not fit into memory.
    step = max(1, _BLOCK // (u * z.shape[1] * max(z.shape[1], nuisance.shape[1])))
    step = min(step, max(1, _BLOCK // (d * z.shape[1]) ** 2))
    found = [_all_statistics(problem, z[None], q)]
    for start in range(0, permutations, step):
        order = np.tile(np.arange(u), (min(step, permutations - start), 1))
        found.append(_all_statistics(problem, z[rng.permuted(order, axis=1)], q))
    statistics = np.concatenate(found, axis=1)
    shares = np.stack([_exceeded(row) for row in statistics])
    if z.shape[1] == q:
        p = float(shares[0, 0])
        return PermutationTest(p, p, 1.0, np.empty(0), np.empty(0))
    least = shares[1:].min(axis=0)
    curved = _exceeded(-least)
    either = float(_exceeded(-np.minimum(shares[0], curved))[0])
    adjusted = (least <= shares[1:, :1] * (1 + 1e-9)).mean(axis=1)
    spread = [
        _spread(_information(problem, z[None][..., [*range(q), j]])[1][0], statistic, q * d)
        for j, statistic in enumerate(statistics[1:, 0], start=q)
    ]
    return PermutationTest(
        either, float(shares[0, 0]), float(curved[0]), adjusted, np.array(spread)
    )


def _spread(information: Array, statistic: float, linear: int) -> float:
    """Sd of the coefficients after the first ones, from their score test beside these."""
    first, rest = slice(linear), slice(linear, None)
    known = np.linalg.solve(information[first, first], information[first, rest])
    own = information[rest, rest] - information[rest, first] @ known
    excess = statistic / chi2.ppf(_SURPRISING, len(own)) - 1
    return float(np.sqrt(max(excess, 0.0) * len(own) / max(np.trace(own), 1e-300)))


def _all_statistics(problem: tuple[Array, Array, Array, Array], z: Array, q: int) -> Array:
    """Statistics (1 + k, permutation) of the first q columns, and of each other beside these."""
    linear = _statistics(problem, z[..., :q])
    columns = range(q, z.shape[2])
    beside = [_statistics(problem, z[..., [*range(q), j]]) - linear for j in columns]
    return np.stack([linear, *beside])


def _exceeded(statistics: Array) -> Array:
    """Share of the statistics that are at least as large as each: p-values of all of them."""
    # Ties count, and rounding must not break them.
    slack = 1e-9 * np.abs(statistics)
    below = np.searchsorted(np.sort(statistics), statistics - slack)
    return np.asarray((len(statistics) - below) / len(statistics))


def _statistics(problem: tuple[Array, Array, Array, Array], z: Array) -> Array:
    """T of each of several exposures (permutation, u, q)."""
    value, matrix = _information(problem, z)
    return np.asarray(
        np.einsum("ki,ki->k", value, np.linalg.solve(matrix, value[..., None])[..., 0])
    )


def _information(problem: tuple[Array, Array, Array, Array], z: Array) -> tuple[Array, Array]:
    """Score of G (permutation, q d) and its information, for exposures (permutation, u, q)."""
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
    return value, ridged(own - cross @ taken)


def _sd(values: Array) -> Array:
    sd = values.std(axis=0)
    return np.where(sd > 0, sd, 1.0)


def permutation_test(
    comparisons: Comparisons, null: NullFit, *, permutations: int, rng: np.random.Generator
) -> PermutationTest:
    """Test whether preferences depend on exposure, given a fit without exposure.

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
    return permutation_p_values(
        scores,
        exposures(comparisons),
        centred_covariates(comparisons),
        permutations=permutations,
        rng=rng,
        curves=curved_exposures(comparisons).columns,
    )
