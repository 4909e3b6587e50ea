"""Comparisons from choice tasks with one row a task, and a column an attribute and alternative."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd

from bayes_pref.data.coding_options import CodingOptions
from bayes_pref.data.plain_labels import REMEDY, why_not_plain
from bayes_pref.data.readers.choice_sets import TaskColumns
from bayes_pref.data.readers.grouping import warn_of_limits
from bayes_pref.data.readers.long import task_parts
from bayes_pref.data.readers.row_weights import RowWeights
from bayes_pref.data.sides import SidesOption, SidesReader
from bayes_pref.data.table import Table, TableLike, column_names, missing_in, positions_in
from bayes_pref.errors import DataError
from bayes_pref.messages import listed, shown
from bayes_pref.types import Mask


class WideReader:
    """The constructor `from_wide` of `Comparisons`."""

    @classmethod
    def from_wide(
        cls,
        frame: TableLike,
        *,
        user: str,
        choice: str,
        attributes: Sequence[str],
        alternatives: Sequence[Any],
        sep: str = "_",
        none: Any = None,
        context: Sequence[str] | None = None,
        interactions: Literal["all"] | Sequence[tuple[str, str]] | None = None,
        covariates: TableLike | None = None,
        coding: str | Mapping[str, str] = "effect",
        baseline: Mapping[str, Any] | None = None,
        order: Mapping[str, Sequence[Any]] | None = None,
        transform: Mapping[str, str] | None = None,
        frequency: str | None = None,
        survey_weight: str | None = None,
        randomised: str | None = None,
        sides: SidesOption = "as shown",
        seed: int = 0,
    ) -> Self:
        """Read choice tasks from a table with one row a task.

        Parameters
        ----------
        frame
            One row a task. The attributes of an alternative are columns such as ``price_1``, or
            ``1_price``; all of them are missing where a task does not show the alternative.
        user, choice
            Columns of the users' labels, and of the alternative chosen.
        attributes, alternatives
            Names of the attributes, and labels of the alternatives as they stand in the column
            `choice`.
        sep
            What is between the two in the name of a column.
        none
            The label of the outside option ("none of them") in the column `choice`; it is in every
            task. True: nothing stands there where it was chosen.
        context, interactions, covariates, coding, baseline, order, transform, sides, seed
            As in `from_tasks`.
        frequency, survey_weight, randomised
            As in `from_tasks`.

        Returns
        -------
        comparisons: those that `from_tasks` reads from the same tasks in long format; a task is
            called by the label of its row, or by its position where labels repeat

        Raises
        ------
        DataError
            As `from_tasks`, and for an alternative of which some attributes are missing.

        Warns
        -----
        DataWarning
            As `from_frame`.

        Examples
        --------
        >>> import pandas as pd
        >>> import bayes_pref as bp
        >>> frame = pd.DataFrame(
        ...     {
        ...         "who": ["ann", "ann", "bob", "bob"],
        ...         "price_car": [4.0, 5.0, 3.0, 4.0],
        ...         "price_bus": [2.0, 1.0, 2.0, 3.0],
        ...         "price_tram": [3.0, None, 1.0, 2.0],
        ...         "mode": ["bus", "car", "tram", "tram"],
        ...     }
        ... )
        >>> comparisons = bp.Comparisons.from_wide(
        ...     frame,
        ...     user="who",
        ...     choice="mode",
        ...     attributes=["price"],
        ...     alternatives=["car", "bus", "tram"],
        ... )
        >>> comparisons.rows[:3].tolist()
        [(0, 'bus', 'car'), (0, 'bus', 'tram'), (1, 'car', 'bus')]
        """
        wide = Table.read(frame)
        user, choice, contexts = str(user), str(choice), column_names(context)
        names, labels = column_names(attributes), list(alternatives)
        weights = RowWeights(frequency, survey_weight, randomised)
        wide.require_roles(
            {"user": [user], "choice": [choice], "context": contexts} | weights.roles()
        )
        _refuse_labels(labels, names, none)
        found = {label: _columns(wide, names, label, sep) for label in labels}
        there = {label: _shown_in(wide, found[label]) for label in labels}
        _refuse_choices(wide, choice, there, none)
        long, task, alternative = _long(
            wide, (user, choice, *contexts, *weights.columns), names, found, there, none
        )
        columns = TaskColumns(
            user=user,
            task=task,
            attributes=names,
            context=contexts,
            choice=choice,
            alternative=alternative,
            none=none,
            weights=weights,
        )
        options = CodingOptions(coding, baseline, order, transform)
        parts = task_parts(
            Table(long), columns, interactions, covariates, options, SidesReader(sides, seed)
        )
        made = cls(**parts)
        warn_of_limits(parts, stacklevel=3)
        return made


def _refuse_labels(labels: Sequence[Any], names: Sequence[str], none: Any) -> None:
    if not labels or not names:
        raise DataError("give the alternatives' labels and the attributes", "name at least one")
    odd = next(filter(None, map(why_not_plain, labels)), "")
    if odd:
        raise DataError(f"alternatives must be plain values, and one {odd}", REMEDY)
    if len(set(labels)) < len(labels):
        raise DataError(f"alternatives must be different labels, got {listed(labels)}")
    if none is not True and none in labels:
        raise DataError(
            f"none={shown(none)} is also one of the alternatives",
            "leave it out of alternatives=[...]: it has no attributes",
        )


def _columns(wide: Table, names: Sequence[str], label: Any, sep: str) -> list[str]:
    """(k,) names of the columns of an alternative."""
    after = [f"{name}{sep}{label}" for name in names]
    before = [f"{label}{sep}{name}" for name in names]
    if not set(after) <= set(wide.frame.columns) and set(before) <= set(wide.frame.columns):
        return before
    wide.require(after)
    return after


def _shown_in(wide: Table, columns: Sequence[str]) -> Mask:
    """(n,) tasks that show an alternative; refuse those in which some attributes are missing."""
    missing = np.column_stack([missing_in(wide.frame[column]) for column in columns])
    absent = missing.all(axis=1)
    for column, gone in zip(columns, missing.T, strict=True):
        if (gone & ~absent).any():
            row = int(np.argmax(gone & ~absent))
            remedy = "an alternative that was not shown has none of its attributes"
            wide.refuse(column, row, "missing value beside others of the alternative", remedy)
    return np.asarray(~absent)


def _refuse_choices(wide: Table, choice: str, there: dict[Any, Mask], none: Any) -> None:
    """Refuse choices that are no alternative of their task."""
    entry, labels = wide.frame[choice], list(there)
    missing = missing_in(entry)
    if missing.any() and none is not True:
        row = int(np.argmax(missing))
        remedy = "name an alternative; none=True if nothing stands where none was chosen"
        wide.refuse(choice, row, "no choice is given", remedy)
    given = labels if none is None or isinstance(none, bool) else [*labels, none]
    chosen = positions_in(entry, pd.Index(given, dtype=object))
    strange = (chosen < 0) & ~missing
    if strange.any():
        row = int(np.argmax(strange))
        known = f"the alternatives are {listed(given)}"
        wide.refuse(choice, row, f"{shown(entry.iloc[row])} is no alternative", known)
    # The outside option is in every task.
    shows = np.column_stack([*there.values(), np.ones(len(entry), dtype=bool)])
    absent = ~shows[np.arange(len(entry)), np.where(missing, len(labels), chosen)]
    if absent.any():
        row = int(np.argmax(absent))
        found = (
            f"alternative {shown(entry.iloc[row])} is chosen, and all its attributes are missing"
        )
        wide.refuse(choice, row, found, "mend one of the two")


def _long(
    wide: Table,
    kept: Sequence[str],
    names: Sequence[str],
    found: dict[Any, list[str]],
    there: dict[Any, Mask],
    none: Any,
) -> tuple[pd.DataFrame, str, str]:
    """Table with one row an alternative, and the names of its columns of tasks and alternatives."""
    frame, task, alternative = wide.frame, "task", "alternative"
    while task in (*kept, *names):
        task = f"_{task}"
    while alternative in (*kept, *names):
        alternative = f"_{alternative}"
    position = np.arange(len(frame))
    ids = frame.index if frame.index.is_unique and frame.index.nlevels == 1 else position
    base = frame[list(kept)].assign(**{task: ids})
    parts = []
    for label, columns in found.items():  # a loop over alternatives
        values = frame[columns].set_axis(list(names), axis=1)
        part = pd.concat([base, values], axis=1).assign(**{alternative: label})
        parts.append(part.set_axis(position)[there[label]])
    if not (none is None or isinstance(none, bool)):
        parts.append(base.assign(**{alternative: none}).set_axis(position))
    long = pd.concat(parts).sort_index(kind="stable")
    # Labels of alternatives are objects: those of numbers and words would be one another's type.
    long[alternative] = long[alternative].astype(object)
    return long.set_axis(frame.index[long.index]), task, alternative
