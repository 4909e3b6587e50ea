"""More answers of users who are in the data already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.data.comparisons import Comparisons
from bayes_pref.data.ranking import Ranking
from bayes_pref.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class MoreAnswers:
    """m rows of answers to pairs or sets that were assigned, in the features of the data.

    Attributes
    ----------
    user
        (m,) codes of known users.
    difference, context
        (m, d) and (m, q), as in `Comparisons`.
    choice
        (m,)
    rows
        (m,) labels.
    stage
        (m,) of choices among several, nondecreasing codes from 0; rows of a stage have one user.
    """

    user: IntArray
    difference: FloatArray
    context: FloatArray
    choice: FloatArray
    rows: pd.Index[Any]
    stage: IntArray | None = None

    def __len__(self) -> int:
        """Return the number of rows, m."""
        return len(self.choice)


def with_answers(known: Comparisons, more: MoreAnswers) -> Comparisons:
    """Return the data with more answers: each user's after those that were there.

    What was asked was assigned, not sought out by the user: the new rows are `randomised`.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> data = bp.simulate(users=3, comparisons=5, seed=0).comparisons
    >>> more = MoreAnswers(
    ...     np.array([1]), data.difference[:1], data.context[:1], np.ones(1), pd.Index(["new"])
    ... )
    >>> both = with_answers(data, more)
    >>> both.counts.tolist(), both.rows[10], int(both.randomised.sum())
    ([5, 6, 5], 'new', 1)
    """
    user = np.concatenate([known.user, more.user])
    order = np.argsort(user, kind="stable")
    before = np.zeros(len(known), dtype=bool) if known.randomised is None else known.randomised
    assigned = np.concatenate([before, np.ones(len(more), dtype=bool)])
    outcome = known.outcome
    if isinstance(outcome, Ranking):
        assert more.stage is not None  # as choices among several have
        outcome = _longer(outcome, more.stage, order)
    return replace(
        known,
        difference=np.vstack([known.difference, more.difference])[order],
        choice=np.concatenate([known.choice, more.choice])[order],
        user=user[order],
        context=np.vstack([known.context, more.context])[order],
        rows=known.rows.append(more.rows)[order],
        outcome=outcome,
        right=None,  # of pairs that were asked, only differences are known
        randomised=assigned[order],
    )


def _longer(known: Ranking, stage: IntArray, order: IntArray) -> Ranking:
    """Choices among several with more tasks of one stage each, rows in a new order."""
    assert known.task is not None  # as validated
    assert known.worst is not None
    codes = np.concatenate([known.stage, stage + len(known.task)])[order]
    stages, kept = pd.factorize(codes)
    count = int(stage[-1]) + 1
    task = np.concatenate([known.task, np.arange(count) + known.task[-1] + 1])[kept]
    worst = np.concatenate([known.worst, np.zeros(count, dtype=bool)])[kept]
    return Ranking(stages, pd.factorize(task)[0], worst)
