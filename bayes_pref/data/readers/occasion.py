"""Attributes of what was shown, beside items that have a reward each: length, lists, position.

An item's own reward is then net of them: what it would be worth with the attributes of the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from bayes_pref.data.coding import Coding, read_coded
from bayes_pref.data.coding_options import CodingOptions
from bayes_pref.data.table import Table
from bayes_pref.errors import DataError
from bayes_pref.messages import shown
from bayes_pref.types import FloatArray

Occasion: TypeAlias = Mapping[str, "str | Sequence[str]"]


@dataclass(frozen=True)
class OccasionReader:
    """Columns of the attributes of both sides, by name.

    Parameters
    ----------
    columns
        Of each attribute the columns of the left and of the right side, or the one column that
        holds left minus right.

    Examples
    --------
    >>> import pandas as pd
    >>> read = OccasionReader.of({"length": ("length_a", "length_b")})
    >>> table = Table.read(pd.DataFrame({"length_a": [3, 1], "length_b": [1, 2]}))
    >>> read.differences(table, {})
    array([[ 2.],
           [-1.]])
    """

    columns: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, attributes: Occasion | None) -> OccasionReader:
        """Read what a caller gave as ``attributes=``.

        Raises
        ------
        DataError
            If it is anything else than one or two columns an attribute.
        """
        if attributes is None:
            return cls({})
        found: dict[str, tuple[str, ...]] = {}
        for name, given in attributes.items() if isinstance(attributes, Mapping) else ():
            each = (given,) if isinstance(given, str) else tuple(given)
            found[str(name)] = tuple(str(column) for column in each)
        if not found or not all(len(each) in (1, 2) for each in found.values()):
            raise DataError(
                f"attributes must name the columns of both sides, got {shown(attributes)}",
                "write attributes={'length': ('length_a', 'length_b')}, or one column of "
                "differences, left minus right, as in {'length': 'longer_by'}",
            )
        return cls(found)

    def roles(self) -> dict[str, list[str]]:
        """Columns of each role, as `Table.require_roles` takes them."""
        named = [column for each in self.columns.values() for column in each]
        return {"attributes": named} if named else {}

    def learn(self, table: Table, options: CodingOptions) -> dict[str, Coding]:
        """Find how the attributes are coded, by name; differences are numbers."""
        sided = {name: each for name, each in self.columns.items() if len(each) == 2}
        if not sided:
            options.require(tuple(sided), "differences are numbers: name both columns instead")
            return {}
        return options.learn_all(table, tuple(sided), *zip(*sided.values(), strict=True))

    def differences(self, table: Table, codings: Mapping[str, Coding]) -> FloatArray:
        """(n, k) attributes of the left side minus those of the right."""
        parts: list[Any] = [np.empty((len(table.frame), 0))]
        for name, each in self.columns.items():  # a loop over attributes
            if len(each) == 1:
                parts.append(table.numbers(each))
                continue
            ours, theirs = (read_coded(table, [name], codings, [side]) for side in each)
            with np.errstate(over="ignore"):  # Comparisons refuse what overflows, by name
                parts.append(ours - theirs)
        return np.hstack(parts)
