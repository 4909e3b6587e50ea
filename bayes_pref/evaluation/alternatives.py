"""The alternatives of stages as a list of their own: first the one chosen, then the others.

Comparisons hold a row for each alternative that was not chosen. Shares, calibration and replicated
choices are about all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_pref.data import Comparisons, Ranking
from bayes_pref.models.choice.stage_choices import stage_starts
from bayes_pref.types import FloatArray, IntArray, Mask


@dataclass(frozen=True, eq=False)
class StageAlternatives:
    """StageAlternatives (m,) of s stages, which n rows compare.

    Attributes
    ----------
    starts
        (s,) first row of each stage.
    own, other
        (s,) and (n,) places in the list: of the alternative chosen, and of the other of each row.
    stage, task, user
        (m,) codes.
    worst
        (m,) whether the stage names the worst.
    label
        (m,) the caller's label, or None where the rows have no labels of alternatives.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_pref as bp
    >>> frame = pd.DataFrame({"who": 1, "task": 1, "price": [3, 1, 2], "id": [*"abc"]})
    >>> tasks = bp.Comparisons.from_tasks(
    ...     frame.assign(bought=[0, 1, 0]),
    ...     user="who",
    ...     task="task",
    ...     choice="bought",
    ...     alternative="id",
    ...     attributes=["price"],
    ... )
    >>> StageAlternatives.of(tasks).label.tolist()
    ['b', 'a', 'c']
    """

    starts: IntArray
    own: IntArray
    other: IntArray
    stage: IntArray
    task: IntArray
    user: IntArray
    worst: Mask
    label: NDArray[Any]

    @classmethod
    def of(cls, comparisons: Comparisons) -> Self:
        """List the alternatives of all stages."""
        outcome = comparisons.outcome
        assert isinstance(outcome, Ranking)  # as asked for
        assert outcome.task is not None  # as validated
        assert outcome.worst is not None
        starts = stage_starts(outcome.stage)
        own = starts + np.arange(len(starts))
        other = np.arange(len(comparisons)) + outcome.stage + 1
        stage = np.empty(len(own) + len(other), dtype=np.int64)
        stage[own], stage[other] = np.arange(len(own)), outcome.stage
        label = np.full(len(stage), None, dtype=object)
        rows = comparisons.rows
        if isinstance(rows[0], tuple) and not isinstance(rows, pd.MultiIndex):
            rows = pd.MultiIndex.from_tuples(rows)
        if rows.nlevels == 3:  # task, better and worse alternative
            better, worse = (rows.get_level_values(level).to_numpy(object) for level in (1, 2))
            worst = outcome.worst[outcome.stage]
            label[own] = np.where(worst, worse, better)[starts]
            label[other] = np.where(worst, better, worse)
        user = comparisons.user[starts][stage]
        worst_of = outcome.worst[stage]
        return cls(starts, own, other, stage, outcome.task[stage], user, worst_of, label)

    @property
    def named(self) -> bool:
        """Whether all alternatives have labels."""
        return not pd.isna(self.label).any()

    def listed(self, own: FloatArray | float, other: FloatArray) -> FloatArray:
        """Values (..., m) from those of the alternatives chosen (..., s) and others (..., n)."""
        found = np.empty((*other.shape[:-1], len(self.stage)))
        found[..., self.own], found[..., self.other] = own, other
        return found

    def chosen(self, choices: FloatArray) -> FloatArray:
        """Which alternatives are chosen, 0 or 1 (..., m), by choices (..., n)."""
        return self.listed(np.minimum.reduceat(choices, self.starts, axis=-1), 1.0 - choices)

    def highest(self, values: FloatArray) -> Mask:
        """Whether each alternative has the highest of values (m,) of its stage, up to rounding."""
        top = np.maximum.reduceat(values, self.own)[self.stage]
        return np.asarray(values >= top - 1e-12 * np.abs(top))
