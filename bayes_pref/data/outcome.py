"""Outcomes: what a row of comparisons records, and how it is stored as a number.

    PairedChoice    1 left, 0 right, 0.5 a tie
    GradedChoice    k / (K - 1) for level k = 0 ... K - 1, "right is much better" first
    Ranking         1: the item on the left is chosen over the one on the right; the rows of a
                    stage are one choice among several items; in `data.ranking`

1 is the strongest preference for left and 0 for right throughout.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pandas as pd

from bayes_pref.data.plain_labels import why_not_text
from bayes_pref.data.table import Table
from bayes_pref.errors import DataError
from bayes_pref.messages import listed, shown
from bayes_pref.types import FloatArray, IntArray

Levels: TypeAlias = int | Sequence[Hashable]

FEWEST, MOST = 3, 7
_PLAIN = (str, int, float, bool)
_MANY = (Sequence, np.ndarray, pd.Index)


class Outcome(ABC):
    """Base of the outcomes: what the choices of `Comparisons` mean.

    Attributes
    ----------
    name
        What the choices are called in messages.
    rowwise
        Whether each row is an observation of its own.
    """

    name: ClassVar[str]
    rowwise: ClassVar[bool] = True

    @property
    def boundaries(self) -> list[str]:
        """(K - 1,) labels of the cutpoints between neighbouring levels; empty without levels."""
        return []

    @abstractmethod
    def observed(self, choice: FloatArray) -> Outcome:
        """Validate choices (n,), and return the outcome of data that hold them.

        Raises
        ------
        DataError
            If a choice is no value of this outcome.
        """

    def read(self, table: Table, column: str) -> FloatArray:
        """(n,) choices from a column of a table.

        Raises
        ------
        DataError
            If an entry is no value of this outcome; names the column, the row and the entry.
        """
        return table.outcomes(column)

    def take(self, rows: IntArray) -> Outcome:
        """Return the outcome of a selection of rows, given by position."""
        return self

    def repeated(self, times: IntArray) -> tuple[IntArray, Outcome]:
        """Return positions of rows (m,) in which each of n rows stands so often, and their outcome.

        Parameters
        ----------
        times
            (n,) from 1 on; the rows of a task have the same.
        """
        return np.repeat(np.arange(len(times)), times), self

    def tasks(self, n_rows: int) -> IntArray:
        """(n,) nondecreasing codes of the rows' tasks: a choice between two is a task of its own.

        Examples
        --------
        >>> PairedChoice().tasks(3)
        array([0, 1, 2])
        """
        return np.arange(n_rows)

    def observations(self, n_rows: int) -> IntArray:
        """(m + 1,) where each observation begins, and the end: rows of one are one choice."""
        return np.arange(n_rows + 1)

    def mirrored(self, choice: FloatArray) -> FloatArray:
        """Return choices (n,) as they read with the sides exchanged."""
        return 1.0 - choice

    def answers(self, choice: FloatArray) -> Any:
        """Return choices (n,) as they stand in the caller's table."""
        return choice

    def evidence(self, choice: FloatArray, rows: pd.Index[Any]) -> str:
        """Say which rows show the outcome, for messages that refuse it; may be empty."""
        return ""

    @abstractmethod
    def describe(self, choice: FloatArray) -> str:
        """Summarise choices (n,) in a line."""

    @abstractmethod
    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return settings, ready for JSON, and arrays, from which `from_state` makes the same."""

    @staticmethod
    def from_state(settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Outcome:
        """Build what `state` described; without a name, as files of format 1 have it.

        Examples
        --------
        >>> Outcome.from_state(*GradedChoice(3).state())
        GradedChoice(levels=(1, 2, 3))
        """
        name = settings.get("outcome")
        if name is None:
            name = "Ranking" if "stage" in arrays else "PairedChoice"
            name = "GradedChoice" if settings.get("levels") else name
        known = {outcome.__name__: outcome for outcome in Outcome.__subclasses__()}
        if name in known:
            return known[name]._with_state(settings, arrays)
        raise DataError(f"unknown outcome {name!r}; upgrade bayes_pref to read it")

    @classmethod
    def _with_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> Outcome:
        """Build the outcome whose `state` this is."""
        return cls()


@dataclass(frozen=True)
class PairedChoice(Outcome):
    """One of two is chosen, or neither.

    Parameters
    ----------
    ties
        Whether a tie can be observed. Data that hold a tie set it.

    Examples
    --------
    >>> PairedChoice().observed(np.array([1.0, 0.0, 0.5]))
    PairedChoice(ties=True)
    """

    ties: bool = False

    name: ClassVar[str] = "choices between two"

    def observed(self, choice: FloatArray) -> PairedChoice:
        """Validate choices, and set `ties` where there are any."""
        if not np.isin(choice, (0.0, 0.5, 1.0)).all():
            raise DataError("choice must hold 1, 0 or 0.5 only")
        return PairedChoice(self.ties or bool((choice == 0.5).any()))

    def take(self, rows: IntArray) -> PairedChoice:
        """Return the outcome of some rows, which has ties where these rows have any."""
        return PairedChoice()

    def evidence(self, choice: FloatArray, rows: pd.Index[Any]) -> str:
        """Say which choices are ties."""
        tied = np.flatnonzero(choice == 0.5)
        if not tied.size:
            return ""
        found = f"{tied.size:,} of {len(choice):,} choices are 0.5"
        return f"{found}, the first in row {shown(rows[tied[0]])}"

    def describe(self, choice: FloatArray) -> str:
        """Summarise choices.

        Examples
        --------
        >>> PairedChoice().describe(np.array([0.0, 1.0, 1.0, 1.0]))
        '75 % left, 25 % right'
        """
        named = {"left": 1.0, "right": 0.0}
        if (choice == 0.5).any():
            named["ties"] = 0.5
        return ", ".join(f"{100 * np.mean(choice == v):.0f} % {k}" for k, v in named.items())

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the settings and arrays that `Outcome.from_state` reads."""
        return {"outcome": "PairedChoice", "ties": self.ties}, {}

    @classmethod
    def _with_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> PairedChoice:
        return cls(ties=settings.get("ties", False))


