"""Commands after a fit that keeps a summary of users: about some of them, drawn anew."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayes_pref as bp
from bayes_pref.cli import main

Run = Callable[..., tuple[int, str, str]]
QUICK = ["--assessments", "preference,borrowing", "--verdicts", "prefers,indifferent,undecided"]
FRAME = bp.simulate(users=40, comparisons=10, features=3, contexts=0, seed=0).frame
NAMES = ["feature_1", "feature_2", "feature_3"]


@pytest.fixture(scope="module")
def fits() -> dict[str, bp.Posterior]:
    """With a summary of users and with all draws, of whole-number labels."""
    frame = FRAME.assign(user=FRAME["user"].str[1:].astype(int))
    comparisons = bp.Comparisons.from_frame(frame, user="user", choice="choice", difference=NAMES)
    short = {"warmup": 60, "draws": 200, "chains": 2, "progress": False}
    engines = {"summary": bp.Gibbs(users="summary", **short), "whole": bp.Gibbs(**short)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return {
            name: bp.fit(bp.HierarchicalReward(), comparisons, engine, seed=1)
            for name, engine in engines.items()
        }


@pytest.fixture
def run(
    tmp_path: Path,
    fits: dict[str, bp.Posterior],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Run the command in a folder with both fits; status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    for name, posterior in fits.items():
        posterior.save(f"{name}.nc")

    def runner(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(list(words))
        return status, *capsys.readouterr()

    return runner


def judged(out: str) -> list[int]:
    return sorted({row["user"] for row in json.loads(out)["comparisons"]})


def test_some_users_are_judged_the_same_each_time_and_it_is_said(run: Run) -> None:
    status, out, err = run("diagnose", "summary.nc", *QUICK, "--sample", "12", "--json")
    assert status == 0
    assert "a summary of 40 users: what follows is about 12 of them" in err
    users = judged(out)
    assert len(users) == 12
    assert judged(run("diagnose", "summary.nc", *QUICK, "--sample", "12", "--json")[1]) == users
    _, out, err = run("diagnose", "summary.nc", *QUICK, "--json")
    assert len(judged(out)) == 40
    assert "summary of" not in err
    # Draws of all users are judged whole, whatever the sample.
    assert len(judged(run("diagnose", "whole.nc", *QUICK, "--sample", "3", "--json")[1])) == 40


def test_users_whom_a_table_names_are_among_them(run: Run) -> None:
    pairs = pd.DataFrame(np.eye(3), columns=NAMES).assign(user=[7, 23, 31])
    pairs.to_csv("pairs.csv", index=False)
    status, out, _ = run("diagnose", "summary.nc", "pairs.csv", *QUICK, "--sample", "5", "--json")
    assert (status, judged(out)) == (0, [7, 23, 31])


def test_rows_are_predicted_for_the_users_whom_a_table_names(
    run: Run, fits: dict[str, bp.Posterior]
) -> None:
    pairs = pd.DataFrame(np.eye(3), columns=NAMES).assign(user=[7, 23, 31])
    pairs.to_csv("pairs.csv", index=False)
    found = {}
    for name in fits:
        status, _, err = run("predict", f"{name}.nc", "pairs.csv", "--out", f"{name}.csv")
        assert (status, err) == (0, "")
        found[name] = pd.read_csv(f"{name}.csv")["mean"].to_numpy()
    # Means of probabilities whose sd is at most 0.5, of 400 draws worth a hundred at the least.
    assert abs(found["summary"] - found["whole"]).max() < 4.5 * 0.5 * np.sqrt(2.0 / 100)
    assert abs(found["summary"] - found["whole"][::-1]).max() > 0.05  # another user's differ


def test_fits_are_compared_on_the_same_users(run: Run) -> None:
    status, out, _ = run("evaluate", "summary.nc", "whole.nc", "--sample", "10", "--json")
    assert status == 0
    assert len(json.loads(out)["models"]) == 2
    status, out, _ = run("evaluate", "summary.nc", "--sample", "10", "--json")
    assert status == 0
    assert len(json.loads(out)["pointwise"]) == 100


def test_questions_are_for_users_of_the_sample_or_named_ones(run: Run) -> None:
    asked = ["recommend", "summary.nc", "--n", "4", "--json"]
    status, out, err = run(*asked, "--users", "7,23", "--sample", "2")
    assert status == 0
    assert {row["user"] for row in json.loads(out)["questions"]} <= {7, 23}
    assert "about 2 of them" in err
    session = ["ask", "--state", "session.nc"]
    assert run(*session, "summary.nc", "--goal", "population", "--sample", "10")[0] == 0
    assert run(*session, "--n", "2")[0] == 0
    assert run("report", "summary.nc", "--out", "page", *QUICK, "--pictures", "png")[0] == 0
    assert Path("page/report.html").is_file()


def test_a_sample_of_nobody_is_refused(run: Run) -> None:
    status, _, err = run("diagnose", "summary.nc", "--sample", "0")
    assert status == 2
    assert "--sample" in err
