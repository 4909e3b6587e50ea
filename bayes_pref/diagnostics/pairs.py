"""What each comparison of a diagnosis was about: what differs between its sides, and contexts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_pref.data import Comparisons, PairedChoice
from bayes_pref.diagnostics.query import Query
from bayes_pref.messages import printable
from bayes_pref.types import FloatArray, IntArray

_MOST = 12  # differences of a pair that are named, the largest
_DIGITS = 4  # of a value
_SIDES = {1.0: "left", 0.0: "right"}


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs of a query in words and numbers.

    Parameters
    ----------
    query
        The comparisons.
    fitted
        Those that the posterior was fitted to. Where the query is about these, the attributes of
        both sides and the answers are known.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> from bayes_pref.diagnostics.query import read_query
    >>> pairs = Pairs(read_query(posterior), posterior.comparisons)
    >>> pairs.texts([0])[0].split(";")[0]
    'feature_1 +2.671, feature_4 -1.7, feature_2 +0.08678, feature_3 +0.05173'
    """

    query: Query
    fitted: Comparisons

    @property
    def answers(self) -> list[str] | None:
        """(n,) which side was chosen; None where it is not known, or no single side."""
        of_fitted = self.query.difference is self.fitted.difference
        if not of_fitted or not isinstance(self.fitted.outcome, PairedChoice):
            return None
        return [_SIDES.get(value, "tie") for value in self.fitted.choice.tolist()]

    @property
    def names(self) -> tuple[str, ...]:
        """(k,) the attributes; products of these and contexts follow from both."""
        return self.fitted.features.attributes

    @property
    def _difference(self) -> FloatArray:
        """(n, k) differences of the attributes."""
        return self.query.difference[:, : len(self.names)]

    @property
    def _right(self) -> FloatArray | None:
        """(n, k) attributes of the right side, where both are known."""
        return self.fitted.right if self.query.difference is self.fitted.difference else None

    @property
    def _is_item(self) -> list[bool]:
        """(k,) whether an attribute of a pair only says which item is on which side."""
        of_items = self.fitted.features.of_items[: len(self.names)]
        return [bool(each) and self.query.task is None for each in of_items]

    def data(self, rows: IntArray) -> dict[str, Any]:
        """Return the pairs of some rows as the script of the page reads them.

        Parameters
        ----------
        rows
            (m,) places.
        """
        return {
            "features": [printable(name) for name in self.names],
            "items": self._is_item,
            "differences": self._differences(rows),
            "left_out": np.maximum((self._difference[rows] != 0).sum(axis=1) - _MOST, 0).tolist(),
            "contexts": [printable(name) for name in self.fitted.features.contexts],
            "context": self._context(rows),
        }

    def texts(self, rows: Sequence[int]) -> list[str]:
        """Return the pairs of some rows in words.

        Parameters
        ----------
        rows
            (m,) places.
        """
        data = self.data(np.asarray(rows, dtype=np.int64))
        names, contexts = data["features"], data["contexts"]
        found = []
        for differences, left_out, context in zip(
            data["differences"], data["left_out"], data["context"], strict=True
        ):  # a few rows: the examples of a page
            parts = [self._said(names[k], k, values) for k, *values in differences]
            parts += [f"and {left_out} more"] if left_out else []
            given = [f"{contexts[k]} = {value:g}" for k, value in context]
            found.append("; ".join(filter(None, [", ".join(parts), ", ".join(given)])))
        return found

    def _said(self, name: str, place: int, values: Sequence[float]) -> str:
        if len(values) == 2:
            return f"{name} {values[0]:g} against {values[1]:g}"
        if self._is_item[place]:
            return f"{'left' if values[0] > 0 else 'right'}: {name}"
        return f"{name} {values[0]:+g}"

    def _differences(self, rows: IntArray) -> list[list[list[float]]]:
        """For each row: attribute, and its difference or its values on both sides."""
        difference = self._difference[rows]
        size = np.abs(difference) / self.fitted.feature_scale[: len(self.names)]
        # The largest first, and of an item on either side that on the left.
        named = np.lexsort((difference < 0, -size), axis=1)[:, :_MOST]
        difference = np.take_along_axis(difference, named, axis=1)
        right = self._right
        parts: list[list[Any]] = [named.tolist(), _short(difference)]
        if right is not None:
            of_right = np.take_along_axis(right[rows], named, axis=1)
            parts += [_short(of_right + difference), _short(of_right)]
        both = right is not None and not any(self._is_item)
        # The data of a page have to become lists, row by row.
        return [
            [
                [feature, *sides] if both else [feature, value]
                for feature, value, *sides in zip(*row, strict=True)
                if value
            ]
            for row in zip(*parts, strict=True)
        ]

    def _context(self, rows: IntArray) -> list[list[list[float]]]:
        """For each row: context, and its value; of indicators those that are on."""
        context = self.query.context[rows]
        indicator = [bool(np.isin(column, (0.0, 1.0)).all()) for column in self.fitted.context.T]
        return [
            [[k, value] for k, value in enumerate(row) if value or not indicator[k]][:_MOST]
            for row in _short(context)
        ]


def _short(values: FloatArray) -> list[list[float]]:
    """Values with few digits, whole numbers without a point: these are written shorter."""
    numbers = [float(f"{value:.{_DIGITS}g}") for value in values.ravel().tolist()]
    entries = [
        int(value) if abs(value) < 1e15 and value == int(value) else value for value in numbers
    ]
    width = values.shape[1]
    return [entries[row * width : (row + 1) * width] for row in range(len(values))]
