"""What users' exposures are regressed on: the contexts of comparisons, or their squares as well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes_pref.models.regressors import product_places
from bayes_pref.types import FloatArray as Array
from bayes_pref.types import IntArray

_SAME = 1e-6  # what is left of a product, as a share, where it is a linear function of contexts


def varying(context: Array) -> Array:
    """(q,) sd of each context over comparisons; exactly 0 where it is constant."""
    return np.where(np.ptp(context, axis=0) > 0, context.std(axis=0), 0.0)


@dataclass(frozen=True, eq=False)
class ContextBasis:
    """Contexts in raw units, and squares and products of the standardised ones, less linear parts.

    Attributes
    ----------
    middle, scale
        (q,) mean and sd of the contexts of the data; a scale of inf where a context is constant.
    linear, unit
        (q + 1, k) and (k,): product j is (x_first x_second - (1, x) linear_j) / unit_j, in
        standardised contexts x. An infinite unit: the product is a linear function of contexts.
    """

    middle: Array
    scale: Array
    linear: Array
    unit: Array

    @classmethod
    def of_data(cls, context: Array) -> ContextBasis:
        """Return the basis of contexts (n, q) with squares and products."""
        spread = varying(context)
        scale = np.where(spread > 0, spread, np.inf)
        middle = context.mean(axis=0)
        x = (context - middle) / scale
        first, second = _pairs(x.shape[1])
        products, design = x[:, first] * x[:, second], _with_ones(x)
        linear = np.linalg.lstsq(design, products, rcond=1e-8)[0]
        sd = (products - design @ linear).std(axis=0)
        unit = np.where(sd > _SAME * np.maximum(products.std(axis=0), _SAME), sd, np.inf)
        return cls(middle, scale, linear, unit)

    def straight(self) -> ContextBasis:
        """Return the basis without squares and products."""
        return ContextBasis(self.middle, self.scale, self.linear[:, :0], self.unit[:0])

    @property
    def pairs(self) -> tuple[IntArray, IntArray]:
        """(k,) which two contexts each square or product is of."""
        return _pairs(len(self.middle))

    @property
    def curves(self) -> Array:
        """(k,) which squares and products are no linear functions of contexts."""
        return np.isfinite(self.unit)

    def __call__(self, context: Array) -> Array:
        """Return the regressors (n, q + k) at contexts (n, q)."""
        if not self.unit.size:
            return context
        x = (context - self.middle) / self.scale
        first, second = _pairs(x.shape[1])
        curved = (x[:, first] * x[:, second] - _with_ones(x) @ self.linear) / self.unit
        return np.column_stack([context, curved])


def _pairs(contexts: int) -> tuple[IntArray, IntArray]:
    return product_places(contexts, contexts * (contexts + 1) // 2)


def _with_ones(x: Array) -> Array:
    return np.column_stack([np.ones(len(x)), x])
