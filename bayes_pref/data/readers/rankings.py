"""Comparisons from rankings of items, as stages of the Plackett-Luce model.

`Comparisons.from_tasks` reads rankings of alternatives that have their attributes in each row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd

from bayes_pref.data.coding_options import CodingOptions
from bayes_pref.data.context_coding import CodedContexts
from bayes_pref.data.readers.catalogue import (
    Catalogue,
    item_attributes,
    item_positions,
)
from bayes_pref.data.readers.covariates import options_beside
from bayes_pref.data.readers.grouping import group_rows, warn_of_limits
from bayes_pref.data.readers.row_weights import RowWeights
from bayes_pref.data.readers.stages import Stages, TaskRefusal, places
from bayes_pref.data.sides import SidesReader
from bayes_pref.data.table import Table, TableLike, column_names
from bayes_pref.types import IntArray


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
        coding: str | Mapping[str, str] = "effect",
        baseline: Mapping[str, Any] | None = None,
        order: Mapping[str, Sequence[Any]] | None = None,
        transform: Mapping[str, str] | None = None,
        frequency: str | None = None,
        survey_weight: str | None = None,
        randomised: str | None = None,
    ) -> Self:
        """Read rankings from a table with one row for every item that a ranking shows.

        Their likelihood is that of Plackett and Luce (`bp.PlackettLuce`), not that of independent
        pairs.

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
        coding, baseline, order, transform
            As in `from_frame`, for the columns of `items`.
        frequency, survey_weight, randomised
            As in `from_frame`; the rows of a ranking have the same frequency, and were
            all assigned at random or not.

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
        weights = RowWeights(frequency, survey_weight, randomised)
        table.require_roles(
            {"user": [user], "ranking": [ranking], "item": [item], "rank": [rank]}
            | {"context": list(contexts)}
            | weights.roles()
        )
        refuse = TaskRefusal(table, ranking, "ranking")
        of, names = table.codes(ranking)
        refuse.changes(of, [user, *contexts])
        weights.check(table, user)
        refuse.changes(of, weights.of_tasks)
        options, shared, of_users = options_beside(
            CodingOptions(coding, baseline, order, transform),
            item_attributes(items),
            contexts,
            covariates,
            user,
        )
        catalogue, code = _items(table, item, items, options)
        table, contexts, of_contexts = CodedContexts.read(table, contexts, shared)
        place = places(table, rank)
        _refuse_items(refuse, item, of, code)
        refuse.ranks(rank, np.arange(len(of)), of, place)
        stages = Stages.ranked(of, place)
        label = stages.labels(names[of], catalogue.frame.index[code], "ranking")
        rows = table.frame[[user, *contexts, *weights.columns]].iloc[stages.better].set_axis(label)
        parts = group_rows(
            Table(rows.assign(**{rank: 1.0}), table.name),
            catalogue.features(contexts, interactions, of_contexts).read_from(
                task=[ranking], item=[item]
            ),
            catalogue.differences(code[stages.better], code[stages.worse]),
            right=None if items is None else catalogue.values()[code[stages.worse]],
            user=user,
            choice=rank,
            catalogue=catalogue.frame,
            covariates=covariates,
            outcome=stages.outcome(),
            sides=SidesReader(),  # a choice among several has no sides
            weights=weights,
            options=of_users,
        )
        made = cls(**parts)
        warn_of_limits(parts, stacklevel=3)
        return made


def _items(
    table: Table, item: str, items: TableLike | None, options: CodingOptions
) -> tuple[Catalogue, IntArray]:
    """Attributes of the items, and (n,) positions of a column of items among them."""
    if items is None:
        code, labels = table.codes(item)
        return Catalogue.of_labels(labels, options), code
    catalogue = Catalogue.read(items, options)
    return catalogue, item_positions(table, item, catalogue.frame.index)


def _refuse_items(refuse: TaskRefusal, item: str, of: IntArray, code: IntArray) -> None:
    """Refuse rankings that show an item twice, or one alone."""
    frame = pd.DataFrame({"of": of, "code": code})
    twice = np.flatnonzero(frame.duplicated(["of", "code"]))
    refuse(item, twice, "item {value} is twice in {where}", "keep one row")
    single = np.flatnonzero(np.bincount(of)[of] < 2)
    refuse(item, single, "{where} has the single item {value}", "leave it out")
