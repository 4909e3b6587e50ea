"""Metropolis moves of the Cholesky factor L of a covariance, given deviations.

In terms of beta_k (regression coefficients) and s_k (residual sd), rows of L are
L_k,<k = beta_k L_<k and L_kk = s_k, with Jacobian prod_k s_k^(d - k). Proposing s_k^2 from
InverseGamma((u - (k-1)) / 2 - (d - k) + d / 2 - 1, RSS / 2) and beta_k from its Gaussian cancels
the likelihood and leaves the prior's ratio
    (s'/s)^q prod_{e >= k} (tau'_e / tau_e)^-q exp((tau_e^2 - tau'_e^2) / (2 spread_e^2)),
q = d + 2 c - 2, c the LKJ concentration.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dtrtrs
from scipy.stats import invwishart

from bayes_pref.inference.gibbs.kernels.cholesky import factor, solve_lower, solve_upper
from bayes_pref.inference.gibbs.kernels.jit import compiled, compiled_part
from bayes_pref.types import FloatArray


@compiled_part
def square_of_row(lower: FloatArray, k: int) -> float:
    """Sum of the squares of row k of L, which is tau_k^2."""
    total = 0.0
    for m in range(k + 1):
        total += lower[k, m] * lower[k, m]
    return total


@compiled_part
def _rebuild(
    lower: FloatArray, beta: FloatArray, residual: FloatArray, first: int, out: FloatArray
) -> None:
    """Fill rows `first` onwards of `out` from regressions; rows before come from `lower`."""
    d = lower.shape[0]
    for e in range(d):
        for m in range(d):
            out[e, m] = lower[e, m] if e < first and m <= e else 0.0
        if e < first:
            continue
        for m in range(e):
            total = 0.0
            for q in range(m, e):
                total += beta[e, q] * out[q, m]
            out[e, m] = total
        out[e, e] = residual[e]


@compiled
def move_rows(
    scatter: FloatArray,
    n_users: int,
    spread: FloatArray,
    concentration: float,
    lower: FloatArray,
    rng: np.random.Generator,
) -> float:
    """One pass of Metropolis moves over the rows of L; returns the share accepted.

    One function, because each row's move rebuilds what later rows are made of.

    Parameters
    ----------
    scatter
        (d, d): sum over users of the outer product of their deviations.
    lower
        (d, d): L, changed in place.
    """
    d = lower.shape[0]
    power = d + 2.0 * concentration - 2.0
    beta = np.zeros((d, d))
    residual = np.empty(d)
    for k in range(d):
        for m in range(k):
            beta[k, m] = lower[k, m]
        # beta_k = L_k,<k L_<k^-1, that is L_<k' beta' = L_k,<k'.
        solve_upper(lower, beta[k], k)
        residual[k] = lower[k, k]
    accepted = 0.0
    new = np.empty((d, d))
    block = np.empty((d, d))
    solved = np.empty(d)
    old_beta = np.empty(d)
    for k in range(d):
        shape = 0.5 * (n_users - k) - (d - 1 - k) + 0.5 * d - 1.0
        for e in range(k):
            for m in range(e + 1):
                block[e, m] = scatter[e, m]
        if shape <= 0.0 or n_users <= k + 1 or not factor(block, k):
            continue
        for m in range(k):
            solved[m] = scatter[k, m]
            old_beta[m] = beta[k, m]
        solve_lower(block, solved, k)
        remaining = scatter[k, k]
        for m in range(k):
            remaining -= solved[m] * solved[m]
        old_residual = residual[k]
        proposal = np.sqrt(0.5 * remaining / rng.standard_gamma(shape))
        for m in range(k):
            solved[m] += proposal * rng.standard_normal()
        solve_upper(block, solved, k)
        for m in range(k):
            beta[k, m] = solved[m]
        residual[k] = proposal
        _rebuild(lower, beta, residual, k, new)
        log_ratio = power * np.log(proposal / old_residual)
        for e in range(k, d):
            before = square_of_row(lower, e)
            after = square_of_row(new, e)
            log_ratio -= 0.5 * power * np.log(after / before)
            log_ratio += 0.5 * (before - after) / (spread[e] * spread[e])
        if np.log(rng.random()) < log_ratio:
            for e in range(k, d):
                for m in range(e + 1):
                    lower[e, m] = new[e, m]
            accepted += 1.0 / d
        else:
            residual[k] = old_residual
            for m in range(k):
                beta[k, m] = old_beta[m]
    return accepted


def draw_wishart(scatter: FloatArray, n_users: int, rng: np.random.Generator) -> FloatArray:
    """Return the Cholesky factor of a draw from InverseWishart(n_users + d + 1, scatter + I)."""
    d = len(scatter)
    wishart = invwishart(df=n_users + d + 1, scale=scatter + np.eye(d))
    return np.linalg.cholesky(np.reshape(wishart.rvs(random_state=rng), (d, d)))


def precision_of(lower: FloatArray) -> FloatArray:
    """Return (L L')^-1."""
    root = np.linalg.inv(lower)
    return np.asarray(root.T @ root)


def solve(lower: NDArray[Any], right: FloatArray, *, transposed: bool = False) -> FloatArray:
    """Return L^-1 right, or L'^-1 right."""
    # SciPy's solve_triangular looks at its arguments for longer than this takes.
    return np.asarray(dtrtrs(lower, right, lower=1, trans=int(transposed))[0])
