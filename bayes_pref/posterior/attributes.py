"""Attributes by the caller's names: their levels, or the numbers that they take, as features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons, Features
from bayes_pref.data.coding import Coding
from bayes_pref.data.table import Table
from bayes_pref.errors import DataError
from bayes_pref.messages import closest, listed, shown
from bayes_pref.types import FloatArray, IntArray, Mask

_UNITS = {"log": "unit of the logarithm", "standardise": "standard deviation"}
_ITEM = "item"


@dataclass(frozen=True, eq=False)
class Attribute:
    """An attribute of alternatives, or the items that have a reward each.

    Attributes
    ----------
    name
        As the caller's tables have it; "item" for the items.
    places
        (c,) its features among the attributes of the data.
    coding
        How it becomes features; None for plain numbers and for items.
    items
        Labels of the items.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> data = bp.simulate(
    ...     users=5, features=0, categories={"brand": ["A", "B"]}, seed=0
    ... ).comparisons
    >>> [brand] = attributes_of(data)
    >>> brand.levels, brand.baseline, brand.values_of(["B"], "values")
    (('A', 'B'), 'A', array([[1.]]))
    """

    name: str
    places: IntArray
    coding: Coding | None = None
    items: tuple[Any, ...] = ()

    @property
    def levels(self) -> tuple[Any, ...]:
        """Its levels; empty for a number."""
        if self.items:
            return self.items
        return self.coding.levels if self.coding is not None and self.coding.of_levels else ()

    @property
    def baseline(self) -> Any:
        """The level against which others are stated unless another is named."""
        return self.items[0] if self.items else self.coding.baseline if self.coding else None

    @property
    def unit(self) -> str:
        """What one unit of its feature is, for a number."""
        return _UNITS.get(self.coding.kind, "unit") if self.coding is not None else "unit"

    def values_of(self, labels: Sequence[Any], argument: str) -> FloatArray:
        """(n, c) features of levels, or of numbers in raw units.

        Raises
        ------
        DataError
            If a level is unknown, or a number is none or has no logarithm.
        """
        if self.items:
            return np.eye(len(self.items))[[self.place(label, argument) for label in labels]]
        if self.levels:
            assert self.coding is not None
            return self.coding.basis[[self.place(label, argument) for label in labels]]
        table = Table.read(pd.DataFrame({self.name: list(labels)}), argument)
        if self.coding is not None:
            return self.coding.values(table, self.name)
        return table.numbers([self.name])

    def place(self, level: Any, argument: str) -> int:
        """Position of a level.

        Raises
        ------
        DataError
            If there is no such level.
        """
        for number, known in enumerate(self.levels):
            # Not ==, by which 1 is True.
            if known == level and isinstance(known, bool) == isinstance(level, bool | np.bool_):
                return number
        raise DataError(
            f"{argument}: attribute {self.name!r} has no level {shown(level)}"
            f"{closest(level, self.levels) or f'; its levels are {listed(self.levels, limit=20)}'}"
        )

    def options(self, values: FloatArray, known: Mask) -> FloatArray:
        """(o, c) features of its levels, or of the distinct numbers among those shown.

        Parameters
        ----------
        values
            (m, k) attributes of the alternatives shown.
        known
            (k,) whether they are more than differences.

        Raises
        ------
        DataError
            If the numbers are not known.
        """
        if self.levels:
            return self.values_of(self.levels, "over")
        if not known[self.places].all():
            raise only_differences(self.name)
        return np.unique(values[:, self.places], axis=0)

    def raw(self, values: FloatArray) -> list[float]:
        """Numbers in the caller's units, of features (n,)."""
        return [float(f"{value:.12g}") for value in self._in_units(values)]

    def labels_of(self, values: FloatArray) -> Any:
        """(n,) levels, or numbers in the caller's units, of features (n, c)."""
        if not self.levels:
            return self._in_units(values[:, 0])
        apart = values[:, None, :] - self.values_of(self.levels, "values")
        levels = np.empty(len(self.levels), dtype=object)
        levels[:] = self.levels
        return levels[np.square(apart).sum(axis=2).argmin(axis=1)]

    def _in_units(self, values: FloatArray) -> FloatArray:
        if self.coding is None:
            return values
        values = values * self.coding.scale + self.coding.centre
        return np.exp(values) if self.coding.kind == "log" else values


def only_differences(name: str) -> DataError:
    """Say that the values of an attribute are not known."""
    return DataError(
        f"the data hold only differences of {name!r}, not its values",
        "read them with left= and right=, or give over= a table of profiles",
    )


def attributes_of(comparisons: Comparisons) -> list[Attribute]:
    """List the attributes of what is compared, items first, without the outside option.

    Products of attributes are no attributes.

    Raises
    ------
    DataError
        If a formula has a product of what does not stand alone in it, whose values are not known.
    """
    features = comparisons.features
    refuse_hidden(features)
    codings = {coding.name: coding for coding in features.codings}
    found = []
    if features.items:
        found.append(Attribute(_ITEM, np.arange(len(features.items)), None, features.items))
    products = set(features.products)
    for name in features.columns[len(features.items) :]:  # a loop over attributes
        coding = codings.get(name)
        if name in products or (coding is not None and not coding.has_range):
            continue
        columns = (name,) if coding is None else coding.columns
        places = np.array([features.attributes.index(column) for column in columns])
        found.append(Attribute(name, places, coding))
    return found


def refuse_hidden(features: Features) -> None:
    """Refuse a formula with products of what does not stand alone in it.

    Raises
    ------
    DataError
        If there is such a product: from it alone nobody knows what it was made of.
    """
    if features.formula is None:
        return
    for product in features.formula.products:
        hidden = [name for name in product.variables if name not in features.columns]
        if hidden:
            raise DataError(
                f"by the formula {shown(product.names[0])} changes with {hidden[0]!r}, which does "
                "not stand alone in it, so that its values are not kept",
                f"add + {hidden[0]} to the formula, or compare whole items with "
                "posterior.preference(left, right) or market_shares(items)",
            )


def find_attribute(name: object, known: Sequence[Attribute], argument: str) -> Attribute:
    """Find an attribute by its name.

    Raises
    ------
    DataError
        If there is none.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> data = bp.simulate(users=5, features=["price"], seed=0).comparisons
    >>> find_attribute("prize", attributes_of(data), "values")
    Traceback (most recent call last):
    bayes_pref.errors.DataError: values: there is no attribute 'prize'; did you mean 'price'?
    """
    names = [attribute.name for attribute in known]
    if isinstance(name, str) and name in names:
        return known[names.index(name)]
    hint = closest(name, names) or f"; the attributes are {listed(names, limit=20)}"
    raise DataError(f"{argument}: there is no attribute {shown(name)}{hint}")
