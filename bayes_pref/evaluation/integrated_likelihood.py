"""Marginal likelihood of users' choices: p(choices | population), weights integrated out.

Given a draw of the population, the log-odds of a user's comparisons are eta = b + A z with
z ~ Normal(0, I_r), and p(y) = E_z p(y | eta). For logistic choices the integrand is log-concave in
z. Newton's method finds its mode z* and curvature H = I + A' W A at each draw, and

    p(y) = mean_k p(y | b + A z_k) Normal(z_k; 0, I) / q(z_k)

over 64 to 4,096 points z_k of a scrambled Sobol sequence, until the error is small enough. The
points follow q, a mixture of Normal(z*, H^-1), which approximates the integrand, and of a
multivariate t with the same centre and scale (`importance_points`). The tails of the t are heavier
than those of the prior, so that the weights are bounded. Where a user has fewer comparisons than r,
the integral is over the span of the comparisons. Where the prior of z is not Gaussian, its density
ratio relative to Normal(0, I) multiplies the integrand.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from scipy.special import expit, logsumexp

from bayes_pref.data import Comparisons
from bayes_pref.data.outcome import Outcome
from bayes_pref.models.base import RewardModel
from bayes_pref.models.importance_points import importance_points
from bayes_pref.models.population import LogRatio, Population
from bayes_pref.types import FloatArray

# Log-odds (sample, point, row), and which samples these are -> (sample, point).
LogLikelihood = Callable[[FloatArray, slice], FloatArray]

_STEPS = 60  # most Newton steps; about six are usual
_DECREMENT = 1e-3  # expected gain of a step, in log density, at which Newton's method stops
_FEWEST, _MOST = 64, 4096  # points, powers of two
_ERROR = 0.05  # relative error of p(y) above which the points are doubled
_PILOT = 16  # draws from which the error is estimated
_BLOCK = 2**22  # log-odds held at once


def user_log_likelihood(
    model: RewardModel, population: Population, draws: xr.Dataset, comparisons: Comparisons
) -> FloatArray:
    """Log marginal likelihood of all choices of each user given the population, (user, sample).

    Parameters
    ----------
    model
        The model, which knows the choice model.
    population
        Distribution of each user's weights at the draws.
    draws
        Posterior draws, with the parameters of the choice model.
    comparisons
        The data.
    """
    choice_model = model.choice_model(comparisons)
    choices = choice_model.distribution(draws, comparisons.outcome)
    out = np.empty((comparisons.n_users, draws.sizes["chain"] * draws.sizes["draw"]))
    # A loop over users: each has few comparisons, and all draws are integrated at once.
    for user in range(comparisons.n_users):
        rows = slice(comparisons.offsets[user], comparisons.offsets[user + 1])
        difference, choice = comparisons.difference[rows], comparisons.choice[rows]
        outcome = comparisons.outcome.take(np.arange(rows.start, rows.stop))
        prior = population.of_user(user)

        def of_rows(
            eta: FloatArray, part: slice, choice: FloatArray = choice, outcome: Outcome = outcome
        ) -> FloatArray:
            return choice_model.joint_log_likelihood(choices.take(part), eta, choice, outcome)

        components = [
            prior.log_share[:, component]
            + log_marginal(
                prior.mean[:, component] @ difference.T,
                difference @ prior.of_component(component),
                choice,
                of_rows,
                log_ratio=prior.log_ratio,
                seed=user,
            )
            for component in range(population.components)
        ]
        out[user] = logsumexp(components, axis=0)
    return out


def log_marginal(
    centre: FloatArray,
    design: FloatArray,
    choice: FloatArray,
    log_likelihood: LogLikelihood,
    *,
    log_ratio: LogRatio | None = None,
    seed: int = 0,
) -> FloatArray:
    """Log probability of choices at each draw, (sample,).

    Parameters
    ----------
    centre, design
        b (sample, row) and A (sample, row, r).
    choice
        (row,) 1 left, 0 right, or between; for the mode under logistic choices.
    log_likelihood
        Log probability of all the choices at log-odds (sample, point, row) of some samples.
    log_ratio
        Log density of z relative to Normal(0, I); None: z is Normal(0, I).
    seed
        Random seed of the points. Users with different seeds have independent errors.

    Examples
    --------
    >>> def log_likelihood(eta, part):
    ...     return -np.logaddexp(0.0, -eta).sum(axis=-1)
    >>> half = log_marginal(np.zeros((1, 1)), np.ones((1, 1, 1)), np.ones(1), log_likelihood)
    >>> bool(abs(np.exp(half[0]) - 0.5) < 0.02)  # the weights are centred at zero
    True
    """
    samples, rows, size = design.shape
    if not size or not design.any():
        return log_likelihood(centre[:, None], slice(None))[:, 0]
    if size > rows and log_ratio is None:
        # A = R' Q', and Q' z has the same distribution as z.
        design = np.linalg.qr(design.swapaxes(1, 2))[1].swapaxes(1, 2)
        size = rows
    mode, precision = _mode(centre, design, choice)
    # With L L' = H, z = z* + L'^-1 e has covariance H^-1 where e has covariance I.
    root = np.linalg.cholesky(precision)
    inverse = np.linalg.inv(root)
    log_det = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)

    def ratios(part: slice, points: int) -> FloatArray:
        e, log_density = importance_points(size, points, seed)
        z = mode[part, None] + e @ inverse[part]
        eta = centre[part, None] + z @ design[part].swapaxes(1, 2)
        prior = -0.5 * (z**2).sum(axis=2) - 0.5 * size * np.log(2 * np.pi)
        if log_ratio is not None:
            prior = prior + log_ratio(z, part)
        return np.asarray(log_likelihood(eta, part) + prior - log_density)

    points, few = _FEWEST, slice(None, None, -(-samples // _PILOT))
    while points < _MOST and _error(ratios(few, points)) > _ERROR:
        points *= 2
    out = np.empty(samples)
    step = max(1, _BLOCK // (points * max(rows, size)))
    # A loop over blocks of draws: all points of all draws at once would take gigabytes.
    for start in range(0, samples, step):
        part = slice(start, start + step)
        out[part] = logsumexp(ratios(part, points), axis=1) - np.log(points) - log_det[part]
    return out


def _error(ratios: FloatArray) -> float:
    """Typical relative error of the mean of the weights if the points were independent."""
    weights = np.exp(ratios - ratios.max(axis=1, keepdims=True))
    variation = weights.std(axis=1) / weights.mean(axis=1)
    return float(np.median(variation) / np.sqrt(ratios.shape[1]))


def _mode(
    centre: FloatArray, design: FloatArray, choice: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mode (sample, r) of z under logistic choices, and the precision (sample, r, r) there."""
    samples, _, size = design.shape
    z = np.zeros((samples, size))

    def loss(z: FloatArray) -> FloatArray:
        eta = centre + (design @ z[:, :, None])[:, :, 0]
        found = np.logaddexp(0.0, eta) - choice * eta
        return np.asarray(found.sum(axis=1) + 0.5 * (z**2).sum(axis=1))

    def slopes(z: FloatArray) -> tuple[FloatArray, FloatArray]:
        p = expit(centre + (design @ z[:, :, None])[:, :, 0])
        gradient = ((p - choice)[:, None] @ design)[:, 0] + z
        weighted = design * (p * (1.0 - p))[:, :, None]
        return gradient, design.swapaxes(1, 2) @ weighted + np.eye(size)

    current = loss(z)
    gradient, precision = slopes(z)
    for _ in range(_STEPS):
        step = -np.linalg.solve(precision, gradient[:, :, None])[:, :, 0]
        if (-step * gradient).sum(axis=1).max() < _DECREMENT:
            break
        length = np.ones(samples)
        # The loss is convex: a short enough step reduces it.
        for _ in range(_STEPS):
            ahead = loss(z + length[:, None] * step)
            worse = ahead > current + 1e-9
            if not worse.any():
                break
            length[worse] /= 2.0
        z = z + length[:, None] * step
        current = ahead
        gradient, precision = slopes(z)
    return z, precision
