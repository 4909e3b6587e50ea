"""Regressors of users' weights that are read from the data, and the units that priors refer to."""

from __future__ import annotations

import warnings
from typing import Literal, TypeAlias

import numpy as np

from bayes_pref.data import Comparisons, Ranking
from bayes_pref.errors import DataWarning
from bayes_pref.messages import callers_level, listed
from bayes_pref.models.spec import Term
from bayes_pref.types import FloatArray

Scale: TypeAlias = Literal["rms", "raw"]


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


def mean_contexts(comparisons: Comparisons) -> FloatArray:
    """Mean context of each user's comparisons, (n_users, n_contexts), raw units.

    Of choices among several every task counts once, whatever the number of its rows.
    """
    share, first = np.ones(len(comparisons)), comparisons.offsets[:-1]
    if isinstance(comparisons.outcome, Ranking):
        task = comparisons.outcome.task_of_rows
        share /= np.bincount(task)[task]
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


def exposures(comparisons: Comparisons) -> FloatArray:
    """Users' exposures, (n_users, n_contexts): their mean contexts, standardised over users.

    A context whose mean is the same for all users has an exposure of 0.
    """
    means = mean_contexts(comparisons)
    centred = means - means.mean(axis=0)
    sd = centred.std(axis=0)
    # Means of equal contexts over unequal numbers of rows differ by rounding.
    size = np.abs(comparisons.context).max(axis=0, initial=0.0)
    varies = sd > 1e-12 * size
    return np.asarray(np.where(varies, centred / np.where(varies, sd, 1.0), 0.0))


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


def exposure_term(effect_sd: float, scale: Scale, comparisons: Comparisons) -> Term:
    """The term G of the exposures; its prior sd is `effect_sd` per scaled unit of a feature."""
    values = exposures(comparisons)
    prior_sd = np.tile(effect_sd / feature_units(scale, comparisons)[:, None], values.shape[1])
    return Term("G", "context", prior_sd, values)


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
