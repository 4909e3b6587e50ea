"""Features: where attributes come from, and how they become the columns of a reward.

Attributes are columns of a table, indicators of items (`Features.indicators`), what a `TextSource`
makes of texts, or the output of a trained network (`data.network.Representation`). Contexts are
the same for both sides. The features are the attributes and the products of attributes and contexts
that were asked for. An attribute with levels has several features, and numbers may be entered on
another scale (`Features.codings`).

A reward is phi(x, y) . w, where x is the context (a prompt) and y the item (a response). A
comparison depends on the difference of two rewards in the same context. Terms that depend on x
alone cancel, so that x acts through its products with the attributes of y.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd

from bayes_pref.data.coding import Coding, read_coded
from bayes_pref.data.context_coding import with_coded
from bayes_pref.data.formula import Formula
from bayes_pref.data.indicator_rows import with_products
from bayes_pref.data.plain_labels import refuse_names
from bayes_pref.data.sparse_rows import LARGE, compressed, held, is_sparse
from bayes_pref.data.table import Table, TableLike
from bayes_pref.errors import DataError
from bayes_pref.messages import listed, shown, suggestion
from bayes_pref.types import FloatArray, IntArray, Mask


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
        True where every item has its own reward: the attributes are the items' labels, and then
        the attributes of what was shown, if there are any `beside` them.
    codings
        Of columns that are levels, or numbers on another scale: their features, such as
        ``brand[B]``, stand among `attributes`.
    beside
        Where items have rewards: how many of the attributes, the last ones, are no items.
    context_codings
        Of contexts that are words, or numbers on another scale, in the caller's tables.
    sources
        The columns that the features were read from, by their role: "left" and "right", or "task"
        and "item", and the id of the outside option, "none" (empty: without rows). Empty where
        columns are named as the features. It does not count when features are compared.
    formula
        Where the attributes are terms of a formula: how to make them of the caller's columns.

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
    codings: tuple[Coding, ...] = ()
    beside: int = 0
    context_codings: tuple[Coding, ...] = ()
    sources: tuple[tuple[str, tuple[str, ...]], ...] = field(default=(), compare=False, repr=False)
    formula: Formula | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse names that are ambiguous or unknown."""
        if not self.attributes:
            raise DataError("no features: name at least one column that differs within a pair")
        if self.beside and not (self.indicators and 0 < self.beside < len(self.attributes)):
            raise DataError(f"{shown(self.beside)} attributes cannot be beside those of items")
        for coding in self.codings:
            if not set(coding.columns) <= set(self.attributes):
                raise DataError(f"the features of attribute {coding.name!r} are not all there")
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

    @property
    def items(self) -> tuple[str, ...]:
        """Labels of the items that have a reward each, which come first among the attributes."""
        return self.attributes[: len(self.attributes) - self.beside] if self.indicators else ()

    @property
    def of_items(self) -> Mask:
        """(d,) whether a feature is an item's reward, or its product with a context."""
        owners = [*self.attributes, *(attribute for attribute, _ in self.interactions)]
        items = set(self.items)
        return np.array([owner in items for owner in owners])

    @property
    def level_blocks(self) -> tuple[tuple[IntArray, IntArray], ...]:
        """Features of items whose sum is the same for all that is compared.

        Each is the places of all items' rewards, or products with one context, and these with those
        of the outside option, to which no item belongs.

        Examples
        --------
        >>> pairs = (("tea", "cold"), ("mate", "cold"))
        >>> blocks = Features(("tea", "mate"), ("cold",), pairs, indicators=True).level_blocks
        >>> [items.tolist() for items, _ in blocks]
        [[0, 1], [2, 3]]
        """
        if not self.indicators:
            return ()
        outside = [coding.name for coding in self.codings if coding.kind == "outside"]
        names = [*((name, None) for name in self.attributes), *self.interactions]
        place = {name: k for k, name in enumerate(names)}
        blocks = []
        for context in (None, *dict.fromkeys(context for _, context in self.interactions)):
            items = [place.get((name, context), -1) for name in self.items]
            every = items + [place.get((name, context), -1) for name in outside]
            if min(every) >= 0:
                blocks.append((np.array(items), np.array(every)))
        return tuple(blocks)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the attributes as the caller's tables have them: one for each coding."""
        of = {column: coding.name for coding in self.codings for column in coding.columns}
        return tuple(dict.fromkeys(of.get(name, name) for name in self.attributes))

    @property
    def contrasts(self) -> FloatArray:
        """(k, k) what one unit more of each attribute is: of a level, that level for the baseline.

        Examples
        --------
        >>> brand = Coding(name="brand", kind="effect", levels=("A", "B"), baseline="A")
        >>> Features(("brand[B]",), codings=(brand,)).contrasts
        array([[2.]])
        """
        made = np.eye(len(self.attributes))
        for coding in self.codings:
            places = [self.attributes.index(column) for column in coding.columns]
            made[np.ix_(places, places)] = coding.contrasts
        return made

    def read_from(self, **sources: Sequence[str]) -> Features:
        """Return the features with the columns that they were read from, by role."""
        kept = tuple((role, tuple(columns)) for role, columns in sources.items())
        return replace(self, sources=kept)

    def matrix(self, frame: TableLike, *, name: str = "") -> FloatArray:
        """Read the features of items (or of differences) from a table, by column name.

        Parameters
        ----------
        frame
            m rows with a column for every attribute, and for every context that takes part in an
            interaction; other columns are ignored. A column of levels holds levels, and may be
            replaced by those of its features; one for the outside option may be left out, and the
            other attributes of that option may be missing.
        name
            The argument that the table came in as, which leads the messages.

        Returns
        -------
        matrix: (m, d) raw units, in the order of `names`

        Raises
        ------
        DataError
            If a column is missing, or a value is missing, infinite or not a number, or a level is
            none of those in the fitted data.

        Examples
        --------
        >>> import pandas as pd
        >>> import bayes_pref as bp
        >>> bp.Features(("length",)).matrix(pd.DataFrame({"length": [1, 2]}, index=["a", "b"]))
        array([[1.],
               [2.]])
        """
        table = self.with_products(with_coded(Table.read(frame, name), self.context_codings))
        self.require(table)
        return self.expand(self._attributes(table), self.used_contexts(table))

    def difference_matrix(self, frame: TableLike, *, name: str = "") -> FloatArray:
        """Read differences of features from a table: as `matrix`, with columns of `differences`."""
        table = with_coded(Table.read(frame, name), self.context_codings)
        return self.expand(self.differences(table), self.used_contexts(table))

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what the attributes are made of, as the caller's tables have it."""
        return self.columns if self.formula is None else self.formula.inputs

    @property
    def products(self) -> tuple[str, ...]:
        """Names of the attributes that are products of others, or arithmetic, by a formula."""
        terms = () if self.formula is None else self.formula.products
        return tuple(name for term in terms for name in term.names)

    def with_products(self, table: Table) -> Table:
        """Return a table of items with the columns of `products`."""
        return table if self.formula is None else self.formula.applied(table)

    def used_contexts(self, table: Table) -> FloatArray:
        """(m, q) contexts that take part in an interaction, and 0 for the others."""
        used = tuple(dict.fromkeys(context for _, context in self.interactions))
        contexts = np.zeros((len(table.frame), len(self.contexts)))
        contexts[:, [self.contexts.index(name) for name in used]] = table.numbers(used)
        return contexts

    def require(self, table: Table) -> None:
        """Refuse a table of items that lacks a column; see `matrix`."""
        used = dict.fromkeys(context for _, context in self.interactions)
        of_used = [each for each in self.context_codings if used.keys() & {*each.columns}]
        table = self.with_products(with_coded(table, of_used, needed=True))
        if self.formula is not None:
            self.formula.require(table)
        there = set(table.frame.columns)
        if self.items and not there & {*self.items, "item"}:
            table.require(["item"])
        whole = {each.name for each in self.codings if set(each.columns) <= there}
        optional = whole | {each.name for each in self.codings if each.kind == "outside"}
        table.require([*(name for name in self.columns if name not in optional - there), *used])

    def _attributes(self, table: Table) -> FloatArray:
        """(m, k) attributes of items."""
        if not self.codings:
            return table.numbers(self.attributes)
        there = set(table.frame.columns)
        outside = [each.name for each in self.codings if each.kind == "outside"]
        given = table.numbers([name for name in outside if name in there])
        skipped = np.asarray(given.any(axis=1)) if given.size else None
        by_name = {each.name: each for each in self.codings}
        parts = []
        for name in self.columns:  # a loop over attributes
            coding = by_name.get(name)
            if name in outside:
                found = table.numbers([name]) if name in there else np.zeros((len(table.frame), 1))
            elif coding is not None and name not in there:  # its features are given instead
                found = table.numbers(coding.columns)
            else:
                found = read_coded(table, [name], by_name, skipped=skipped)
            parts.append(found)
        return np.hstack(parts)

    def differences(self, table: Table) -> FloatArray:
        """(n, k) differences of attributes, from columns named as the features.

        Raises
        ------
        DataError
            As `matrix`, and for a column of levels, of which one is no difference.
        """
        there = set(table.frame.columns)
        for coding in self.codings:
            if coding.name in there and not set(coding.columns) <= there:
                what = "levels" if coding.of_levels else "numbers on another scale"
                raise DataError(
                    f"column {coding.name!r} holds {what}, and a difference needs both sides",
                    f"give left and right, or the columns {listed(coding.columns)}",
                )
        outside = [each.name for each in self.codings if each.kind == "outside"]
        absent = [name for name in outside if name not in there]
        table = Table(table.frame.assign(**dict.fromkeys(absent, 0.0)), table.name, table.sides)
        return table.numbers(self.attributes)

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
        if self.indicators and (is_sparse(attributes) or len(attributes) * len(self.names) > LARGE):
            rows, places = compressed(attributes), (np.array(first), np.array(second))
            return held(with_products(rows, places[0], contexts, places[1]))
        with np.errstate(over="ignore"):  # Comparisons refuse what overflows, by name
            return np.hstack([attributes, attributes[:, first] * contexts[:, second]])
