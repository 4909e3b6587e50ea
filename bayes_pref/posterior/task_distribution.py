"""Tasks over which effects are averaged: as they were shown, or drawn from a distribution.

A task is a set of alternatives, of which each has attributes. Effects are averaged over tasks that
are the same for all users: who was shown what does not enter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, cast

import numpy as np

from bayes_pref.data import Comparisons, Ranking
from bayes_pref.data.context_coding import with_coded
from bayes_pref.data.table import Table, TableLike
from bayes_pref.errors import DataError
from bayes_pref.messages import shown
from bayes_pref.posterior.attributes import Attribute, attributes_of, find_attribute
from bayes_pref.posterior.queries import is_table
from bayes_pref.types import FloatArray, IntArray, Mask

Over: TypeAlias = (
    'Literal["observed", "uniform"] | Mapping[str, Mapping[Any, float]] | TableLike | None'
)

_DISTRIBUTIONS = ("observed", "uniform")
_ROUNDING = 1e-6  # by which probabilities may miss a sum of 1


@dataclass(frozen=True, eq=False)
class Tasks:
    """Tasks with all of their alternatives.

    Attributes
    ----------
    profiles
        (m, k) attributes of the alternatives, as features without products.
    task
        (m,) nondecreasing codes of their tasks, from 0.
    outside
        (m,) whether an alternative is the outside option.
    context
        (t, q) contexts of the tasks.
    known
        (k,) whether the values of an attribute are known, and not only their differences within
        tasks.
    """

    profiles: FloatArray
    task: IntArray
    outside: Mask
    context: FloatArray
    known: Mask

    def __len__(self) -> int:
        """Return the number of tasks, t."""
        return len(self.context)

    def take(self, tasks: IntArray) -> Tasks:
        """Return some of the tasks, in this order; repeats are allowed."""
        start = np.searchsorted(self.task, np.arange(len(self) + 1))
        size = np.diff(start)[tasks]
        first = np.cumsum(size) - size
        rows = np.arange(size.sum()) - np.repeat(first - start[tasks], size)
        return replace(
            self,
            profiles=self.profiles[rows],
            task=np.repeat(np.arange(len(tasks)), size),
            outside=self.outside[rows],
            context=self.context[tasks],
        )


def shown_tasks(comparisons: Comparisons) -> Tasks:
    """Return the tasks of comparisons: pairs, or the sets that were shown at first.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=5, categories={"brand": ["A", "B"]}, alternatives=3, seed=0)
    >>> tasks = shown_tasks(world.comparisons)
    >>> len(tasks), len(tasks.profiles)
    (75, 225)
    """
    features, outcome = comparisons.features, comparisons.outcome
    count = len(features.attributes)
    difference, known = comparisons.difference[:, :count], np.ones(count, dtype=bool)
    if comparisons.right is not None:
        right = comparisons.right
    else:  # as differences from the alternative that is in every row of its stage
        known = np.array([name in features.items for name in features.attributes])
        right = np.where(known, np.maximum(-difference, 0.0), -difference)
    left = right + difference
    if isinstance(outcome, Ranking):
        assert outcome.worst is not None  # as validated
        task, worst = outcome.task_of_rows, outcome.worst[outcome.stage]
        stage = outcome.stage[np.flatnonzero(np.diff(task, prepend=-1))]  # the first of each task
        rows = np.flatnonzero(outcome.stage == stage[task])
        if comparisons.right is None:  # of the worst of a set, the others differ from it
            relative = worst[:, None] & ~known
            right, left = np.where(relative, 0.0, right), np.where(relative, difference, left)
        task, worst = task[rows], worst[rows]
        once = np.where(worst[:, None], right[rows], left[rows])
        each = np.where(worst[:, None], left[rows], right[rows])
        starts = np.flatnonzero(np.diff(task, prepend=-1))
        values = np.vstack([once[starts], each])
        of = np.concatenate([task[starts], task])
        context = comparisons.context[rows[starts]]
    else:
        values = np.vstack([left, right])
        of = np.tile(np.arange(len(left)), 2)
        context = comparisons.context
    order = np.argsort(of, kind="stable")
    values, of = _without_rounding(values[order]), of[order]
    return Tasks(values, of, _outside(comparisons, values, of), context, known)


def _without_rounding(values: FloatArray) -> FloatArray:
    """Make numbers equal again that differ by rounding: one side is a sum of the other and more."""
    unit = 10.0 ** np.floor(np.log10(np.maximum(np.abs(values).max(axis=0), 1e-300)))
    return np.asarray(np.round(values / unit, 12) * unit)


def _outside(comparisons: Comparisons, values: FloatArray, task: IntArray) -> Mask:
    """(m,) whether alternatives are the outside option, whose indicator is the largest."""
    found = np.zeros(len(values), dtype=bool)
    for coding in comparisons.features.codings:
        if not coding.has_range:
            column = values[:, comparisons.features.attributes.index(coding.name)]
            starts = np.flatnonzero(np.diff(task, prepend=-1))
            low = np.minimum.reduceat(column, starts)[task]
            found |= column > low + 0.5  # differences of an indicator are 0 or 1
    return found


def tasks_over(over: Over, comparisons: Comparisons, count: int, rng: np.random.Generator) -> Tasks:
    """Return the tasks over which effects are averaged.

    Parameters
    ----------
    over
        "observed", "uniform", probabilities by attribute and level, or a table of profiles.
    comparisons
        The data.
    count
        Number of tasks that are drawn, where they are.
    rng
        Generator of what is drawn.

    Raises
    ------
    DataError
        If `over` is none of these, an attribute or a level is unknown, probabilities are none, or
        the data do not hold the values of an attribute.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> data = bp.simulate(
    ...     users=5, features=0, categories={"brand": ["A", "B"]}, seed=0
    ... ).comparisons
    >>> rng = np.random.default_rng(0)
    >>> float(tasks_over({"brand": {"A": 0.0, "B": 1.0}}, data, 10, rng).profiles.min())
    1.0
    """
    if is_table(over):
        return _of_profiles(Table.read(cast(TableLike, over), "over"), comparisons, count, rng)
    if isinstance(over, str) and over in _DISTRIBUTIONS:
        seen = shown_tasks(comparisons)
        return seen if over == "observed" else _drawn(seen, {}, comparisons, count, rng)
    if not isinstance(over, Mapping):
        raise DataError(
            f"over={shown(over)} is no distribution of attributes",
            "give 'observed', 'uniform', {attribute: {level: probability}}, or a table of profiles",
        )
    known, given = attributes_of(comparisons), {}
    for name, chances in over.items():
        attribute = find_attribute(name, known, "over")
        given[attribute.name] = _probabilities(attribute, chances)
    return _drawn(shown_tasks(comparisons), given, comparisons, count, rng)


def _probabilities(attribute: Attribute, chances: object) -> tuple[FloatArray, FloatArray]:
    """Features of the levels of an attribute, and their probabilities."""
    what = f"over: attribute {attribute.name!r}"
    if not isinstance(chances, Mapping) or not chances:
        raise DataError(f"{what}: got {shown(chances)}", "give {level: probability}")
    try:
        found = np.array([float(chance) for chance in chances.values()])
    except (TypeError, ValueError) as err:
        raise DataError(f"{what} has a probability that is no number: {err}") from err
    if not (np.isfinite(found).all() and (found >= 0.0).all()):
        raise DataError(f"{what} has the probability {found.min():g}", "expected 0 to 1")
    if abs(found.sum() - 1.0) > _ROUNDING:
        raise DataError(f"{what} has probabilities that sum to {found.sum():g}", "make it 1")
    return attribute.values_of(list(chances), "over"), found / found.sum()


def _drawn(
    seen: Tasks,
    given: Mapping[str, tuple[FloatArray, FloatArray]],
    comparisons: Comparisons,
    count: int,
    rng: np.random.Generator,
) -> Tasks:
    """Draw attributes independently: by the probabilities given, else uniformly."""
    drawn = _blank(seen, comparisons, count, rng)
    inside = ~drawn.outside
    for attribute in attributes_of(comparisons):  # a loop over attributes
        if attribute.name in given:
            options, chance = given[attribute.name]
        else:
            options = attribute.options(seen.profiles[~seen.outside], seen.known)
            chance = np.full(len(options), 1.0 / len(options))
        code = rng.choice(len(options), size=int(inside.sum()), p=chance)
        drawn.profiles[np.ix_(inside, attribute.places)] = options[code]
    return replace(drawn, known=np.ones_like(seen.known))


def _of_profiles(
    table: Table, comparisons: Comparisons, count: int, rng: np.random.Generator
) -> Tasks:
    """Draw alternatives independently among the rows of a table."""
    features = comparisons.features
    table = with_coded(table, features.context_codings)
    absent = [name for name in features.contexts if name not in table.frame.columns]
    whole = Table(table.frame.assign(**dict.fromkeys(absent, 0.0)), table.name)
    profiles = features.matrix(whole.frame, name="over")[:, : len(features.attributes)]
    seen = shown_tasks(comparisons)
    drawn = _blank(seen, comparisons, count, rng)
    inside = np.flatnonzero(~drawn.outside)
    drawn.profiles[inside] = profiles[rng.integers(len(profiles), size=len(inside))]
    return replace(drawn, known=np.ones_like(seen.known))


def _blank(seen: Tasks, comparisons: Comparisons, count: int, rng: np.random.Generator) -> Tasks:
    """Return tasks of the sizes, outside options and contexts that were shown."""
    made = seen.take(rng.integers(len(seen), size=count))
    names = comparisons.features.attributes
    outside = [coding.name for coding in comparisons.features.codings if not coding.has_range]
    indicator = np.isin(names, outside).astype(np.float64)
    return replace(made, profiles=np.outer(made.outside, indicator))
