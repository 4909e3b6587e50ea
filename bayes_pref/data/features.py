"""Features: where attributes come from, and how they become the columns of a reward.

Attributes are columns of a table, indicators of items (`Features.indicators`), what a `TextSource`
makes of texts, or the output of a trained network (`data.network.Representation`). Contexts are
the same for both sides. The features are the attributes and the products of attributes and contexts
that were asked for.

A reward is phi(x, y) . w, where x is the context (a prompt) and y the item (a response). A
comparison depends on the difference of two rewards in the same context. Terms that depend on x
alone cancel, so that x acts through its products with the attributes of y.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from bayes_pref.data.plain_labels import refuse_names
from bayes_pref.data.table import Table, TableLike, column_names
from bayes_pref.errors import DataError
from bayes_pref.messages import listed, suggestion
from bayes_pref.types import FloatArray

# Words of a column name: left_length, leftLength, length.a and length1 all hold two.
_WORD = re.compile(r"\d+|[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+")


class TextSource(Protocol):
    """Where attributes and contexts come from when items are texts; `Comparisons.text` is one."""

    @property
    def names(self) -> tuple[str, ...]:
        """(k,) names of the attributes."""

    @property
    def context_names(self) -> tuple[str, ...]:
        """(q,) names of the contexts."""

    def attributes(
        self,
        responses: Sequence[str],
        embeddings: FloatArray | None = None,
        *,
        where: Sequence[str] | None = None,
        progress: bool = False,
    ) -> FloatArray:
        """(n, k) attributes of n responses."""

    def contexts(
        self,
        prompts: Sequence[str],
        embeddings: FloatArray | None = None,
        *,
        where: Sequence[str] | None = None,
        progress: bool = False,
    ) -> FloatArray:
        """(n, q) contexts of n prompts."""

    def frame(self, prompts: Sequence[str], responses: Sequence[str]) -> pd.DataFrame:
        """Attributes and contexts of n prompts and responses, one row a response."""

    def with_encoder(self, encoder: Any, cache: str | os.PathLike[str] | None = None) -> TextSource:
        """Return the same source with another encoder."""

    def state(self) -> tuple[dict[str, Any], dict[str, FloatArray]]:
        """Settings ready for JSON, and arrays."""


@dataclass(frozen=True)
class Features:
    """The columns of `Comparisons.difference`, by name.

    Parameters
    ----------
    attributes
        Names of the attributes; a comparison holds their left-minus-right differences.
    contexts
        Names of the context columns, the same for both sides; empty if there are none.
    interactions
        Pairs (attribute, context) whose products are features, too.
    indicators
        True where every item has its own reward: the attributes are the items' labels.

    Raises
    ------
    DataError
        If there is no attribute, if two features share a name, or if an interaction names an
        unknown attribute or context.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_pref as bp
    >>> features = bp.Features(("length", "tone"), ("hard",), (("length", "hard"),))
    >>> features.names
    ('length', 'tone', 'length:hard')
    >>> features.matrix(pd.DataFrame({"length": [2.0], "tone": [1.0], "hard": [3.0]}))
    array([[2., 1., 6.]])
    """

    attributes: tuple[str, ...]
    contexts: tuple[str, ...] = ()
    interactions: tuple[tuple[str, str], ...] = ()
    indicators: bool = False

    def __post_init__(self) -> None:
        """Refuse names that are ambiguous or unknown."""
        if not self.attributes:
            raise DataError("no features: name at least one column that differs within a pair")
        known = {"feature": dict.fromkeys(self.attributes), "context": dict.fromkeys(self.contexts)}
        for pair in self.interactions:
            for name, (role, names) in zip(pair, known.items(), strict=True):
                if name not in names:
                    raise DataError(
                        f"interactions: unknown {role} {name!r}", suggestion(name, names)
                    )
        for role, names in known.items():
            refuse_names(names, "item" if self.indicators and role == "feature" else role)
        doubled = [name for name, n in Counter([*self.names, *self.contexts]).items() if n > 1]
        if doubled:
            raise DataError(
                f"more than one feature or context would be named {listed(doubled)}",
                "give each its own name",
            )

    @property
    def names(self) -> tuple[str, ...]:
        """(d,) names of the columns: the attributes, then ``attribute:context`` products."""
        return self.attributes + tuple(":".join(pair) for pair in self.interactions)

    def matrix(self, frame: TableLike, *, name: str = "") -> FloatArray:
        """Read the features of items (or of differences) from a table, by column name.

        Parameters
        ----------
        frame
            m rows with a column for every attribute, and for every context that takes part in an
            interaction; other columns are ignored.
        name
            The argument that the table came in as, which leads the messages.

        Returns
        -------
        matrix: (m, d) raw units, in the order of `names`

        Raises
        ------
        DataError
            If a column is missing, or a value is missing, infinite or not a number.

        Examples
        --------
        >>> import pandas as pd
        >>> import bayes_pref as bp
        >>> bp.Features(("length",)).matrix(pd.DataFrame({"length": [1, 2]}, index=["a", "b"]))
        array([[1.],
               [2.]])
        """
        table = Table.read(frame, name)
        used = tuple(dict.fromkeys(context for _, context in self.interactions))
        table.require([*self.attributes, *used])
        contexts = np.zeros((len(table.frame), len(self.contexts)))
        contexts[:, [self.contexts.index(name) for name in used]] = table.numbers(used)
        return self.expand(table.numbers(self.attributes), contexts)

    def expand(self, attributes: FloatArray, contexts: FloatArray) -> FloatArray:
        """Append the products of attributes and contexts.

        Parameters
        ----------
        attributes
            (n, k) attributes of items, or their differences, in the order of `attributes`.
        contexts
            (n, q) contexts, in the order of `contexts`.

        Returns
        -------
        matrix: (n, d) raw units, in the order of `names`

        Examples
        --------
        >>> import numpy as np
        >>> import bayes_pref as bp
        >>> features = bp.Features(("length",), ("hard",), (("length", "hard"),))
        >>> features.expand(np.array([[2.0]]), np.array([[3.0]]))
        array([[2., 6.]])
        """
        if not self.interactions:
            return attributes
        columns = {name: k for k, name in enumerate(self.attributes)}
        first = [columns[attribute] for attribute, _ in self.interactions]
        second = [self.contexts.index(context) for _, context in self.interactions]
        with np.errstate(over="ignore"):  # Comparisons refuse what overflows, by name
            return np.hstack([attributes, attributes[:, first] * contexts[:, second]])


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
    return np.array([1.0] * len(features.attributes) + products)


def _root_mean_square(values: FloatArray) -> FloatArray:
    """(k,) of each column; 1 where a column is 0."""
    largest = np.abs(values).max(axis=0)
    largest[largest == 0] = 1.0
    # Divided by the largest first: squares of very large or small values leave the floats' range.
    scale = largest * np.sqrt(np.mean((values / largest) ** 2, axis=0))
    return np.where(scale == 0, 1.0, scale)


def interaction_pairs(
    interactions: str | Sequence[tuple[str, str]] | None,
    attributes: Sequence[str],
    contexts: Sequence[str],
) -> tuple[tuple[str, str], ...]:
    """Spell out the interactions a caller asked for: none, ``"all"``, or a list of pairs."""
    if interactions is None:
        return ()
    if not contexts:
        raise DataError("interactions need context columns", "name them in context=[...]")
    if isinstance(interactions, str):
        if interactions != "all":
            raise DataError(
                "interactions must be None, 'all' or pairs (feature, context), "
                f"got {interactions!r}"
            )
        return tuple((attribute, context) for attribute in attributes for context in contexts)
    pairs = [column_names(pair) for pair in interactions]
    for pair in pairs:
        if len(pair) != 2:
            raise DataError(f"interactions: expected pairs (feature, context), got {pair!r}")
    return tuple((attribute, context) for attribute, context in pairs)


def shared_names(left: Sequence[str], right: Sequence[str]) -> tuple[str, ...]:
    """Name features by what their left and right columns share.

    The part that tells the sides apart must be the same in every pair, or else two lists in
    different orders would silently subtract one feature from another.

    Parameters
    ----------
    left, right
        Column names, paired by position.

    Returns
    -------
    names: as many as there are pairs

    Raises
    ------
    DataError
        If a pair shares no word, or the sides are marked differently from pair to pair.

    Examples
    --------
    >>> shared_names(["left_length", "left_tone"], ["right_length", "right_tone"])
    ('length', 'tone')
    >>> shared_names(["lengthA"], ["lengthB"])
    ('length',)
    """
    pairs = [_shared(*pair) for pair in zip(left, right, strict=True)]
    for one, other, (name, marks) in zip(left, right, pairs, strict=True):
        if not name or marks != pairs[0][1]:
            reason = (
                "share no word that could name the feature"
                if not name
                else f"do not differ as {left[0]!r} and {right[0]!r} do"
            )
            raise DataError(
                f"left column {one!r} and right column {other!r} {reason}",
                "check their order, or name the features with features=[...]",
            )
    return tuple(name for name, _ in pairs)


def _shared(left: str, right: str) -> tuple[str, tuple[str, str]]:
    """Find what two column names share, and the words that set them apart."""
    ours, theirs = list(_WORD.finditer(left)), list(_WORD.finditer(right))
    words, others = [m.group() for m in ours], [m.group() for m in theirs]
    most = min(len(words), len(others))
    head = next((k for k in range(most) if words[k] != others[k]), most)
    most -= head
    tail = next((k for k in range(most) if words[-1 - k] != others[-1 - k]), most)
    marks = ("_".join(words[head : len(words) - tail]), "_".join(others[head : len(others) - tail]))
    before = left[: ours[head - 1].end()] if head else ""
    after = left[ours[-tail].start() :] if tail else ""
    if before and after:  # keep the separator in front of what follows: x_left_len -> x_len
        before += left[ours[-tail - 1].end() : ours[-tail].start()]
    return before + after, marks
