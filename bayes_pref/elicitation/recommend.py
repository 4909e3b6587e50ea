"""`recommend`: which questions to ask, and of whom, to learn what a goal names."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref import settings
from bayes_pref.diagnostics.query import NEW_USER, Candidates
from bayes_pref.diagnostics.report import Report
from bayes_pref.diagnostics.thresholds import DEFAULT_THRESHOLDS
from bayes_pref.elicitation.answer_information import AnswerInformation
from bayes_pref.elicitation.belief import Belief
from bayes_pref.elicitation.goals import Goal, read_goal
from bayes_pref.elicitation.questions import Questions, read_questions
from bayes_pref.elicitation.recommendation import Recommendation, answers_to_resolve
from bayes_pref.elicitation.search_questions import Search
from bayes_pref.errors import DataError, ModelError
from bayes_pref.messages import shown
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.queries import user_positions
from bayes_pref.types import FloatArray

NEW = "new"


def recommend(
    source: Report | Posterior,
    candidates: Candidates = None,
    n: int = 20,
    *,
    goal: Goal | None = None,
    users: Sequence[Hashable] | str | None = None,
    per_user: int = 1,
    cost: str | None = None,
    seed: int = 0,
) -> Recommendation:
    """Recommend questions: which pair to show to whom, in the order in which to ask.

    Every pair is scored for every user by the information that the answer is expected to give about
    the goal, in closed form; the best is taken, the belief updated by the answer that is expected,
    and the rest scored again. With targets, the score is the expected predictive information gain
    (Bickford Smith et al. 2023): half the logarithm of the variance of each target before over that
    after. For the goal "users" it is the information about the user's weights and the population
    (BALD; Houlsby et al. 2011).

    Parameters
    ----------
    source
        What `bayes_pref.diagnose` returned, or a posterior.
    candidates
        Pairs that could be asked, in the form that `bayes_pref.diagnose` takes: a table with the
        attributes' differences (left minus right) and the contexts, or the columns ``left`` and
        ``right`` with items. With a column of users, each pair may be asked of its own user only.
        None: pairs that were shown to somebody, and pairs that differ in one attribute.
    n
        Number of questions.
    goal
        "flagged": what all users would choose in the flagged comparisons of the report. "users":
        every user's weights. "population": the mean weights. Or a contrast to learn about, averaged
        over all users: feature names with differences, or a table of differences. None: "flagged"
        for a report, "users" for a posterior.
    users
        Labels of the users who can be asked; None: all fitted users. What is learned is then about
        the average of all fitted users. "new": new users only, to learn about the average of the
        population that they come from.
    per_user
        Largest number of questions to one user.
    cost
        Column of `candidates` with the cost of each question, above 0; gains are then compared per
        unit of cost. None: all cost the same.
    seed
        Random seed of the pairs that are generated.

    Returns
    -------
    Recommendation

    Raises
    ------
    DataError
        If there are no candidates, or all have equal sides; if nothing is flagged; if a cost is not
        positive; if a user is unknown.
    ModelError
        If users are not Gaussian around the population, as in mixtures.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> asked = bp.recommend(posterior, n=3, goal="population")
    >>> asked.questions["user"].nunique()
    3
    """
    report = source if isinstance(source, Report) else None
    posterior = _posterior(source)
    n = settings.argument("n", n, settings.whole(1))
    per_user = settings.argument("per_user", per_user, settings.whole(1))
    settings.seed(seed)
    belief = Belief.read(posterior)
    chosen = ("users" if report is None else "flagged") if goal is None else goal
    targets = read_goal(chosen, posterior.comparisons, report)
    questions = read_questions(posterior, candidates, seed)
    belief, labels, questions = _whom(belief, posterior, questions, users, n)
    answers = AnswerInformation.of(posterior)
    search = Search(belief, answers, targets, questions, _costs(questions, cost))
    mean, start = belief.average(search.directions)
    share, slope = answers.shares(mean, belief.between(search.directions))
    found = search.run(n, per_user)
    if not found:
        raise DataError("candidates: none of them may be asked of these users")
    rows = targets.rows
    if targets.directions is not None:
        thresholds = DEFAULT_THRESHOLDS if report is None else report.thresholds
        sds = slope * np.sqrt(start), slope * np.sqrt(found[-1].variance)
        count = answers_to_resolve(*sds, len(found), thresholds.resolved)
        rows = rows.assign(p_do=share, sd=sds[0], sd_after=sds[1], answers=count)
    remaining = np.array([np.sqrt(each.variance / start).mean() for each in found])
    asked = pd.DataFrame(
        {
            "user": labels[[each.user for each in found]],
            "row": questions.table.index[[each.pair for each in found]],
            "gain": [each.gain for each in found],
            "remaining": remaining,
        }
    )
    described = questions.table.iloc[[each.pair for each in found]].reset_index(drop=True)
    described = described.drop(columns=[name for name in described if name in asked])
    return Recommendation(pd.concat([asked, described], axis=1), rows, targets.name)


def _posterior(source: Any) -> Posterior:
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


def _whom(
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
        questions = Questions(questions.difference, None, questions.table)
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
        Questions(questions.difference, owner, questions.table),
    )


def _costs(questions: Questions, cost: str | None) -> FloatArray:
    """(c,) costs of the pairs."""
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
