"""The catalogue: attributes of the items, indexed by item label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from bayes_pref.data.asked_features import coded_features
from bayes_pref.data.coding import Coding, coded_names, read_coded
from bayes_pref.data.coding_options import CodingOptions
from bayes_pref.data.features import Features
from bayes_pref.data.formula import Formula
from bayes_pref.data.indicator_rows import indicator_differences, indicators
from bayes_pref.data.plain_labels import REMEDY, odd_label, refuse_names
from bayes_pref.data.readers.formula_terms import read_formula
from bayes_pref.data.sparse_rows import LARGE, compressed, held, is_sparse
from bayes_pref.data.table import Table, TableLike
from bayes_pref.errors import DataError, Place
from bayes_pref.messages import shown, suggestion
from bayes_pref.types import FloatArray, IntArray


def differences(attributes: FloatArray, left: IntArray, right: IntArray) -> FloatArray:
    """(n, k) attributes (m, k) of the left items minus those of the right, given by position."""
    if is_sparse(attributes):
        rows = compressed(attributes)
        return held(csr_array(rows[left] - rows[right]))
    difference: FloatArray = attributes[left]
    with np.errstate(over="ignore"):  # Comparisons refuse what overflows, by name
        difference -= attributes[right]
    return difference


@dataclass(frozen=True)
class Catalogue:
    """Attributes of items as features.

    Parameters
    ----------
    frame
        (m, k) features of the items, indexed by item label; text column names.
    names
        Names of the attributes, as the caller's table has them.
    codings
        Codings of some of them, by name.
    indicators
        Whether every item has its own reward.
    n_beside
        How many features beside these belong to what is shown, and not to the item: 0 in `frame`.
    formula
        How the features are made of the caller's columns, where a formula says so.

    Examples
    --------
    >>> drinks = pd.DataFrame({"item": ["tea", "milk"], "from": ["leaf", "cow"]})
    >>> Catalogue.read(drinks, CodingOptions()).frame
          from[leaf]
    item
    tea          1.0
    milk        -1.0
    """

    frame: pd.DataFrame
    names: tuple[str, ...]
    codings: Mapping[str, Coding]
    indicators: bool
    n_beside: int = 0
    formula: Formula | None = None

    @classmethod
    def of_labels(cls, labels: pd.Index[Any], options: CodingOptions | None = None) -> Catalogue:
        """Return the catalogue of items that have a reward each: one indicator an item."""
        (options or CodingOptions()).require((), "the items have no attributes: give items=")
        names = [str(label) for label in labels]
        refuse_names(names, "item")
        frame = indicator_frame(labels, names)
        return cls(frame, tuple(names), {}, indicators=True)

    @classmethod
    def read(
        cls, items: TableLike, options: CodingOptions, formula: str | Formula | None = None
    ) -> Catalogue:
        """Read a table with one row an item."""
        frame = _attributes(items)
        names, table = tuple(frame.columns), Table(frame, "items")
        learnt = None
        if formula is None:
            codings = options.learn_all(table, names)
        else:
            options.require((), "the formula says how attributes are coded")
            learnt = read_formula(formula, frame)
            names, table = learnt.terms, learnt.applied(table)
            codings = {each.name: each for each in learnt.codings}
        values, columns = read_coded(table, names, codings), list(coded_names(names, codings))
        index = frame.index.rename("item")
        made = pd.DataFrame(values, index=index, columns=columns)
        return cls(made, names, codings, indicators=False, formula=learnt)

    def beside(self, names: Sequence[str], codings: Mapping[str, Coding]) -> Catalogue:
        """Return items with rewards of their own beside features of what is shown.

        Parameters
        ----------
        names, codings
            Names of the attributes, and codings of some of them by name.

        Examples
        --------
        >>> Catalogue.of_labels(pd.Index(["tea", "milk"])).beside(["warm"], {}).frame
              tea  milk  warm
        tea   1.0   0.0   0.0
        milk  0.0   1.0   0.0
        """
        columns = coded_names(names, codings)
        refuse_names(columns, "feature")
        both = [name for name in (*names, *columns) if name in self.frame.columns]
        if both:
            raise DataError(f"{both[0]!r} is an item and an attribute", "rename one of them")
        frame = indicator_frame(self.frame.index, [*self.frame.columns, *columns])
        return Catalogue(frame, (*self.names, *names), codings, True, len(columns))

    def differences(self, left: IntArray, right: IntArray) -> FloatArray:
        """(n, k) features of the left items minus those of the right, given by position."""
        if self.indicators and not self.n_beside:
            return held(indicator_differences(left, right, len(self.frame)))
        return differences(self.values(), left, right)

    def values(self) -> FloatArray:
        """(m, k) features of the items."""
        return self.frame.to_numpy(np.float64)

    def features(
        self,
        contexts: Sequence[str],
        interactions: Literal["all"] | Sequence[tuple[str, str]] | None,
        of_contexts: Mapping[str, Coding] | None = None,
    ) -> Features:
        """Features of comparisons of these items.

        Examples
        --------
        >>> drinks = Catalogue.of_labels(pd.Index(["tea", "milk"]))
        >>> drinks.features(["hot"], "all").names
        ('tea', 'milk', 'tea:hot', 'milk:hot')
        """
        made = coded_features(self.names, self.codings, contexts, interactions, of_contexts)
        made = replace(made, indicators=self.indicators, beside=self.n_beside)
        return made if self.formula is None else replace(made, formula=self.formula)


def indicator_frame(labels: pd.Index[Any], names: list[str] | pd.Index[Any]) -> pd.DataFrame:
    """Return the catalogue of items with a reward each, whose other features are 0.

    A large one takes no memory.

    Examples
    --------
    >>> indicator_frame(pd.Index(["tea", "milk"]), ["tea", "milk", "warm"])
          tea  milk  warm
    tea   1.0   0.0   0.0
    milk  0.0   1.0   0.0
    """
    values = indicators(len(labels), len(names))
    return pd.DataFrame(values, index=labels, columns=names, copy=False)


def is_plain(frame: pd.DataFrame) -> bool:
    """Whether a catalogue is large and what `indicator_frame` makes."""
    if frame.size <= LARGE or frame.shape[0] > frame.shape[1]:
        return False
    values = frame.to_numpy(np.float64)
    return bool((np.diagonal(values) == 1.0).all()) and np.count_nonzero(values) == len(values)


def item_attributes(items: TableLike | None) -> tuple[str, ...]:
    """Names of the columns that describe items; none where nothing does."""
    return () if items is None else tuple(_attributes(items).columns)


def _attributes(items: TableLike) -> pd.DataFrame:
    """Columns of attributes, under the labels of the items."""
    table = Table.read(items, "items")
    frame = table.frame
    if "item" in frame.columns:
        frame = frame.set_index(pd.Index(table.labels("item"))).drop(columns="item")
    index = frame.index
    if index.hasnans:
        raise DataError("an item has no label", "label every row", place=Place("items"))
    odd = odd_label(index)
    if odd is not None:
        found = f"labels of items must be plain values, and {odd[1]} in row {odd[0]}"
        raise DataError(found, REMEDY, place=Place("items"))
    if index.has_duplicates:
        doubled = shown(index[index.duplicated()][0])
        found = f"item {doubled} has more than one row"
        raise DataError(found, "keep one row an item", place=Place("items"))
    columns = list(frame.columns)
    if not columns:
        raise DataError(
            "has no attribute columns",
            "add one, or pass items=None",
            place=Place("items"),
            subject=True,
        )
    return frame


def item_positions(
    votes: Table, column: str, known: pd.Index[Any], remedy: str = "add it to items"
) -> IntArray:
    """Positions of a column of items in the catalogue; refuse those that are unknown."""
    labels = votes.labels(column)
    votes.refuse_odd(labels, column)
    found = known.get_indexer(pd.Index(labels))
    if (found < 0).any():
        row = int(np.argmax(found < 0))
        label = labels.iloc[row]
        remedy = suggestion(label, known) or remedy
        votes.refuse(column, row, f"unknown item {shown(label)}", remedy)
    return found.astype(np.int64)
