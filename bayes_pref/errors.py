"""Every error and warning that bayes_pref raises on purpose.

A `DataError` says where in the data something is (`place`), what it is (`found`) and what to do
about it (`remedy`), each as an attribute. Its message is one sentence made of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from bayes_pref.messages import printable, shown


def _on_one_line(part: object) -> object:
    """The door of every message: labels in it must not reach a terminal as they are."""
    return printable(" ".join(part.splitlines())) if isinstance(part, str) else part


class BayesPrefError(ValueError):
    r"""Base of all errors a user can mend; the message is one sentence that says how.

    Examples
    --------
    >>> print(BayesPrefError("no user 'a\x1b[2J'"))
    no user 'a\x1b[2J'
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*map(_on_one_line, args))


@dataclass(frozen=True)
class Place:
    """Where in the caller's data something is.

    Parameters
    ----------
    table
        The argument that the table came in as, such as ``"covariates"``, or a file; empty for a
        call's only table.
    column
        Name of the column; None: not one column.
    rows
        (row,) label of the row, in the caller's index; empty: not one row.
    unit
        What the labels of rows count: ``"row"``, or ``"line"`` of a text file.
    position
        The row's position, counted from 0, where its label does not tell it from others.

    Examples
    --------
    >>> str(Place("covariates", "age"))
    "covariates, column 'age'"
    """

    table: str = ""
    column: str | None = None
    rows: tuple[Any, ...] = ()
    unit: str = "row"
    position: int | None = None

    @classmethod
    def of_row(cls, table: str, column: str | None, row: int, labels: Any) -> Place:
        """Return the place of a row that is given by position, among rows with these labels.

        Examples
        --------
        >>> import pandas as pd
        >>> Place.of_row("", "age", 2, pd.Index(["a", "b", "a"]))
        Place(table='', column='age', rows=('a',), unit='row', position=2)
        """
        label = labels[row]
        alone = labels.is_unique or labels.get_indexer_for([label]).size == 1
        return cls(table, column, (label,), position=None if alone else row)

    def __str__(self) -> str:
        """Name the table and the column, where they are known."""
        column = "" if self.column is None else f"column {self.column!r}"
        return ", ".join(filter(None, [self.table, column]))


class DataError(BayesPrefError):
    """The data, an argument or a saved file cannot be used as given.

    Parameters
    ----------
    found
        What is wrong, without a full stop; the whole message where there is no more to tell.
    remedy
        What to do about it; empty if `found` says so.
    place
        Where it is; None: `found` says so.
    subject
        Whether the place is the grammatical subject of `found` ("the table is empty") instead of
        standing before it with a colon ("column 'age': missing value").

    Examples
    --------
    >>> place = Place("covariates", "age", (17,))
    >>> error = DataError("missing value (nan)", "drop the row or mend it", place=place)
    >>> print(error)
    covariates, column 'age': missing value (nan) in row 17; drop the row or mend it
    >>> print(error.at("ages.csv", unit="line"))
    ages.csv, column 'age': missing value (nan) in line 17; drop the row or mend it
    """

    def __init__(
        self, found: str, remedy: str = "", *, place: Place | None = None, subject: bool = False
    ) -> None:
        self.found, self.remedy, self.place, self.subject = found, remedy, place, subject
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        where = Place() if self.place is None else self.place
        start = str(where)
        if self.subject:
            start = f"{start or 'the table'} "
        elif start:
            start = f"{start}: "
        row = "".join(f" in {where.unit} {shown(label)}" for label in where.rows)
        if where.position is not None:
            row += f" at position {where.position:,} (from 0; other rows have this label, too)"
        return f"{start}{self.found}{row}{'; ' * bool(self.remedy)}{self.remedy}"

    def at(self, table: str, *, unit: str = "row", remedy: str | None = None) -> DataError:
        """Return the same error for readers who know the table by another name.

        Parameters
        ----------
        table
            What they call it, such as the path of a file.
        unit
            What the labels of its rows count.
        remedy
            Another remedy; None: the same.
        """
        place = replace(self.place or Place(), table=table, unit=unit)
        return DataError(
            self.found,
            self.remedy if remedy is None else remedy,
            place=place,
            subject=self.subject,
        )


class ModelError(BayesPrefError):
    """A model, an engine and the data do not fit together."""


class Unsupported(ModelError):
    """An engine cannot draw from the posterior of a model given these data.

    Parameters
    ----------
    reason
        Why not, and which engine to use instead; without the names of the engine and the model.
    subject
        What the message begins with, such as "Gibbs cannot run PooledReward"; empty: the reason
        alone.

    Examples
    --------
    >>> error = Unsupported("choices are not logistic", "Gibbs cannot run PooledReward")
    >>> print(error)
    Gibbs cannot run PooledReward: choices are not logistic
    >>> error.reason
    'choices are not logistic'
    """

    def __init__(self, reason: str, subject: str = "") -> None:
        self.reason, self.subject = reason, subject
        super().__init__(f"{subject}: {reason}" if subject else reason)


class KeywordError(BayesPrefError, TypeError):
    """A function was called with a keyword that it does not have; the message says the right one.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> bp.diagnose(None, treshold=0.1)
    Traceback (most recent call last):
    bayes_pref.errors.KeywordError: diagnose() got an unexpected keyword argument 'treshold'; did \
    you mean 'thresholds'?
    """


class _Notice(UserWarning):
    """A warning whose message may hold labels."""

    def __init__(self, *args: object) -> None:
        super().__init__(*map(_on_one_line, args))


class DataWarning(_Notice):
    """The data can be used, but something in them limits what can be learned."""


class ConvergenceWarning(_Notice):
    """The draws may not describe the posterior; the message says what to do."""
