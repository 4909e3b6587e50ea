"""Weights of rows, of which there are two kinds with two meanings, and which rows are randomised.

The *frequency* of a row says how often its answer was given: an aggregated table has one row for
several equal answers. The likelihood counts each of them, so that the reader repeats the row.

The *survey weight* of a user says how many people of the population one respondent stands for. It
says nothing of how sure their answers are, and would make a likelihood overconfident or timid
(Gelman 2007, Stat. Sci. 22); it is kept beside the answers, for averages over people.

A row is *randomised* where what was shown was assigned at random. The other rows are the log.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes_pref.data.table import Table
from bayes_pref.errors import DataError, Place
from bayes_pref.messages import shown
from bayes_pref.types import FloatArray, IntArray, Mask

_MOST_ROWS = 10**8  # more would not fit into any memory that the samplers need beside them


@dataclass(frozen=True)
class RowWeights:
    """Names of the columns of both kinds of weights, and of the mark of randomised rows.

    Parameters
    ----------
    frequency
        How often each answer was given, whole numbers from 1 on; None: once.
    survey_weight
        How many people each user stands for, the same in all rows of a user; None: not given.
    randomised
        Whether what a row shows was assigned at random, the same in all rows of a task; None: not
        given.

    Examples
    --------
    >>> import pandas as pd
    >>> table = Table.read(pd.DataFrame({"n": [2, 1.5]}))
    >>> RowWeights(frequency="n").frequencies(table)
    Traceback (most recent call last):
    bayes_pref.errors.DataError: column 'n': frequency 1.5 in row 1; expected how often the answer
    was given, 1, 2, 3, ...: leave out answers that nobody gave, and pass weights of people as
    survey_weight=
    """

    frequency: str | None = None
    survey_weight: str | None = None
    randomised: str | None = None

    @property
    def columns(self) -> list[str]:
        """Those that are given."""
        return [name for names in self.roles().values() for name in names]

    @property
    def of_tasks(self) -> list[str]:
        """Those that are the same in all rows of a task."""
        return [str(name) for name in (self.frequency, self.randomised) if name is not None]

    def roles(self) -> dict[str, list[str]]:
        """Columns of each role, as `Table.require_roles` takes them."""
        named = {"frequency": self.frequency, "survey_weight": self.survey_weight}
        named["randomised"] = self.randomised
        return {role: [str(name)] for role, name in named.items() if name is not None}

    def check(self, table: Table, user: str) -> None:
        """Refuse weights as the other methods do, in the caller's own table."""
        self.frequencies(table)
        self.of_users(table, user)
        self.assigned(table)

    def frequencies(self, table: Table) -> IntArray | None:
        """(n,) how often each row counts; None if once.

        Raises
        ------
        DataError
            If a frequency is no whole number from 1 on, or the sum is beyond any memory.
        """
        if self.frequency is None:
            return None
        name = str(self.frequency)
        values = table.numbers([name])[:, 0]
        odd = (values < 1) | (values != np.round(values))
        if odd.any():
            row = int(np.argmax(odd))
            table.refuse(
                name,
                row,
                f"frequency {shown(values[row])}",
                "expected how often the answer was given, 1, 2, 3, ...: leave out answers that "
                "nobody gave, and pass weights of people as survey_weight=",
            )
        if values.sum() > _MOST_ROWS:
            raise DataError(
                f"the frequencies add up to {values.sum():,.0f} answers, and {_MOST_ROWS:,} is "
                "the most",
                "if they are weights of people, pass them as survey_weight=",
                place=Place(table.name, name),
            )
        return values.astype(np.int64)

    def assigned(self, table: Table) -> Mask | None:
        """(n,) whether each row was assigned at random; None: not given.

        Raises
        ------
        DataError
            If a value is neither true nor false, or none is true.
        """
        if self.randomised is None:
            return None
        name = str(self.randomised)
        found = table.truths(name)
        if not found.any():
            raise DataError(
                "the column named by randomised= is False in every row",
                "leave randomised= out, or mark the rows whose pairs were assigned at random",
                place=Place(table.name, name),
            )
        return found

    def of_users(self, table: Table, user: str) -> FloatArray | None:
        """(u,) survey weights of the users, in order of first appearance; None: not given.

        Raises
        ------
        DataError
            If a weight is negative or differs within a user, or all of them are 0.
        """
        if self.survey_weight is None:
            return None
        name = str(self.survey_weight)
        values = table.numbers([name])[:, 0]
        if (values < 0).any():
            row = int(np.argmax(values < 0))
            found = f"survey weight {shown(values[row])} is negative"
            remedy = "expected how many people the user stands for"
            table.refuse(name, row, found, remedy)
        codes, users = table.codes(user)
        first = np.unique(codes, return_index=True)[1]
        apart = values != values[first][codes]
        if apart.any():
            row = int(np.argmax(apart))
            before = values[first[codes[row]]]
            table.refuse(
                name,
                row,
                f"user {shown(users[codes[row]])} has the survey weights {shown(before)} and "
                f"{shown(values[row])}",
                "give each user one; how often an answer was given is frequency=",
            )
        if not values.any():
            raise DataError(
                "all survey weights are 0, so that no user stands for anybody",
                "leave survey_weight= out, or mend the column",
                place=Place(table.name, name),
            )
        return values[first]


UNWEIGHTED = RowWeights()