@dataclass(frozen=True)
class GradedChoice(Outcome):
    """How much better left or right is, on three to seven ordered levels.

    Parameters
    ----------
    levels
        Labels of the levels, from "right is much better" to "left is much better"; or their number
        K, for answers 1 to K.

    Raises
    ------
    DataError
        If there are fewer than 3 or more than 7 levels, or a label is repeated or no plain value.

    Examples
    --------
    >>> GradedChoice(["right", "same", "left"]).boundaries
    ['right | same', 'same | left']
    """

    levels: tuple[Any, ...]

    name: ClassVar[str] = "graded answers"

    def __init__(self, levels: Levels) -> None:
        object.__setattr__(self, "levels", _labels(levels))

    @property
    def boundaries(self) -> list[str]:
        """(K - 1,) labels of the cutpoints between neighbouring levels."""
        return [f"{low} | {high}" for low, high in pairwise(self.levels)]

    def read(self, table: Table, column: str) -> FloatArray:
        """(n,) choices from a column of labels.

        Raises
        ------
        DataError
            If an entry is none of the levels; names the column, the row and the entry.

        Examples
        --------
        >>> answers = Table.read(pd.DataFrame({"answer": ["same", "left", "right"]}))
        >>> GradedChoice(["right", "same", "left"]).read(answers, "answer")
        array([0.5, 1. , 0. ])
        """
        entries = table.labels(column).astype(object)
        places = {label: place for place, label in enumerate(self.levels)}
        found = entries.map(lambda entry: places.get(entry, -1) if _hashable(entry) else -1)
        codes = found.to_numpy(np.int64)
        if (codes < 0).any():
            row = int(np.argmax(codes < 0))
            expected = f"the levels are {listed(self.levels, limit=MOST)}"
            table.refuse(column, row, f"unknown level {shown(entries.iloc[row])}", expected)
        return codes / (len(self.levels) - 1)

    def observed(self, choice: FloatArray) -> GradedChoice:
        """Validate choices."""
        steps = len(self.levels) - 1
        if not np.isin(choice, np.arange(steps + 1) / steps).all():
            raise DataError(
                f"choice must hold 0, 1 / {steps}, ... or 1 where there are {steps + 1} levels"
            )
        return self

    def mirrored(self, choice: FloatArray) -> FloatArray:
        """Return choices (n,) as they read with the sides exchanged: level k becomes K - 1 - k.

        Examples
        --------
        >>> GradedChoice(4).mirrored(np.array([0.0, 1 / 3]))
        array([1.        , 0.66666667])
        """
        steps = len(self.levels) - 1
        return np.asarray((steps - self._codes(choice)) / steps)  # exactly one of the levels

    def answers(self, choice: FloatArray) -> Any:
        """Return the labels of choices (n,)."""
        return pd.Index(self.levels)[self._codes(choice)].to_numpy()

    def describe(self, choice: FloatArray) -> str:
        """Summarise choices.

        Examples
        --------
        >>> GradedChoice(["right", "same", "left"]).describe(np.array([0.0, 1.0, 1.0, 1.0]))
        '25 % right, 0 % same, 75 % left'
        """
        counts = np.bincount(self._codes(choice), minlength=len(self.levels))
        each = zip(self.levels, counts, strict=True)
        return ", ".join(f"{100 * count / len(choice):.0f} % {label}" for label, count in each)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the settings and arrays that `Outcome.from_state` reads."""
        return {"outcome": "GradedChoice", "levels": list(self.levels)}, {}

    @classmethod
    def _with_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, Any]) -> GradedChoice:
        return cls(tuple(settings["levels"]))

    def _codes(self, choice: FloatArray) -> IntArray:
        """(n,) places of the levels, 0 to K - 1."""
        return np.rint(choice * (len(self.levels) - 1)).astype(np.int64)


def paired_or_graded(levels: Levels | None) -> Outcome:
    """Return the outcome of data that are read with these levels, or without any."""
    return PairedChoice() if levels is None else GradedChoice(levels)


def _labels(levels: Levels) -> tuple[Any, ...]:
    """Labels of the levels, validated.

    Examples
    --------
    >>> _labels(5)
    (1, 2, 3, 4, 5)
    """
    whole = isinstance(levels, int | np.integer) and not isinstance(levels, bool)
    if not whole and (isinstance(levels, str) or not isinstance(levels, _MANY)):
        raise DataError(
            f"levels must be a number of levels or their labels in order, from 'right is much "
            f"better' to 'left is much better', got {shown(levels)}"
        )
    count = levels if isinstance(levels, int | np.integer) else len(levels)
    if not FEWEST <= count <= MOST:  # before a list of so many is made
        raise DataError(f"levels must be {FEWEST} to {MOST} in number, got {shown(count)}")
    labels = list(range(1, levels + 1) if isinstance(levels, int | np.integer) else levels)
    plain = tuple(label.item() if isinstance(label, np.generic) else label for label in labels)
    odd = [label for label in plain if not isinstance(label, _PLAIN) or label != label]
    odd += [label for label in plain if isinstance(label, str) and why_not_text(label)]
    if odd:
        raise DataError(f"levels must be text or numbers, got {shown(odd[0])}")
    if len(set(plain)) < len(plain):
        raise DataError(f"levels must be different labels, got {listed(plain, limit=MOST)}")
    return plain


def _hashable(entry: object) -> bool:
    return isinstance(entry, Hashable)
