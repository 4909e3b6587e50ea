"""The common level of items' rewards, which no comparison informs, and its removal from draws.

Where every item has a reward of its own a comparison depends on differences alone. Adding the same
number to all rewards of a user, or to all means, leaves the likelihood as it is, so that the level
has its prior for a posterior and mixes slowly where a sampler goes item by item. It is therefore
taken out of what is reported: each user's rewards, the means and each coefficient sum to zero over
the items, as in R's bpcs (Issa Mattos & Ramos 2021). This is the posterior of the same model; tau
and the correlations are those of the rewards before.

A mixture keeps its level, because the components' probabilities need the rewards as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from bayes_pref.data import Features
from bayes_pref.models.spec import PopulationSpec, Sites
from bayes_pref.types import FloatArray, IntArray


def level_groups(features: Features) -> list[IntArray]:
    """Places of the features whose coefficients have a common level of their own.

    Those of all items; and their products with a context, where all items have one.

    Examples
    --------
    >>> features = Features(("tea", "mate"), ("cold",), (("tea", "cold"), ("mate", "cold")), True)
    >>> [group.tolist() for group in level_groups(features)]
    [[0, 1], [2, 3]]
    """
    if not features.indicators:
        return []
    items = len(features.attributes)
    contexts = np.array([context for _, context in features.interactions], dtype=object)
    groups = [np.arange(items)]
    for context in dict.fromkeys(contexts):
        places = items + np.flatnonzero(contexts == context)
        if len(places) == items:
            groups.append(places)
    return groups


def without_item_level(
    values: dict[str, FloatArray], sites: Sites, spec: PopulationSpec | None, features: Features
) -> dict[str, FloatArray]:
    """Take the level out of draws (chain, draw, ...) by site, in place.

    Parameters
    ----------
    values
        Draws by site.
    sites
        Named dimensions of each site.
    spec
        How users differ; None: the draws stay as they are.
    features
        Which features are items.
    """
    groups = level_groups(features)
    if spec is None or spec.components is not None or not groups:
        return values
    for name in _locations(spec, values):
        axis = 2 + sites[name].index("feature")
        draws = np.moveaxis(values[name], axis, -1)
        for group in groups:
            draws[..., group] -= draws[..., group].mean(axis=-1, keepdims=True)
    return values


def level_free(weights: xr.DataArray, spec: PopulationSpec, features: Features) -> xr.DataArray:
    """Return weights (..., feature) without the level."""
    if spec.components is not None:
        return weights
    for group in level_groups(features):
        part = weights.isel(feature=group)
        weights = weights.copy()
        weights[{"feature": group}] = part - part.mean("feature")
    return weights


def _locations(spec: PopulationSpec, values: Mapping[str, FloatArray]) -> list[str]:
    """Sites that are rewards, their means or coefficients of these."""
    names = ["mu", "weights", *(term.name for term in spec.terms)]
    return [name for name in names if name in values]
