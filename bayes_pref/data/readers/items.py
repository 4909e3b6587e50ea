"""Comparisons of items named by an id: which two a row compares, and which items are connected."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from bayes_pref.data.coding_options import CodingOptions
from bayes_pref.data.context_coding import CodedContexts
from bayes_pref.data.formula import Formula
from bayes_pref.data.indicator_rows import beside, indicator_differences
from bayes_pref.data.outcome import Levels, paired_or_graded
from bayes_pref.data.readers.catalogue import (
    Catalogue,
    differences,
    item_attributes,
    item_positions,
)
from bayes_pref.data.readers.covariates import options_beside
from bayes_pref.data.readers.grouping import group_rows, one_user, warn_of_limits
from bayes_pref.data.readers.occasion import Occasion, OccasionReader
from bayes_pref.data.readers.row_weights import RowWeights
from bayes_pref.data.sides import SidesOption, SidesReader
from bayes_pref.data.sparse_rows import held
from bayes_pref.data.table import Table, TableLike, column_names
from bayes_pref.errors import DataError, DataWarning
from bayes_pref.messages import shown
from bayes_pref.types import FloatArray, IntArray


class ItemsReader:
    """The constructor `from_items` of `Comparisons`."""

    @classmethod
    def from_items(
        cls,
        votes: TableLike,
        items: TableLike | None = None,
        *,
        user: str | None = None,
        left: str | None = None,
        right: str | None = None,
        choice: str | None = None,
        winner: str | None = None,
        loser: str | None = None,
        attributes: Occasion | None = None,
        formula: str | Formula | None = None,
        context: Sequence[str] | None = None,
        interactions: Literal["all"] | Sequence[tuple[str, str]] | None = None,
        covariates: TableLike | None = None,
        levels: Levels | None = None,
        coding: str | Mapping[str, str] = "effect",
        baseline: Mapping[str, Any] | None = None,
        order: Mapping[str, Sequence[Any]] | None = None,
        transform: Mapping[str, str] | None = None,
        frequency: str | None = None,
        survey_weight: str | None = None,
        randomised: str | None = None,
        sides: SidesOption = "as shown",
        seed: int = 0,
    ) -> Self:
        """Read comparisons of items that are named by an id.

        Parameters
        ----------
        votes
            One row a comparison.
        items
            The items' attributes, numbers or levels: one row an item, indexed by its id (or with a
            column ``item`` that holds the ids). None: every item has a reward of its own.
        user, choice
            Columns as in `from_frame`; without a user column, all votes are of one user,
            ``"everyone"``. A choice may also be the name of the column `left` or `right`.
        left, right
            Columns of `votes` that hold the ids of the two items.
        winner, loser
            Instead of `left`, `right` and `choice`: columns with the ids of the item that was
            chosen and of the other. The sides are then tossed.
        attributes
            Attributes of what was shown on this occasion, beside a reward of each item's own: by
            name the columns of the left and the right side (of the winner and the loser), as in
            ``{"length": ("length_a", "length_b")}``, or one column of differences, left minus
            right. An item's reward is then what it is worth at equal attributes.
        formula
            A formula of columns of `items`, as in `from_frame`; without it every column is an
            attribute as it is.
        context, interactions, covariates, levels
            As in `from_frame`; context columns are columns of `votes`.
        coding, baseline, order, transform
            As in `from_frame`, for the columns of `items`, or for `attributes`.
        frequency, survey_weight, randomised, sides, seed
            As in `from_frame`.

        Returns
        -------
        comparisons: rows grouped by user, with the items as its `catalogue`

        Raises
        ------
        DataError
            As `from_frame`, and for items that are unknown, doubled or compared with themselves.

        Warns
        -----
        DataWarning
            As `from_frame`, and for groups of items that nobody compared with one another.

        Examples
        --------
        >>> import pandas as pd
        >>> import bayes_pref as bp
        >>> votes = pd.DataFrame(
        ...     {
        ...         "who": ["ann", "ann", "bob", "bob"],
        ...         "first": ["tea", "milk", "tea", "milk"],
        ...         "second": ["milk", "mate", "mate", "tea"],
        ...         "chosen": [1, 0, 0.5, 0],
        ...     }
        ... )
        >>> comparisons = bp.Comparisons.from_items(
        ...     votes, user="who", left="first", right="second", choice="chosen"
        ... )
        >>> comparisons.feature_names
        ('tea', 'milk', 'mate')
        >>> comparisons.difference[0]
        array([ 1., -1.,  0.])
        >>> drinks = pd.DataFrame(
        ...     {"warm": [9, 2, 7], "leaf": [True, False, True]}, ["tea", "milk", "mate"]
        ... )
        >>> columns = {"user": "who", "left": "first", "right": "second", "choice": "chosen"}
        >>> by_formula = bp.Comparisons.from_items(
        ...     votes, drinks, formula="~ warm * leaf", **columns
        ... )
        >>> by_formula.feature_names
        ('warm', 'leaf', 'warm:leaf')
        """
        table = Table.read(votes, "votes")
        if user is None and survey_weight is not None:
            raise DataError(
                "survey_weight= says how many people a user stands for, and there are no users",
                "name their column with user=",
            )
        table, user = one_user(table) if user is None else (table, str(user))
        contexts = column_names(context)
        if winner is not None or loser is not None:
            table, left, right, choice = _decided(table, winner, loser, left, right, choice, levels)
            sides = "toss"
        if left is None or right is None or choice is None:
            raise DataError("give left=, right= and choice=, or winner= and loser=")
        left, right, choice = str(left), str(right), str(choice)
        table = replace(table, sides=(left, right))
        weights, occasion = (
            RowWeights(frequency, survey_weight, randomised),
            OccasionReader.of(attributes),
        )
        table.require_roles(
            {"user": [user], "choice": [choice], "left": [left], "right": [right]}
            | {"context": list(contexts)}
            | weights.roles()
            | occasion.roles()
        )
        options, shared, of_users = options_beside(
            CodingOptions(coding, baseline, order, transform),
            (*occasion.columns, *item_attributes(items)),
            contexts,
            covariates,
            user,
        )
        table, contexts, of_contexts = CodedContexts.read(table, contexts, shared)
        if items is None and formula is not None:
            raise DataError("formula= is of attributes of items", "give them by items=")
        described = None if items is None else Catalogue.read(items, options, formula)
        if described is not None and occasion.columns:
            raise DataError(
                "attributes= stand beside a reward of each item's own, and items= describes them",
                "give one of the two, or read both sides' attributes with from_frame",
            )
        pairs = ItemPairs.read(table, left, right, None if described is None else described.frame)
        if described is not None:
            difference = pairs.difference()
        elif not occasion.columns:
            difference = held(pairs.indicators())
        else:
            codings = occasion.learn(table, options)
            described = Catalogue.of_labels(pairs.catalogue.index)
            described = described.beside(tuple(occasion.columns), codings)
            own = pairs.indicators()
            difference = held(beside(own, occasion.differences(table, codings)))
        described = described or Catalogue.of_labels(pairs.catalogue.index, options)
        features = described.features(contexts, interactions, of_contexts)
        features = features.read_from(left=[left], right=[right])
        parts = group_rows(
            table,
            features,
            difference,
            user=user,
            choice=choice,
            right=None if items is None else pairs.catalogue.to_numpy(np.float64)[pairs.right],
            catalogue=described.frame,
            covariates=covariates,
            outcome=paired_or_graded(levels),
            sides=SidesReader(sides, seed),
            pairs=pairs.labels(),
            weights=weights,
            options=of_users,
        )
        made = cls(**parts)
        warn_of_limits(parts, stacklevel=3)
        apart = pairs.disconnected(one_reward_each=features.indicators)
        if apart:
            warnings.warn(apart, DataWarning, stacklevel=2)
        return made


def _decided(
    table: Table, winner: str | None, loser: str | None, *others: Any
) -> tuple[Table, str, str, str]:
    """The table with a choice for the winner, and its columns left, right and choice."""
    if winner is None or loser is None or any(other is not None for other in others):
        raise DataError(
            "give winner= and loser= together, and then neither left=, right=, choice= nor levels="
        )
    winner, loser = str(winner), str(loser)
    table.require_roles({"winner": [winner], "loser": [loser]})
    choice = "choice"
    while choice in table.frame.columns:
        choice = f"_{choice}"
    return Table(table.frame.assign(**{choice: 1.0}), table.name), winner, loser, choice


@dataclass(frozen=True)
class ItemPairs:
    """The two items that each row compares.

    Parameters
    ----------
    catalogue
        Attributes of the m items, indexed by item label; text column names.
    left, right
        (n,) positions of the two items in the catalogue.

    Examples
    --------
    >>> votes = pd.DataFrame({"a": ["tea", "mate"], "b": ["milk", "tea"]})
    >>> ItemPairs.read(Table.read(votes), "a", "b", None).difference()
    array([[ 1., -1.,  0.],
           [-1.,  0.,  1.]])
    """

    catalogue: pd.DataFrame
    left: IntArray
    right: IntArray

    @classmethod
    def read(cls, votes: Table, left: str, right: str, items: pd.DataFrame | None) -> ItemPairs:
        """Look up both items of every row; refuse unknown ids and an item against itself.

        Parameters
        ----------
        votes, left, right
            As in `from_items`.
        items
            Attributes of the items, indexed by label; None: one reward an item.
        """
        if items is None:
            # As objects: numbers of two types would become floats, and ids their neighbours.
            sides = [votes.labels(side).astype(object) for side in (left, right)]
            for side, labels in zip((left, right), sides, strict=True):
                votes.refuse_odd(labels, side)
            both = pd.concat(sides, ignore_index=True)
            # Row by row, so that items are in order of first appearance.
            both = both.take(np.arange(2 * len(votes.frame)).reshape(2, -1).ravel(order="F"))
            codes, known = Table(both.to_frame("item"), votes.name).codes("item")
            catalogue = Catalogue.of_labels(known).frame
            made = cls(catalogue, codes[::2], codes[1::2])
        else:
            made = cls(
                items,
                item_positions(votes, left, items.index),
                item_positions(votes, right, items.index),
            )
        same = made.left == made.right
        if same.any():
            row = int(np.argmax(same))
            item = shown(made.catalogue.index[made.left[row]])
            votes.refuse(right, row, f"item {item} is compared with itself", "drop the row")
        return made

    def difference(self) -> FloatArray:
        """(n, k) attributes of the left item minus those of the right."""
        return differences(self.catalogue.to_numpy(np.float64), self.left, self.right)

    def indicators(self) -> csr_array:
        """(n, m) indicators of the left item minus those of the right."""
        return indicator_differences(self.left, self.right, len(self.catalogue))

    def labels(self) -> tuple[list[bytes], list[bytes]]:
        """(n,) labels of the left and of the right items, as bytes."""
        names = [str(label).encode("utf-8", "surrogatepass") for label in self.catalogue.index]
        return [names[item] for item in self.left], [names[item] for item in self.right]

    def groups(self) -> tuple[IntArray, IntArray]:
        """Connected components of the items, where a comparison is an edge.

        Returns
        -------
        compared, group: (c,) positions of the items that were compared, and codes of their
            components
        """
        compared, ends = np.unique(np.stack([self.left, self.right]), return_inverse=True)
        left, right = ends.reshape(2, -1)
        edges = coo_array(
            (np.ones(len(left), dtype=bool), (left, right)), shape=(len(compared),) * 2
        )
        return compared, connected_components(edges, directed=False)[1].astype(np.int64)

    def disconnected(self, *, one_reward_each: bool) -> str:
        """Return a warning if the comparisons do not connect all items, else an empty text."""
        compared, group = self.groups()
        n_groups = int(group.max()) + 1
        if n_groups == 1:
            return ""
        one, other = (shown(self.catalogue.index[compared[np.argmax(group == g)]]) for g in (0, 1))
        rest = (
            "how much one group is liked better than another comes from the prior alone"
            if one_reward_each
            else "rewards are compared across groups through the items' attributes alone"
        )
        return (
            f"the items fall into {n_groups:,} groups that nobody compared with one another "
            f"({one} is in one, {other} in another): {rest}"
        )
