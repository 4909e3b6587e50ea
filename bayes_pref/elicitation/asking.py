"""What questions are chosen from, and of whom; and what is said of those that were chosen."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.diagnostics.query import NEW_USER
from bayes_pref.diagnostics.report import Report
from bayes_pref.diagnostics.thresholds import DEFAULT_THRESHOLDS, Thresholds
from bayes_pref.elicitation.belief import Belief
from bayes_pref.elicitation.questions import Questions
from bayes_pref.elicitation.recommendation import Recommendation, answers_to_resolve
from bayes_pref.elicitation.search_questions import Chosen, Search
from bayes_pref.errors import DataError, ModelError
from bayes_pref.messages import shown
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.queries import user_positions
from bayes_pref.types import FloatArray

NEW = "new"


def posterior_of(source: Any) -> Posterior:
    """Return the posterior to ask about: of a report, the one with exposure if there is one."""
    if isinstance(source, Posterior):
        return source
    if not isinstance(source, Report):
        raise ModelError(
            f"source: got {type(source).__name__} but expected a report of bp.diagnose(...) or a "
            "posterior of bp.fit(...)"
        )
    with_exposure = source.results.get("exposure_posterior")
    return source.posterior if with_exposure is None else with_exposure


def thresholds_of(source: Any) -> Thresholds:
    """Return the thresholds of a report, or those that reports have unless told otherwise."""
    return source.thresholds if isinstance(source, Report) else DEFAULT_THRESHOLDS


def whom(
    belief: Belief,
    posterior: Posterior,
    questions: Questions,
    users: Sequence[Hashable] | str | None,
    n: int,
) -> tuple[Belief, pd.Index[Any], Questions]:
    """Return the belief about those who can be asked, their labels, and the questions for them."""
    if belief.n_users == 1 and posterior.comparisons.n_users > 1:  # all have the same weights
        return belief.of_users(np.zeros(n, dtype=np.int64)), pd.Index([NEW] * n), questions
    if isinstance(users, str) and users == NEW:
        if questions.owner is not None and (questions.owner != NEW_USER).any():
            raise DataError("users 'new': the candidates name users", "drop their column of users")
        questions = replace(questions, owner=None)
        return belief.of_new_users(n), pd.Index([NEW] * n), questions
    if questions.owner is not None and (questions.owner == NEW_USER).any():
        raise DataError(
            "candidates: some are for users who were not fitted",
            "drop the column of users, and ask with users='new'",
        )
    known = posterior.comparisons.users
    some = user_positions(users, known)
    if len(np.unique(some)) < len(some):
        raise DataError("users: somebody is named twice")
    if not len(some):
        raise DataError("users: nobody is named; name users, or leave it out for all of them")
    owner = questions.owner
    if owner is not None:
        place = np.full(len(known), -1, dtype=np.int64)
        place[some] = np.arange(len(some))
        owner = place[owner]
    return (
        belief.of_users(some),
        known[some],
        replace(questions, owner=owner),
    )


def costs(questions: Questions, cost: str | None) -> FloatArray:
    """(c,) costs of the questions."""
    if cost is None:
        return np.ones(len(questions))
    if cost not in questions.table.columns:
        raise DataError(f"candidates: there is no column {shown(cost)} with the costs")
    values = pd.to_numeric(questions.table[cost], errors="coerce").to_numpy(np.float64)
    bad = np.flatnonzero(~(values > 0) | ~np.isfinite(values))
    if len(bad):
        row = questions.table.index[bad[0]]
        raise DataError(
            f"candidates, row {row}, column {cost!r}: a cost must be a number above 0, got "
            f"{shown(questions.table[cost].iloc[bad[0]])}"
        )
    return values


def described(
    search: Search, start: Belief, found: Sequence[Chosen], labels: pd.Index[Any], near: float
) -> Recommendation:
    """Say what was chosen, and what it is expected to tell.

    Parameters
    ----------
    search
        That chose the questions.
    start
        The belief before it.
    found
        The questions, at least one.
    labels
        Of the users who can be asked.
    near
        What shares are to be known to within.
    """
    mean, before = start.average(search.directions)
    targets = search.targets
    rows = targets.rows
    if targets.directions is not None:
        share, slope = search.answers.shares(mean, start.between(search.directions))
        sds = slope * np.sqrt(before), slope * np.sqrt(found[-1].variance)
        count = answers_to_resolve(*sds, len(found), near)
        rows = rows.assign(p_do=share, sd=sds[0], sd_after=sds[1], answers=count)
    asked = search.questions.described(np.array([each.pair for each in found]))
    asked = asked.drop(columns=["user", "gain", "remaining"], errors="ignore")
    asked.insert(0, "user", labels[[each.user for each in found]])
    asked.insert(2, "gain", [each.gain for each in found])
    remaining = [np.sqrt(each.variance / before).mean() for each in found]
    asked.insert(3, "remaining", remaining)
    return Recommendation(asked, rows, targets.name)
