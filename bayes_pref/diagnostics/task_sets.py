"""Choices among several, as the tasks that users were given and the sets that they chose from.

Comparisons hold a choice among several as rows: the alternative chosen minus each other one, or
each other one minus the worst. What a user was shown, and when, is a matter of whole tasks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons, PairedChoice, Ranking
from bayes_pref.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Shown:
    """The m alternatives of the set of each task, those of a task one after the other.

    Attributes
    ----------
    difference
        (m, d) features of each alternative minus the mean of the others of its set.
    task
        (m,) code of each alternative's task, nondecreasing, from 0.
    row
        (m,) position of a row of the same task in the comparisons.
    tasks, alternatives
        (m,) labels of both.
    """

    difference: FloatArray
    task: IntArray
    row: IntArray
    tasks: pd.Index[Any]
    alternatives: pd.Index[Any]


def one_row_a_task(comparisons: Comparisons) -> Comparisons:
    """Return comparisons with one row a task, for questions about what users were shown.

    Pairs are returned as they are. Of a choice among several, the first row is kept: its user and
    context are the task's.

    Examples
    --------
    >>> table = pd.DataFrame({"who": 1, "id": 1, "drink": ["tea", "milk", "mate"]})
    >>> ranked = Comparisons.from_rankings(
    ...     table.assign(place=[1, 2, 3]), user="who", ranking="id", item="drink", rank="place"
    ... )
    >>> len(ranked), len(one_row_a_task(ranked))
    (3, 1)
    """
    outcome = comparisons.outcome
    if not isinstance(outcome, Ranking):
        return comparisons
    first = np.flatnonzero(np.diff(outcome.task_of_rows, prepend=-1))
    labels = _by_task(comparisons.rows)
    return replace(
        comparisons,
        difference=comparisons.difference[first],
        choice=comparisons.choice[first],
        user=comparisons.user[first],
        context=comparisons.context[first],
        rows=(comparisons.rows if labels is None else labels.get_level_values(0))[first],
        right=None,
        outcome=PairedChoice(),
    )


def chosen_rows(comparisons: Comparisons) -> FloatArray:
    """Return rows (n, d) of choices among several, each in favour of what was chosen.

    A replicated choice is 0 in the row of the alternative that it fell on: the rows of its stage
    then compare that one with the others.
    """
    difference, choice = comparisons.difference, comparisons.choice
    outcome, lost = comparisons.outcome, np.flatnonzero(choice == 0.0)
    if not isinstance(outcome, Ranking) or not lost.size:
        return difference
    instead = np.zeros((int(outcome.stage[-1]) + 1, difference.shape[1]))
    instead[outcome.stage[lost]] = difference[lost]
    rows = difference - instead[outcome.stage]
    rows[lost] = -difference[lost]
    return np.asarray(rows)


def from_the_mean(rows: FloatArray, code: IntArray) -> tuple[FloatArray, IntArray]:
    """Describe sets by their alternatives, relative to the mean of the set.

    Parameters
    ----------
    rows
        (n, d) all alternatives of each set but one, minus that one.
    code
        (n,) code of each row's set, nondecreasing, from 0.

    Returns
    -------
    values: (n + s, d) the alternative left out comes first in its set
    codes: (n + s,)

    Examples
    --------
    >>> from_the_mean(np.array([[2.0], [4.0]]), np.array([0, 0]))[0].ravel()
    array([-2.,  0.,  2.])
    """
    first = np.flatnonzero(np.diff(code, prepend=-1))
    sets = len(first)
    values = np.zeros((len(rows) + sets, rows.shape[1]))
    values[np.arange(len(rows)) + code + 1] = rows
    start = first + np.arange(sets)
    sizes = np.diff(np.append(start, len(values)))
    codes = np.repeat(np.arange(sets), sizes)
    mean = np.add.reduceat(values, start, axis=0) / sizes[:, None]
    return values - mean[codes], codes


def from_the_others(values: FloatArray, code: IntArray) -> FloatArray:
    """Turn values relative to the mean of their set into those relative to the mean of the others.

    Examples
    --------
    >>> from_the_others(np.array([[-0.5], [0.5]]), np.array([0, 0])).ravel()
    array([-1.,  1.])
    """
    size = np.bincount(code)[code]
    return np.asarray(values * (size / (size - 1.0))[:, None])


def shown_sets(comparisons: Comparisons) -> Shown:
    """Return the set of each task: what its first stage is a choice from.

    Parameters
    ----------
    comparisons
        Choices among several.
    """
    outcome = comparisons.outcome
    assert isinstance(outcome, Ranking)  # as every caller has made sure
    assert outcome.task is not None  # as validated there
    assert outcome.worst is not None
    is_first = np.diff(outcome.task, prepend=-1) > 0
    kept = np.flatnonzero(is_first[outcome.stage])
    task, worst = outcome.task_of_rows[kept], outcome.worst[outcome.stage[kept]]
    # Relative to the alternative that all rows of the stage have in common.
    relative = np.where(worst, 1.0, -1.0)[:, None] * comparisons.difference[kept]
    values, code = from_the_mean(relative, task)
    row = kept[np.searchsorted(task, code)]
    labels = _by_task(comparisons.rows)
    if labels is None:
        number = np.arange(len(code)) - np.searchsorted(code, code) + 1
        names, alternatives = comparisons.rows[row], pd.Index(number)
    else:
        names, alternatives = labels.get_level_values(0)[row], _names(labels[kept], task, worst)
    return Shown(from_the_others(values, code), code, row, names, alternatives)


def _by_task(labels: pd.Index[Any]) -> pd.MultiIndex | None:
    """Labels of rows as those of the task, the better and the worse alternative; None if not so."""
    if isinstance(labels, pd.MultiIndex):
        return labels if labels.nlevels == 3 else None
    if not all(isinstance(label, tuple) and len(label) == 3 for label in labels):
        return None
    return pd.MultiIndex.from_tuples(labels.tolist())


def _names(labels: pd.MultiIndex, task: IntArray, worst: np.ndarray[Any, Any]) -> pd.Index[Any]:
    """Labels of the alternatives of each set, in the order of `from_the_mean`."""
    better, worse = (labels.get_level_values(level).astype(object) for level in (1, 2))
    other, common = better.where(worst, worse), worse.where(worst, better)
    first = np.flatnonzero(np.diff(task, prepend=-1))
    names = np.empty(len(task) + len(first), dtype=object)
    names[np.arange(len(task)) + task + 1] = other
    names[first + np.arange(len(first))] = common[first]
    return pd.Index(names).infer_objects()
