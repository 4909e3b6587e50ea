"""Choice sets: the alternatives that each task shows, and which of them was chosen.

Alternatives are rows of a table in long format. The outside option ("none of them") is a row of its
own, or is added to every set and chosen where no row is.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.data.readers.row_weights import UNWEIGHTED, RowWeights
from bayes_pref.data.readers.stages import TaskRefusal, places
from bayes_pref.data.table import Table, missing_in, positions_in
from bayes_pref.errors import DataError, DataWarning, Place
from bayes_pref.messages import listed, shown
from bayes_pref.types import FloatArray, IntArray, Mask

NONE = "none"  # the feature of the outside option, and its label where it has no row


@dataclass(frozen=True, kw_only=True)
class TaskColumns:
    """Names of the columns of a table of tasks, and how it has the outside option.

    Parameters
    ----------
    user, task, attributes, context
        Their columns.
    choice, best, worst, rank
        What was chosen: `choice`, or `best` and `worst`, or `rank`.
    alternative, availability
        Columns of the alternatives' ids and of whether they could be chosen; None: not given.
    items
        Column of items with a reward each beside the attributes; None: there are none.
    none
        The id of the outside option; True: it has no rows; None: there is none.
    weights
        Columns of frequencies, survey weights and of what was randomised.

    Raises
    ------
    DataError
        If what was chosen is given in no way, or in two.

    Examples
    --------
    >>> TaskColumns(user="who", task="id", attributes=("price",))
    Traceback (most recent call last):
    bayes_pref.errors.DataError: give one of choice=, rank=, or best= and worst=
    """

    user: str
    task: str
    attributes: tuple[str, ...]
    context: tuple[str, ...] = ()
    choice: str | None = None
    best: str | None = None
    worst: str | None = None
    rank: str | None = None
    alternative: str | None = None
    availability: str | None = None
    items: str | None = None
    none: Any = None
    weights: RowWeights = UNWEIGHTED

    def __post_init__(self) -> None:
        """Validate which are given."""
        both = (self.best is None) == (self.worst is None)
        if not both or sum(name is not None for name in (self.choice, self.best, self.rank)) != 1:
            raise DataError("give one of choice=, rank=, or best= and worst=")
        if not self.attributes and self.alternative is None and self.items is None:
            raise DataError(
                "give attributes=[...], or alternative= for a reward of each alternative's own"
            )
        if self.none is False:
            object.__setattr__(self, "none", None)
        if self.none is True and self.rank is not None:
            raise DataError("none=True does not say at which rank", "give it rows of its own")
        if not (self.none is None or self.none is True) and self.alternative is None:
            raise DataError(
                f"none={shown(self.none)} is an id", "name the column with alternative="
            )
        if self.has_none_feature and NONE in self.attributes:
            raise DataError(
                f"the attribute {NONE!r} clashes with the feature of the outside option",
                "rename the column",
            )

    @property
    def answer(self) -> str:
        """The column that says what was chosen."""
        return str(self.choice or self.best or self.rank)

    @property
    def has_none_feature(self) -> bool:
        """Whether the outside option has a feature; without attributes it is an item as others."""
        return self.none is not None and bool(self.attributes or self.items)

    def sources(self) -> dict[str, list[str]]:
        """Columns as `Features.sources` has them."""
        found = {"task": [self.task]}
        item = self.items or (None if self.attributes else self.alternative)
        if item is not None:
            found["item"] = [str(item)]
        if self.alternative is not None:
            found["alternative"] = [str(self.alternative)]
        if self.none is not None:
            found["none"] = [] if self.none is True else [str(self.none)]
        return found

    def roles(self) -> dict[str, list[str]]:
        """Columns of each role."""
        single = ("user", "task", "choice", "best", "worst", "rank", "alternative", "availability")
        found = {name: [str(column)] for name in single if (column := getattr(self, name))}
        # An alternative's id may be an attribute, too: then each has a constant of its own.
        attributes = [name for name in self.attributes if name != self.alternative]
        if self.items is not None and self.items != self.alternative:
            found["items"] = [str(self.items)]
        found |= {"attributes": attributes, "context": list(self.context)}
        return found | self.weights.roles()


@dataclass(frozen=True)
class ChoiceSets:
    """Alternatives that could be chosen, task by task, and which of them were.

    Parameters
    ----------
    row
        (m,) position in the table; of an outside option without a row, that of the task's first.
    added
        (m,) whether it is an outside option without a row.
    outside
        (m,) whether it is the outside option.
    task
        (m,) nondecreasing codes of the tasks, from 0.
    label
        (m,) ids, or places in the task from 1 where alternatives have none.
    best, worst
        (m,) whether it was chosen, and whether it was named the worst.
    place
        (m,) rank, infinite where there is none.

    Examples
    --------
    >>> frame = pd.DataFrame({"who": "ann", "id": [1, 1], "price": [2.0, 3.0], "buys": [0, 1]})
    >>> columns = TaskColumns(
    ...     user="who", task="id", attributes=("price",), choice="buys", none=True
    ... )
    >>> sets = ChoiceSets.read(Table.read(frame), columns)
    >>> sets.label.tolist(), sets.best.tolist()
    ([1, 2, 'none'], [False, True, False])
    """

    row: IntArray
    added: Mask
    outside: Mask
    task: IntArray
    label: pd.Index[Any]
    best: Mask
    worst: Mask
    place: FloatArray

    @classmethod
    def read(cls, table: Table, columns: TaskColumns) -> ChoiceSets:
        """Read and validate the sets of a table."""
        user, _ = table.codes(columns.user)
        ids, _ = table.codes(columns.task)
        # Tasks are numbered within users: the same id of two users is two tasks.
        task = pd.factorize(user * (int(ids.max()) + 1) + ids)[0]
        shared = _spans(task, ids)
        refuse = TaskRefusal(table, columns.task, user=columns.user, shared=shared)
        refuse.changes(task, list(columns.context))
        columns.weights.check(table, columns.user)
        refuse.changes(task, columns.weights.of_tasks)
        best, worst, place = _answers(table, columns, task, refuse)
        row = _available(table, columns, task, best | worst | np.isfinite(place), refuse)
        row = row[np.argsort(task[row], kind="stable")]
        made = cls(
            row,
            np.zeros(len(row), dtype=bool),
            _outside(table, columns)[row],
            pd.factorize(task[row])[0],
            _labels(table, columns, row, task[row]),
            best[row],
            worst[row],
            place[row],
        )
        if columns.none is True:
            if columns.choice is not None:
                _warn_of_spans(refuse, task, shared, best)
            made = made._with_outside(columns)
        _refuse_sets(made, columns, refuse)
        return made

    def _with_outside(self, columns: TaskColumns) -> ChoiceSets:
        """Return the sets with an outside option at the end of each, chosen where no row is."""
        if NONE in self.label:
            raise DataError(
                f"an alternative is called {NONE!r}, which clashes with none=True",
                f"pass none={NONE!r} if its rows are the outside option, or rename it",
                place=Place("", columns.alternative),
            )
        first = np.unique(self.task, return_index=True)[1]
        count = len(first)
        order = np.argsort(np.append(self.task, np.arange(count)), kind="stable")
        unnamed = np.bincount(self.task, self.best) == 0
        unnamed_worst = np.bincount(self.task, self.worst) == 0
        label = self.label.astype(object).append(pd.Index([NONE] * count, dtype=object))
        return ChoiceSets(
            np.append(self.row, self.row[first])[order],
            np.append(self.added, np.ones(count, dtype=bool))[order],
            np.append(self.outside, np.ones(count, dtype=bool))[order],
            np.append(self.task, np.arange(count))[order],
            label[order],
            np.append(self.best, unnamed)[order],
            np.append(self.worst, unnamed_worst & (columns.worst is not None))[order],
            np.append(self.place, np.full(count, np.inf))[order],
        )


def _spans(task: IntArray, ids: IntArray) -> Mask:
    """(n,) whether the id of a row's task is given to tasks of several users."""
    each = pd.DataFrame({"task": task, "id": ids}).drop_duplicates()
    return np.asarray(np.bincount(each["id"])[ids] > 1)


