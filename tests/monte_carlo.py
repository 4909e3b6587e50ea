"""Monte Carlo errors, from which the tolerances of the statistical tests derive."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from bayes_pref.posterior.mcmc_statistics import effective_sample_size

Array = NDArray[np.float64]


def mean_and_error(draws: Array) -> tuple[Array, Array]:
    """Mean of draws (chain, draw, ...) and its Monte Carlo standard error, flattened."""
    flat = draws.reshape(*draws.shape[:2], -1)
    with np.errstate(invalid="ignore", divide="ignore"):  # a constant has no effective sample size
        ess = effective_sample_size(flat)
    return flat.mean(axis=(0, 1)), flat.std(axis=(0, 1)) / np.sqrt(ess)


def z_scores(first: Array, second: Array) -> Array:
    """Standardised differences of the means of two sets of draws; constants are left out."""
    flat = [draws.reshape(*draws.shape[:2], -1) for draws in (first, second)]
    moving = flat[0].std(axis=(0, 1)) > 1e-12
    (mean_a, error_a), (mean_b, error_b) = (mean_and_error(draws[:, :, moving]) for draws in flat)
    return (mean_a - mean_b) / np.hypot(error_a, error_b)


def sd_z_scores(first: Array, second: Array) -> Array:
    """Standardised differences of the log variances, the error of each by the delta method."""

    def log_variance(draws: Array) -> tuple[Array, Array]:
        squares = (draws - draws.mean(axis=(0, 1))) ** 2
        mean, error = mean_and_error(squares)
        keep = mean > 1e-12
        return np.log(mean[keep]), (error[keep] / mean[keep])

    (a, error_a), (b, error_b) = log_variance(first), log_variance(second)
    return (a - b) / np.hypot(error_a, error_b)


def largest_allowed(count: int, false_alarm: float = 1e-4) -> float:
    """Bound that the largest of `count` |z| passes with probability `false_alarm` (Bonferroni)."""
    return float(norm.isf(false_alarm / (2 * count)))


def agree(first: Array, second: Array) -> bool:
    """Whether two sets of draws have the same means and sds within Monte Carlo error."""
    scores = np.abs(np.concatenate([z_scores(first, second), sd_z_scores(first, second)]))
    return bool(scores.max() < largest_allowed(scores.size))
