"""Monte Carlo errors, from which the tolerances of the statistical tests derive."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from bayes_pref.convergence.statistics import effective_sample_size
from bayes_pref.draws import parameters

Array = NDArray[np.float64]


def mean_and_error(draws: Array) -> tuple[Array, Array]:
    """Mean of draws (chain, draw, ...) and its Monte Carlo standard error, flattened."""
    flat = draws.reshape(*draws.shape[:2], -1)
    with np.errstate(invalid="ignore", divide="ignore"):  # a constant has no effective sample size
        ess = effective_sample_size(flat)
    return flat.mean(axis=(0, 1)), flat.std(axis=(0, 1)) / np.sqrt(ess)


def flat(draws: xr.Dataset) -> Array:
    """Every parameter's draws, (chain, draw, parameter)."""
    return np.concatenate(
        [parameters(values.rename(name))[1] for name, values in draws.data_vars.items()], axis=2
    )


def z_scores(first: Array, second: Array, error: float = 0.0) -> Array:
    """Standardised differences of the means of draws (chain, draw, parameter).

    Differences are first reduced by `error` posterior sds, which an approximation is allowed.
    """
    (mean_a, error_a), (mean_b, error_b) = mean_and_error(first), mean_and_error(second)
    allowed = error * second.std(axis=(0, 1))
    return np.maximum(np.abs(mean_a - mean_b) - allowed, 0.0) / np.hypot(error_a, error_b)


def sd_z_scores(first: Array, second: Array, error: float = 0.0) -> Array:
    """Standardised differences of the log variances, the error of each by the delta method."""

    def log_variance(draws: Array) -> tuple[Array, Array]:
        squares = (draws - draws.mean(axis=(0, 1))) ** 2
        mean, deviation = mean_and_error(squares)
        return np.log(mean), deviation / mean

    (a, error_a), (b, error_b) = log_variance(first), log_variance(second)
    return np.maximum(np.abs(a - b) - 2 * error, 0.0) / np.hypot(error_a, error_b)


def axes(first: Array, second: Array) -> Array:
    """Principal axes (parameter, axis) of draws (chain, draw, parameter), variances of one.

    Along them parameters do not correlate, so that errors of their means hardly do. What the
    others decide, such as the last of several shares, gives no axis.
    """
    covariance = sum(np.cov(draws.reshape(-1, draws.shape[2]).T) for draws in (first, second)) / 2
    scale = np.sqrt(np.diag(np.atleast_2d(covariance)))
    values, vectors = np.linalg.eigh(np.atleast_2d(covariance) / np.outer(scale, scale))
    kept = values > 1e-9 * values[-1]
    return vectors[:, kept] / np.sqrt(values[kept]) / scale[:, None]


def chi_square(first: Array, second: Array, error: float = 0.0) -> float:
    """p-value of equal means of draws (chain, draw, parameter), all parameters together."""
    along = axes(first, second)
    scores = z_scores(first @ along, second @ along, error)
    return float(chi2.sf((scores**2).sum(), scores.size))


def largest_allowed(count: int, false_alarm: float = 1e-4) -> float:
    """Bound that the largest of `count` |z| passes with probability `false_alarm` (Bonferroni)."""
    return float(norm.isf(false_alarm / (2 * count)))


def agree(first: xr.Dataset, second: xr.Dataset, error: float = 0.0) -> bool:
    """Whether two sets of draws have the same means and sds within Monte Carlo error.

    A false alarm has a probability of 1e-4 by the chi-square test of all means, and as much by the
    largest of the z-scores of the means and sds.
    """
    a, b = flat(first), flat(second)
    scores = np.concatenate([z_scores(a, b, error), sd_z_scores(a, b, error)])
    return bool(scores.max() < largest_allowed(scores.size) and chi_square(a, b, error) > 1e-4)
