"""Comparisons of items named by an id: the catalogue, the differences, and who meets whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bayes_pref.data.table import FloatArray, IntArray, Table, TableLike, closest, shown
from bayes_pref.errors import DataError


@dataclass(frozen=True)
class Votes:
    """Which two items each row compares.

    Parameters
    ----------
    catalogue
        Attributes of the m items, indexed by item label; text column names.
    left, right
        (n,) positions of the two items in the catalogue.

    Examples
    --------
    >>> votes = pd.DataFrame({"a": ["tea", "mate"], "b": ["milk", "tea"]})
    >>> Votes.read(Table.read(votes), "a", "b", None).difference()
    array([[ 1., -1.,  0.],
           [-1.,  0.,  1.]])
    """

    catalogue: pd.DataFrame
    left: IntArray
    right: IntArray

    @classmethod
    def read(cls, votes: Table, left: str, right: str, items: TableLike | None) -> Votes:
        """Look up both items of every row; refuse unknown ids and an item against itself."""
        if items is None:
            both = pd.concat([votes.labels(left), votes.labels(right)], ignore_index=True)
            # Row by row, so that items come in the order in which a reader of the table meets them.
            both = both.take(np.arange(2 * len(votes.frame)).reshape(2, -1).ravel(order="F"))
            codes, labels = Table(both.to_frame("item"), votes.name).codes("item")
            catalogue = catalogue_of(labels)
            made = cls(catalogue, codes[::2], codes[1::2])
        else:
            catalogue = catalogue_of(items)
            made = cls(
                catalogue,
                item_positions(votes, left, catalogue.index),
                item_positions(votes, right, catalogue.index),
            )
        same = made.left == made.right
        if same.any():
            row = int(np.argmax(same))
            item = shown(catalogue.index[made.left[row]])
            votes.refuse(right, row, f"item {item} is compared with itself", "drop the row")
        return made

    def difference(self) -> FloatArray:
        """(n, k) attributes of the left item minus those of the right."""
        attributes: FloatArray = self.catalogue.to_numpy(np.float64)
        difference: FloatArray = attributes[self.left] - attributes[self.right]
        return difference

    def groups(self) -> tuple[IntArray, IntArray]:
        """(c,) positions of the items compared at all, and the code of each one's group.

        Within a group, every item was compared with every other, if only by way of others.
        """
        compared, ends = np.unique(np.stack([self.left, self.right]), return_inverse=True)
        left, right = ends.reshape(2, -1)
        edges = coo_array(
            (np.ones(len(left), dtype=bool), (left, right)), shape=(len(compared),) * 2
        )
        return compared, connected_components(edges, directed=False)[1].astype(np.int64)

    def disconnected(self, *, one_reward_each: bool) -> str:
        """Say so if the items fall into groups that nobody compared with one another."""
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


def catalogue_of(items: TableLike | pd.Index[Any]) -> pd.DataFrame:
    """Attributes of the items of a table; of bare labels, one indicator each."""
    return _one_reward_each(items) if isinstance(items, pd.Index) else _catalogue(items)


def _one_reward_each(labels: pd.Index[Any]) -> pd.DataFrame:
    names = [str(label) for label in labels]
    return pd.DataFrame(np.eye(len(names)), index=labels, columns=names)


def _catalogue(items: TableLike) -> pd.DataFrame:
    table = Table.read(items, "items")
    frame = table.frame
    if "item" in frame.columns:
        frame = frame.set_index(pd.Index(table.labels("item"))).drop(columns="item")
    index = frame.index
    if index.hasnans:
        raise DataError("items: an item has no label; label every row")
    if index.has_duplicates:
        doubled = shown(index[index.duplicated()][0])
        raise DataError(f"items: item {doubled} has more than one row; keep one row an item")
    columns = list(frame.columns)
    if not columns:
        raise DataError("items has no attribute columns; add one, or pass items=None")
    numbers = Table(frame, "items").numbers(columns)
    return pd.DataFrame(numbers, index=index.rename("item"), columns=columns)


def item_positions(votes: Table, column: str, known: pd.Index[Any]) -> IntArray:
    """Positions of a column of items in the catalogue; refuse those that are unknown."""
    labels = votes.labels(column)
    found = known.get_indexer(pd.Index(labels))
    if (found < 0).any():
        row = int(np.argmax(found < 0))
        label = labels.iloc[row]
        nearest = closest(label, known).lstrip("; ")
        votes.refuse(column, row, f"unknown item {shown(label)}", nearest or "add it to items")
    return found.astype(np.int64)
