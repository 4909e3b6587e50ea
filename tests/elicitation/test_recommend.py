"""Which questions are recommended, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_pref as bp
from bayes_pref.diagnostics.report import Report
from bayes_pref.elicitation.answer_information import AnswerInformation
from bayes_pref.elicitation.belief import Belief
from bayes_pref.elicitation.goals import read_goal
from bayes_pref.elicitation.questions import read_questions
from bayes_pref.elicitation.search_questions import Search

pytestmark = pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")
ENGINE = bp.Gibbs(draws=300, warmup=200, progress=False)


@pytest.fixture(scope="module")
def posterior() -> bp.Posterior:
    """Users whose preferences depend on what they see."""
    world = bp.simulate(
        users=60, comparisons=8, features=["short", "kind"], confounding=0.7, seed=5
    )
    return bp.fit(bp.HierarchicalReward(exposure=True), world.comparisons, ENGINE, seed=0)


@pytest.fixture(scope="module")
def report(posterior: bp.Posterior) -> Report:
    """Some comparisons of which are confounded."""
    found = bp.diagnose(posterior, progress=False)
    assert (found.comparisons["verdict"] == "confounded").any()
    return found


def test_every_user_is_asked_once_and_gains_fall(report: Report) -> None:
    """The default goal of a report is what it flags."""
    asked = bp.recommend(report, n=12)
    assert asked.questions["user"].is_unique
    assert len(asked.questions) == 12
    assert asked.questions["gain"].is_monotonic_decreasing
    assert asked.questions["remaining"].is_monotonic_decreasing
    flagged = report.comparisons["verdict"] == "confounded"
    assert len(asked.targets) == flagged.sum()
    assert (asked.targets["sd_after"] < asked.targets["sd"]).all()
    assert "12 answers are expected to give" in asked.sentence


@pytest.mark.parametrize("goal", ["flagged", "population", "users"])
def test_the_search_finds_what_scoring_everything_finds(report: Report, goal: Any) -> None:
    """Lazy evaluation against scoring all pairs of all users before each question."""
    posterior = report.posterior
    asked = bp.recommend(report, n=6, goal=goal, per_user=2)
    belief, questions = Belief.read(posterior), read_questions(posterior, None, 0)
    targets = read_goal(goal, posterior.comparisons, report)
    search = Search(
        belief, AnswerInformation.of(posterior), targets, questions, np.ones(len(questions))
    )
    taken: dict[int, int] = {}
    for user, row in zip(asked.questions["user"], asked.questions["row"], strict=True):
        best, pair = search._score(np.arange(belief.n_users))
        best[[who for who, count in taken.items() if count == 2]] = -np.inf
        top = int(best.argmax())
        assert (posterior.comparisons.users[top], questions.table.index[pair[top]]) == (user, row)
        search._ask(top, int(pair[top]))
        taken[top] = taken.get(top, 0) + 1


def test_the_gain_about_a_contrast_is_what_answers_give(posterior: bp.Posterior) -> None:
    """A pair that differs in what is asked about tells more of it than one that does not."""
    pairs = pd.DataFrame(
        {"short": [1.5, 0.0], "kind": [0.0, 1.5], "context_1": [0.0, 0.0]}, index=["short", "kind"]
    )
    asked = bp.recommend(posterior, pairs, n=30, goal={"short": 1.0})
    assert set(asked.questions["row"]) == {"short"}
    assert asked.targets["contrast"].tolist() == ["short +1"]


def test_cost_turns_the_choice(posterior: bp.Posterior) -> None:
    """A question that costs ten times as much is asked only where it tells ten times as much."""
    pairs = pd.DataFrame({"short": [1.5, 1.0], "kind": 0.0, "context_1": 0.0, "price": [1.0, 1.0]})
    goal = {"short": 1.0}
    free = bp.recommend(posterior, pairs, n=5, goal=goal)
    dear = bp.recommend(posterior, pairs.assign(price=[10.0, 1.0]), n=5, goal=goal, cost="price")
    assert (free.questions["row"] == 0).all()
    assert (dear.questions["row"] == 1).all()


def test_new_users_and_named_users(posterior: bp.Posterior) -> None:
    """Whom to ask can be said."""
    some = list(posterior.comparisons.users[[3, 7]])
    assert set(bp.recommend(posterior, n=9, users=some).questions["user"]) == set(some)
    assert (bp.recommend(posterior, n=3, users="new").questions["user"] == "new").all()


def test_pairs_of_a_user_are_asked_of_that_user(posterior: bp.Posterior) -> None:
    """Candidates with a column of users are for these."""
    user = posterior.comparisons.users[4]
    name = posterior.comparisons.user_name
    pairs = pd.DataFrame({"short": [1.0, 2.0], "kind": [0.0, 1.0], "context_1": 0.0, name: user})
    asked = bp.recommend(posterior, pairs, n=5, per_user=3)
    assert asked.questions["user"].tolist() == [user, user]
    assert sorted(asked.questions["row"]) == [0, 1]


def test_items_and_sets_can_be_asked() -> None:
    """Catalogues and choices among several have candidates of their own."""
    votes = pd.DataFrame(
        {
            "who": np.repeat(np.arange(12), 3),
            "left": ["tea", "milk", "mate"] * 12,
            "right": ["milk", "mate", "tea"] * 12,
            "choice": np.random.default_rng(0).integers(0, 2, 36),
        }
    )
    items = bp.Comparisons.from_items(
        votes, user="who", left="left", right="right", choice="choice"
    )
    found = bp.recommend(bp.fit(bp.HierarchicalReward(), items, ENGINE), n=3, goal="population")
    assert {"left", "right"} <= set(found.questions)
    world = bp.simulate(users=12, comparisons=4, alternatives=3, features=2, seed=0)
    posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, ENGINE)
    assert len(bp.recommend(posterior, n=3, goal="users").questions) == 3


def test_a_pooled_posterior_asks_anybody() -> None:
    """Where all have the same weights it does not matter who is asked."""
    world = bp.simulate(users=12, comparisons=8, features=2, seed=0)
    posterior = bp.fit(bp.PooledReward(), world.comparisons, ENGINE)
    found = bp.recommend(posterior, n=3, goal="population")
    assert (found.questions["user"] == "new").all()


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"goal": "flaged"}, "goal must be .*did you mean 'flagged'"),
        ({"goal": {"shrt": 1}}, "goal: no feature 'shrt'"),
        ({"goal": {"short": 0}}, "the contrast is zero"),
        ({"goal": "flagged"}, "needs a report"),
        ({"n": 0}, "n must be"),
        ({"users": ["nobody"]}, "nobody"),
        ({"users": []}, "nobody is named"),
        ({"candidates": pd.DataFrame({"short": [], "kind": [], "context_1": []})}, "no rows"),
        (
            {"candidates": pd.DataFrame({"short": [0.0], "kind": 0.0, "context_1": 1.0})},
            "left and right are equal in every row",
        ),
        ({"candidates": pd.DataFrame({"short": [1.0]})}, "no column 'context_1'"),
        (
            {
                "candidates": pd.DataFrame(
                    {"short": [1.0], "kind": 0.0, "context_1": 1.0, "price": -2.0}
                ),
                "cost": "price",
            },
            "row 0, column 'price': a cost must be a number above 0",
        ),
        ({"cost": "price"}, "no column 'price'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    posterior: bp.Posterior, changed: dict[str, Any], match: str
) -> None:
    """One sentence each."""
    with pytest.raises(bp.BayesPrefError, match=match):
        bp.recommend(posterior, **changed)


def test_a_report_without_flags_has_nothing_to_mend(posterior: bp.Posterior) -> None:
    """And says which goal there is instead."""
    calm = bp.diagnose(posterior, assessments=["preference"], progress=False)
    with pytest.raises(bp.DataError, match="nothing is flagged"):
        bp.recommend(calm)
