"""The comparisons that a diagnosis is about: those a posterior was fitted to, or new ones.

A pair is one row. Of a choice among several every alternative of the set shown is a row, compared
with the mean of the others; a set of two has the difference of the pair, and its opposite.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons, GradedChoice, Ranking
from bayes_pref.data.alignment import aligned
from bayes_pref.data.context_coding import with_coded
from bayes_pref.data.item_columns import item_differences, with_item_differences
from bayes_pref.data.readers.catalogue import item_positions
from bayes_pref.data.table import Table, TableLike
from bayes_pref.diagnostics.set_table import TASK, SetTable
from bayes_pref.diagnostics.task_sets import shown_sets
from bayes_pref.diagnostics.wording import GRADED, PAIRS, SETS, Wording
from bayes_pref.errors import DataError, DataWarning, ModelError
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray, IntArray

Candidates: TypeAlias = "Comparisons | TableLike | None"

NEW_USER = -1  # code of a user without fitted comparisons
_FAR = 10.0  # times the largest value in the data: more suggests another unit


@dataclass(frozen=True, eq=False)
class Query:
    """n comparisons, answered or not, in the features and contexts of a posterior.

    Attributes
    ----------
    difference
        (n, d) features of left minus those of right, raw units, interactions included; of a set,
        those of the alternative minus the mean of the others.
    context
        (n, q) contexts, raw units.
    user
        (n,) codes of the users among those of the fitted comparisons; -1 for new users.
    labels
        (n,) the users' labels.
    rows
        (n,) the caller's row labels; of sets, those of the tasks.
    task
        (n,) nondecreasing codes of the sets that the rows belong to, from 0; None for pairs.
    alternatives
        (n,) labels of the alternatives of sets; None for pairs.
    wording
        What sentences call what is compared.
    """

    difference: FloatArray
    context: FloatArray
    user: IntArray
    labels: pd.Index[Any]
    rows: pd.Index[Any]
    task: IntArray | None = None
    alternatives: pd.Index[Any] | None = None
    wording: Wording = PAIRS

    def __len__(self) -> int:
        """Return the number of comparisons, n."""
        return len(self.difference)

    @property
    def is_new(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """(n,) whether the user made none of the fitted comparisons."""
        return np.asarray(self.user == NEW_USER)

    @property
    def sizes(self) -> IntArray:
        """(n,) number of alternatives that each row is chosen from: 2 for pairs."""
        if self.task is None:
            return np.full(len(self), 2)
        return np.asarray(np.bincount(self.task)[self.task])

    def keys(self) -> pd.DataFrame:
        """Return the labels of the rows: `row`, of sets `alternative`, and `user`."""
        keys = pd.DataFrame({"row": self.rows, "user": self.labels})
        if self.alternatives is not None:
            keys.insert(1, "alternative", self.alternatives)
        return keys

    def by_user(self, values: FloatArray) -> pd.Series[float]:
        """Average values (n,) over the comparisons of each user; users in order of appearance."""
        return pd.Series(values).groupby(self.labels, sort=False).mean()


def read_query(posterior: Posterior, candidates: Candidates = None) -> Query:
    """Read comparisons in the features and contexts of a posterior.

    Parameters
    ----------
    posterior
        Its comparisons define the features, contexts and users.
    candidates
        None: the comparisons that were fitted. `Comparisons` with the same features; their choices
        are not used. Or a table with the attributes' differences (left minus right), the contexts
        and, unless all users are new, the user column, named as in the fitted comparisons. Where
        these came as items, the columns ``left`` and ``right`` may name the items instead (beside
        them stand the differences of attributes that are no items, named as the features). After
        choices among several, the table has one row an alternative: the id of its task in the
        column ``task``, and its own attributes, or its ``item``.

    Returns
    -------
    Query

    Raises
    ------
    DataError
        If a column is missing, or a value is missing, infinite or not a number; if a task has one
        alternative, one twice, or several users or contexts.
    ModelError
        If sets are to be judged by a choice model that is about two alternatives.

    Warns
    -----
    DataWarning
        If values of a feature or context are so far from the fitted ones that the unit must differ.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> from bayes_pref.diagnostics.query import read_query
    >>> world = bp.simulate(users=5, features=["length"], seed=0)
    >>> posterior = bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> len(read_query(posterior))
    75
    >>> new = pd.DataFrame({"length": [2.0], "context_1": [0.0]}, index=["new"])
    >>> read_query(posterior, new).user
    array([-1])
    """
    fitted = posterior.comparisons
    if candidates is None:
        return _from_comparisons(fitted, fitted)
    if isinstance(candidates, Comparisons):
        candidates = aligned(candidates, fitted, "comparisons", all_contexts=True)
        query = _from_comparisons(candidates, fitted)
    else:
        query = _from_table(candidates, fitted)
    if query.task is not None and fitted.outcome.rowwise:
        choice_model = posterior.model.choice_model(fitted)
        if not choice_model.is_logistic:
            raise ModelError(
                f"comparisons: these are choices among several, and the posterior's choice model "
                f"is about two ({choice_model.beyond_logistic}); ask about pairs"
            )
    _warn_of_units(query, fitted)
    return query


def _from_comparisons(comparisons: Comparisons, fitted: Comparisons) -> Query:
    """Return the questions that comparisons asked; sets of several as sets."""
    codes = fitted.users.get_indexer(comparisons.users).astype(np.int64)
    if isinstance(comparisons.outcome, Ranking):
        sets = shown_sets(comparisons)
        return Query(
            sets.difference,
            comparisons.context[sets.row],
            codes[comparisons.user[sets.row]],
            comparisons.users[comparisons.user[sets.row]],
            sets.tasks,
            sets.task,
            sets.alternatives,
            SETS,
        )
    return Query(
        comparisons.difference,
        comparisons.context,
        codes[comparisons.user],
        comparisons.users[comparisons.user],
        comparisons.rows,
        wording=_wording(fitted),
    )


def _wording(fitted: Comparisons) -> Wording:
    return GRADED if isinstance(fitted.outcome, GradedChoice) else PAIRS


def _from_table(candidates: TableLike, fitted: Comparisons) -> Query:
    """Return the questions of a table, in the columns of the fitted data."""
    table = Table.read(candidates, "comparisons")
    features = fitted.features
    if isinstance(fitted.outcome, Ranking):
        if TASK not in table.frame.columns:
            raise DataError(
                f"comparisons: the posterior is about choices among several, and there is no "
                f"column {TASK!r}",
                "give one row an alternative, with the id of its task and its own attributes",
            )
        read = SetTable.read(table, fitted)
        user, labels = _users(Table(read.frame, table.name), fitted)
        return Query(
            read.difference,
            read.context,
            user,
            labels,
            read.tasks,
            read.task,
            read.alternatives,
            SETS,
        )
    table = with_coded(table, features.context_codings, needed=True)
    by_name = fitted.catalogue is not None and {"left", "right"} <= set(table.frame.columns)
    table.require(["left", "right", *features.contexts] if by_name else features.contexts)
    if not len(table.frame):
        raise DataError("comparisons: the table has no rows; at least 1 is needed")
    context = table.numbers(features.contexts)
    attributes = _of_items(table, fitted) if by_name else features.differences(table)
    difference = features.expand(attributes, context)
    user, labels = _users(table, fitted)
    return Query(difference, context, user, labels, table.frame.index, wording=_wording(fitted))


def _users(table: Table, fitted: Comparisons) -> tuple[IntArray, pd.Index[Any]]:
    """(n,) codes among the fitted users, and labels; without a column of users all are new."""
    if fitted.user_name not in table.frame.columns:
        labels = pd.Index(["population"] * len(table.frame))
        return np.full(len(table.frame), NEW_USER, dtype=np.int64), labels
    codes, users = table.codes(fitted.user_name)
    return fitted.users.get_indexer(users[codes]).astype(np.int64), users[codes]


def _of_items(table: Table, fitted: Comparisons) -> FloatArray:
    """(n, k) attributes of the items in the column "left" minus those in "right".

    Those beside the items are columns of differences, named as the features.
    """
    assert fitted.catalogue is not None  # or items have no names
    left, right = (
        item_positions(table, side, fitted.catalogue.index) for side in ("left", "right")
    )
    if fitted.features.beside:
        table = with_item_differences(table, fitted.features, left, right)
        return fitted.features.differences(table)
    return item_differences(fitted.catalogue, fitted.features, left, right)


def _warn_of_units(query: Query, fitted: Comparisons) -> None:
    """Warn of features and contexts with values far outside those of the fitted comparisons."""
    named = (
        ("feature", fitted.feature_names, query.difference, fitted.difference),
        ("context", fitted.features.contexts, query.context, fitted.context),
    )
    for what, names, new, old in named:
        largest, known = np.abs(new).max(axis=0), np.abs(old).max(axis=0)
        # A feature that never differs in the data has no unit to compare with.
        for column in np.flatnonzero((largest > _FAR * known) & (known > 0)):
            warnings.warn(
                f"comparisons, {what} {names[column]!r}: values reach {largest[column]:.4g}, but "
                f"{known[column]:.4g} in the fitted comparisons; check the unit, or read the "
                "answers as a far extrapolation",
                DataWarning,
                stacklevel=5,
            )


def typical_differences(comparisons: Comparisons, difference: FloatArray) -> FloatArray:
    """Size of a typical difference in each feature, (d,) raw units.

    It is `comparisons.feature_scale`. A feature that never differs in the fitted comparisons has no
    size there; its typical size among the differences (n, d) of a query is used instead.
    """
    unseen = ~comparisons.difference.any(axis=0) & difference.any(axis=0)
    unseen &= ~comparisons.features.of_items
    if not unseen.any():
        return comparisons.feature_scale
    some = (difference != 0).sum(axis=0)
    largest = np.abs(difference).max(axis=0)
    relative = difference / np.where(largest > 0, largest, 1.0)
    typical = largest * np.sqrt((relative**2).sum(axis=0) / np.maximum(some, 1))
    return np.where(unseen, typical, comparisons.feature_scale)
