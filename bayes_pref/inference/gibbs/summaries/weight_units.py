"""From users' weights as samplers have them to those on raw units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.models.signs import Signs
from bayes_pref.types import FloatArray


@dataclass(frozen=True)
class WeightUnits:
    """From values on scaled features, as samplers have them, to users' weights on raw units.

    Attributes
    ----------
    scale
        (d,): raw units are scaled units divided by these.
    signs
        Which weights have a sign; None: none.
    level
        (d, d) takes out the common level of items' rewards; None: there is none.
    """

    scale: FloatArray
    signs: Signs | None
    level: FloatArray | None

    @classmethod
    def of(cls, scale: FloatArray, signs: Signs | None, comparisons: Comparisons) -> WeightUnits:
        """Return the units of weights on features of that scale (d,)."""
        level = None
        if comparisons.features.level_blocks:
            level = np.eye(len(scale))
            for items, every in comparisons.features.level_blocks:
                level[:, every] -= level[:, items].mean(axis=1, keepdims=True)
        return cls(scale, signs, level)

    def raw(self, values: FloatArray) -> FloatArray:
        """(n_users, d) weights per raw unit, of values on scaled features."""
        found = values / self.scale
        if self.signs is not None:
            found = self.signs.weights(found + self.signs.centre)
        return found if self.level is None else np.asarray(found @ self.level)
