"""A learned representation: a small network from attributes and contexts to fewer features z.

    z(x, y) = V tanh(U s + a),  s = ((attributes of y, contexts of x, group) - centre) / scale

Held as plain arrays, so that it is saved and loaded like any other numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from bayes_pref.errors import DataError
from bayes_pref.messages import listed
from bayes_pref.types import FloatArray


@dataclass(frozen=True, eq=False)
class Representation:
    """A trained network, and what goes into it.

    Attributes
    ----------
    attributes, contexts
        Names of the inputs, in order.
    groups
        Labels of the groups whose indicators are inputs, too; empty if none are.
    centre, scale
        (p,) of the inputs, indicators included.
    inner, bias, outer
        (h, p), (h,) and (k, h): U, a and V.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones(1)
    >>> network = Representation(("length",), (), (), 0 * one, one, np.eye(1), 0 * one, np.eye(1))
    >>> network(np.array([[0.0], [1.0]]), np.empty((2, 0))).round(2).ravel()
    array([0.  , 0.76])
    """

    attributes: tuple[str, ...]
    contexts: tuple[str, ...]
    groups: tuple[Any, ...]
    centre: FloatArray
    scale: FloatArray
    inner: FloatArray
    bias: FloatArray
    outer: FloatArray

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the learned features."""
        return tuple(f"z_{k + 1}" for k in range(len(self.outer)))

    def __call__(
        self, attributes: FloatArray, contexts: FloatArray, groups: list[Any] | None = None
    ) -> FloatArray:
        """Learned features (n, k) of n items in their contexts.

        Parameters
        ----------
        attributes, contexts
            (n, ...) in the order of the names.
        groups
            (n,) labels, where the groups' indicators are inputs.

        Raises
        ------
        DataError
            If a group is unknown or missing.
        """
        inputs = np.hstack([attributes, contexts, self._indicators(groups, len(attributes))])
        hidden = np.tanh((inputs - self.centre) / self.scale @ self.inner.T + self.bias)
        return np.asarray(hidden @ self.outer.T)

    def _indicators(self, groups: list[Any] | None, n: int) -> FloatArray:
        """(n, groups) indicators of the group of each row, where the group is an input."""
        if not self.groups:
            return np.empty((n, 0))
        if groups is None:
            raise DataError(
                "this representation has the group as an input, so it says nothing of a new user",
                "name one of its users",
            )
        unknown = [group for group in groups if group not in self.groups]
        if unknown:
            raise DataError(f"unknown group {unknown[0]!r}", f"known are {listed(self.groups)}")
        places = [self.groups.index(group) for group in groups]
        return np.eye(len(self.groups))[places].reshape(n, -1)

    def state(self) -> tuple[dict[str, Any], dict[str, FloatArray]]:
        """Names ready for JSON, and arrays."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        return {name: list(values[name]) for name in values if name not in arrays}, arrays

    @classmethod
    def from_state(
        cls, names: Mapping[str, Any], arrays: Mapping[str, FloatArray]
    ) -> Representation:
        """Build what `state` described."""
        labels: dict[str, Any] = {name: tuple(value) for name, value in names.items()}
        values: dict[str, Any] = dict(arrays)
        return cls(**labels, **values)
