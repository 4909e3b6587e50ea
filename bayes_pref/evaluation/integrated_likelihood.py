"""Marginal likelihood of users' choices: p(choices | population), weights integrated out.

Given a draw of the population, the log-odds of a user's comparisons are eta = b + A z with
z ~ Normal(0, I_r), and p(y) = E_z p(y | eta). For logistic choices between two or several the
integrand is log-concave in z. With its mode z* and curvature H = I + A' W A at each draw,

    p(y) = mean_k p(y | b + A z_k) Normal(z_k; 0, I) / q(z_k)

over 64 to 4,096 points z_k of a scrambled Sobol sequence, at each draw until the error is small
enough. The points follow q, a mixture of a Gaussian, which approximates the integrand, and of a
multivariate t with the same centre and scale. The tails of the t are heavier than those of the
prior, so that the weights are bounded. The likelihood of a user's choices is the same at all draws
of the population, and so its expansion at the mode of a few draws gives z* and H of all the others
in one step of Newton's method; how far mean and covariance of the integrand are from mode and
H^-1 is found at these few draws, too (`importance_sets`). The integral is over the span of the
user's comparisons, which may be of items of which few were shown. Where the prior of z is not
Gaussian, its density ratio relative to Normal(0, I) multiplies the integrand. Where weights have a
sign, eta is no linear function of z, and the mode is searched at every draw.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from bayes_pref.data import Comparisons, Ranking
from bayes_pref.data.outcome import Outcome
from bayes_pref.evaluation.importance_sets import Points
from bayes_pref.evaluation.integrand_mode import (
    Choices,
    LinearEta,
    LogisticChoices,
    RowwiseChoices,
    SignedEta,
    expanded_mode,
    newton_mode,
)
from bayes_pref.models.base import RewardModel
from bayes_pref.models.choice import ChoiceDistribution
from bayes_pref.models.choice.stage_choices import evenly, stage_starts
from bayes_pref.models.population import LogRatio, Population, UserDistribution
from bayes_pref.types import FloatArray, IntArray, Samples

# Log-odds (sample, point, row), and which samples these are -> (sample, point).
LogLikelihood = Callable[[FloatArray, Samples], FloatArray]

_FEWEST, _MOST = 64, 4096  # points, powers of two
# Relative error of p(y), were the points independent, above which they are doubled at a draw.
_ERROR = 0.1
_PILOT = 16  # draws at which the mode is searched first
_PILOT_POINTS = 256  # and points of each of them, from which the moments are
_SETS, _POINTS = 64, 2**14  # most sets of points, and points in all, so that errors average out
_BLOCK = 2**18  # log-odds held at once


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
        Posterior draws, with the parameters of the choice model, and the share of users who answer
        at random if there are any.
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
        stage = outcome.stage if isinstance(outcome, Ranking) else None
        made: Choices = LogisticChoices(choice, stage)
        if stage is None and not choices.logistic:
            made = RowwiseChoices(choices, choice)
        prior = population.of_user(user)

        def of_rows(
            eta: FloatArray, part: Samples, choice: FloatArray = choice, outcome: Outcome = outcome
        ) -> FloatArray:
            return choice_model.joint_log_likelihood(choices.take(part), eta, choice, outcome)

        components = [
            prior.log_share[:, component]
            + log_marginal(
                _eta(difference, prior, component),
                made,
                of_rows,
                log_ratio=prior.log_ratio,
                seed=user,
            )
            for component in range(population.components)
        ]
        out[user] = logsumexp(components, axis=0)
    if "careless_share" not in draws:
        return out
    share = draws["careless_share"].transpose("chain", "draw").to_numpy().ravel()
    heeded = np.log1p(-share) + out
    return np.asarray(np.logaddexp(heeded, np.log(share) + log_at_random(choices, comparisons)))


def log_at_random(choices: ChoiceDistribution, comparisons: Comparisons) -> FloatArray:
    """Log probability (user, 1) of all choices of each user, were they made at random."""
    outcome = comparisons.outcome
    if isinstance(outcome, Ranking):
        each, first = np.log(evenly(outcome.stage)), stage_starts(outcome.stage)
        total = np.bincount(comparisons.user[first], each, comparisons.n_users)
        return np.asarray(total[:, None], dtype=np.float64)
    return np.asarray(-np.log(choices.n_outcomes) * comparisons.counts[:, None])


def _eta(rows: FloatArray, prior: UserDistribution, component: int) -> LinearEta | SignedEta:
    """Log-odds of rows (row, d) of a user in one component."""
    mean, factor = prior.mean[:, component], prior.of_component(component)
    if prior.signs is not None:
        return SignedEta(rows, mean, factor, prior.signs)
    return LinearEta(mean @ rows.T, _design(rows, factor, normal=prior.log_ratio is None))


def _design(rows: FloatArray, factor: FloatArray, *, normal: bool) -> FloatArray:
    """A (sample, row, r) of rows (row, d) and factors (sample, d, size): of as few z as it takes.

    Where z is Normal(0, I), so is Q' z with rows F = X V' F = X R' Q', V' a basis of the rows.
    """
    if not normal:
        return rows @ factor
    left, scale, basis = np.linalg.svd(rows, full_matrices=False)
    kept = scale > scale[0] * max(rows.shape) * np.finfo(np.float64).eps
    within = basis[kept] @ factor
    if within.shape[2] > within.shape[1]:
        within = np.linalg.qr(within.swapaxes(1, 2))[1].swapaxes(1, 2)
    return np.asarray((left[:, kept] * scale[kept]) @ within)


def log_marginal(
    eta: LinearEta | SignedEta,
    choices: Choices,
    log_likelihood: LogLikelihood,
    *,
    log_ratio: LogRatio | None = None,
    seed: int = 0,
) -> FloatArray:
    """Log probability of choices at each draw, (sample,).

    Parameters
    ----------
    eta
        Log-odds as a function of z.
    choices
        The choices, for the mode and the curvature there.
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
    >>> left, line = LogisticChoices(np.ones(1)), LinearEta(np.zeros((1, 1)), np.ones((1, 1, 1)))
    >>> half = log_marginal(line, left, log_likelihood)
    >>> bool(abs(np.exp(half[0]) - 0.5) < 0.02)  # the weights are centred at zero
    True
    """
    (samples, rows), size = eta.centre.shape, eta.size
    if not size:
        return log_likelihood(eta.centre[:, None], slice(None))[:, 0]

    def log_ratios(
        mode: FloatArray, precision: FloatArray, part: Samples, points: Points
    ) -> FloatArray:
        """Log of p(y | z) Normal(z; 0, I) / q(z), (sample, point)."""
        # With L L' = H, z = z* + L'^-1 e has covariance H^-1 where e has covariance I.
        root = np.linalg.cholesky(precision)
        log_det = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        z = mode[:, None] + points.e @ np.linalg.inv(root)
        prior = -0.5 * (z**2).sum(axis=2) - 0.5 * size * np.log(2 * np.pi)
        if log_ratio is not None:
            prior = prior + log_ratio(z, part)
        found = log_likelihood(eta.take(part).at(z), part) + prior - points.log_density
        return np.asarray(found - log_det[:, None])

    def integral(
        mode: FloatArray, precision: FloatArray, which: IntArray, count: int
    ) -> tuple[FloatArray, FloatArray]:
        """Log probabilities at some draws, and their relative errors."""
        found, error = np.empty(len(which)), np.empty(len(which))
        sets = min(_SETS, _POINTS // count, len(which))
        points = Points.sets(size, sets, count, seed).moved(shift, spread)
        step = max(1, _BLOCK // (count * max(rows, size)))
        # A loop over blocks of draws, which fit into the processor's cache.
        for start in range(0, len(which), step):
            here = slice(start, start + step)
            part = which[here]
            made = log_ratios(mode[here], precision[here], part, points.take(part))
            top = made.max(axis=1)
            weights = np.exp(made - top[:, None])
            mean = weights.mean(axis=1)
            found[here] = top + np.log(mean)
            error[here] = weights.std(axis=1) / (mean * np.sqrt(count))
        return found, error

    few = np.arange(0, samples, -(-samples // _PILOT))
    start = np.zeros((len(few), size))
    mode, precision = newton_mode(choices.take(few), eta.take(few), start)
    points = Points.sets(size, len(few), _PILOT_POINTS, seed + 1)
    shift, spread = points.moments(log_ratios(mode, precision, few, points))
    if isinstance(eta, LinearEta):
        typical = eta.take(few).at(mode[:, None])[:, 0].mean(axis=0)
        mode, precision = expanded_mode(choices, eta, typical)
    else:
        mode, precision = newton_mode(choices, eta, np.tile(mode.mean(axis=0), (samples, 1)))
    out, error = integral(mode, precision, np.arange(samples), _FEWEST)
    rough = np.flatnonzero(error > _ERROR)
    if rough.size:
        mode, precision = newton_mode(choices.take(rough), eta.take(rough), mode[rough])
    count, left = 2 * _FEWEST, np.arange(len(rough))
    while left.size and count <= _MOST:
        out[rough[left]], error = integral(mode[left], precision[left], rough[left], count)
        left, count = left[error > _ERROR], 2 * count
    return out
