"""Sizes of features: which of them differ at all, and how large a typical difference is."""

from __future__ import annotations

import numpy as np

from bayes_pref.data.features import Features
from bayes_pref.types import FloatArray

_CHUNK = 2**16  # rows at a time: copies of all of them might not fit


def constant_features(difference: FloatArray, features: Features) -> tuple[str, ...]:
    """Names of the features that never differ within a pair.

    Examples
    --------
    >>> constant_features(np.array([[1.0, 0.0], [2.0, 0.0]]), Features(("length", "tone")))
    ('tone',)
    """
    never = np.flatnonzero(~np.any(difference, axis=0))
    return tuple(features.names[column] for column in never)


def feature_scale(difference: FloatArray, context: FloatArray, features: Features) -> FloatArray:
    """(d,) root mean square of each difference; 1 for an item's indicator.

    The product of an indicator and a context has the context's root mean square.

    Examples
    --------
    >>> feature_scale(np.array([[3.0], [-3.0]]), np.empty((2, 0)), Features(("length",)))
    array([3.])
    """
    if not features.indicators:
        return _root_mean_square(difference)
    of_context = dict(zip(features.contexts, _root_mean_square(context), strict=True))
    products = [of_context[name] for _, name in features.interactions]
    scale = np.array([1.0] * len(features.attributes) + products)
    others = ~features.of_items
    if others.any():
        scale[others] = _root_mean_square(np.asarray(difference[:, others]))
    return scale


def _root_mean_square(values: FloatArray) -> FloatArray:
    """(k,) of each column; 1 where a column is 0."""
    parts = [slice(first, first + _CHUNK) for first in range(0, len(values), _CHUNK)]
    largest = np.zeros(values.shape[1])
    for part in parts:
        np.maximum(largest, np.abs(values[part]).max(axis=0), out=largest)
    largest[largest == 0] = 1.0
    total = np.zeros_like(largest)
    for part in parts:
        # Divided by the largest first: squares of very large or small values leave the floats'
        # range. Sums go on from row to row, so that they are the same whatever the parts.
        squares = (values[part] / largest) ** 2
        squares[0] += total
        total = squares.sum(axis=0)
    scale = largest * np.sqrt(total / len(values))
    return np.where(scale == 0, 1.0, scale)
