"""Outcomes: what is read, kept, selected, described and stored of what a choice is."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cases import small_comparisons
from choice_cases import LEVELS, choice_comparisons, graded

import bayes_pref as bp
from bayes_pref.data import GradedChoice, Outcome, PairedChoice, Ranking


def test_graded_answers_keep_their_levels() -> None:
    data = graded(small_comparisons())
    assert data.outcome.levels == tuple(LEVELS)
    assert set(data.to_frame()["choice"]) <= set(LEVELS)
    again = bp.Comparisons.from_frame(
        data.to_frame(),
        user="person",
        choice="choice",
        difference=["brief", "polite"],
        levels=data.outcome.levels,
    )
    np.testing.assert_array_equal(again.choice, data.choice)
    for part in (data.take(np.arange(20)), *data.split(seed=1), data["u3"]):
        assert part.outcome == data.outcome
    assert "% far better" in repr(data)


def test_levels_may_be_a_number_and_three_are_no_ties() -> None:
    frame = pd.DataFrame({"who": [1, 1, 2, 2], "x": [1.0, 2, -1, 1], "c": [1, 3, 2, 3]})
    made = bp.Comparisons.from_frame(frame, user="who", choice="c", difference=["x"], levels=3)
    assert made.choice.tolist() == [0.0, 1.0, 0.5, 1.0]
    assert made.outcome == GradedChoice(3)
    assert list(bp.PooledReward().variables(made)) == ["mu", "cutpoints"]
    ties = bp.Comparisons.from_frame(
        frame.assign(c=(frame["c"] - 1) / 2), user="who", choice="c", difference=["x"]
    )
    assert list(bp.PooledReward().variables(ties)) == ["mu", "tie"]


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (2, "levels must be 3 to 7 in number, got 2"),
        (8, "levels must be 3 to 7 in number, got 8"),
        ("five", "levels must be a number of levels or their labels"),
        (True, "levels must be a number of levels or their labels"),
        (["a", "b", "a"], "levels must be different labels, got 'a', 'b' and 'a'"),
        (["a", "b", None], "levels must be text or numbers, got None"),
        (["1", "2", "3"], "column 'c': unknown level 1 in row 'p'; the levels are '1', '2' and"),
        (3, "column 'c': unknown level 4 in row 'q'; the levels are 1, 2 and 3"),
    ],
)
def test_levels_that_cannot_be_read_are_refused(levels: Any, message: str) -> None:
    frame = pd.DataFrame({"who": [1, 1], "x": [1.0, 2.0], "c": [1, 4]}, index=["p", "q"])
    with pytest.raises(bp.DataError, match=re.escape(message)):
        bp.Comparisons.from_frame(frame, user="who", choice="c", difference=["x"], levels=levels)
    with pytest.raises(bp.DataError, match="choice must hold 0, 1 / 3"):
        replace(choice_comparisons("graded"), choice=np.full(30, 0.5))


@pytest.mark.parametrize(
    "outcome", [PairedChoice(), PairedChoice(ties=True), GradedChoice(["no", 2, 3.5, True])]
)
def test_an_outcome_is_the_same_after_a_journey_through_json(outcome: Outcome) -> None:
    settings, arrays = outcome.state()
    assert Outcome.from_state(json.loads(json.dumps(settings)), arrays) == outcome


def test_stages_come_back_from_their_state() -> None:
    stage = [0, 0, 1, 2, 2]
    again = Outcome.from_state(*Ranking(stage).state())
    assert isinstance(again, Ranking)
    assert again.stage.tolist() == stage
    with pytest.raises(ValueError, match="read-only"):
        again.stage[0] = 1


def test_outcomes_of_an_older_format_are_told_by_what_is_there() -> None:
    assert Outcome.from_state({"levels": None}, {}) == PairedChoice()
    assert Outcome.from_state({"levels": ["a", "b", "c"]}, {}) == GradedChoice(["a", "b", "c"])
    assert isinstance(Outcome.from_state({"levels": None}, {"stage": [0, 1]}), Ranking)
    with pytest.raises(bp.DataError, match="unknown outcome 'Slider'"):
        Outcome.from_state({"outcome": "Slider"}, {})


def test_ties_are_possible_where_they_were_and_absent_where_none_is_selected() -> None:
    tied = choice_comparisons("ties")
    assert tied.outcome == PairedChoice(ties=True)
    # Data simulated for the same design may have none by chance, and are still of that outcome.
    assert replace(tied, choice=np.ones(30)).outcome == PairedChoice(ties=True)
    assert tied.take(tied.choice != 0.5).outcome == PairedChoice(ties=False)


@pytest.mark.parametrize(
    ("outcome", "choice", "message"),
    [
        (PairedChoice(), [0.25] * 30, "choice must hold 1, 0 or 0.5 only"),
        (Ranking([0] * 30), [0.5] * 30, "choice must hold 1 or 0 only where there are rankings"),
        (Ranking([0] * 29), [1.0] * 30, r"stage has shape (29,), but (30,) fits"),
    ],
)
def test_choices_that_are_no_values_of_the_outcome_are_refused(
    outcome: Outcome, choice: list[float], message: str
) -> None:
    data = choice_comparisons("plain")
    with pytest.raises(bp.DataError, match=re.escape(message)):
        replace(data, choice=np.array(choice), outcome=outcome)


@pytest.mark.parametrize("stage", [[1, 1], [0, 2], [1, 0], [[0], [0]]])
def test_codes_of_stages_that_do_not_count_up_are_refused(stage: Any) -> None:
    with pytest.raises(bp.DataError, match="stage must hold codes from 0"):
        Ranking(stage)


@pytest.mark.parametrize("name", ["levels", "stage", "has_ties"])
def test_former_names_say_the_new_ones(name: str) -> None:
    with pytest.raises(AttributeError, match=r"use comparisons\.outcome\."):
        getattr(choice_comparisons("plain"), name)
    assert not hasattr(choice_comparisons("plain"), "anything")
