"""The common level of items' rewards, which no comparison informs, and its removal from draws.

Where every item has a reward of its own a comparison depends on differences alone. Adding the same
number to all rewards of a user, or to all means, leaves the likelihood as it is, so that the level
has its prior for a posterior and mixes slowly where a sampler goes item by item. It is therefore
taken out of what is reported: each user's rewards, the means and each coefficient sum to zero over
the items, as in R's bpcs (Issa Mattos & Ramos 2021). This is the posterior of the same model; tau
and the correlations are those of the rewards before.

Where the outside option has a feature, it moves with the items: its reward is then relative to
their mean. Attributes beside the items, such as a length, have no level and stay as they are.

A mixture keeps its level, because the components' probabilities need the rewards as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from bayes_pref.data import Features
from bayes_pref.models.spec import PopulationSpec, Sites
from bayes_pref.types import FloatArray


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
    blocks = features.level_blocks
    if spec is None or spec.components is not None or not blocks:
        return values
    for name in _locations(spec, values):
        axis = 2 + sites[name].index("feature")
        draws = np.moveaxis(values[name], axis, -1)
        for items, every in blocks:
            draws[..., every] -= draws[..., items].mean(axis=-1, keepdims=True)
    return values


def level_free(weights: xr.DataArray, spec: PopulationSpec, features: Features) -> xr.DataArray:
    """Return weights (..., feature) without the level."""
    if spec.components is not None:
        return weights
    for items, every in features.level_blocks:
        level = weights.isel(feature=items).mean("feature")
        weights = weights.copy()
        weights[{"feature": every}] = weights.isel(feature=every) - level
    return weights


def _locations(spec: PopulationSpec, values: Mapping[str, FloatArray]) -> list[str]:
    """Sites that are rewards, their means or coefficients of these."""
    names = ["mu", "weights", *(term.name for term in spec.terms)]
    return [name for name in names if name in values]
