"""Choices among several: rankings, best-of-k and best-worst tasks, as stages.

A stage is one choice among the items that are left. A choice task is one stage, a ranking one for
each place, and a best-worst task one for the best and one for the worst of the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from bayes_pref.data.outcome import Outcome
from bayes_pref.data.selection import rows_of
from bayes_pref.errors import DataError
from bayes_pref.types import FloatArray, IntArray, Mask


@dataclass(frozen=True, eq=False)
class Ranking(Outcome):
    """The best of several items is chosen, then the best of those that are left, and so on.

    Parameters
    ----------
    stage
        (n,) nondecreasing codes of the stages, from 0. The rows of a stage compare the item chosen
        with each of the others.
    task
        (s,) nondecreasing codes of the stages' tasks, from 0: the stages of a ranking, or the best
        and the worst of a set, are one task. None: each stage is a task.
    worst
        (s,) whether a stage names the worst item: its rows compare each of the others with that
        item. None: all stages name the best.

    Raises
    ------
    DataError
        If `stage`, `task` or `worst` is anything else.

    Examples
    --------
    >>> Ranking([0, 0, 1]).take(np.array([2])).stage
    array([0])
    """

    stage: IntArray
    task: IntArray | None = None
    worst: Mask | None = None

    name: ClassVar[str] = "rankings"
    rowwise: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Validate and freeze the codes."""
        stage = _codes_in_order(self.stage, "stage", "row by row")
        count = int(stage[-1]) + 1 if len(stage) else 0
        task = np.arange(count) if self.task is None else self.task
        task = _codes_in_order(task, "task", "stage by stage")
        worst = np.array(np.zeros(count) if self.worst is None else self.worst, dtype=bool)
        for name, codes in (("task", task), ("worst", worst)):
            if codes.shape != (count,):
                raise DataError(f"{name} has shape {codes.shape}, but there are {count} stages")
        worst.flags.writeable = False
        for name, value in (("stage", stage), ("task", task), ("worst", worst)):
            object.__setattr__(self, name, value)

    @property
    def task_of_rows(self) -> IntArray:
        """(n,) code of each row's task."""
        assert self.task is not None  # as validated
        return self.task[self.stage]

    def tasks(self, n_rows: int) -> IntArray:
        """(n,) code of each row's task, as `task_of_rows`."""
        return self.task_of_rows

    def observations(self, n_rows: int) -> IntArray:
        """(s + 1,) where each stage begins, and the end."""
        return np.append(np.flatnonzero(np.diff(self.stage, prepend=-1)), n_rows)

    def observed(self, choice: FloatArray) -> Ranking:
        """Validate choices: a row is 0 where a simulated choice is the item on the right."""
        if self.stage.shape != choice.shape:
            raise DataError(
                f"stage has shape {self.stage.shape}, but {choice.shape} fits the other parts"
            )
        if not np.isin(choice, (0.0, 1.0)).all():
            raise DataError("choice must hold 1 or 0 only where there are rankings")
        return self

    def take(self, rows: IntArray) -> Ranking:
        """Return the outcome of some rows, which must hold whole stages.

        Raises
        ------
        DataError
            If a stage is taken in part or out of order.
        """
        codes, kept = pd.factorize(self.stage[rows])
        size = np.bincount(self.stage)
        if (np.diff(codes) < 0).any() or (np.bincount(codes) != size[kept]).any():
            raise DataError(
                "the rows of one choice in a ranking belong together, in order; select users, or "
                "rows by comparisons.outcome.stage"
            )
        assert self.task is not None  # as validated
        assert self.worst is not None
        return Ranking(codes, pd.factorize(self.task[kept])[0], self.worst[kept])

    def repeated(self, times: IntArray) -> tuple[IntArray, Ranking]:
        """Return the rows of repeated tasks, and their outcome, in which each copy is a task.

        Examples
        --------
        >>> at, outcome = Ranking([0, 0, 1]).repeated(np.array([2, 2, 1]))
        >>> at.tolist(), outcome.stage.tolist()
        ([0, 1, 0, 1, 2], [0, 0, 1, 1, 2])
        """
        assert self.task is not None  # as validated
        assert self.worst is not None
        of_row, first = self.task_of_rows, _starts(self.task)
        copies = np.repeat(np.arange(len(first) - 1), times[_starts(of_row)[:-1]])
        stages = rows_of(copies, first)  # of each copy, as positions of stages
        rows = rows_of(stages, _starts(self.stage))
        size = np.bincount(self.stage)[stages]
        task = np.repeat(np.arange(len(copies)), np.diff(first)[copies])
        stage = np.repeat(np.arange(len(stages)), size)
        return rows, Ranking(stage, task, self.worst[stages])

    def describe(self, choice: FloatArray) -> str:
        """Summarise choices."""
        assert self.worst is not None  # as validated
        worst = int(self.worst.sum())
        best = f"{len(self.worst) - worst:,}, each of the best of those that are left"
        return f"{best}, and {worst:,} of the worst" if worst else best

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the settings and arrays that `Outcome.from_state` reads."""
        assert self.worst is not None  # as validated
        return {"outcome": "Ranking"}, {
            "stage": self.stage,
            "task": self.task,
            "worst": self.worst.astype(np.int64),
        }

    @classmethod
    def _with_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Ranking:
        return cls(arrays["stage"], arrays.get("task"), arrays.get("worst"))


def _starts(codes: IntArray) -> IntArray:
    """(k + 1,) where each of k nondecreasing codes begins, and the end."""
    return np.append(np.flatnonzero(np.diff(codes, prepend=-1)), len(codes))


def _codes_in_order(codes: IntArray, name: str, order: str) -> IntArray:
    """Codes 0, 1, ... in nondecreasing order, validated and read-only."""
    found = np.array(codes, dtype=np.int64)
    first = np.flatnonzero(np.diff(found, prepend=-1))
    if found.ndim != 1 or not np.array_equal(found[first], np.arange(len(first))):
        raise DataError(f"{name} must hold codes from 0, {order}, in nondecreasing order")
    found.flags.writeable = False
    return found