def _warn_of_spans(refuse: TaskRefusal, task: IntArray, shared: Mask, best: Mask) -> None:
    """Warn where the part of a task that another user has would read as none of them.

    Ids that are numbered within users are shared by most tasks, and say nothing.
    """
    first = np.unique(task, return_index=True)[1]
    doubtful = np.flatnonzero(shared & (np.bincount(task, best)[task] == 0))
    if len(doubtful) and shared[first].mean() < 0.5:
        row = int(doubtful[0])
        label = shown(refuse.table.frame.index[row])
        warnings.warn(
            f"column {refuse.task!r}: {refuse.where(row)} has no choice, which reads as none of "
            f"its alternatives, and is also a task of {refuse.others(row)}, as few are, in row "
            f"{label}: if it is one task, mend the ids",
            DataWarning,
            stacklevel=5,  # who calls from_tasks
        )


def _answers(
    table: Table, columns: TaskColumns, task: IntArray, refuse: TaskRefusal
) -> tuple[Mask, Mask, FloatArray]:
    """(n,) each: whether a row was chosen, whether it was named the worst, and its rank."""
    no, unranked = np.zeros(len(task), dtype=bool), np.full(len(task), np.inf)
    if columns.rank is not None:
        return no, no, places(table, columns.rank)
    if columns.choice is not None:
        return _named(table, columns.choice, columns, task, refuse), no, unranked
    best = _named(table, str(columns.best), columns, task, refuse)
    return best, _named(table, str(columns.worst), columns, task, refuse), unranked


