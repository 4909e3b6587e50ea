"""The flags' worlds of other choice models: answers follow the probabilities that they state."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayes_pref as bp
from bayes_pref.diagnostics.task_sets import shown_sets
from flag_study import calibration, worlds
from flag_study.choice_worlds import CHOICE_WORLDS, CHOICES, TASKS, choice_of
from flag_study.targets import choice_targets


def answers(comparisons: bp.Comparisons) -> np.ndarray:
    """1 where a row of the report was chosen, and left was preferred."""
    if comparisons.outcome.rowwise:
        return (comparisons.choice > 0.5).astype(float)
    task = shown_sets(comparisons).task
    return (np.diff(task, prepend=-1) > 0).astype(float)  # what was chosen comes first


@pytest.mark.parametrize("choice", CHOICES)
def test_answers_of_those_who_are_shown_a_set_follow_p_obs_and_not_p_do(choice: str) -> None:
    world = CHOICE_WORLDS[f"{choice}, base"].make(0, users=400)
    user = world.comparisons.user
    if choice in TASKS:
        user = user[shown_sets(world.comparisons).row]

    def z(probability: np.ndarray) -> float:
        sums = np.bincount(user, world.shift * (answers(world.comparisons) - probability))
        return float(sums.sum() / np.sqrt((sums**2).sum()))

    # 4.5 standard errors: one false alarm in 20,000 such tests.
    assert abs(z(world.p_obs)) < 4.5
    assert abs(z(world.p_do)) > 4.5


def test_every_choice_model_is_held_to_the_targets_of_pairs() -> None:
    assert {choice_of(name) for name in CHOICE_WORLDS} == set(CHOICES)
    for choice in CHOICES:
        found = {
            (target.world.partition(", ")[2], target.figure) for target in choice_targets(choice)
        }
        assert {("base", "auroc"), ("base", "coverage"), ("null: unrelated", "any flag")} <= found


def test_calibration_takes_worlds_of_every_choice_model_and_no_blind_spot() -> None:
    blind = next(name for name, world in worlds.WORLDS.items() if world.kind == "blind")
    names = ["base", *(f"{choice}, base" for choice in CHOICES), blind]
    counts = {"replication": 0, "bin": 3, "gate": 1, "n": 10, "said": 7.0, "confounded": 6}
    bins = pd.DataFrame([{"world": name, **counts} for name in names])
    found = calibration.table(bins, gate=True)
    assert found.loc[3, "data sets"] == len(names) - 1
    assert found.loc[3, ["said", "confounded"]].tolist() == pytest.approx([0.7, 0.6])
