"""Comparisons from rankings, as stages of the Plackett-Luce model.

A ranking r_1 > r_2 > ... of the shown items is a sequence of stages (Plackett 1975; Luce 1959): the
first place is chosen among all items, the second among the rest, and so on. A stage becomes one row
for every available item that is not chosen, with the features of the chosen item minus those of
the other. Items that are shown and not ranked are below all ranked items: they are available in
every stage and never chosen. Best-of-k is a ranking of the first place alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import pandas as pd

from bayes_pref.data.ranking import Ranking
from bayes_pref.data.readers.catalogue import (
    catalogue_of,
    differences,
    item_features,
    item_positions,
    refuse_size,
)
from bayes_pref.data.readers.grouping import group_rows, warn_of_limits
from bayes_pref.data.sides import SidesReader
from bayes_pref.data.table import Table, TableLike, column_names, missing_in
from bayes_pref.messages import shown
from bayes_pref.types import FloatArray, IntArray


class RankingsReader:
    """The constructor `from_rankings` of `Comparisons`."""

    @classmethod
    def from_rankings(
        cls,
        frame: TableLike,
        items: TableLike | None = None,
        *,
        user: str,
        ranking: str,
        item: str,
        rank: str,
        context: Sequence[str] | None = None,
        interactions: Literal["all"] | Sequence[tuple[str, str]] | None = None,
        covariates: TableLike | None = None,
    ) -> Self:
        """Read rankings from a table with one row for every item that a ranking shows.

        Their likelihood is that of Plackett and Luce (`bp.PlackettLuce`), not that of independent
        pairs. `NUTS` and `SVI` fit them.

        Parameters
        ----------
        frame
            One row an item in a ranking.
        items
            The items' attributes, as in `from_items`. None: every item has a reward of its own.
        user, ranking, item
            Columns of the users' labels, the rankings' ids and the items' ids.
        rank
            Column of the ranks: 1 for the best, 2, 3, ..., and missing for items that were shown
            and not ranked, which are below all ranked items. Best-of-k: rank 1 alone.
        context, interactions, covariates
            As in `from_frame`; contexts are the same in all rows of a ranking.

        Returns
        -------
        comparisons: one row for each chosen item and each other available item, labelled by
            ranking and both items; the rows of one choice have the same `outcome.stage`

        Raises
        ------
        DataError
            As `from_frame`, and for ties, gaps and repeated or unknown items in a ranking.

        Warns
        -----
        DataWarning
            As `from_frame`.

        Examples
        --------
        >>> import pandas as pd
        >>> import bayes_pref as bp
        >>> frame = pd.DataFrame(
        ...     {
        ...         "who": ["ann", "ann", "ann", "bob", "bob", "bob"],
        ...         "id": [1, 1, 1, 2, 2, 2],
        ...         "drink": ["tea", "milk", "mate", "tea", "milk", "mate"],
        ...         "place": [2, 1, 3, None, 1, None],
        ...     }
        ... )
        >>> ranked = bp.Comparisons.from_rankings(
        ...     frame, user="who", ranking="id", item="drink", rank="place"
        ... )
        >>> ranked.outcome.stage.tolist()  # milk, then tea; bob: milk
        [0, 0, 1, 2, 2]
        """
        table = Table.read(frame)
        contexts, user = column_names(context), str(user)
        table.require_roles(
            {"user": [user], "ranking": [ranking], "item": [item], "rank": [rank]}
            | {"context": contexts}
        )
        _refuse_changes(table, ranking, [user, *contexts])
        stages = Stages.read(table, ranking, item, rank, items)
        rows = table.frame[[user, *contexts]].iloc[stages.first].set_axis(stages.label)
        parts = group_rows(
            Table(rows.assign(**{rank: 1.0}), table.name),
            item_features(stages.catalogue, contexts, interactions, one_reward_each=items is None),
            stages.difference(),
            user=user,
            choice=rank,
            catalogue=stages.catalogue,
            covariates=covariates,
            outcome=Ranking(stages.stage, stages.task),
            sides=SidesReader(),  # a choice among several has no sides
        )
        made = cls(**parts)
        warn_of_limits(parts, stacklevel=3)
        return made


@dataclass(frozen=True)
class Stages:
    """Stages of rankings, one row for each chosen item and each other available item.

    Parameters
    ----------
    catalogue
        Attributes of the items, indexed by item label.
    chosen, other
        (n,) positions of both items in the catalogue.
    stage
        (n,) code of each row's stage, nondecreasing.
    task
        (s,) code of each stage's ranking, nondecreasing.
    first
        (n,) position in the caller's table of a row of the same ranking.
    label
        (n,) ranking, chosen and other item.

    Examples
    --------
    >>> table = Table.read(pd.DataFrame({"r": [1, 1, 1], "i": ["a", "b", "c"], "k": [2, 1, None]}))
    >>> stages = Stages.read(table, "r", "i", "k", None)
    >>> stages.stage.tolist(), stages.difference()[0].tolist()  # b over a
    ([0, 0, 1], [-1.0, 1.0, 0.0])
    """

    catalogue: pd.DataFrame
    chosen: IntArray
    other: IntArray
    stage: IntArray
    task: IntArray
    first: IntArray
    label: pd.MultiIndex

    @classmethod
    def read(
        cls, table: Table, ranking: str, item: str, rank: str, items: TableLike | None
    ) -> Stages:
        """Look up the items and validate the rankings."""
        if items is None:
            code, labels = table.codes(item)
            refuse_size(len(labels), len(table.frame), len(labels))
            catalogue = catalogue_of(labels)
        else:
            catalogue = catalogue_of(items)
            code = item_positions(table, item, catalogue.index)
        of, names = table.codes(ranking)
        place = _places(table, rank)
        _refuse(table, of, code, place, (ranking, item, rank))
        # By ranking, best first; items that are not ranked come last.
        order = np.lexsort((place, of))
        of, code, ranked = of[order], code[order], np.isfinite(place[order])
        ends = np.searchsorted(of, of, side="right")
        # One row for each ranked item and each item after it in the same ranking.
        others = np.where(ranked, ends - np.arange(len(of)) - 1, 0)
        better = np.repeat(np.arange(len(of)), others)
        within = np.arange(len(better)) - np.repeat(np.cumsum(others) - others, others)
        worse = better + 1 + within
        winners, stage = np.unique(better, return_inverse=True)
        label = pd.MultiIndex.from_arrays(
            [names[of[better]], catalogue.index[code[better]], catalogue.index[code[worse]]],
            names=["ranking", "better", "worse"],
        )
        chosen, other, task = code[better], code[worse], pd.factorize(of[winners])[0]
        return cls(catalogue, chosen, other, stage, task, order[better], label)

    def difference(self) -> FloatArray:
        """(n, k) attributes of the chosen item minus those of the other."""
        return differences(self.catalogue, self.chosen, self.other)


def _places(table: Table, rank: str) -> FloatArray:
    """(n,) ranks, infinite where an item is shown and not ranked."""
    missing = missing_in(table.frame[rank])
    filled = Table(table.frame.assign(**{rank: table.frame[rank].where(~missing, 1)}), table.name)
    place = filled.numbers([rank])[:, 0]
    whole = (place >= 1) & (place == np.round(place))
    if not whole.all():
        row = int(np.argmin(whole))
        table.refuse(
            rank,
            row,
            f"unknown rank {shown(place[row])}",
            "expected 1 for the best, 2, 3, ..., or nothing where an item is not ranked",
        )
    place[missing] = np.inf
    return place


def _refuse(
    table: Table, of: IntArray, code: IntArray, place: FloatArray, columns: tuple[str, str, str]
) -> None:
    """Refuse repeated items, ties, gaps, and rankings in which nothing is ranked."""
    ranking, item, rank = columns
    frame = pd.DataFrame({"of": of, "code": code, "place": place})
    name = table.frame[ranking]

    def refuse(column: str, bad: pd.Series[bool], found: str, remedy: str) -> None:
        if bad.any():
            row = int(np.argmax(bad.to_numpy()))
            value = shown(table.frame[column].iloc[row])
            where = f"ranking {shown(name.iloc[row])}"
            table.refuse(column, row, found.format(value=value, where=where), remedy)

    refuse(
        item, frame.duplicated(["of", "code"]), "item {value} is twice in {where}", "keep one row"
    )
    ranked = np.isfinite(frame["place"])
    refuse(
        rank,
        frame.duplicated(["of", "place"]) & ranked,
        "rank {value} is given twice in {where}",
        "a Plackett-Luce model has no ties: leave such rankings out",
    )
    lowest = frame["place"].where(ranked).groupby(frame["of"]).transform("max")
    count = ranked.groupby(frame["of"]).transform("sum")
    refuse(rank, count == 0, "nothing is ranked in {where}", "leave it out")
    refuse(
        rank,
        (lowest != count) & ranked,
        "ranks in {where} leave a gap",
        "number them 1, 2, 3, ... without one",
    )
    size = frame.groupby("of")["code"].transform("size")
    refuse(item, size < 2, "{where} has the single item {value}", "leave it out")


def _refuse_changes(table: Table, ranking: str, columns: Sequence[str]) -> None:
    """Refuse rankings that change their user or a context from row to row."""
    codes, _ = table.codes(ranking)
    for column in columns:
        values = table.labels(column)
        first = values.groupby(codes).transform("first")
        apart = (values != first).to_numpy()
        if apart.any():
            row = int(np.argmax(apart))
            found = f"{shown(values.iloc[row])} beside {shown(first.iloc[row])}"
            name = shown(table.frame[ranking].iloc[row])
            table.refuse(column, row, f"{found} in ranking {name}", "a ranking has one of each")
