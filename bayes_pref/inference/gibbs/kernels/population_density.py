"""Density of the population's parameters, every user's standardised deviation held fixed.

Write w_i = gamma' f_i + L z_i, with f_i the regressors of user i and L either diagonal (tau) or
lower triangular. Given z instead of w (the ancillary parametrisation; Yu & Meng 2011) the data are
choices alone, without Polya-Gamma variables.

Parameters are one vector theta: gamma (p + 1, d) by rows, then tau (d) or the rows of the lower
triangle of L. Its prior: gamma Normal(0, 1 / precision), tau_k = |row k of L| half-normal, and the
correlations L L' / (tau tau') LKJ(concentration) (Lewandowski, Kurowicka & Joe 2009). In L that is
    prod_k exp(-tau_k^2 / (2 s_k^2)) L_kk^(d - k + 2 c - 1) tau_k^-(d + 2 c - 2),   k = 1 ... d.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bayes_pref.inference.gibbs.kernels.design_matrix import log_likelihood
from bayes_pref.inference.gibbs.kernels.jit import compiled, compiled_part
from bayes_pref.types import FloatArray


class PopulationPrior(NamedTuple):
    """What the samplers know of the population beside the rows, on scaled features.

    Attributes
    ----------
    design
        (n_users, p + 1): a column of ones, then standardised covariates and exposures.
    precision
        (p + 1, d): prior precision of gamma.
    spread
        (d,): scale of the half-normal prior of each tau.
    concentration
        Of the LKJ prior.
    full
        Whether L is lower triangular (else diagonal).
    """

    design: FloatArray
    precision: FloatArray
    spread: FloatArray
    concentration: float
    full: bool


@compiled
def log_prior(population: Any, theta: FloatArray, gradient: FloatArray) -> float:
    """Log prior density of theta, up to a constant; fills its gradient. -inf outside."""
    p1, d = population.precision.shape
    total = 0.0
    for j in range(p1):
        for k in range(d):
            value = theta[j * d + k]
            total -= 0.5 * population.precision[j, k] * value * value
            gradient[j * d + k] = -population.precision[j, k] * value
    at = p1 * d
    if not population.full:
        for k in range(d):
            inverse = 1.0 / (population.spread[k] * population.spread[k])
            total -= 0.5 * inverse * theta[at + k] ** 2
            gradient[at + k] = -inverse * theta[at + k]
        return total
    c = population.concentration
    for k in range(d):
        inverse = 1.0 / (population.spread[k] * population.spread[k])
        square = 0.0
        for m in range(k + 1):
            square += theta[at + m] ** 2
        last = theta[at + k]
        if last <= 0.0:
            return -np.inf
        power = d - k + 2.0 * c - 2.0
        total += power * np.log(last) - 0.5 * square * inverse
        total -= 0.5 * (d + 2.0 * c - 2.0) * np.log(square)
        for m in range(k + 1):
            gradient[at + m] = -theta[at + m] * (inverse + (d + 2.0 * c - 2.0) / square)
        gradient[at + k] += power / last
        at += k + 1
    return total


@compiled_part
def users_from_deviations(
    population: Any, theta: FloatArray, z: FloatArray, weights: FloatArray
) -> None:
    """Fill weights (n_users, d) with gamma' f_i + L z_i."""
    p1, d = population.precision.shape
    for i in range(z.shape[0]):
        at = p1 * d
        for k in range(d):
            value = 0.0
            for j in range(p1):
                value += population.design[i, j] * theta[j * d + k]
            if population.full:
                for m in range(k + 1):
                    value += theta[at + m] * z[i, m]
                at += k + 1
            else:
                value += theta[at + k] * z[i, k]
            weights[i, k] = value


@compiled_part
def log_density(
    theta: FloatArray,
    gradient: FloatArray,
    rows: Any,
    population: Any,
    z: FloatArray,
    weights: FloatArray,
    psi: FloatArray,
    slope: FloatArray,
) -> float:
    """Log density of theta given z, up to a constant; fills weights, psi, slope and gradient."""
    p1, d = population.precision.shape
    prior = log_prior(population, theta, gradient)
    if prior == -np.inf:
        return prior
    users_from_deviations(population, theta, z, weights)
    total = prior + log_likelihood(rows, weights, psi, slope)
    # Apart, feature by feature in the innermost loop, which is then a SIMD batch.
    means = np.empty((p1, d))
    scales = np.empty(d)
    for k in range(d):
        for j in range(p1):
            means[j, k] = gradient[j * d + k]
        if not population.full:
            scales[k] = gradient[p1 * d + k]
    for i in range(z.shape[0]):
        for j in range(p1):
            x = population.design[i, j]
            for k in range(d):
                means[j, k] += x * slope[i, k]
        if population.full:
            at = p1 * d
            for k in range(d):
                for m in range(k + 1):
                    gradient[at + m] += slope[i, k] * z[i, m]
                at += k + 1
        else:
            for k in range(d):
                scales[k] += slope[i, k] * z[i, k]
    for k in range(d):
        for j in range(p1):
            gradient[j * d + k] = means[j, k]
        if not population.full:
            gradient[p1 * d + k] = scales[k]
    return total


@compiled
def add_curvature(
    rows: Any, population: Any, z: FloatArray, psi: FloatArray, out: FloatArray
) -> None:
    """Add to `out` (m, m) the Hessian in theta of minus the log likelihood, z held fixed."""
    p1, d = population.precision.shape
    hessian = np.empty((d, d))
    row = np.empty(d)
    for i in range(z.shape[0]):
        for k in range(d):
            for q in range(d):
                hessian[k, q] = 0.0
        for n in range(rows.offsets[i], rows.offsets[i + 1]):
            small = np.exp(-abs(psi[n]))
            weight = small / (1.0 + small) ** 2
            first = rows.starts[n]
            if rows.starts[n + 1] - first == d:
                # A dense row: the innermost loop is a SIMD batch over a copy of it.
                for k in range(d):
                    row[k] = rows.values[first + k]
                for k in range(d):
                    a = weight * row[k]
                    for q in range(d):
                        hessian[k, q] += a * row[q]
                continue
            for e in range(first, rows.starts[n + 1]):
                a = weight * rows.values[e]
                for f in range(first, rows.starts[n + 1]):
                    hessian[rows.columns[e], rows.columns[f]] += a * rows.values[f]
        for k in range(d):
            low_k, count_k = _scale_entries(population, k)
            for q in range(d):
                h = hessian[k, q]
                if h == 0.0:
                    continue
                low_q, count_q = _scale_entries(population, q)
                for j in range(p1):
                    f = h * population.design[i, j]
                    for m in range(p1):
                        out[j * d + k, m * d + q] += f * population.design[i, m]
                    for m in range(count_q):
                        value = f * z[i, m if population.full else q]
                        out[j * d + k, low_q + m] += value
                        out[low_q + m, j * d + k] += value
                for j in range(count_k):
                    f = h * z[i, j if population.full else k]
                    for m in range(count_q):
                        out[low_k + j, low_q + m] += f * z[i, m if population.full else q]


@compiled_part
def _scale_entries(population: Any, k: int) -> tuple[int, int]:
    """Where row k of L starts in theta, and how many entries it has."""
    p1, d = population.precision.shape
    if population.full:
        return p1 * d + k * (k + 1) // 2, k + 1
    return p1 * d + k, 1
