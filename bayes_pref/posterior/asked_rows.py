"""Rows of a table that a posterior is asked about, in the columns that it was fitted with."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons, Ranking
from bayes_pref.data.item_columns import (
    item_differences,
    with_item_columns,
    with_item_differences,
)
from bayes_pref.data.readers.catalogue import item_positions
from bayes_pref.data.readers.choice_sets import NONE
from bayes_pref.data.table import Table
from bayes_pref.messages import shown
from bayes_pref.types import FloatArray, IntArray, Mask


class AskedTasks(NamedTuple):
    """Alternatives of tasks, those of a task one after another.

    Attributes
    ----------
    row
        (m,) positions of their rows in the table; -1 for an outside option without one.
    features
        (m, d) features of the alternatives.
    task
        (m,) nondecreasing codes of their tasks, from 0.
    """

    row: IntArray
    features: FloatArray
    task: IntArray


def is_about_tasks(comparisons: Comparisons) -> bool:
    """Whether a table of the fitted form has one row an alternative."""
    sources = dict(comparisons.features.sources)
    return "task" in sources or isinstance(comparisons.outcome, Ranking)


def pair_differences(table: Table, comparisons: Comparisons) -> FloatArray:
    """(n, d) features of left minus right, from a table with one row a comparison.

    Items by label, both sides, or differences that are named as the features: whichever of these
    the table has, the columns of the fitted table first.

    Raises
    ------
    DataError
        If a column is missing or cannot be used as it stands.
    """
    features, catalogue = comparisons.features, comparisons.catalogue
    sources = dict(features.sources)
    left, right = sources.get("left", ()), sources.get("right", ())
    there = set(table.frame.columns)
    if catalogue is not None and len(left) == len(right) == 1 and {*left, *right} <= there:
        ours, theirs = (item_positions(table, each[0], catalogue.index) for each in (left, right))
        if features.beside:
            table = with_item_differences(table, features, ours, theirs)
            return features.difference_matrix(table.frame, name=table.name)
        difference = item_differences(catalogue, features, ours, theirs)
        return features.expand(difference, features.used_contexts(table))
    if catalogue is None and left and there & {*left, *right}:
        table.require([*left, *right])
        both = [
            _renamed(table, columns, (*left, *right), features.inputs) for columns in (left, right)
        ]
        one, other = (features.matrix(side, name=table.name) for side in both)
        return np.asarray(one - other)
    if catalogue is None and left and not there & {*features.attributes}:
        table.require([*left, *right])  # names those that are missing
    return features.difference_matrix(table.frame, name=table.name)


def _renamed(
    table: Table, columns: tuple[str, ...], sides: tuple[str, ...], names: tuple[str, ...]
) -> pd.DataFrame:
    """Return one side's columns, named as the attributes, beside the other columns."""
    rest = [name for name in table.frame.columns if name not in {*names, *sides}]
    side = table.frame[list(columns)].set_axis(list(names), axis=1)
    return pd.concat([table.frame[rest], side], axis=1)


def alternatives(table: Table, comparisons: Comparisons) -> tuple[AskedTasks, str]:
    """Read tasks from a table with one row an alternative.

    Returns
    -------
    tasks, column: the alternatives, and the name of the column of tasks

    Raises
    ------
    DataError
        If a column is missing or cannot be used as it stands, or a task has one alternative, or not
        two where the fitted ones were all between two.
    """
    features = comparisons.features
    sources = dict(features.sources)
    name = sources.get("task", ("task",))[0]
    table.require([name])
    codes, _ = table.codes(name)
    if comparisons.user_name in table.frame.columns:  # tasks may be numbered within users
        users, _ = table.codes(comparisons.user_name)
        codes = pd.factorize(users * (int(codes.max()) + 1) + codes)[0].astype(np.int64)
    outside, table = _outside(table, sources)
    values = _values(table, comparisons)
    row = np.arange(len(values))
    if "none" in sources and not sources["none"] and not outside.any():  # it is in every task
        first = np.unique(codes, return_index=True)[1]
        values = np.vstack([values, _option(table, comparisons, first)])
        codes, row = np.append(codes, codes[first]), np.append(row, np.full(len(first), -1))
    order = np.argsort(codes, kind="stable")
    size = np.bincount(codes)[codes]
    wrong = (size != 2) if comparisons.outcome.rowwise else (size < 2)
    if wrong.any():
        at = int(np.argmax(wrong))
        task = shown(table.frame[name].iloc[at])
        remedy = "leave it out" if size[at] == 1 else "the fitted tasks have two"
        found = f"task {task} has {size[at]} alternative{'s' if size[at] > 1 else ''}"
        table.refuse(name, at, found, remedy)
    return AskedTasks(row[order], values[order], codes[order]), name


def _outside(table: Table, sources: dict[str, tuple[str, ...]]) -> tuple[Mask, Table]:
    """(n,) which rows are the outside option, and the table with an indicator of it."""
    if NONE in table.frame.columns and "none" in sources:
        return table.numbers([NONE])[:, 0] != 0.0, table
    label, column = sources.get("none", ()), sources.get("alternative", ("alternative",))[0]
    if not label or column not in table.frame.columns:
        return np.zeros(len(table.frame), dtype=bool), table
    found = np.array([str(each) == label[0] for each in table.labels(column)], dtype=bool)
    marked = table.frame.assign(**{NONE: found.astype(np.float64)})
    return found, Table(marked, table.name, table.sides)


def _values(table: Table, comparisons: Comparisons) -> FloatArray:
    """(n, d) features of alternatives."""
    features, catalogue = comparisons.features, comparisons.catalogue
    item = dict(features.sources).get("item", ("item",))[0]
    if catalogue is not None and item in table.frame.columns:
        if features.beside:
            table = with_item_columns(table, features, catalogue, item)
        else:
            place = item_positions(table, item, catalogue.index)
            nothing = np.full(len(place), -1)
            attributes = item_differences(catalogue, features, place, nothing)
            return features.expand(attributes, features.used_contexts(table))
    elif catalogue is not None and features.items:
        table.require([item])
    return features.matrix(table.frame, name=table.name)


def _option(table: Table, comparisons: Comparisons, rows: IntArray) -> FloatArray:
    """(t, d) features of outside options that are added to tasks, in the contexts of these rows."""
    features = comparisons.features
    attributes = np.zeros((len(rows), len(features.attributes)))
    names: list[Any] = list(features.attributes)
    attributes[:, names.index(NONE)] = 1.0
    return features.expand(attributes, features.used_contexts(table)[rows])
