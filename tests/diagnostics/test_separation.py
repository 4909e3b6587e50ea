from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

import bayes_pref as bp
from bayes_pref.diagnostics.identifiability.separation import row_space, separate
from bayes_pref.diagnostics.query import read_query


def decided_by_brute_force(rows: np.ndarray, choice: np.ndarray) -> np.ndarray:
    """Whether some vector that agrees with every choice agrees strictly with each row's."""
    tied = choice == 0.5
    signed = (2 * choice[~tied] - 1)[:, None] * rows[~tied]
    decided = np.zeros(len(rows), dtype=bool)
    for n in range(len(rows)):
        best = [
            -linprog(
                sign * rows[n],
                A_ub=-signed,
                b_ub=np.zeros(len(signed)),
                A_eq=rows[tied] if tied.any() else None,
                b_eq=np.zeros(tied.sum()) if tied.any() else None,
                bounds=(-1, 1),
            ).fun
            for sign in (1, -1)
        ]
        decided[n] = max(best) > 1e-5
    return decided


@pytest.mark.parametrize("ties", [0.0, 0.2])
@pytest.mark.parametrize("whole_numbers", [False, True])
def test_the_rows_said_to_be_decided_are_those_found_one_by_one(
    ties: float, whole_numbers: bool
) -> None:
    rng = np.random.default_rng(5)
    found = []
    for _ in range(30):
        n, d = rng.integers(3, 12), rng.integers(1, 5)
        rows = (
            rng.integers(-1, 2, (n, d)).astype(float) if whole_numbers else rng.normal(size=(n, d))
        )
        choice = np.where(rng.random(n) < ties, 0.5, rng.integers(0, 2, n))
        separation = separate(rows, choice)
        expected = decided_by_brute_force(rows, choice)
        np.testing.assert_array_equal(separation.affects(rows), expected)
        agreeing = (2 * choice - 1) * (rows @ separation.vector)
        np.testing.assert_array_equal(agreeing > 1e-7, expected)
        assert agreeing.min() > -1e-6
        found.append(expected)
    shares = np.array([rows.mean() for rows in found])
    assert shares.min() == 0  # both kinds of data were among them
    assert shares.max() > 0.5


def test_a_combination_that_decides_is_found_where_no_single_feature_does() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 3))
    choice = (rows @ [1.0, -1.0, 0.5] > 0).astype(float)
    assert separate(rows, choice).directions.shape == (3, 3)
    # The wrong way: feature by feature, no sign agrees with every choice.
    signed = (2 * choice - 1)[:, None] * rows
    assert not ((signed >= 0).all(axis=0) | (signed <= 0).all(axis=0)).any()


def test_one_choice_against_the_rest_ends_the_separation() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(2000, 4))
    choice = (rows[:, 0] > 0).astype(float)
    assert separate(rows, choice).affects(rows).all()
    # Opposite choices on the same pair bound its log-odds from both sides.
    for axis in np.eye(4):
        rows, choice = np.vstack([rows, axis, axis]), np.append(choice, [0.0, 1.0])
    assert separate(rows, choice).directions.shape == (4, 0)


def test_only_the_direction_that_decides_is_unbounded() -> None:
    rng = np.random.default_rng(2)
    decisive = np.zeros((50, 3))
    decisive[:, 0] = rng.uniform(0.5, 2.0, 50)
    mixed = np.column_stack([np.zeros(300), rng.normal(size=(300, 2))])
    rows = np.vstack([decisive, mixed])
    choice = np.concatenate([np.ones(50), rng.integers(0, 2, 300)])
    separation = separate(rows, choice)
    np.testing.assert_allclose(np.abs(separation.directions.ravel()), [1, 0, 0], atol=1e-9)
    asked = np.array([[0.0, 1.0, 1.0], [0.1, 1.0, 1.0]])
    assert separation.affects(asked).tolist() == [False, True]


def test_a_right_guess_changes_nothing_and_a_wrong_one_does_no_harm() -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(100, 3))
    weights = np.array([1.0, 2.0, -1.0])
    choice = (rows @ weights > 0).astype(float)
    for guess in (weights, -weights, np.zeros(3)):
        assert separate(rows, choice, guess).directions.shape == (3, 3)


