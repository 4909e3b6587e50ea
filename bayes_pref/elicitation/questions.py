"""Questions that could be asked: pairs or sets, and for each the users who could be asked it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons, Ranking
from bayes_pref.data.table import Table
from bayes_pref.diagnostics.query import Candidates, Query, read_query
from bayes_pref.diagnostics.set_table import TASK
from bayes_pref.errors import DataError
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray, IntArray

_MOST_SHOWN = 500  # pairs of the fitted comparisons among those that are generated
_MOST_ITEMS = 40
_LOW, _HIGH = 0.1, 0.9  # quantiles of the contexts that generated pairs are shown in
_SIZES = (1.0, 2.0)  # of generated differences, in typical ones


@dataclass(frozen=True, eq=False)
class Questions:
    """Pairs or sets to choose from, each for every user or for its own.

    Attributes
    ----------
    difference
        (c, d) of pairs, left minus right; of sets, the first alternative minus the second.
    context
        (c, q)
    owner
        (c,) codes of the users whom each may be asked, -1 for nobody who was fitted; None: any.
    table
        (c, ...) what describes them, indexed by their labels.
    names
        (c,) labels of the alternatives of each set, in order; None: pairs of a left and a right.
    alternatives
        (c, k, d) features of the alternatives of sets, less the mean of the set, in the order of
        `names`; 0 beyond the size of a set. None: pairs.
    """

    difference: FloatArray
    context: FloatArray
    owner: IntArray | None
    table: pd.DataFrame
    names: tuple[tuple[Any, ...], ...] | None = None
    alternatives: FloatArray | None = None

    def __len__(self) -> int:
        """Return the number of questions, c."""
        return len(self.difference)

    @property
    def sizes(self) -> IntArray:
        """(c,) number of alternatives."""
        if self.names is None:
            return np.full(len(self), 2)
        return np.array([len(names) for names in self.names])

    @property
    def several(self) -> bool:
        """Whether some have more than two alternatives."""
        return bool((self.sizes > 2).any())

    def described(self, positions: IntArray) -> pd.DataFrame:
        """Say what some questions are: label `row`, of sets the `alternatives`, and the table."""
        frame = pd.DataFrame({"row": self.table.index[positions]})
        if self.names is not None:
            frame["alternatives"] = [self.names[position] for position in positions]
        beside = self.table.iloc[positions].reset_index(drop=True)
        return frame.join(beside.drop(columns=[name for name in beside if name in frame]))


def read_questions(posterior: Posterior, candidates: Candidates, seed: int) -> Questions:
    """Read the candidates, or generate some.

    Raises
    ------
    DataError
        If there are none, or all have equal sides.
    """
    if candidates is None:
        candidates = generated(posterior.comparisons, seed)
    named = posterior.comparisons.user_name
    if isinstance(candidates, Comparisons):
        table = candidates.to_frame()
    else:
        table = Table.read(candidates, "candidates").frame
        if not len(table):
            raise DataError("candidates: the table has no rows; at least 1 is needed")
    query = read_query(posterior, candidates)
    owner = query.user if named in table.columns else None
    if not query.difference.any():
        sides = "left and right" if query.task is None else "all alternatives of a task"
        raise DataError(
            f"candidates: {sides} are equal in every row, so that no answer tells anything",
            "give alternatives that differ in some feature",
        )
    if query.task is not None:
        return _sets(query, owner is not None, table)
    table = table.set_axis(query.rows, axis=0).rename_axis("row")
    return Questions(query.difference, query.context, owner, table)


def _sets(query: Query, owned: bool, table: pd.DataFrame) -> Questions:
    """Sets of alternatives, described by the row of each first one."""
    assert query.task is not None
    assert query.alternatives is not None
    first = np.flatnonzero(np.diff(query.task, prepend=-1))
    sizes = query.sizes[first]
    place = np.arange(len(query)) - first[query.task]
    alternatives = np.zeros((len(first), int(sizes.max()), query.difference.shape[1]))
    share = (query.sizes - 1.0) / query.sizes  # the rows are less the mean of the others
    alternatives[query.task, place] = share[:, None] * query.difference
    labels = query.alternatives.tolist()
    names = tuple(
        tuple(labels[start : start + size]) for start, size in zip(first, sizes, strict=True)
    )
    if TASK in table.columns:
        order = np.argsort(pd.factorize(table[TASK])[0], kind="stable")  # as the query has them
        table = table.iloc[order].reset_index(drop=True)
        alike = (table == table.iloc[first[query.task]].reset_index(drop=True)).all()
        # Of several alternatives what they share; of two the first, and the other is less.
        table = table.iloc[first]
        table = table.loc[:, alike] if (sizes > 2).any() else table
    else:  # rows of comparisons, which are not alternatives
        table = pd.DataFrame(index=first)
    return Questions(
        alternatives[:, 0] - alternatives[:, 1],
        query.context[first],
        query.user[first] if owned else None,
        table.set_axis(query.rows[first], axis=0).rename_axis("row"),
        names,
        alternatives,
    )


def generated(comparisons: Comparisons, seed: int) -> pd.DataFrame:
    """Pairs to ask: those that users were shown, for anybody, and those that differ in one thing.

    Pairs that differ in one attribute only, by once and twice its typical difference, in a low, a
    middle and a high context, are the intervention that Kobalczyk & van der Schaar (2025, arXiv
    2506.05967) ask for. Of items, all pairs of up to 40 of them.

    Returns
    -------
    frame: columns as `read_query` reads them, without users
    """
    rng = np.random.default_rng(seed)
    features, contexts = comparisons.features, list(comparisons.features.contexts)
    if features.indicators and comparisons.catalogue is not None and not features.beside:
        return _of_items(comparisons, rng)
    count = len(features.attributes)
    single = _of_one_attribute(comparisons)
    some = rng.permutation(len(comparisons))[:_MOST_SHOWN]
    shown = comparisons.difference[some][:, :count]
    levels = [0.5]
    if contexts:
        levels = [_LOW, 0.5, _HIGH]
    places = np.quantile(comparisons.context, levels, axis=0)
    differences = np.vstack([shown, np.tile(single, (len(places), 1))])
    context = np.vstack([comparisons.context[some], np.repeat(places, len(single), axis=0)])
    frame = pd.DataFrame(differences, columns=list(features.attributes)).join(
        pd.DataFrame(context, columns=contexts)
    )
    frame = frame.drop_duplicates(ignore_index=True)
    frame = frame[(frame[list(features.attributes)] != 0.0).any(axis=1)]
    if not isinstance(comparisons.outcome, Ranking):
        return frame.reset_index(drop=True)
    return _as_sets(frame, list(features.attributes))


def _of_one_attribute(comparisons: Comparisons) -> FloatArray:
    """Differences (c, k) in one attribute: a level and the baseline, or numbers twice."""
    features = comparisons.features
    levels = [name for coding in features.codings if coding.of_levels for name in coding.columns]
    outside = [name for each in features.codings if each.kind == "outside" for name in each.columns]
    names = np.array(features.attributes, dtype=object)
    number, level = ~np.isin(names, [*levels, *outside]), np.isin(names, levels)
    sizes = np.diag(comparisons.feature_scale[: len(names)])
    parts = [features.contrasts[level], *(size * sizes[number] for size in _SIZES)]
    single = np.concatenate(parts)
    return np.asarray(single[single.any(axis=1)])


def _as_sets(frame: pd.DataFrame, attributes: list[str]) -> pd.DataFrame:
    """Pairs as sets of two: what differs, and nothing."""
    left = frame.assign(task=np.arange(len(frame)))
    right = left.assign(**dict.fromkeys(attributes, 0.0))
    return pd.concat([left, right]).sort_values("task", kind="stable", ignore_index=True)


def _of_items(comparisons: Comparisons, rng: np.random.Generator) -> pd.DataFrame:
    """Return pairs of the catalogue's items, of some of them where they are many, as a table."""
    assert comparisons.catalogue is not None
    items = comparisons.catalogue.index
    some = np.sort(rng.permutation(len(items))[:_MOST_ITEMS])
    left, right = np.triu_indices(len(some), 1)
    frame = pd.DataFrame({"left": items[some[left]], "right": items[some[right]]})
    for name in comparisons.features.contexts:
        frame[name] = np.median(comparisons.context[:, comparisons.features.contexts.index(name)])
    if not isinstance(comparisons.outcome, Ranking):
        return frame
    sets = frame.assign(task=np.arange(len(frame))).melt(
        id_vars=["task", *comparisons.features.contexts],
        value_vars=["left", "right"],
        value_name="item",
    )
    return sets.drop(columns="variable").sort_values("task", kind="stable", ignore_index=True)
