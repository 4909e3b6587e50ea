"""Graded answers: three to seven levels, from "right is much better" to "left is much better".

Level k of K (k = 0 ... K - 1) is kept as the number k / (K - 1), so that 1 stays the strongest
preference for the left and 0 for the right.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from bayes_pref.data.table import FloatArray, IntArray, Table, listed, shown
from bayes_pref.errors import DataError

Levels: TypeAlias = int | Sequence[Hashable]

FEWEST, MOST = 3, 7
_PLAIN = (str, int, float, bool)
_MANY = (Sequence, np.ndarray, pd.Index)


def level_labels(levels: Levels) -> tuple[Any, ...]:
    """Labels of the levels, the strongest preference for the right first.

    Parameters
    ----------
    levels
        Their number K, for answers 1 to K; or the labels themselves, in order.

    Raises
    ------
    DataError
        If there are fewer than 3 or more than 7, or a label is doubled or no plain value.

    Examples
    --------
    >>> level_labels(5)
    (1, 2, 3, 4, 5)
    >>> level_labels(["right", "same", "left"])
    ('right', 'same', 'left')
    """
    whole = isinstance(levels, int | np.integer) and not isinstance(levels, bool)
    if not whole and (isinstance(levels, str) or not isinstance(levels, _MANY)):
        raise DataError(
            f"levels must be a number of levels or their labels in order, from 'right is much "
            f"better' to 'left is much better', got {shown(levels)}"
        )
    labels = list(range(1, levels + 1) if isinstance(levels, int | np.integer) else levels)
    if not FEWEST <= len(labels) <= MOST:
        raise DataError(f"levels must be {FEWEST} to {MOST} in number, got {len(labels)}")
    plain = tuple(label.item() if isinstance(label, np.generic) else label for label in labels)
    odd = [label for label in plain if not isinstance(label, _PLAIN) or label != label]
    if odd:
        raise DataError(f"levels must be text or numbers, got {shown(odd[0])}")
    if len(set(plain)) < len(plain):
        raise DataError(f"levels must be different labels, got {listed(plain, limit=MOST)}")
    return plain


def graded(table: Table, column: str, labels: Sequence[Any]) -> FloatArray:
    """(n,) answers k / (K - 1), read from a column of labels.

    Raises
    ------
    DataError
        If an entry is none of the levels; names the column, the row and the entry.

    Examples
    --------
    >>> answers = Table.read(pd.DataFrame({"answer": ["same", "left", "right"]}))
    >>> graded(answers, "answer", ["right", "same", "left"])
    array([0.5, 1. , 0. ])
    """
    entries = table.labels(column).astype(object)
    places = {label: place for place, label in enumerate(labels)}
    found = entries.map(lambda entry: places.get(entry, -1) if _hashable(entry) else -1)
    codes = found.to_numpy(np.int64)
    if (codes < 0).any():
        row = int(np.argmax(codes < 0))
        expected = f"the levels are {listed(labels, limit=MOST)}"
        table.refuse(column, row, f"unknown level {shown(entries.iloc[row])}", expected)
    return codes / (len(labels) - 1)


def level_codes(choice: FloatArray, count: int) -> IntArray:
    """(n,) places 0 to count - 1 of answers k / (count - 1).

    Examples
    --------
    >>> level_codes(np.array([0.0, 0.75, 1.0]), 5)
    array([0, 3, 4])
    """
    return np.rint(choice * (count - 1)).astype(np.int64)


def check_choices(choice: FloatArray, levels: Sequence[Any] | None) -> None:
    """Refuse choices that are no answers of this kind."""
    if levels is None:
        if not np.isin(choice, (0.0, 0.5, 1.0)).all():
            raise DataError("choice must hold 1, 0 or 0.5 only")
        return
    steps = len(level_labels(levels)) - 1
    if not np.isin(choice, np.arange(steps + 1) / steps).all():
        raise DataError(
            f"choice must hold 0, 1 / {steps}, ... or 1 where there are {steps + 1} levels"
        )


def shares(choice: FloatArray, levels: Sequence[Any] | None) -> list[str]:
    """Say how often each answer was given.

    Examples
    --------
    >>> shares(np.array([0.0, 1.0, 1.0, 1.0]), None)
    ['75 % left', '25 % right']
    >>> shares(np.array([0.0, 1.0, 1.0, 1.0]), ["right", "same", "left"])
    ['25 % right', '0 % same', '75 % left']
    """
    if levels is not None:
        counts = np.bincount(level_codes(choice, len(levels)), minlength=len(levels))
        each = zip(levels, counts, strict=True)
        return [f"{100 * count / len(choice):.0f} % {label}" for label, count in each]
    found = [
        f"{100 * np.mean(choice == 1):.0f} % left",
        f"{100 * np.mean(choice == 0):.0f} % right",
    ]
    tied = np.mean(choice == 0.5)
    return [*found, f"{100 * tied:.0f} % ties"] if tied else found


def _hashable(entry: object) -> bool:
    return isinstance(entry, Hashable)
