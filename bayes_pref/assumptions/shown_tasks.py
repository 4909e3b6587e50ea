"""What each task showed, whatever was answered: contexts, mean levels and differences of its set.

Of a pair, left and right enter alike, so that nothing here depends on which side was chosen. Of a
choice among several, the set is centred on its mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayes_pref.data import Comparisons, Ranking
from bayes_pref.types import FloatArray, IntArray

MOST_COLUMNS = 12  # contexts or attributes that are looked at one by one
_MOST_PRODUCTS = 4  # attributes whose products are looked at


@dataclass(frozen=True, eq=False)
class ShownTasks:
    """What t tasks showed.

    Attributes
    ----------
    user
        (t,) nondecreasing codes of the users.
    first
        (t,) the first row of each task.
    context, level, spread
        (t, .) contexts; means of the attributes of what was shown, where they are known; and how
        much each attribute differs within the set, with products of two.
    context_names, level_names, spread_names
        Their columns in words.

    Examples
    --------
    >>> shown = ShownTasks.of(bp.simulate(users=5, features=["tone"], seed=0).comparisons)
    >>> shown.context.shape, shown.level.shape, shown.spread_names
    ((75, 1), (75, 0), ("size of the difference in 'tone'",))
    """

    user: IntArray
    first: IntArray
    context: FloatArray
    level: FloatArray
    spread: FloatArray
    context_names: tuple[str, ...]
    level_names: tuple[str, ...]
    spread_names: tuple[str, ...]

    @classmethod
    def of(cls, comparisons: Comparisons) -> ShownTasks:
        """Read the tasks of comparisons."""
        first = np.flatnonzero(np.diff(comparisons.outcome.tasks(len(comparisons)), prepend=-1))
        attributes = comparisons.features.attributes
        profile, task, reference = _profiles(comparisons, first)
        chosen = _widest(profile, MOST_COLUMNS)
        names = [attributes[k] for k in chosen]
        starts = np.flatnonzero(np.diff(task, prepend=-1))
        size = np.diff(np.append(starts, len(task)))[:, None]
        mean = np.add.reduceat(profile[:, chosen], starts, axis=0) / size
        centred = profile[:, chosen] - mean[task]
        squares = np.add.reduceat(centred**2, starts, axis=0) / size
        spread = [np.sqrt(squares)]
        spread_names = [f"size of the difference in {name!r}" for name in names]
        if len(names) <= _MOST_PRODUCTS:
            for j in range(len(names)):
                for k in range(j + 1, len(names)):
                    product = centred[:, j] * centred[:, k]
                    spread.append((np.add.reduceat(product, starts) / size[:, 0])[:, None])
                    spread_names.append(f"product of the differences in {names[j]!r}, {names[k]!r}")
        level = np.zeros((len(first), 0))
        level_names: tuple[str, ...] = ()
        if reference is not None and not comparisons.features.items:
            level = reference[:, chosen] + mean
            level_names = tuple(f"mean {name!r} of what is shown" for name in names)
        context = comparisons.context[first]
        context_names = tuple(map(repr, comparisons.features.contexts))
        if context.shape[1] > MOST_COLUMNS:
            context = leading(context, MOST_COLUMNS)
            context_names = tuple(f"direction {k + 1} of contexts" for k in range(MOST_COLUMNS))
        return cls(
            comparisons.user[first],
            first,
            context,
            level,
            np.hstack(spread),
            context_names,
            level_names,
            tuple(spread_names),
        )

    def columns(self) -> tuple[FloatArray, tuple[str, ...]]:
        """All columns that differ between tasks, standardised, with squares of the first ones.

        Returns
        -------
        values, names: (t, m) and their words; a square is that of the standardised column
        """
        plain = np.hstack([self.context, self.level])
        names = [*self.context_names, *self.level_names]
        values = np.hstack([plain, standardised(plain) ** 2, self.spread])
        names += [f"spread of {name}" for name in names] + list(self.spread_names)
        scaled = standardised(values)
        kept = np.flatnonzero(scaled.any(axis=0) & ~_doubled(scaled))
        return scaled[:, kept], tuple(names[k] for k in kept)


def _profiles(
    comparisons: Comparisons, first: IntArray
) -> tuple[FloatArray, IntArray, FloatArray | None]:
    """Attributes (m, k) of all that is shown, less those of one of its task; (m,) tasks.

    And the attributes (t, k) of that one, where they are known.
    """
    k, right = len(comparisons.features.attributes), comparisons.right
    difference = comparisons.difference[:, :k]
    outcome = comparisons.outcome
    if not isinstance(outcome, Ranking):
        profile = np.zeros((2 * len(difference), k))
        profile[::2] = difference
        return profile, np.repeat(np.arange(len(difference)), 2), right
    assert outcome.worst is not None  # as validated
    stage = outcome.stage
    rows = np.flatnonzero(np.isin(stage, stage[first]))  # the first stage shows the whole set
    worst = outcome.worst[stage[first]]
    task = np.searchsorted(first, rows, side="right") - 1
    profile = np.zeros((len(rows) + len(first), k))
    places = rows * 0 + np.arange(len(rows)) + task + 1
    profile[places] = np.where(worst[task][:, None], 1.0, -1.0) * difference[rows]
    every = np.repeat(np.arange(len(first)), np.bincount(task) + 1)
    if right is None:
        return profile, every, None
    reference = np.where(worst[:, None], right[first], right[first] + difference[first])
    return profile, every, reference


def _widest(values: FloatArray, most: int) -> IntArray:
    """Columns that vary most, in their order; those that never vary are left out."""
    sd = values.std(axis=0)
    varying = np.flatnonzero(sd > 0)
    return np.sort(varying[np.argsort(-sd[varying], kind="stable")[:most]])


def standardised(values: FloatArray) -> FloatArray:
    """Columns with mean 0 and sd 1; 0 throughout where a column does not vary.

    Examples
    --------
    >>> standardised(np.array([[1.0, 2.0], [3.0, 2.0]])).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    centred = values - values.mean(axis=0)
    sd = centred.std(axis=0)
    largest = np.abs(values).max(axis=0, initial=0.0)
    varies = sd > 1e-9 * largest
    return np.asarray(np.where(varies, centred / np.where(varies, sd, 1.0), 0.0))


