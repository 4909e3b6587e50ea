"""Comparisons from choice tasks: one row an alternative with its attributes, sets of any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
import pandas as pd

from bayes_pref.data.asked_features import coded_features
from bayes_pref.data.coding import Coding, read_coded
from bayes_pref.data.coding_options import CodingOptions
from bayes_pref.data.context_coding import CodedContexts
from bayes_pref.data.features import Features
from bayes_pref.data.formula import Formula
from bayes_pref.data.indicator_rows import single_items
from bayes_pref.data.outcome import Outcome, PairedChoice
from bayes_pref.data.readers.catalogue import (
    Catalogue,
    differences,
)
from bayes_pref.data.readers.choice_sets import NONE, ChoiceSets, TaskColumns
from bayes_pref.data.readers.covariates import options_beside
from bayes_pref.data.readers.formula_terms import read_formula
from bayes_pref.data.readers.grouping import group_rows, warn_of_limits
from bayes_pref.data.readers.row_weights import RowWeights
from bayes_pref.data.readers.stages import Stages
from bayes_pref.data.sides import SidesOption, SidesReader
from bayes_pref.data.table import Table, TableLike, column_names
from bayes_pref.errors import DataError
from bayes_pref.types import FloatArray, IntArray


class TasksReader:
    """The constructor `from_tasks` of `Comparisons`."""

    @classmethod
    def from_tasks(
        cls,
        frame: TableLike,
        *,
        user: str,
        task: str,
        choice: str | None = None,
        best: str | None = None,
        worst: str | None = None,
        rank: str | None = None,
        alternative: str | None = None,
        attributes: Sequence[str] | None = None,
        formula: str | Formula | None = None,
        items: str | None = None,
        none: Any = None,
        availability: str | None = None,
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
        """Read choice tasks from a table with one row for every alternative that a task shows.

        Where all tasks show two alternatives and `choice` is given, the result is that of
        `from_frame`: the first row of a task is left. Else the rows are stages of `bp.PlackettLuce`
        (`outcome` is a `Ranking`): a choice is one stage, the best and the worst are two.

        Parameters
        ----------
        frame
            One row an alternative; tasks may show different numbers of them.
        user, task
            Columns of the users' labels and of the tasks' ids, which are numbered within users or
            over all of them.
        choice
            Column of the choice: 1, True or "yes" in the row that was chosen and 0, False or "no"
            in the others; or, in every row of a task, the id of the alternative chosen.
        best, worst
            Instead of `choice`: columns of the best and of the worst, written like it.
        rank
            Instead of these: column of ranks, as in `from_rankings`.
        alternative
            Column of the alternatives' ids, which differ within a task.
        attributes
            Columns of the attributes. None: every alternative has a reward of its own.
        formula
            Instead of `attributes`, a formula of columns, as in `from_frame`.
        items
            Column of items that have a reward each beside the attributes, net of them; it may be
            `alternative`. (As one of the `attributes` an id has levels, and a baseline.)
        none
            The id of the outside option ("none of them"), whose missing attributes count as 0; or
            True, if it has no rows: it is then added to every task, and chosen where no row is.
            Its reward is the weight of a further feature, ``none``.
        availability
            Column that is 1 or True where an alternative could be chosen; other rows are left out.
        context, interactions, covariates
            As in `from_frame`; contexts are the same in all rows of a task.
        coding, baseline, order, transform
            As in `from_frame`, for the attributes.
        frequency, survey_weight, randomised
            As in `from_frame`; the rows of a task have the same frequency, and were
            all assigned at random or not.
        sides, seed
            As in `from_frame`, for choices between two.

        Returns
        -------
        comparisons: labelled by task where a choice is between two, else by task, the better and
            the worse alternative

        Raises
        ------
        DataError
            As `from_frame`, and for tasks with no choice or several, a single alternative, or one
            that is shown twice.

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
        ...         "who": ["ann"] * 3 + ["bob"] * 5,
        ...         "task": [1, 1, 1, 2, 2, 2, 3, 3],
        ...         "price": [2.0, 3.0, 4.0, 1.0, 2.0, 5.0, 4.0, 3.0],
        ...         "bought": [0, 1, 0, 1, 0, 0, 0, 0],
        ...     }
        ... )
        >>> comparisons = bp.Comparisons.from_tasks(
        ...     frame, user="who", task="task", choice="bought", attributes=["price"], none=True
        ... )
        >>> comparisons.feature_names
        ('price', 'none')
        >>> comparisons.difference[:3]  # the second minus the first, the third, and none
        array([[ 1.,  0.],
               [-1.,  0.],
               [ 3., -1.]])
        >>> comparisons.rows[-2:].tolist()  # in the last task, none was better than either
        [(3, 'none', 1), (3, 'none', 2)]
        """
        table, learnt = Table.read(frame), None
        if formula is not None:
            if attributes is not None:
                raise DataError("give attributes= or formula=, not both")
            learnt = read_formula(formula, table.frame)
            table, attributes = learnt.applied(table), learnt.terms
        columns = TaskColumns(
            user=str(user),
            task=str(task),
            attributes=column_names(attributes),
            context=column_names(context),
            choice=choice,
            best=best,
            worst=worst,
            rank=rank,
            alternative=alternative,
            availability=availability,
            items=items,
            none=none,
            weights=RowWeights(frequency, survey_weight, randomised),
        )
        parts = task_parts(
            table,
            columns,
            interactions,
            covariates,
            CodingOptions(coding, baseline, order, transform),
            SidesReader(sides, seed),
            learnt,
        )
        made = cls(**parts)
        warn_of_limits(parts, stacklevel=3)
        return made


def task_parts(
    table: Table,
    columns: TaskColumns,
    interactions: Literal["all"] | Sequence[tuple[str, str]] | None,
    covariates: TableLike | None,
    options: CodingOptions,
    sides: SidesReader,
    formula: Formula | None = None,
) -> dict[str, Any]:
    """Return the fields of `Comparisons` by name, as `from_tasks` reads them."""
    table.require_roles(columns.roles())
    options, shared, of_users = options_beside(
        options, columns.attributes, columns.context, covariates, columns.user
    )
    coded = CodedContexts.read(table, columns.context, shared)
    coded.table.numbers(coded.names)  # in the caller's rows, for the message
    sets = ChoiceSets.read(table, columns)
    table, columns = coded.table, replace(columns, context=coded.names)
    values, of, features, catalogue = _values(
        table, columns, sets, interactions, options, coded.codings, formula
    )
    pairs = columns.choice is not None and (np.bincount(sets.task) == 2).all()
    task_ids = pd.Index(table.labels(columns.task))[sets.row]
    if pairs:
        first, second = np.arange(len(of)).reshape(-1, 2).T
        outcome: Outcome = PairedChoice()
        choice = sets.best[first].astype(np.float64)
        label = task_ids[first]
    else:
        stages = _stages(columns, sets)
        first, second = stages.better, stages.worse
        outcome, sides = stages.outcome(), SidesReader()  # a choice among several has no sides
        choice = np.ones(len(first))
        label = stages.labels(task_ids, sets.label, columns.task)
    names = [columns.user, *columns.context, *columns.weights.columns]
    kept = table.frame[names].iloc[sets.row[first]].set_axis(label)
    return group_rows(
        Table(kept.assign(**{columns.answer: choice}), table.name),
        features.read_from(**columns.sources()),
        differences(values, of[first], of[second]),
        user=columns.user,
        choice=columns.answer,
        right=None if features.indicators else values[of[second]],
        catalogue=catalogue,
        covariates=covariates,
        outcome=outcome,
        sides=sides,
        weights=columns.weights,
        options=of_users,
    )


def _stages(columns: TaskColumns, sets: ChoiceSets) -> Stages:
    if columns.worst is not None:
        return Stages.best_worst(sets.task, sets.best, sets.worst)
    if columns.rank is not None:
        return Stages.ranked(sets.task, sets.place)
    return Stages.ranked(sets.task, np.where(sets.best, 1.0, np.inf))


def _values(
    table: Table,
    columns: TaskColumns,
    sets: ChoiceSets,
    interactions: Literal["all"] | Sequence[tuple[str, str]] | None,
    options: CodingOptions,
    of_contexts: Mapping[str, Coding],
    formula: Formula | None,
) -> tuple[FloatArray, IntArray, Features, pd.DataFrame | None]:
    """Attributes (a, k), which of them each alternative has (m,), features and catalogue."""
    if not (columns.attributes or columns.items):
        code, labels = pd.factorize(sets.label)
        catalogue = Catalogue.of_labels(labels.rename(columns.alternative), options)
        features = catalogue.features(columns.context, interactions, of_contexts)
        return single_items(np.arange(len(labels)), len(labels)), code, features, catalogue.frame
    # Rows that nobody could choose are not read, and the outside option need not have attributes.
    skipped = np.ones(len(table.frame), dtype=bool)
    skipped[sets.row[~sets.outside]] = False
    unread = skipped if skipped.any() else None
    names = columns.attributes
    if formula is None:
        codings = options.learn_all(table, names, skipped=unread)
    else:
        options.require((), "the formula says how attributes are coded")
        codings = {each.name: each for each in formula.codings}
    values = read_coded(table, names, codings, skipped=unread)[sets.row]
    values[sets.added] = 0.0
    if columns.has_none_feature:
        names = (*names, NONE)
        codings[NONE] = Coding(name=NONE, kind="outside")
        values = np.column_stack([values, sets.outside])
    if columns.items is None:
        features = coded_features(names, codings, columns.context, interactions, of_contexts)
        return values, np.arange(len(values)), replace(features, formula=formula), None
    inside = np.flatnonzero(~sets.outside)
    code, labels = Table(table.frame.iloc[sets.row[inside]], table.name).codes(columns.items)
    item = np.full(len(values), -1)
    item[inside] = code
    catalogue = Catalogue.of_labels(labels).beside(names, codings)
    features = catalogue.features(columns.context, interactions, of_contexts)
    features, place = replace(features, formula=formula), np.arange(len(values))
    return single_items(item, len(labels), values), place, features, catalogue.frame
