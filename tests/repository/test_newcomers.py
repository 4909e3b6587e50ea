"""The benchmark of newcomers: its rivals are what they say they are, and its figures right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

import newcomers
from newcomer_study import rivals, worlds
from newcomer_study.worlds import Shown


def shown(rng: np.random.Generator, weights: np.ndarray, pairs: int) -> Shown:
    """Pairs shown to people with these weights (u, k)."""
    left, right = rng.standard_normal((2, len(weights), pairs, weights.shape[1]))
    chance = expit(np.einsum("unk,uk->un", left - right, weights))
    return Shown(left, right, (rng.random(chance.shape) < chance).astype(float))


def test_ridge_logits_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    people = shown(rng, np.array([[1.0, -1.0], [0.0, 2.0]]), 30)
    found = rivals.ridge_logits(people.difference, people.choice, np.zeros(2), 0.5)
    for own, difference, choice in zip(found, people.difference, people.choice, strict=True):
        logit = LogisticRegression(C=2.0, fit_intercept=False, tol=1e-10)
        np.testing.assert_allclose(own, logit.fit(difference, choice).coef_[0], atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("method", ["low-rank head", "variational encoder"])
def test_methods_of_few_directions_learn_who_is_of_which_kind(method: str) -> None:
    rng = np.random.default_rng(1)
    side = rng.choice([-1.0, 1.0], size=(160, 1))
    weights = side * np.array([[2.0, -1.0, 1.0]])
    fitted = shown(rng, weights[:120], worlds.EACH)
    new = shown(rng, weights[120:], 30)
    answers, asked = new.first(10), Shown(*(values[:, 10:] for values in new))
    predictor = rivals.METHODS[method](fitted, 0)
    score = rivals.log_score(predictor(answers, asked), asked.choice)
    # One logit for all knows nothing here, which scores -0.69; others' answers mislead.
    assert score > -0.5
    others = answers.people(np.arange(40)[::-1])
    assert rivals.log_score(predictor(others, asked), asked.choice) < score - 0.2


def test_the_calibration_error_is_the_distance_of_shares_from_predictions() -> None:
    rng = np.random.default_rng(0)
    chance = rng.random(200_000)
    choice = (rng.random(chance.size) < chance).astype(float)
    # By chance: mean absolute error of ten shares of 20,000 answers each, below 0.0035.
    assert newcomers.calibration_error(chance, choice) < 0.005
    overconfident = np.where(chance > 0.5, 1.0, 0.0)
    assert newcomers.calibration_error(overconfident, choice) == pytest.approx(0.25, abs=0.01)


@pytest.mark.long
def test_newcomers_are_asked_about_pairs_that_no_fitted_person_saw(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAYES_PREF_DATA", str(shared_data))
    for name in worlds.NAMES:
        world = worlds.draw(name, 0, small=True)
        sides = [
            {each.tobytes() for each in part.left.reshape(-1, part.left.shape[2])}
            for part in (world.fitted, world.answers, world.asked)
        ]
        # Of responses that were judged for both objectives, some are in two pairs.
        assert len(sides[0] & (sides[1] | sides[2])) < 0.05 * len(sides[0])
        again = worlds.draw(name, 0, small=True)
        np.testing.assert_array_equal(world.asked.choice, again.asked.choice)
        if world.chance is not None:
            # Answers follow the chances that are called the truth: a z-score of 4.5.
            z = (world.asked.choice - world.chance).sum()
            assert abs(z) < 4.5 * np.sqrt((world.chance * (1 - world.chance)).sum())


@pytest.mark.long
def test_the_quick_benchmark_keeps_what_it_found(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAYES_PREF_DATA", str(shared_data))
    assert newcomers.main(["--quick", "--jobs", "1", "--out", str(tmp_path)]) == 0
    table = pd.read_csv(tmp_path / "newcomers.csv")
    assert len(table) == 2 * 3 * (len(newcomers.MODELS) + len(rivals.METHODS)) + 3
    last = table[(table["world"] == "simulated") & (table["answers"] == 15)].set_index("method")
    truth, ours = last.loc[newcomers.ORACLE], last.loc[newcomers.OURS]
    assert truth["log score"] > ours["log score"]
    assert 0.75 < ours["coverage"] < 1.0