def _named(
    table: Table, column: str, columns: TaskColumns, task: IntArray, refuse: TaskRefusal
) -> Mask:
    """(n,) whether a row is named in a column, which holds indicators or ids of alternatives."""
    if columns.alternative is None:
        return table.truths(column)
    code, labels = table.codes(columns.alternative)
    if columns.none is True and NONE not in labels:
        labels = labels.astype(object).append(pd.Index([NONE], dtype=object))
    entry = table.frame[column]
    chosen, missing = positions_in(entry, labels), missing_in(entry)
    known = chosen >= 0
    first = pd.Series(chosen).where(known).groupby(task).transform("first").to_numpy()
    unlike = known & (chosen != first)
    words = ~np.isnan(table.read_truths(column))
    ids = known[~missing].all() and not unlike.any()
    if not ids and (words[~missing].all() or not known.any()):
        return table.truths(column)
    beside = np.flatnonzero(unlike)
    refuse(column, beside, "{value} beside another choice in {where}", "repeat the chosen id")
    named = np.asarray(known & (code == chosen))
    lost = ~missing & (np.bincount(task, named)[task] == 0)
    if columns.none is True:
        lost &= chosen != len(labels) - 1
    else:
        gap = np.flatnonzero(missing)
        refuse(column, gap, "no choice is given in {where}", "leave it out")
    refuse(
        column,
        np.flatnonzero(lost),
        "{value} is no alternative of {where}",
        "name one of its rows, or leave the task out",
    )
    return named


def _available(
    table: Table, columns: TaskColumns, task: IntArray, answered: Mask, refuse: TaskRefusal
) -> IntArray:
    """Positions of the rows that could be chosen."""
    if columns.availability is None:
        return np.arange(len(answered))
    there = table.truths(columns.availability)
    refuse(
        columns.availability,
        np.flatnonzero(answered & ~there),
        "the alternative named in {where} was not available",
        "mend one of the two",
    )
    lost = np.flatnonzero(np.bincount(task, there)[task] == 0)
    refuse(columns.availability, lost, "no alternative of {where} was available", "leave it out")
    return np.flatnonzero(there)


def _outside(table: Table, columns: TaskColumns) -> Mask:
    """(n,) whether a row is the outside option's."""
    if columns.none is None or columns.none is True:
        return np.zeros(len(table.frame), dtype=bool)
    code, labels = table.codes(str(columns.alternative))
    outside = positions_in(pd.Series([columns.none], dtype=object), labels)[0]
    found = np.asarray((code == outside) & (outside >= 0))
    if not found.any():
        raise DataError(
            f"no row is of the outside option {shown(columns.none)}",
            f"its values are {listed(labels)}; pass none=True if it has no rows",
            place=Place(table.name, columns.alternative),
        )
    return found


def _labels(table: Table, columns: TaskColumns, row: IntArray, task: IntArray) -> pd.Index[Any]:
    """(m,) ids of alternatives, or their places in their tasks."""
    if columns.alternative is None:
        return pd.Index(pd.Series(task).groupby(task).cumcount().to_numpy() + 1)
    code, ids = table.codes(columns.alternative)
    return ids[code[row]]


def _refuse_sets(sets: ChoiceSets, columns: TaskColumns, refuse: TaskRefusal) -> None:
    """Refuse sets with an alternative twice or alone, and choices of none or of several."""
    task, row = sets.task, sets.row
    if columns.alternative is not None:
        twice = pd.DataFrame({"task": task, "label": sets.label}).duplicated().to_numpy()
        found = "alternative {value} is twice in {where}"
        refuse(columns.alternative, row[twice], found, "keep one row of each")

    size = np.bincount(task)[task]
    refuse.broken(columns.task, row[size < 2], "{where} has a single alternative", "leave it out")
    if columns.rank is not None:
        refuse.ranks(columns.rank, row, task, sets.place)
        return
    named = [(columns.choice or columns.best, sets.best, "chosen")]
    named += [(columns.worst, sets.worst, "the worst")] * (columns.worst is not None)
    for name, there, what in named:
        count = np.bincount(task, there)[task]
        remedy = "leave it out, or name the outside option with none= if it was chosen"
        found = f"no alternative is {what} in {{where}}"
        refuse.broken(str(name), row[count == 0], found, remedy)
        second = there & (pd.Series(there).groupby(task).cumsum().to_numpy() > 1)
        found = f"a second alternative is {what} in {{where}}"
        refuse(str(name), row[second], found, "one is; rank= is for several in order")
    both = row[sets.best & sets.worst]
    refuse(columns.answer, both, "the best is also the worst in {where}", "name two alternatives")
