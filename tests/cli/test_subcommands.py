"""What follows a fit, from the command line: the numbers of Python, as text, JSON and files."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_posteriors import ATTRIBUTES, made_comparisons, made_posterior
from matplotlib import image

import bayes_pref as bp
from bayes_pref.cli import main

Run = Callable[..., tuple[int, str, str]]
READING = (
    'file = "votes.csv"\n[data]\nfrom = "frame"\nuser = "user"\nchoice = "chosen"\n'
    'difference = ["length", "tone", "tact"]\ncontext = ["hard"]\n'
)


@pytest.fixture(scope="module")
def posterior() -> bp.Posterior:
    return made_posterior()


@pytest.fixture
def run(
    tmp_path: Path,
    posterior: bp.Posterior,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Run the command in a folder with a fit in run/ and its table; status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    posterior.save("run/posterior.nc")
    Path("run/config.toml").write_text(READING)
    made_comparisons().to_frame().to_csv("votes.csv", index=False)

    def runner(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(list(words))
        return status, *capsys.readouterr()

    return runner


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a frame as JSON has them."""
    found: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=15))
    return found


def close(found: list[dict[str, Any]], expected: pd.DataFrame) -> None:
    """Expect the rows of a frame, but for rounding."""
    frame = pd.DataFrame(found)
    assert list(frame) == list(expected)
    for name in frame:
        if pd.api.types.is_numeric_dtype(expected[name]):
            assert np.allclose(frame[name].astype(float), expected[name], equal_nan=True), name
        else:
            assert frame[name].astype(str).tolist() == expected[name].astype(str).tolist(), name


QUICK = ["--assessments", "preference,borrowing", "--verdicts", "prefers,indifferent,undecided"]


def test_a_diagnosis_says_and_writes_what_python_finds(run: Run, posterior: bp.Posterior) -> None:
    report = bp.diagnose(
        bp.Posterior.load("run/posterior.nc"),
        assessments=["preference", "borrowing"],
        verdicts=["prefers", "indifferent", "undecided"],
        thresholds=bp.Thresholds(sign=0.6),
        progress=False,
    )
    status, out, err = run("diagnose", "run", *QUICK, "--sign", "0.6", "--out", "verdicts")
    assert (status, err) == (0, "")
    assert out.startswith(report.summary())
    written = pd.read_csv("verdicts/comparisons.csv")
    assert written["verdict"].tolist() == report.comparisons["verdict"].tolist()
    assert Path("verdicts/users.csv").is_file()
    status, out, _ = run("diagnose", "run", *QUICK, "--sign", "0.6", "--json")
    found = json.loads(out)
    assert found["counts"] == report.counts()["comparisons"].to_dict()
    close(found["users"], report.users)
    assert len(posterior.comparisons) == len(found["comparisons"])


def test_what_needs_attention_ends_with_status_1(run: Run) -> None:
    assert run("diagnose", "run", *QUICK, "--fail-on", "confounded,convergence")[0] == 0
    assert run("diagnose", "run", *QUICK, "--fail-on", "confounded,prefers")[0] == 1
    finding = bp.Finding("rhat", "mu", 1.2, 1.01, 3, "mu: R-hat 1.2")
    made_posterior(findings=(finding,)).save("run/posterior.nc")
    assert run("diagnose", "run", *QUICK, "--fail-on", "convergence")[0] == 1
    status, _, err = run("diagnose", "run", "--fail-on", "confouned")
    assert status == 2
    assert "did you mean 'confounded'?" in err


def test_candidates_are_judged_and_their_lines_named(run: Run) -> None:
    pairs = pd.DataFrame({"user": ["zoe", "new"], "hard": 0.0, **dict.fromkeys(ATTRIBUTES, 1.0)})
    pairs.to_csv("pairs.csv", index=False)
    status, out, _ = run("diagnose", "run", "pairs.csv", *QUICK, "--json")
    assert status == 0
    found = json.loads(out)["comparisons"]
    assert [(row["row"], row["user"]) for row in found] == [(2, "zoe"), (3, "new")]
    pairs.assign(tone=[1.0, np.nan]).to_csv("pairs.csv", index=False)
    status, _, err = run("diagnose", "run", "pairs.csv", *QUICK)
    assert status == 2
    assert "pairs.csv, column 'tone'" in err
    assert "in line 3" in err


def test_a_report_is_a_page_with_pictures(run: Run) -> None:
    words = ["--assessments", "preference,identifiability", "--verdicts", "prefers,undecided"]
    status, out, err = run("report", "run", "--out", "report", "--pictures", "png", *words)
    assert (status, err) == (0, "")
    assert "<html" in Path("report/report.html").read_text()
    assert "report.html" in out
    pictures = list(Path("report").glob("*.png"))
    assert pictures
    assert all(image.imread(path)[..., :3].std() > 0.02 for path in pictures)
    assert run("report", "run", "--out", "report", *words)[0] == 2
    status, _, err = run("report", "run", "--out", "other", "--pictures", "pgn", *words)
    assert status == 2
    assert "pgn" in err
    assert not Path("other").exists()


