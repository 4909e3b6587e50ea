"""Regressors of users' weights that are read from the data, and the units that priors refer to."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from bayes_pref.data import Comparisons, Ranking
from bayes_pref.draws import curved_names
from bayes_pref.errors import DataWarning
from bayes_pref.messages import callers_level, listed
from bayes_pref.models.spec import Term
from bayes_pref.types import FloatArray, IntArray

Scale: TypeAlias = Literal["rms", "raw"]
LEFT_OUT = 1e-3  # prior sd of the effect of what is left out, log-odds per scaled unit
_LEAST_BETWEEN = 0.05  # variance of exposures between users, as a share of that within
_USERS_EACH = 10  # for every square and product


def feature_units(scale: Scale, comparisons: Comparisons) -> FloatArray:
    """Scale on which priors hold for each feature, (n_features,), raw units."""
    if scale == "raw":
        return np.ones(len(comparisons.feature_names))
    return comparisons.feature_scale


def covariate_units(scale: Scale, comparisons: Comparisons) -> FloatArray:
    """Scale on which priors hold for each covariate, (n_covariates,): its sd over users."""
    if scale == "raw":
        return np.ones(len(comparisons.covariate_names))
    return np.asarray(comparisons.covariates.std(axis=0))


def centred_covariates(comparisons: Comparisons) -> FloatArray:
    """Covariates minus their mean over users, (n_users, n_covariates), raw units."""
    return np.asarray(comparisons.covariates - comparisons.covariates.mean(axis=0))


def logged(comparisons: Comparisons) -> FloatArray:
    """(n,) 1 for the rows of the log, and 0 for those that were assigned at random.

    What was assigned at random says nothing of what users come to see; where all of it was, all
    counts.
    """
    randomised = comparisons.randomised
    if randomised is None or randomised.all():
        return np.ones(len(comparisons))
    return (~randomised).astype(np.float64)


def shown_contexts(comparisons: Comparisons) -> FloatArray:
    """Mean context of each user's log, (n_users, n_contexts), raw units.

    Of choices among several every task counts once. Users who have no log get the mean of those
    who have.
    """
    share, first = logged(comparisons) * _share_of_task(comparisons), comparisons.offsets[:-1]
    total = np.add.reduceat(comparisons.context * share[:, None], first, axis=0)
    size = np.add.reduceat(share, first)
    means = total / np.where(size > 0, size, 1.0)[:, None]
    return np.asarray(np.where(size[:, None] > 0, means, means[size > 0].mean(axis=0)))


def _share_of_task(comparisons: Comparisons) -> FloatArray:
    """(n,) share of each row in its task: 1 for pairs."""
    if not isinstance(comparisons.outcome, Ranking):
        return np.ones(len(comparisons))
    task = comparisons.outcome.task_of_rows
    return np.asarray(1.0 / np.bincount(task)[task])


def mean_contexts(comparisons: Comparisons) -> FloatArray:
    """Mean context of each user's comparisons, (n_users, n_contexts), raw units.

    Of choices among several every task counts once, whatever the number of its rows.
    """
    share, first = _share_of_task(comparisons), comparisons.offsets[:-1]
    total = np.add.reduceat(comparisons.context * share[:, None], first, axis=0)
    return np.asarray(total / np.add.reduceat(share, first)[:, None])


def constant_contexts(comparisons: Comparisons) -> list[str]:
    """Names of the contexts that never vary within a user."""
    within = comparisons.context - mean_contexts(comparisons)[comparisons.user]
    size = np.abs(comparisons.context).max(axis=0)
    constant = np.abs(within).max(axis=0) <= 1e-12 * size
    return [
        name for name, same in zip(comparisons.features.contexts, constant, strict=True) if same
    ]


def has_reference_category(comparisons: Comparisons) -> bool:
    """Whether rows of indicators are all 0: a category without an indicator of its own."""
    return bool((comparisons.context.sum(axis=1) == 0).any())


class Exposure(NamedTuple):
    """What is known of users' exposures, in sds over users.

    Attributes
    ----------
    mean
        (n_users, n_contexts): expected exposure given the contexts shown, standardised.
    variance
        (n_users, n_contexts): how far the exposure may be from that; 0 where all users have made
        equally many comparisons, where it does not matter.
    """

    mean: FloatArray
    variance: FloatArray


def exposures(comparisons: Comparisons) -> FloatArray:
    """Users' exposures, (n_users, n_contexts): their mean contexts, standardised over users.

    Only what was not assigned at random counts (`logged`). The mean of few contexts says less than
    that of many. Where users have made unequal numbers of comparisons it is shrunk towards what
    others with as many are shown, as `exposure_of` says. A context whose mean is the same for all
    users has an exposure of 0.
    """
    return exposure_of(comparisons).mean


def exposure_of(comparisons: Comparisons) -> Exposure:
    """Return users' exposures, with what is not known of them.

    User i's mean of m_i contexts is Normal(s_i, within / m_i) around their exposure, and s_i is
    Normal(a(m_i), between): how many comparisons a user makes may say something of s_i, too. With
    lambda_i = between / (between + within / m_i), and a quadratic in log m_i,
        E(s_i | contexts) = a(m_i) + lambda_i (mean_i - a(m_i)),   Var = between (1 - lambda_i).
    Preferences that are linear in s_i are linear in this expectation, and not in the means.
    """
    means, counts = shown_contexts(comparisons), _counts(comparisons)
    known, variance = means, np.zeros_like(means)
    if np.ptp(counts) > 0:
        known, variance = _shrunk(comparisons, means, counts)
    centred = known - known.mean(axis=0)
    sd = centred.std(axis=0)
    # Means of equal contexts over unequal numbers of rows differ by rounding.
    size = np.abs(comparisons.context).max(axis=0, initial=0.0)
    varies = sd > 1e-12 * size
    unit = np.where(varies, sd, 1.0)
    return Exposure(
        np.where(varies, centred / unit, 0.0), np.where(varies, variance / unit**2, 0.0)
    )


def _counts(comparisons: Comparisons) -> FloatArray:
    """Return the number of comparisons, or of tasks, in each user's log; at least 1."""
    share = logged(comparisons) * _share_of_task(comparisons)
    return np.asarray(np.rint(np.add.reduceat(share, comparisons.offsets[:-1])).clip(min=1.0))


