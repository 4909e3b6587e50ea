"""The next questions of an elicitation, given those that were asked."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from bayes_pref.elicitation.answer_information import AnswerInformation
from bayes_pref.elicitation.asking import described, whom
from bayes_pref.elicitation.belief import Belief
from bayes_pref.elicitation.recommendation import Recommendation
from bayes_pref.elicitation.search_questions import Search
from bayes_pref.elicitation.sessions.asked import PENDING, Asked
from bayes_pref.elicitation.sessions.session import Setting
from bayes_pref.elicitation.set_information import SetInformation
from bayes_pref.errors import DataError
from bayes_pref.posterior import Posterior


def next_questions(
    setting: Setting,
    asked: Asked,
    posterior: Posterior,
    n: int,
    users: Sequence[Hashable] | None,
    per_user: int,
) -> tuple[Recommendation, Asked]:
    """Choose questions that were not asked, and return them with the record that has them.

    Raises
    ------
    DataError
        If a user is unknown, or there is nothing left to ask.
    """
    belief, answers = belief_about_all(posterior), AnswerInformation.of(posterior)
    of_sets = SetInformation.of(posterior)
    every = Search(belief, answers, setting.targets, setting.questions, setting.cost, of_sets)
    # A loop over pending questions: each answer changes what the others are expected to tell.
    for at in np.flatnonzero(asked.state == PENDING):
        every.expect(int(asked.user[at]), int(asked.pair[at]))
    some, labels, questions = whom(belief, posterior, setting.questions, users, n)
    search = Search(some, answers, setting.targets, questions, setting.cost, of_sets)
    codes = posterior.comparisons.users.get_indexer(labels)
    places = np.full(posterior.comparisons.n_users, -1)
    places[codes] = np.arange(len(codes))
    among = places[asked.user] >= 0
    search.leave_out(places[asked.user][among], asked.pair[among])
    start = some.copy()
    found = search.run(n, per_user)
    if not found:
        raise DataError(
            "there is nothing left to ask these users: all that they may be asked was asked",
            "name other users, or begin an elicitation with more candidates",
        )
    told = described(search, start, found, labels, setting.thresholds.resolved)
    told.questions.insert(0, "question", len(asked) + 1 + np.arange(len(found)))
    pairs = np.array([each.pair for each in found])
    return told, asked.more(codes[[each.user for each in found]], pairs)


def belief_about_all(posterior: Posterior) -> Belief:
    """Return the belief about all fitted users, also where they have the same weights."""
    belief, users = Belief.read(posterior), posterior.comparisons.n_users
    return belief if belief.n_users == users else belief.of_users(np.zeros(users, dtype=np.int64))