def test_held_out_answers_are_read_as_the_fitted_ones_were(run: Run) -> None:
    loaded = bp.Posterior.load("run/posterior.nc")
    table = made_comparisons(seed=1)
    table.to_frame().assign(further=1.0).to_csv("later.csv", index=False)
    expected = bp.evaluate(loaded, table, bins=4)
    status, out, _ = run("evaluate", "run", "--held-out", "later.csv", "--bins", "4", "--json")
    assert status == 0
    found = json.loads(out)
    close(found["overall"], expected.overall)
    close(found["calibration"], expected.calibration)
    Path("run/config.toml").unlink()
    status, _, err = run("evaluate", "run", "--held-out", "later.csv")
    assert status == 2
    assert "--user is missing" in err


def test_fits_are_scored_and_compared_by_leaving_out(run: Run, posterior: bp.Posterior) -> None:
    import warnings

    made_posterior(seed=2).save("other.nc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        alone = bp.loo(posterior, by="user")
    status, out, err = run("evaluate", "run", "--by", "user", "--json")
    assert status == 0
    assert all(line.startswith("bayes-pref: note: ") for line in err.splitlines())
    assert json.loads(out)["elpd"] == pytest.approx(alone.elpd, rel=0.01)
    status, out, _ = run("evaluate", "run", "other.nc", "--by", "user", "--json")
    assert status == 0
    models = json.loads(out)["models"]
    assert {row["model"] for row in models} == {"run", "other.nc"}
    assert run("evaluate", "run", "other.nc", "--held-out", "votes.csv")[0] == 2


def test_rows_are_predicted_for_their_own_users(run: Run) -> None:
    loaded = bp.Posterior.load("run/posterior.nc")
    pairs = made_comparisons(seed=3).to_frame().drop(columns="chosen").reset_index(drop=True)
    pairs.to_csv("pairs.csv", index=False)
    expected = loaded.predict(pairs, interval=0.5)
    status, out, err = run("predict", "run", "pairs.csv", "--interval", "0.5")
    assert (status, err) == (0, "")
    found = pd.read_csv(io.StringIO(out))
    close(found[list(expected)].to_dict("records"), expected.reset_index(drop=True))
    assert np.allclose(found["tone"], pairs["tone"])
    pairs.assign(user="new").to_csv("pairs.csv", index=False)
    assert run("predict", "run", "pairs.csv")[0] == 2
    words = ["--new-users", "population", "--out", "p.jsonl"]
    assert run("predict", "run", "pairs.csv", *words)[0] == 0
    assert len(pd.read_json("p.jsonl", lines=True)) == len(pairs)


def test_questions_are_those_of_python(run: Run) -> None:
    loaded = bp.Posterior.load("run/posterior.nc")
    asked = bp.recommend(loaded, n=3, goal={"tone": 1.0}, users=["ann", "bob"], per_user=2)
    words = ["--n", "3", "--goal", "tone=1", "--users", "ann,bob", "--per-user", "2"]
    status, out, err = run("recommend", "run", *words, "--out", "questions.csv")
    assert (status, err) == (0, "")
    assert " ".join(asked.sentence.split()) in " ".join(out.split())
    written = pd.read_csv("questions.csv")
    assert written["user"].tolist() == asked.questions["user"].tolist()
    assert np.allclose(written["gain"], asked.questions["gain"])
    status, _, err = run("recommend", "run", *words, "--out", "questions.csv")
    assert status == 2
    assert "--overwrite" in err


def test_a_session_is_asked_and_told(run: Run) -> None:
    start = ["ask", "--state", "s.nc", "run", "--goal", "tone=1", "--n", "3"]
    status, out, err = run(*start, "--json")
    assert (status, err) == (0, "")
    assert [row["question"] for row in json.loads(out)["questions"]] == [1, 2, 3]
    assert "holds a session already" in run(*start)[2]
    assert "there is no session t.nc" in run("ask", "--state", "t.nc")[2]
    pd.DataFrame({"question": [2], "answer": ["right"]}).to_csv("answers.csv", index=False)
    words = ["--answer", "1=left", "--drop", "3", "--json"]
    status, out, _ = run("tell", "--state", "s.nc", "answers.csv", *words)
    assert status == 0
    found = json.loads(out)
    assert found["pending"] == []
    assert found["targets"][0]["resolved"] in (True, False)
    session = bp.Elicitation.load("s.nc")
    assert session.asked["state"].tolist() == ["answered", "answered", "dropped"]
    assert session.asked["answer"].tolist()[:2] == [1.0, 0.0]
    assert "question" in run("tell", "--state", "s.nc", "--answer", "1=left")[2]
    assert "is no number of a question" in run("tell", "--state", "s.nc", "--answer", "x=left")[2]
    assert run("tell", "--state", "s.nc")[0] == 2
    assert json.loads(run("ask", "--state", "s.nc", "--n", "1", "--json")[1])["questions"]


def test_an_audit_says_what_python_says(run: Run) -> None:
    words = ["audit", "votes.csv", "--config", "run/config.toml", "--permutations", "199"]
    expected = bp.audit(made_comparisons(), permutations=199)
    status, out, err = run(*words, "--out", "audit")
    assert (status, err) == (0, "")
    assert expected.summary() in out
    assert Path("audit/audit.html").is_file()
    failed = [name.split(" (")[0] for name in expected.failed]
    status, out, _ = run(*words, "--json", "--fail-on", ",".join([*failed, "latent sufficiency"]))
    assert status == int(bool(failed))
    assert json.loads(out)["failed"] == list(expected.failed)
    assert "did you mean 'positivity'" in run(*words, "--fail-on", "posotivity")[2]


def test_tables_are_exported_in_every_format(run: Run) -> None:
    pytest.importorskip("pyarrow")
    weights = bp.Posterior.load("run/posterior.nc").weights(interval=0.5)
    status, out, err = run("export", "run", "weights", "--interval", "0.5", "--format", "jsonl")
    assert (status, err) == (0, "")
    close([json.loads(line) for line in out.splitlines()], weights)
    for name in ("w.csv", "w.tsv", "w.jsonl", "w.parquet"):
        assert run("export", "run", "weights", "--interval", "0.5", "--out", name)[0] == 0
    read = [
        pd.read_csv("w.csv"),
        pd.read_csv("w.tsv", sep="\t"),
        pd.read_json("w.jsonl", lines=True),
        pd.read_parquet("w.parquet"),
    ]
    for frame in read:
        close(frame.to_dict("records"), weights)
    assert run("export", "run", "weights", "--wide", "--out", "wide.csv")[0] == 0
    wide = pd.read_csv("wide.csv", index_col="user")
    assert list(wide) == list(ATTRIBUTES)
    for user, feature, mean in weights[["user", "feature", "mean"]].itertuples(index=False):
        assert wide.loc[user, feature] == pytest.approx(mean)
    assert run("export", "run", "idata", "--out", "draws.nc")[0] == 0
    assert run("export", "run", "idata")[0] == 2
    assert run("export", "run", "summary", "--wide")[0] == 2
    status, _, err = run("export", "run", "weihgts")
    assert status == 2
    assert "did you mean 'weights'?" in err


@pytest.mark.parametrize("table", ["summary", "amce", "importance", "polarisation", "part_worths"])
def test_other_tables_are_those_of_python(run: Run, table: str) -> None:
    found = getattr(bp.Posterior.load("run/posterior.nc"), table)()
    expected = found.reset_index() if table == "summary" else found
    status, out, _ = run("export", "run", table, "--format", "jsonl")
    assert status == 0
    close([json.loads(line) for line in out.splitlines()], expected)


def test_a_world_is_written_with_its_truth(run: Run) -> None:
    words = [
        "--users",
        "4",
        "--comparisons",
        "3",
        "--features",
        "tone",
        "--covariates",
        "age",
        "--seed",
        "5",
    ]
    world = bp.simulate(users=4, comparisons=3, features=["tone"], covariates=["age"], seed=5)
    status, out, err = run("simulate", *words)
    assert (status, err) == (0, "")
    assert out == world.frame.to_csv(index=False)
    status, out, _ = run("simulate", *words, "--out", "world")
    assert status == 0
    assert repr(world) in out
    pd.testing.assert_frame_equal(pd.read_csv("world/choices.csv"), world.frame)
    truth = pd.read_csv("world/true_weights.csv", index_col="user")
    assert np.allclose(truth, world.truth.weights)
    assert pd.read_csv("world/people.csv", index_col="user").columns.tolist() == ["age"]


def test_a_configuration_is_printed_with_every_setting(run: Run) -> None:
    words = ["config", "--model", "LowRankReward", "--user", "user", "--choice", "chosen"]
    status, out, err = run(*words, "--context", "hard", "--out", "study.toml")
    assert (status, err) == (0, "")
    text = Path("study.toml").read_text()
    for setting in ('name = "LowRankReward"', "# rank = 2", "# draws = 1000", "# shift = 0.03"):
        assert setting in text.splitlines() or setting in text
    status, out, _ = run("audit", "votes.csv", "--config", "study.toml", "--permutations", "199")
    assert status == 0
    assert "contexts: hard" in out
    # What was printed sets what was given, and nothing else.
    assert run(*words)[1].count("\nuser = ") == 1
