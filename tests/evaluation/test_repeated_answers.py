"""How many answers to the same question are alike, against loops over all pairs of answers."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_comparisons, made_posterior
from scipy.special import softmax

import bayes_pref as bp
from bayes_pref.evaluation.repeated_answers import RepeatedAnswers


def test_pairs_of_all_users_count_as_often_as_they_were_repeated() -> None:
    posterior = made_posterior(made_comparisons(), bp.HierarchicalReward(lapse=True))
    each, found = posterior.reliability(), RepeatedAnswers.of(posterior)
    assert found.count == each["repeats"].sum() == 30  # a second copy of each row
    assert found.alike == 1.0  # the copies have the same answers
    each = each[each["repeats"] > 0]
    assert found.expected == pytest.approx(
        np.average(each["alike_expected"], weights=each["repeats"])
    )


def asked(best_and_worst: bool) -> pd.DataFrame:
    """Two sets of three, asked three times of one user and twice of another, in any order."""
    rng = np.random.default_rng(1)
    sets, rows = rng.normal(size=(2, 3, 2)), []
    for user, times in (("ann", 3), ("bob", 2), ("kim", 1)):
        for task, which in enumerate([0, 1] * times):
            order, (best, worst) = rng.permutation(3), rng.permutation(3)[:2]
            for k in order:
                first = {"user": user, "task": f"{user} {task}", "set": which, "id": k}
                values = dict(zip("ab", sets[which, k], strict=True))
                rows.append(first | values | {"best": int(k == best), "worst": int(k == worst)})
    frame = pd.DataFrame(rows)
    return frame if best_and_worst else frame.rename(columns={"best": "choice"})


@pytest.mark.parametrize("best_and_worst", [False, True])
def test_sets_are_the_same_in_any_order_and_the_worst_is_named_among_the_rest(
    best_and_worst: bool,
) -> None:
    frame = asked(best_and_worst)
    answers = {"best": "best", "worst": "worst"} if best_and_worst else {"choice": "choice"}
    data = bp.Comparisons.from_tasks(
        frame, user="user", task="task", attributes=["a", "b"], **answers
    )
    posterior = made_posterior(data, draws=20)
    weights = posterior.weights_draws().transpose("user", "feature", "chain", "draw")
    alike, expected = [], []
    for who, mine in frame.groupby("user"):
        of_user = weights.sel(user=who).to_numpy().reshape(2, -1)
        tasks = [task.sort_values("id") for _, task in mine.groupby("task")]
        for one, other in combinations(tasks, 2):
            if one["set"].iloc[0] != other["set"].iloc[0]:
                continue
            reward = one[["a", "b"]].to_numpy() @ of_user
            column = "best" if best_and_worst else "choice"
            first, second = (int(task[column].to_numpy().argmax()) for task in (one, other))
            alike.append(first == second)
            expected.append((softmax(reward, axis=0) ** 2).sum(axis=0).mean())
            if best_and_worst and first == second:
                left = np.delete(reward, first, axis=0)
                alike.append((one["worst"].to_numpy() == other["worst"].to_numpy()).all())
                expected.append((softmax(-left, axis=0) ** 2).sum(axis=0).mean())
    found = RepeatedAnswers.of(posterior)
    assert found.count == len(alike)
    assert found.alike == pytest.approx(np.mean(alike))
    assert found.expected == pytest.approx(np.mean(expected))
    once = data.take(np.flatnonzero(data.users[data.user] == "kim"))
    assert RepeatedAnswers.of(made_posterior(once, bp.PooledReward())).count == 0
