"""Sets of alternatives to be judged, read from a table with one row an alternative."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons
from bayes_pref.data.context_coding import with_coded
from bayes_pref.data.item_columns import with_item_columns
from bayes_pref.data.readers.catalogue import item_positions
from bayes_pref.data.table import Table
from bayes_pref.diagnostics.task_sets import from_the_others
from bayes_pref.errors import DataError
from bayes_pref.messages import shown
from bayes_pref.types import FloatArray, IntArray

TASK, ITEM, ALTERNATIVE = "task", "item", "alternative"


@dataclass(frozen=True, eq=False)
class SetTable:
    """The n alternatives of a table, those of a task one after the other.

    Attributes
    ----------
    frame
        The table, sorted by task in the order of their first rows.
    difference
        (n, d) features of each alternative minus the mean of the others of its task.
    context
        (n, q) contexts, the same in all rows of a task.
    task
        (n,) code of each row's task, nondecreasing.
    tasks, alternatives
        (n,) labels of both.
    """

    frame: pd.DataFrame
    difference: FloatArray
    context: FloatArray
    task: IntArray
    tasks: pd.Index[Any]
    alternatives: pd.Index[Any]

    @classmethod
    def read(cls, table: Table, fitted: Comparisons) -> SetTable:
        """Read a table with a column ``task``.

        Attributes come as columns, or from the catalogue by the column ``item``. The label of an
        alternative is its entry in ``alternative``, else its item, else the label of its row.
        """
        features = fitted.features
        table = with_coded(table, features.context_codings, needed=True)
        columns = table.frame.columns
        by_name = fitted.catalogue is not None and ITEM in columns
        table.require([TASK, *([ITEM] if by_name else []), *features.contexts])
        if not len(table.frame):
            raise DataError("comparisons: the table has no rows; at least 2 are needed")
        codes, labels = table.codes(TASK)
        ids, named_by = codes, fitted.user_name
        if named_by in columns:  # tasks are numbered within users, as when they are read
            codes = pd.factorize(table.codes(named_by)[0] * (int(codes.max()) + 1) + codes)[0]
        order = np.argsort(codes, kind="stable")
        table = Table(table.frame.iloc[order], table.name)
        codes, labels, frame = codes[order], labels[ids[order]], table.frame
        named = [name for name in (ALTERNATIVE, ITEM) if name in columns]
        _refuse(table, codes, features.contexts, named)
        context = table.numbers(features.contexts)
        if by_name and features.beside:
            assert fitted.catalogue is not None  # or items have no names
            table = with_item_columns(table, features, fitted.catalogue, ITEM)
            values = features.matrix(table.frame, name=table.name)
        elif by_name:
            assert fitted.catalogue is not None  # or items have no names
            known = fitted.catalogue.to_numpy(np.float64)
            attributes = known[item_positions(table, ITEM, fitted.catalogue.index)]
            values = features.expand(np.asarray(attributes), context)
        else:
            values = features.matrix(frame, name=table.name)
        first = np.flatnonzero(np.diff(codes, prepend=-1))
        values = (
            values - (np.add.reduceat(values, first, axis=0) / np.bincount(codes)[:, None])[codes]
        )
        alternatives = pd.Index(frame[named[0]]) if named else frame.index
        return cls(
            frame,
            from_the_others(values, codes),
            context,
            codes,
            labels,
            alternatives.rename(None),
        )


def _refuse(table: Table, codes: IntArray, same: Sequence[str], named: Sequence[str]) -> None:
    """Refuse tasks of one alternative, with an alternative twice, or with two contexts."""
    frame = table.frame
    alone = np.bincount(codes)[codes] < 2
    if alone.any():
        row = int(np.argmax(alone))
        found = f"task {shown(frame[TASK].iloc[row])} has a single alternative"
        table.refuse(TASK, row, found, "a choice needs two at least: leave it out")
    for column in named[:1]:
        twice = pd.DataFrame({"code": codes, "name": frame[column].to_numpy()}).duplicated()
        if twice.any():
            row = int(np.argmax(twice.to_numpy()))
            task = shown(frame[TASK].iloc[row])
            found = f"{shown(frame[column].iloc[row])} is twice in task {task}"
            table.refuse(column, row, found, "keep one row")
    for column in same:
        values = table.labels(column)
        apart = (values != values.groupby(codes).transform("first")).to_numpy()
        if apart.any():
            row = int(np.argmax(apart))
            task = shown(frame[TASK].iloc[row])
            found = f"{shown(values.iloc[row])} beside another value in task {task}"
            table.refuse(column, row, found, "a task has one of each")