def test_a_tie_bounds_its_pair() -> None:
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
    separation = separate(rows, np.array([0.5, 1.0, 1.0]))
    assert separation.affects(rows).tolist() == [False, True, True]
    # The wrong way, a tie as half a vote for left, would leave the first pair unbounded.
    assert separate(rows, np.ones(3)).affects(rows).all()


def test_no_differences_at_all_separate_nothing() -> None:
    separation = separate(np.zeros((5, 2)), np.ones(5))
    assert separation.directions.shape == (2, 0)
    assert not separation.affects(np.ones((1, 2))).any()


def test_the_row_space_ignores_rounding() -> None:
    rng = np.random.default_rng(4)
    metres = rng.normal(size=200)
    basis, _ = row_space(
        np.column_stack([metres, metres * 3.28084 / 3.28084, rng.normal(size=200)])
    )
    assert basis.shape == (3, 2)


def one_win(items: str, seed: int = 0) -> bp.Posterior:
    """Votes on A, B and C that bound each other, and newcomers who won their only comparison."""
    rng = np.random.default_rng(seed)
    rows = [("u1", "A", "B", int(k < 44)) for k in range(56)]
    rows += [("u2", one, "C", int(k % 3 > 0)) for k in range(40) for one in "AB"]
    rows += [("u1", item, "A", 1) for item in items]
    votes = pd.DataFrame(rows, columns=["who", "left", "right", "won"])
    votes["who"] = rng.choice(["u1", "u2", "u3"], len(votes))
    read = bp.Comparisons.from_items(votes, user="who", left="left", right="right", choice="won")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bp.fit(bp.PooledReward(), read, bp.Gibbs(progress=False))


@pytest.mark.parametrize("newcomers", ["N", "NM"])
def test_the_items_that_stand_apart_are_named_and_no_others(newcomers: str) -> None:
    posterior = one_win(newcomers)
    pairs = pd.DataFrame({"left": ["N", "A", "B"], "right": ["A", "B", "N"]})
    report = bp.diagnose(posterior, pairs, progress=False)
    said = report.comparisons.set_index(pairs["left"] + pairs["right"])
    assert said.loc["AB", "verdict"] not in ("separated", "unidentifiable")
    for pair in ("NA", "BN"):
        assert said.loc[pair, "verdict"] in ("separated", "unidentifiable")
        sentence = said.loc[pair, "sentence"]
        assert "'N'" in sentence
        assert not any(f"'{item}'" in sentence for item in "ABCM")
    assert set(report.directions["feature"]) <= set(newcomers)
    for reason in report.directions["reason"]:
        assert not any(f"'{item}'" in reason for item in "ABC")


def test_candidates_by_the_names_of_items_are_those_by_their_indicators() -> None:
    posterior = one_win("N")
    names = pd.DataFrame({"left": ["N", "A"], "right": ["C", "B"]})
    coded = pd.DataFrame({"A": [0, 1], "B": [0, -1], "C": [-1, 0], "N": [1, 0]})
    found, same = (read_query(posterior, table) for table in (names, coded))
    np.testing.assert_array_equal(found.difference, same.difference)
    with pytest.raises(bp.DataError, match="column 'right': unknown item 'Z' in row 1"):
        read_query(posterior, names.replace("B", "Z"))


def test_an_outside_option_that_is_never_chosen_is_what_separates() -> None:
    world = bp.simulate(users=40, features=["price"], contexts=0, alternatives=3, seed=0)
    frame = world.frame.copy()
    fitted, notes = {}, {}
    for never in (True, False):
        if not never:  # in one task of 600 none is chosen
            frame.loc[frame["task"] == frame["task"].iloc[0], "choice"] = 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = bp.Comparisons.from_tasks(
                frame, user="user", task="task", choice="choice", attributes=["price"], none=True
            )
            posterior = bp.fit(
                bp.HierarchicalReward(), data, bp.Gibbs(draws=100, warmup=100, progress=False)
            )
        report = bp.diagnose(posterior, assessments=["preference", "identifiability"])
        fitted[never], notes[never] = report.comparisons, " ".join(report.notes)
    assert fitted[True]["verdict"].eq("separated").all()
    said = "(complete separation along 'none', which is never chosen): its size"
    assert fitted[True]["sentence"].str.contains(said, regex=False).all()
    assert "The outside option 'none' is never chosen" in notes[True]
    assert not fitted[False]["verdict"].eq("separated").any()
    assert "never chosen" not in notes[False]