def leading(values: FloatArray, most: int) -> FloatArray:
    """(n, most) standardised columns along their leading principal directions."""
    scaled = standardised(values)
    vectors = np.linalg.eigh(scaled.T @ scaled)[1][:, ::-1][:, :most]
    return np.asarray(scaled @ vectors)


def polynomial(
    values: FloatArray, names: Sequence[str], *, products: bool = True
) -> tuple[FloatArray, list[str]]:
    """Standardised columns, their squares, and products of two, each standardised.

    Examples
    --------
    >>> polynomial(np.array([[0.0], [1.0], [5.0]]), ["hard"])[1]
    ['hard', 'the square of hard']
    """
    scaled = standardised(values)
    parts, words = [scaled, scaled**2], [*names, *(f"the square of {name}" for name in names)]
    if products:
        for j in range(len(names)):
            for k in range(j + 1, len(names)):
                parts.append((scaled[:, j] * scaled[:, k])[:, None])
                words.append(f"{names[j]} times {names[k]}")
    made = standardised(np.hstack(parts))
    kept = np.flatnonzero(made.any(axis=0) & ~_doubled(made))
    return made[:, kept], [words[k] for k in kept]


def _doubled(scaled: FloatArray) -> np.ndarray:
    """Whether a column is an earlier one, up to its sign, as the square of a binary one is."""
    gram = np.abs(scaled.T @ scaled) / max(len(scaled), 1)
    return np.asarray(np.triu(gram > 1.0 - 1e-9, 1).any(axis=0))
