"""`recommend`: which questions to ask, and of whom, to learn what a goal names."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from bayes_pref import settings
from bayes_pref.diagnostics.query import Candidates
from bayes_pref.diagnostics.report import Report
from bayes_pref.elicitation.answer_information import AnswerInformation
from bayes_pref.elicitation.asking import costs, described, posterior_of, thresholds_of, whom
from bayes_pref.elicitation.belief import Belief
from bayes_pref.elicitation.goals import Goal, read_goal
from bayes_pref.elicitation.questions import read_questions
from bayes_pref.elicitation.recommendation import Recommendation
from bayes_pref.elicitation.search_questions import Search
from bayes_pref.elicitation.set_information import SetInformation
from bayes_pref.errors import DataError
from bayes_pref.posterior import Posterior


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
    """Recommend questions: which pair or set to show to whom, in the order in which to ask.

    Every question is scored for every user by the information that the answer is expected to give
    about the goal: in closed form for pairs, by quadrature for "which of these k". The best is
    taken, the belief updated by the answer that is expected, and the rest scored again. With
    targets, the score is the expected predictive information gain (Bickford Smith et al. 2023):
    half the logarithm of the variance of each target before over that after. For the goal "users"
    it is the information about the user's weights and the population (BALD; Houlsby et al. 2011).

    Parameters
    ----------
    source
        What `bayes_pref.diagnose` returned, or a posterior.
    candidates
        Pairs that could be asked, in the form that `bayes_pref.diagnose` takes: a table with the
        attributes' differences (left minus right) and the contexts, or the columns ``left`` and
        ``right`` with items. Of a posterior of choices among several: one row an alternative, with
        its task in the column ``task``, as many to a task as you like. With a column of users, each
        question may be asked of its own user only. None: pairs that were shown to somebody, and
        pairs that differ in one attribute.
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
    posterior = posterior_of(source)
    n = settings.argument("n", n, settings.whole(1))
    per_user = settings.argument("per_user", per_user, settings.whole(1))
    settings.seed(seed)
    belief = Belief.read(posterior)
    chosen = ("users" if report is None else "flagged") if goal is None else goal
    targets = read_goal(chosen, posterior.comparisons, report)
    questions = read_questions(posterior, candidates, seed)
    belief, labels, questions = whom(belief, posterior, questions, users, n)
    start, answers = belief.copy(), AnswerInformation.of(posterior)
    of_sets = SetInformation.of(posterior)
    search = Search(belief, answers, targets, questions, costs(questions, cost), of_sets)
    found = search.run(n, per_user)
    if not found:
        raise DataError("candidates: none of them may be asked of these users")
    return described(search, start, found, labels, thresholds_of(source).resolved)
