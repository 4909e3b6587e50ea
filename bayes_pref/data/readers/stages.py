"""Stages: choices among several alternatives as rows of one alternative against another.

A ranking r_1 > r_2 > ... of the alternatives shown is a sequence of stages (Plackett 1975; Luce
1959): the first place is chosen among all of them, the second among the rest, and so on. A stage
becomes one row for every alternative left that is not chosen, with the features of the chosen one
minus those of the other. Alternatives that are shown and not ranked are below all ranked ones: they
are left in every stage and never chosen. A choice task is a ranking of the first place alone. Where
people name the best and the worst, the best is chosen among all, and then the worst among the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.data.ranking import Ranking
from bayes_pref.data.table import Table, missing_in
from bayes_pref.messages import listed, shown
from bayes_pref.types import FloatArray, IntArray, Mask


@dataclass(frozen=True)
class Stages:
    """Stages of tasks, one row for each alternative chosen and each other one that is left.

    Parameters
    ----------
    better, worse
        (n,) positions of both alternatives among those of all tasks.
    stage
        (n,) code of each row's stage, nondecreasing.
    task
        (s,) code of each stage's task, nondecreasing.
    worst
        (s,) whether a stage names the worst.

    Examples
    --------
    >>> stages = Stages.ranked(np.array([0, 0, 0]), np.array([2.0, 1.0, np.inf]))
    >>> stages.stage.tolist(), stages.better.tolist(), stages.worse.tolist()
    ([0, 0, 1], [1, 1, 0], [0, 2, 2])
    """

    better: IntArray
    worse: IntArray
    stage: IntArray
    task: IntArray
    worst: Mask

    @classmethod
    def ranked(cls, task: IntArray, place: FloatArray) -> Stages:
        """Stages of rankings.

        Parameters
        ----------
        task
            (m,) codes of the tasks.
        place
            (m,) 1 for the best, 2, 3, ..., and infinite where an alternative is not ranked.
        """
        order = np.lexsort((place, task))  # by task, best first
        of, ranked = task[order], np.isfinite(place[order])
        here = np.arange(len(of))
        others = np.where(ranked, np.searchsorted(of, of, side="right") - here - 1, 0)
        better = np.repeat(here, others)
        winners, stage = np.unique(better, return_inverse=True)
        worst = np.zeros(len(winners), dtype=bool)
        return cls(order[better], order[_ranges(here + 1, others)], stage, of[winners], worst)

    @classmethod
    def best_worst(cls, task: IntArray, best: Mask, worst: Mask) -> Stages:
        """Stages of sets of which the best and the worst are named.

        Parameters
        ----------
        task
            (m,) codes of the tasks, from 0.
        best, worst
            (m,) whether an alternative is named, one of each in a task.

        Examples
        --------
        >>> first, last = np.array([1, 0, 0], dtype=bool), np.array([0, 1, 0], dtype=bool)
        >>> stages = Stages.best_worst(np.array([0, 0, 0]), first, last)
        >>> stages.better.tolist(), stages.worse.tolist(), stages.worst.tolist()
        ([0, 0, 2], [2, 1, 1], [False, True])
        """
        order = np.lexsort((np.where(best, 0, np.where(worst, 2, 1)), task))
        size = np.bincount(task)
        start = np.cumsum(size) - size
        counts = np.column_stack([size - 1, size - 2]).ravel()  # of the best, of the worst
        listed = _ranges(np.repeat(start + 1, 2), counts)
        of = np.repeat(np.arange(len(counts)), counts)
        last = of % 2 == 1
        better = np.where(last, listed, start[of // 2])
        worse = np.where(last, (start + size - 1)[of // 2], listed)
        kept, stage = np.unique(of, return_inverse=True)  # of two, the best leaves one worst
        return cls(order[better], order[worse], stage, kept // 2, kept % 2 == 1)

    def outcome(self) -> Ranking:
        """Return the outcome of `Comparisons` whose rows are these."""
        return Ranking(self.stage, pd.factorize(self.task)[0], self.worst)

    def labels(self, tasks: pd.Index[Any], alternatives: pd.Index[Any], name: str) -> pd.MultiIndex:
        """(n,) labels of the rows: the task, the better and the worse alternative.

        Parameters
        ----------
        tasks, alternatives
            (m,) labels of each alternative's task, and of the alternatives.
        name
            What a task is called.
        """
        labels = [tasks[self.better], alternatives[self.better], alternatives[self.worse]]
        return pd.MultiIndex.from_arrays(labels, names=[name, "better", "worse"])


def _ranges(start: IntArray, counts: IntArray) -> IntArray:
    """Whole numbers from each start on, as many as its count, one range after the other."""
    ends = np.cumsum(counts)
    within = np.arange(counts.sum()) - np.repeat(ends - counts, counts)
    return np.asarray(np.repeat(start, counts) + within)


@dataclass(frozen=True)
class TaskRefusal:
    """Refuses rows of a task: names the column, the row and the task.

    Parameters
    ----------
    table
        The caller's table.
    task
        Its column of the tasks' ids.
    noun
        What a task is called.
    user
        The column of users.
    shared
        (n,) whether the id of a row's task is given to tasks of several users; None: it never is.
    """

    table: Table
    task: str
    noun: str = "task"
    user: str = ""
    shared: Mask | None = None

    def __call__(self, column: str, rows: IntArray, found: str, remedy: str) -> None:
        """Refuse the first of some rows, if there are any.

        Parameters
        ----------
        column, rows
            The column, and positions in the table.
        found, remedy
            What to say; ``{value}`` and ``{where}`` are replaced in `found`.
        """
        if len(rows):
            row = int(np.min(rows))
            # As an object: a row of a whole column, so that whole numbers stay whole.
            value = shown(self.table.frame[column].iloc[row])
            text = found.replace("{where}", self.where(row)).replace("{value}", value)
            self.table.refuse(column, row, text, remedy)

    def where(self, row: int) -> str:
        """Name the task of a row."""
        frame = self.table.frame
        name = f"{self.noun} {shown(frame[self.task].iloc[row])}"
        if self.shared is None or not self.shared[row]:
            return name
        return f"{name} of user {shown(frame[self.user].iloc[row])}"

    def others(self, row: int) -> str:
        """Name the users who have a task of the id of a row."""
        ids = self.table.frame[self.task]
        same = (ids == ids.iloc[row]).to_numpy(bool)
        users = pd.unique(self.table.frame[self.user].astype(object)[same])
        return f"the users {listed(users, limit=3)}"

    def broken(self, column: str, rows: IntArray, found: str, remedy: str) -> None:
        """Refuse the first of some rows of a task that may be one task of several users.

        Tasks are numbered within users, so that a task that spans users reads as one of each, of
        which some lack a choice or alternatives.

        Parameters
        ----------
        column, rows, found, remedy
            As in a call.
        """
        if self.shared is not None and self.shared[rows].any():
            rows = rows[self.shared[rows]]
            found += f", and this id spans {self.others(int(np.min(rows)))}"
            remedy = "a task is one user's: mend the ids, or leave it out"
        self(column, rows, found, remedy)

    def changes(self, codes: IntArray, columns: list[str]) -> None:
        """Refuse tasks that change the value of a column from row to row.

        Parameters
        ----------
        codes
            (n,) codes of the tasks, row by row.
        columns
            Names of columns.
        """
        for column in columns:
            values = self.table.labels(column)
            first = values.groupby(codes).transform("first")
            apart = (values != first).to_numpy()
            if apart.any():
                row = int(np.argmax(apart))
                found = f"{shown(values.iloc[row])} beside {shown(first.iloc[row])}"
                found += f" in {self.where(row)}"
                self.table.refuse(column, row, found, f"a {self.noun} has one of each")

    def ranks(self, column: str, rows: IntArray, codes: IntArray, place: FloatArray) -> None:
        """Refuse ties and gaps, and tasks in which nothing is ranked.

        Parameters
        ----------
        column
            The column of ranks.
        rows
            (m,) positions in the table.
        codes, place
            (m,) tasks and ranks of these rows, infinite where there is none.
        """
        frame = pd.DataFrame({"of": codes, "place": place})
        ranked = np.isfinite(frame["place"])
        self(
            column,
            rows[(frame.duplicated(["of", "place"]) & ranked).to_numpy()],
            "rank {value} is given twice in {where}",
            f"a Plackett-Luce model has no ties: leave such {self.noun}s out",
        )
        lowest = frame["place"].where(ranked).groupby(frame["of"]).transform("max")
        count = ranked.groupby(frame["of"]).transform("sum")
        none = (count == 0).to_numpy()
        self.broken(column, rows[none], "nothing is ranked in {where}", "leave it out")
        self.broken(
            column,
            rows[((lowest != count) & ranked).to_numpy()],
            "ranks in {where} leave a gap",
            "number them 1, 2, 3, ... without one",
        )


def places(table: Table, rank: str) -> FloatArray:
    """(n,) ranks of a column, infinite where an alternative is shown and not ranked."""
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
