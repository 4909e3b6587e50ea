"""What a share of comparisons that were assigned at random says of a flag.

In the model with `observational_bias` (`bayes_pref.models.observational_bias`) the weights w are
those of the randomised rows, and answers of the log have w + b. So p_do, over all users' w, is
corrected for whatever moves the log, and p_obs, over the weights w + b of those who see such a pair
in the log, is what the log says. A comparison that would be confounded by the log is cleared where
p_do is known well enough all the same.

How many randomised pairs more would be enough: with S the posterior covariance of mu and I the mean
information of one randomised answer about it, m more of them leave S(m) = (S^-1 + m I)^-1, and the
variance of p_do in proportion to d' S(m) d = sum_j a_j^2 / (1 + m l_j), with l the eigenvalues of
S^1/2 I S^1/2 and a those coordinates of S^1/2 d. The information of an answer of a user drawn at
random is (dP / d eta)^2 / (P (1 - P)) d d', P being that of a random user.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import norm

from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.confounding.exposure_distribution import ExposureDraws
from bayes_pref.diagnostics.confounding.exposure_posterior import NullFit
from bayes_pref.diagnostics.confounding.residual_test import RowScores
from bayes_pref.diagnostics.confounding.shifts import PopulationDraws, choices_by_row
from bayes_pref.diagnostics.query import Query
from bayes_pref.diagnostics.thresholds import Thresholds
from bayes_pref.draws import evenly_spaced, stacked
from bayes_pref.logistic_normal import expected_choice
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray as Array
from bayes_pref.types import Mask

_STEP = 0.01  # of a central difference; its error is at most 1e-6
_HALVINGS = 60
_MOST = 1e9  # pairs; what needs more is not resolved by asking


@dataclass(frozen=True, eq=False)
class RandomisedShare:
    """p_do as the randomised rows correct it, and what the log says, for n comparisons.

    Attributes
    ----------
    shifts
        Columns of `describe_shifts` in which p_obs is what the log says, and `p_do_lower`,
        `p_do_upper`.
    resolved
        (n,) whether p_do is known to within `Thresholds.resolved`.
    needed
        (n,) randomised pairs more that would resolve it, 0 where it is; nan where none would, and
        of choices among several.
    """

    shifts: pd.DataFrame
    resolved: Mask
    needed: Array


def assess_share(
    posterior: Posterior,
    query: Query,
    population: PopulationDraws,
    exposure: ExposureDraws,
    *,
    thresholds: Thresholds,
    interval: float,
) -> RandomisedShare:
    """Compare what the log says with what all users would choose.

    Parameters
    ----------
    posterior
        Posterior of a model with exposure and a biased log.
    query
        n comparisons.
    population, exposure
        Its draws, as the shifts have them.
    thresholds
        Its `shift`, `resolved` and `certainty` are used.
    interval
        Probability inside the central credible intervals.
    """
    log = _log_population(posterior, population)
    names = ["p_do", "p_obs", "shift", "shift_lower", "shift_upper", "p_confounded"]
    names += ["p_do_lower", "p_do_upper"]
    out, near = np.full((len(query), len(names)), np.nan), np.empty(len(query))
    variance = np.empty(len(query))
    tail = [(1 - interval) / 2, (1 + interval) / 2]
    both = zip(
        choices_by_row(population, exposure, query),
        choices_by_row(log, exposure, query),
        strict=True,
    )
    for (part, p_do, *_), (_, _, p_obs, _) in both:
        delta = p_obs - p_do
        out[part, 0], out[part, 1] = p_do.mean(axis=0), p_obs.mean(axis=0)
        out[part, 2] = delta.mean(axis=0)
        out[part, 3:5] = np.quantile(delta, tail, axis=0).T
        out[part, 5] = (np.abs(delta) > thresholds.shift).mean(axis=0)
        out[part, 6:8] = np.quantile(p_do, tail, axis=0).T
        near[part] = (np.abs(p_do - out[part, 0]) <= thresholds.resolved).mean(axis=0)
        variance[part] = p_do.var(axis=0)
    resolved = near > thresholds.certainty
    shifts = pd.DataFrame(out, columns=names)
    needed = np.full(len(query), np.nan)
    if query.task is None:
        target = (thresholds.resolved / norm.ppf((1 + thresholds.certainty) / 2)) ** 2
        spread = population.spread(exposure.variance).mean(axis=0)
        information = _information(posterior.comparisons, population.mu.mean(axis=0), spread)
        mu = np.cov(population.mu, rowvar=False).reshape(information.shape)
        ratio = np.minimum(target / variance, 1.0)
        found = pairs_needed(query.difference, mu, information, ratio)
        needed = np.where(resolved, 0.0, np.maximum(found, 1.0))
    return RandomisedShare(shifts, resolved, needed)


def log_p_value(comparisons: Comparisons, null: NullFit) -> float:
    """P-value of the test that answers of the log are no others than those of randomised rows."""
    assert comparisons.randomised is not None  # as asked for
    scores = RowScores.of(comparisons, null)
    logged = scores.rows * ~comparisons.randomised[:, None]
    return scores.p_value(logged, scores.rows)


def pairs_needed(difference: Array, covariance: Array, information: Array, ratio: Array) -> Array:
    """Fewest m for which d' S(m) d is at most a share of d' S d; nan beyond any number.

    Parameters
    ----------
    difference
        (n, d)
    covariance, information
        (d, d) S and I.
    ratio
        (n,) the share.

    Examples
    --------
    One feature, of which a pair tells as much as is known: 3 more leave a quarter of the variance.

    >>> pairs_needed(np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1)), np.array([0.25]))
    array([3.])
    """
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(values.clip(0.0))) @ vectors.T
    gains, axes = np.linalg.eigh(root @ information @ root)
    share = (difference @ root @ axes) ** 2
    share /= np.maximum(share.sum(axis=1, keepdims=True), 1e-300)
    gains = gains.clip(0.0)

    def left(pairs: Array) -> Array:
        return np.asarray((share / (1.0 + pairs[:, None] * gains)).sum(axis=1))

    low, high = np.zeros(len(share)), np.full(len(share), _MOST)
    for _ in range(_HALVINGS):  # of an interval, for all rows at once
        middle = (low + high) / 2
        enough = left(middle) <= ratio
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    found = np.ceil(high - 1e-6 * (1.0 + high))
    found = np.where(left(np.zeros(len(share))) <= ratio, 0.0, found)
    return np.where(left(np.full(len(share), _MOST)) <= ratio, found, np.nan)


def _log_population(posterior: Posterior, population: PopulationDraws) -> PopulationDraws:
    """Draws of the weights with which the log is answered."""
    draws = posterior.draws
    kept = evenly_spaced(draws.sizes["chain"] * draws.sizes["draw"], len(population.mu))
    bias, spread = (
        stacked(draws, name, "feature")[kept] for name in ("observational_bias", "bias_spread")
    )
    covariance = population.covariance
    if covariance is not None:
        covariance = covariance + spread[:, :, None] ** 2 * np.eye(spread.shape[1])
    tau = np.hypot(population.tau, spread)
    return replace(population, mu=population.mu + bias, tau=tau, covariance=covariance)


def _information(comparisons: Comparisons, mu: Array, spread: Array) -> Array:
    """(d, d) mean information about mu of the answer to a randomised pair, of random users."""
    assert comparisons.randomised is not None  # as asked for
    rows = comparisons.difference[comparisons.randomised]
    mean, variance = rows @ mu, ((rows @ spread) * rows).sum(axis=1)
    chance, above, below = (expected_choice(mean + s, variance) for s in (0.0, _STEP, -_STEP))
    weight = ((above - below) / (2 * _STEP)) ** 2 / (chance * (1 - chance))
    return np.asarray((weight[:, None] * rows).T @ rows / len(rows))