def _shrunk(
    comparisons: Comparisons, means: FloatArray, counts: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Means (n_users, n_contexts) shrunk by `exposure_of`, and the variance of what is unknown."""
    share = logged(comparisons) * _share_of_task(comparisons)
    square = (comparisons.context - means[comparisons.user]) ** 2 * share[:, None]
    within = square.sum(axis=0) / max(counts.sum() - len(counts), 1.0)
    error = within / counts[:, None]
    # The means of few contexts say less of a(m), too.
    trust = counts / (counts + counts.mean())
    basis = np.vander(np.log(counts), 3) * np.sqrt(trust)[:, None]
    slope = np.linalg.lstsq(basis, means * np.sqrt(trust)[:, None], rcond=1e-8)[0]
    centre = np.vander(np.log(counts), 3) @ slope
    excess = (means - centre) ** 2 - error
    between = (trust[:, None] * excess).sum(axis=0) / trust.sum()
    # Where users hardly differ in exposure, the means still differ by how much they say.
    between = np.maximum(between, _LEAST_BETWEEN * within)
    total = between + error
    kept = np.where(total > 0, between / np.where(total > 0, total, 1.0), 1.0)
    return centre + kept * (means - centre), between * (1 - kept)


def covariate_terms(effect_sd: float, scale: Scale, comparisons: Comparisons) -> tuple[Term, ...]:
    """The term B of the covariates, if there are any.

    Parameters
    ----------
    effect_sd
        Prior sd of B, log-odds per scaled unit of a feature and of a covariate.
    scale
        The model's setting.
    """
    if not comparisons.covariate_names:
        return ()
    units = np.outer(feature_units(scale, comparisons), covariate_units(scale, comparisons))
    return (Term("B", "covariate", effect_sd / units, centred_covariates(comparisons)),)


class CurvedExposures(NamedTuple):
    """Squares and products of exposures: h = (z_first z_second - z' slope - mean) / unit.

    Attributes
    ----------
    columns
        (n_users, k): with mean 0 and sd 1 over users, and uncorrelated with the exposures.
    first, second
        (k,) which exposures are multiplied; the squares come first.
    slope, unit
        (n_contexts, k) and (k,); a unit of inf where the product is a linear function of exposures
        or the same for all users, so that its value is 0.
    """

    columns: FloatArray
    first: IntArray
    second: IntArray
    slope: FloatArray
    unit: FloatArray


def curved_exposures(comparisons: Comparisons) -> CurvedExposures:
    """Return squares and products of users' exposures, without their linear parts.

    There are no products, or no squares either, where fewer than ten users would stand for each.
    Of an exposure that is not known exactly, the square is the expected one.
    """
    exposure = exposure_of(comparisons)
    z, size = exposure.mean, _curved(exposure.mean.shape[1], comparisons.n_users)
    first, second = product_places(z.shape[1], size)
    products = z[:, first] * z[:, second]
    products += np.where(first == second, exposure.variance[:, first], 0.0)
    linear = np.column_stack([np.ones(len(z)), z])
    slope = np.linalg.lstsq(linear, products, rcond=1e-8)[0]
    rest = products - linear @ slope
    sd = rest.std(axis=0)
    size = np.abs(products).max(axis=0, initial=0.0)
    unit = np.asarray(np.where(sd > 1e-6 * size, sd, np.inf), dtype=np.float64)
    return CurvedExposures(
        rest / unit, first, second, np.asarray(slope[1:], dtype=np.float64), unit
    )


def product_places(contexts: int, size: int) -> tuple[IntArray, IntArray]:
    """Which two exposures each of the first `size` squares and products is of, (size,) each.

    Examples
    --------
    >>> product_places(2, 3)
    (array([0, 1, 0]), array([0, 1, 1]))
    """
    first, second = np.triu_indices(contexts, 1)
    square = np.arange(contexts)
    return np.append(square, first)[:size], np.append(square, second)[:size]


def _curved(contexts: int, users: int) -> int:
    """Return how many squares and products there are of so many contexts."""
    whole = contexts * (contexts + 1) // 2
    most = users / _USERS_EACH
    return whole if whole <= most else contexts if contexts <= most else 0


def exposure_term(effect_sd: float, scale: Scale, comparisons: Comparisons) -> Term:
    """The term G of the exposures; its prior sd is `effect_sd` per scaled unit of a feature."""
    values = exposures(comparisons)
    prior_sd = np.tile(effect_sd / feature_units(scale, comparisons)[:, None], values.shape[1])
    return Term("G", "context", prior_sd, values)


def curve_terms(
    curve_sd: float | Mapping[str, float], scale: Scale, comparisons: Comparisons
) -> tuple[Term, ...]:
    """The term H of squares and products of exposures, unless there are too few users for it.

    Those that `curve_sd` does not name have a prior sd of `LEFT_OUT`: as good as none.
    """
    values = curved_exposures(comparisons).columns
    if not values.shape[1]:
        return ()
    names = curved_names(comparisons.features.contexts)[: values.shape[1]]
    if not isinstance(curve_sd, Mapping):
        curve_sd = dict.fromkeys(names, curve_sd)
    sd = np.array([curve_sd.get(name, LEFT_OUT) for name in names])
    units = feature_units(scale, comparisons)
    return (Term("H", "exposure", sd / units[:, None], values),)


def warn_of_unused_covariates(model: str, comparisons: Comparisons) -> None:
    """Warn that a model does not use the covariates of the data, from within its `check`."""
    if comparisons.covariate_names:
        warnings.warn(
            f"{model} does not use the covariates of these comparisons "
            f"({listed(comparisons.covariate_names)}); in bp.HierarchicalReward() and "
            "bp.LowRankReward() users' weights depend on them",
            DataWarning,
            stacklevel=callers_level(),
        )
