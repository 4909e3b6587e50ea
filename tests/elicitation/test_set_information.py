"""What a choice from several tells, against nested Monte Carlo and the closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import entr, expit, softmax

import bayes_pref as bp
from bayes_pref.elicitation.set_information import SetInformation, as_observations

pytestmark = pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")
D = 3


def made(size: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A set of alternatives, and mean and covariance of somebody's weights."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(D, D))
    return (
        rng.normal(size=(size, D)),
        rng.normal(size=D) / 2,
        root @ root.T / D + 0.1 * np.eye(D),
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("size", "lapse"), [(3, 0.0), (5, 0.0), (4, 0.3)])
def test_the_variance_falls_as_nested_monte_carlo_says(size: int, lapse: float, seed: int) -> None:
    """The mean of posterior variances after every answer, each over draws of the weights."""
    alternatives, mean, covariance = made(size, seed)
    # A quantity beside the weights: half of its variance is theirs.
    along = np.array([1.0, -0.5, 2.0])
    rng = np.random.default_rng(seed)
    weights = rng.multivariate_normal(mean, covariance, 200_000)
    target = weights @ along + rng.normal(size=len(weights))
    chance = (1 - lapse) * softmax(weights @ alternatives.T, axis=1) + lapse / size
    left = 0.0
    for answer in chance.T:
        share = answer.mean()
        centre = (answer * target).mean() / share
        left += (answer * (target - centre) ** 2).mean()
    found = SetInformation(lapse).answers(
        alternatives[None], np.ones((1, size), dtype=bool), mean[None], covariance[None]
    )
    cov = covariance @ along
    fell = float(found.removed(np.outer(cov, cov)[None])[0, 0])
    # Quadrature by 128 points; the error of 200,000 draws of the variance is 0.3 % of it.
    assert fell == pytest.approx(target.var() - left, rel=0.05, abs=0.006 * target.var())
    information = entr(chance.mean(axis=0)).sum() - entr(chance).sum(axis=1).mean()
    assert found.mutual is not None
    assert float(found.mutual[0, 0]) == pytest.approx(information, rel=0.05)


def of_pairs(widened: float = 1.0) -> pd.DataFrame:
    """Relative errors of 100 pairs against quadrature along their difference, by 200 nodes.

    `widened` multiplies the covariance that is handed over: an error to be noticed.
    """
    points, mass = np.polynomial.hermite_e.hermegauss(200)
    mass = mass / mass.sum()
    rows = []
    for seed in range(100):
        alternatives, mean, covariance = made(2, seed)
        difference = alternatives[0] - alternatives[1]
        variance = difference @ covariance @ difference
        p = expit(difference @ mean + np.sqrt(variance) * points)
        share, along = (mass * p).sum(), (mass * points * p).sum()
        seen = covariance @ difference
        fell = seen @ seen * along**2 * (1 / share + 1 / (1 - share)) / variance
        told = entr([share, 1 - share]).sum() - (mass * (entr(p) + entr(1 - p))).sum()
        # An alternative that is not there changes nothing.
        padded = np.concatenate([alternatives, np.zeros((1, D))])[None]
        found = SetInformation().answers(
            padded, np.array([[True, True, False]]), mean[None], widened * covariance[None]
        )
        assert found.mutual is not None
        removed = found.removed((covariance @ covariance)[None])[0, 0]
        rows.append((np.sqrt(variance), removed / fell - 1, found.mutual[0, 0] / told - 1))
    return pd.DataFrame(rows, columns=["sd", "fall", "mutual"])


def test_of_two_it_is_as_accurate_as_it_says() -> None:
    """Up to a standard deviation of rewards of 3."""
    for limits, typical, largest in (((0, 2), 0.02, 0.08), ((2, 3), 0.04, 0.12)):
        right, wrong = of_pairs(), of_pairs(widened=1.3)
        some = right["sd"].between(*limits)
        assert some.sum() > 15
        errors = right.loc[some, ["fall", "mutual"]]
        assert (np.sqrt(np.square(errors).mean()) < typical).all()
        assert errors.abs().max(axis=None) < largest
        missed = np.sqrt(np.square(wrong.loc[some, "mutual"]).mean())
        assert missed > typical


@pytest.mark.parametrize("size", [2, 3, 6])
def test_observations_leave_the_expected_covariance(size: int) -> None:
    """As many as there are other alternatives, or features if these are fewer."""
    alternatives, mean, covariance = made(size, 7)
    found = SetInformation().answers(
        alternatives[None], np.ones((1, size), dtype=bool), mean[None], covariance[None]
    )
    chance, slope = found.chance[0, 0], found.slope[0, 0]
    expected = covariance - covariance @ (slope.T / chance) @ slope @ covariance
    seen = as_observations(chance, slope, covariance)
    assert len(seen) == min(size - 1, D)
    left = covariance.copy()
    for direction, precision in seen:
        along = left @ direction
        left -= np.outer(along, along) / (1 / precision + direction @ along)
    np.testing.assert_allclose(left, expected, atol=1e-10)


@pytest.fixture(scope="module")
def posterior() -> bp.Posterior:
    """Users who chose from three."""
    world = bp.simulate(
        users=12, comparisons=4, features=["short", "kind"], contexts=0, alternatives=3, seed=0
    )
    engine = bp.Gibbs(draws=60, warmup=40, chains=2, progress=False)
    return bp.fit(bp.HierarchicalReward(), world.comparisons, engine)


def candidates() -> pd.DataFrame:
    """A set of four and a set of three that differ, and a set of three that hardly do."""
    return pd.DataFrame(
        {
            "task": list("aaaabbbccc"),
            "alternative": list("wxyzuvwuvw"),
            "short": [2.0, -2.0, 0.0, 1.0, 2.0, 0.0, -2.0, 0.1, 0.0, -0.1],
            "kind": [2.0, 0.0, -2.0, 1.0, -1.0, 1.0, 0.0, 0.0, 0.1, -0.1],
        }
    )


@pytest.mark.parametrize("goal", ["users", "population", {"short": 1.0}])
def test_sets_that_tell_more_are_asked(posterior: bp.Posterior, goal: Any) -> None:
    """Not the one whose alternatives are nearly the same."""
    asked = bp.recommend(posterior, candidates(), n=12, goal=goal)
    assert set(asked.questions["row"]) <= {"a", "b"}
    assert asked.questions["gain"].min() > 0
    assert asked.questions["alternatives"].map(len).isin([3, 4]).all()
    least = bp.recommend(posterior, candidates()[7:], n=1, goal=goal)
    assert asked.questions["gain"].iloc[0] > 10 * least.questions["gain"].iloc[0]


def test_answers_to_sets_enter_the_data(posterior: bp.Posterior) -> None:
    """Each is a stage: what was chosen against each of the others."""
    told = bp.Elicitation(
        posterior,
        candidates(),
        goal="users",
        engine=bp.Gibbs(draws=60, warmup=40, chains=2, progress=False),
    )
    asked = told.ask(2, users=["u003"], per_user=2).questions.set_index("row")["question"]
    answers = {asked["a"]: "y", asked["b"]: "u"}
    told.tell(answers)
    data = told.posterior.comparisons
    table = candidates().set_index(["task", "alternative"])
    for (task, chosen), size in ((("a", "y"), 4), (("b", "u"), 3)):
        label = f"asked {asked[task]}"
        at = np.flatnonzero([row[0] == label for row in data.rows])
        assert len(at) == size - 1
        assert {data.rows[row][1] for row in at} == {chosen}
        assert set(data.users[data.user[at]]) == {"u003"}
        assert len(set(data.outcome.tasks(len(data))[at])) == 1
        others = [data.rows[row][2] for row in at]
        expected = table.loc[task].loc[chosen] - table.loc[task].loc[others]
        np.testing.assert_allclose(data.difference[at], expected.to_numpy(), atol=1e-12)
    assert sorted(told.asked["answer"]) == ["u", "y"]
    told.ask(1, users=["u004"])
    with pytest.raises(bp.DataError, match=r"'q' is no alternative of question 3 .*; they are '"):
        told.tell({3: "q"})


def test_sets_may_come_in_any_order_and_as_they_were_shown(posterior: bp.Posterior) -> None:
    """Rows of a task anywhere in the table; a price that a task has; the tasks of the data."""
    ordered = candidates().assign(price=[1.0] * 4 + [2.0] * 6)
    mixed = ordered.sample(frac=1.0, random_state=0)
    one, other = (
        bp.recommend(posterior, table, n=4, goal="population", cost="price").questions
        for table in (ordered, mixed)
    )
    pd.testing.assert_series_equal(one["row"], other["row"])
    np.testing.assert_allclose(one["gain"], other["gain"], rtol=1e-3)
    assert one.columns.tolist() == [
        "user",
        "row",
        "gain",
        "remaining",
        "alternatives",
        "task",
        "price",
    ]
    shown = bp.recommend(posterior, posterior.comparisons, n=4, goal="population").questions
    assert set(shown["row"]) <= set(posterior.comparisons.tasks)
