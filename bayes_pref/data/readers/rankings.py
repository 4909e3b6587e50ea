"""Rankings as choices: each place is given to the best of those that are left.

A ranking r_1 > r_2 > ... of shown items is a sequence of stages (Plackett 1975; Luce 1959): the
first place is chosen among all, the second among the rest, and so on. Stage s becomes one row for
every item that was there and not chosen, with the features of the chosen minus those of the other.
Items that are shown and not ranked are below all that are: they are there in every stage, and
no stage decides among them. Best-of-k is the ranking of the first place alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayes_pref.data.readers.items import catalogue_of, item_positions
from bayes_pref.data.table import FloatArray, IntArray, Table, TableLike, shown


@dataclass(frozen=True)
class Stages:
    """Rows of stages, in the order of rankings in the table.

    Parameters
    ----------
    catalogue
        Attributes of the items, indexed by item label.
    chosen, other
        (n,) positions of both items in the catalogue.
    stage
        (n,) code of each row's stage, nondecreasing.
    first
        (n,) a row of the caller's table that belongs to the same ranking.
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
    first: IntArray
    label: pd.MultiIndex

    @classmethod
    def read(
        cls, table: Table, ranking: str, item: str, rank: str, items: TableLike | None
    ) -> Stages:
        """Look up the items and refuse rankings that are none."""
        if items is None:
            code, labels = table.codes(item)
            catalogue = catalogue_of(labels)
        else:
            catalogue = catalogue_of(items)
            code = item_positions(table, item, catalogue.index)
        of, names = table.codes(ranking)
        place = _places(table, rank)
        _refuse(table, of, code, place, (ranking, item, rank))
        # By ranking, best first; what is not ranked comes last.
        order = np.lexsort((place, of))
        of, code, ranked = of[order], code[order], np.isfinite(place[order])
        ends = np.searchsorted(of, of, side="right")
        # One row for each ranked item and each item after it in the same ranking.
        others = np.where(ranked, ends - np.arange(len(of)) - 1, 0)
        better = np.repeat(np.arange(len(of)), others)
        within = np.arange(len(better)) - np.repeat(np.cumsum(others) - others, others)
        worse = better + 1 + within
        stage = np.unique(better, return_inverse=True)[1].astype(np.int64)
        label = pd.MultiIndex.from_arrays(
            [names[of[better]], catalogue.index[code[better]], catalogue.index[code[worse]]],
            names=["ranking", "better", "worse"],
        )
        return cls(catalogue, code[better], code[worse], stage, order[better], label)

    def difference(self) -> FloatArray:
        """(n, k) attributes of the chosen item minus those of the other."""
        attributes: FloatArray = self.catalogue.to_numpy(np.float64)
        difference: FloatArray = attributes[self.chosen] - attributes[self.other]
        return difference


def _places(table: Table, rank: str) -> FloatArray:
    """(n,) ranks, infinite where an item is shown and not ranked."""
    missing = table.frame[rank].isna().to_numpy()
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
