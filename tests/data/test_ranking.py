"""Choices among several: stages, their tasks, and which stages name the worst."""

import numpy as np
import pytest

import bayes_pref as bp
from bayes_pref.data import Outcome, Ranking


def test_the_stages_of_a_task_stay_together_when_rows_are_taken() -> None:
    outcome = Ranking([0, 0, 1, 2, 2, 3], [0, 0, 1, 1], [False, True, False, True])
    taken = outcome.take(np.array([3, 4, 5]))
    assert taken.stage.tolist() == [0, 0, 1]
    assert taken.task.tolist() == [0, 0]
    assert taken.worst.tolist() == [False, True]
    assert outcome.task_of_rows.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_stage_is_a_task_of_its_own_unless_it_is_said() -> None:
    outcome = Ranking([0, 0, 1])
    assert outcome.task.tolist() == [0, 1]
    assert not outcome.worst.any()


def test_tasks_and_worst_stages_are_kept_in_a_file() -> None:
    outcome = Ranking([0, 0, 1, 2], [0, 0, 1], [False, True, False])
    again = Outcome.from_state(*outcome.state())
    for name in ("stage", "task", "worst"):
        np.testing.assert_array_equal(getattr(again, name), getattr(outcome, name))


@pytest.mark.parametrize(
    ("task", "worst", "said"),
    [
        ([0, 2], None, "task must hold codes from 0"),
        ([0], None, "task has shape"),
        (None, [True], "worst has shape"),
    ],
)
def test_tasks_that_do_not_fit_the_stages_are_refused(
    task: list[int] | None, worst: list[bool] | None, said: str
) -> None:
    with pytest.raises(bp.DataError, match=said):
        Ranking([0, 0, 1], task, worst)
