"""The command: from a file to a folder of results, or to one sentence that says what to mend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from interrupting import interrupt_after
from made_posteriors import made_comparisons, made_posterior, pooled_posterior
from matplotlib import image, pyplot

import bayes_pref as bp
from bayes_pref.cli import fitting, heartbeat, main
from bayes_pref.cli.screen import WIDTH, grid
from bayes_pref.cli.summary_text import summary_text
from bayes_pref.inference.runtime import threads as chains
from bayes_pref.posterior import storage
from bayes_pref.reporting.folder import OutputFolder
from conftest import ROOT

FEATURES = ["length", "tone"]
TINY = ["--draws", "60", "--warmup", "60", "--chains", "2"]
PICTURES = ["population.png", "users.png", "heterogeneity.png", "trace.png", "rank.png"]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with votes.csv and people.csv, which have no fault yet."""
    votes().to_csv(tmp_path / "votes.csv", index=False)
    people().to_csv(tmp_path / "people.csv", index=False)
    return tmp_path


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in that folder; status, stdout, stderr."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(heartbeat, "EVERY", 3600.0)  # a slow machine's signs of life are no finding

    def runner(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(list(arguments))
        return status, *capsys.readouterr()

    return runner


@pytest.fixture
def plain_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty axes in place of every plot, for tests of everything else."""
    for name in PICTURES:
        monkeypatch.setattr(fitting.plots, Path(name).stem, lambda *_, **__: pyplot.subplots()[1])


def votes() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"who": np.repeat([3, 1, 2, 12], 6), "won": rng.integers(0, 2, 24)})
    return frame.assign(length=rng.normal(size=24).round(2), tone=rng.integers(-1, 2, 24))


def people() -> pd.DataFrame:
    return pd.DataFrame({"who": [1, 2, 3, 12], "age": [30, 41, 27, 65]})


def fit_votes(*more: str, file: str = "votes.csv") -> list[str]:
    return ["fit", file, "--user", "who", "--choice", "won", "--out", "run", *TINY, *more]


@pytest.mark.usefixtures("plain_pictures")
def test_a_fit_reads_both_kinds_of_weights(run: Run, folder: Path) -> None:
    table = votes()
    table = table.assign(times=np.arange(24) % 2 + 1, people=table["who"] / 2)
    table.to_csv(folder / "votes.csv", index=False)
    status, out, err = run(*fit_votes("--frequency", "times", "--survey-weight", "people"))
    assert (status, err) == (0, "")
    comparisons = bp.Posterior.load("run/posterior.nc").comparisons
    assert len(comparisons) == 36
    assert comparisons.survey_weights.tolist() == [1.5, 0.5, 1.0, 6.0]
    assert "features (every other column): length, tone" in out
    assert "survey weight: people" in out


def test_a_fit_writes_results_that_say_the_same(run: Run, folder: Path) -> None:
    status, out, err = run(*fit_votes("--covariates", "people.csv", "--seed", "4"))
    assert (status, err) == (0, "")
    written = ["posterior.nc", "config.toml", "weights.csv", "population.csv", *PICTURES]
    assert sorted(path.name for path in (folder / "run").iterdir()) == sorted(written)
    posterior = bp.Posterior.load("run/posterior.nc")
    frame = bp.Comparisons.from_frame(
        votes(), user="who", choice="won", difference=FEATURES, covariates=people()
    )
    engine = bp.Gibbs(draws=60, warmup=60, chains=2, progress=False)
    with pytest.warns(bp.ConvergenceWarning):
        again = bp.fit(bp.HierarchicalReward(), frame, engine, seed=4)
    # The file holds users' draws rounded to half of the Monte Carlo error; the tables are its own.
    again.save("again.nc", compact=True)
    xr.testing.assert_identical(posterior.draws, bp.Posterior.load("again.nc").draws)
    assert posterior.comparisons.users.tolist() == [3, 1, 2, 12]
    assert posterior.comparisons.rows.tolist() == list(range(2, 26))
    pd.testing.assert_frame_equal(pd.read_csv("run/weights.csv"), posterior.weights())
    summary = pd.read_csv("run/population.csv", index_col="parameter")
    assert np.allclose(summary, posterior.summary(), rtol=1e-12)
    assert "features (every other column): length, tone" in out
    assert "covariates (people.csv): age" in out
    assert all(name in out for name in written)


@pytest.mark.slow
@pytest.mark.usefixtures("plain_pictures")
def test_ties_are_modelled_and_sampled_by_gibbs(run: Run, folder: Path) -> None:
    tied = votes().assign(won=votes()["won"].where(votes().index % 5 > 0, 0.5))
    tied.to_csv(folder / "tied.csv", index=False)
    status, _, err = run(*fit_votes(file="tied.csv"))
    assert (status, err) == (0, "")
    assert bp.Posterior.load("run/posterior.nc").run.engine == "Gibbs"
    assert "tie" in pd.read_csv("run/population.csv", index_col="parameter").index


def test_pictures_are_pictures(run: Run) -> None:
    before = mpl.get_backend(), pyplot.get_fignums()
    run(*fit_votes())
    for name in PICTURES:
        pixels = image.imread(Path("run", name))
        assert min(pixels.shape[:2]) > 200
        assert pixels[..., :3].std() > 0.02  # not blank
    assert (mpl.get_backend(), pyplot.get_fignums()) == before


def test_a_picture_that_cannot_be_drawn_costs_nothing_else(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise IndexError("no such panel")

    monkeypatch.setattr(fitting.plots, "users", fail)
    status, out, err = run(*fit_votes())
    assert status == 0
    assert err == "bayes-pref: users.png could not be drawn (IndexError: no such panel)\n"
    drawn = {path.name for path in Path("run").glob("*.png")}
    assert drawn == set(PICTURES) - {"users.png"}
    assert "users.png" not in out
    assert run("show", "run")[1] in out


@pytest.mark.usefixtures("plain_pictures")
def test_the_line_of_python_that_is_printed_runs(run: Run) -> None:
    _, out, _ = run(*fit_votes())
    lines = out.split("in Python:\n\n")[1].splitlines()
    known: dict[str, Any] = {}
    exec("\n".join(line.strip() for line in lines), known)
    assert isinstance(known["posterior"], bp.Posterior)


@pytest.mark.usefixtures("plain_pictures")
@pytest.mark.parametrize(
    ("options", "features", "model"),
    [
        (
            ["--context", "tone", "--interactions", "all", "--covariance", "full"],
            ("length", "length:tone"),
            bp.HierarchicalReward(covariance="full"),
        ),
        (
            ["--model", "PooledReward", "--scale", "raw", "--features", "words,warmth"],
            ("words", "warmth"),
            bp.PooledReward(scale="raw"),
        ),
        (
            ["--left", "length", "--right", "tone", "--features", "size"],
            ("size",),
            bp.HierarchicalReward(),
        ),
    ],
)
def test_options_choose_the_columns_and_the_model(
    run: Run, options: list[str], features: tuple[str, ...], model: bp.RewardModel
) -> None:
    status, out, err = run(*fit_votes(*options, "--cores", "1"))
    assert (status, err) == (0, "")
    posterior = bp.Posterior.load("run/posterior.nc")
    assert posterior.comparisons.feature_names == features
    assert posterior.model == model
    assert posterior.run.draws == 60
    assert ("users.png" in out) == ("weights" in posterior.draws)
    if "--left" in options:
        sides = votes()
        assert np.allclose(posterior.comparisons.difference[:, 0], sides["length"] - sides["tone"])


@pytest.mark.usefixtures("plain_pictures")
def test_the_interval_asked_for_is_the_one_written(run: Run) -> None:
    _, out, _ = run(*fit_votes("--interval", "0.5"))
    posterior = bp.Posterior.load("run/posterior.nc")
    saved = posterior.weights(interval=0.5)
    moved = np.abs(pd.read_csv("run/weights.csv")["upper"] - saved["upper"])
    # The file's draws are rounded to half of the Monte Carlo error of a mean.
    assert (moved <= 1.001 * saved["sd"] / np.sqrt(120) / 4).all()
    assert "50 % interval" in out
    assert "90 % interval" not in out


@pytest.mark.usefixtures("plain_pictures")
def test_show_prints_what_fit_printed(run: Run) -> None:
    _, fitted, _ = run(*fit_votes("--covariates", "people.csv"))
    for path in ("run", "run/posterior.nc"):
        status, shown, err = run("show", path)
        assert (status, err) == (0, "")
        assert shown in fitted


def edited(**columns: object) -> Callable[[], None]:
    """Return what writes votes.csv with these columns, as text, changed."""

    def edit() -> None:
        frame = votes().astype(object)
        for column, value in columns.items():
            frame.loc[15, column] = value  # on line 17 of the file
        frame.to_csv("votes.csv", index=False)

    return edit


def replaced(name: str, content: str | bytes) -> Callable[[], None]:
    data = content.encode() if isinstance(content, str) else content
    return lambda: bytes_written(name, data)


def bytes_written(name: str, data: bytes) -> None:
    Path(name).write_bytes(data)


def people_file(frame: pd.DataFrame) -> Callable[[], None]:
    return replaced("people.csv", frame.to_csv(index=False))


WITH_PEOPLE = ["--covariates", "people.csv"]
ONE_USER = votes().assign(who=7).to_csv(index=False)
BAD: dict[str, tuple[Callable[[], None], list[str], list[str]]] = {
    "missing file": (
        lambda: Path("votes.csv").unlink(),
        [],
        ["votes.csv", "No such file", "check"],
    ),
    "not a CSV": (
        replaced("votes.csv", b"\x89PNG\r\n\x1a\n\0\0"),
        [],
        ["votes.csv", "not a text table", "save it"],
    ),
    "prose": (
        replaced("votes.csv", "Dear all\nplease find the votes below.\n"),
        [],
        ["votes.csv", "single column 'Dear all'", "commas"],
    ),
    "ragged": (
        replaced("votes.csv", "who,won,length\n1,1,2\n1,0\n"),
        [],
        ["votes.csv, line 3", "2 fields", "header has 3"],
    ),
    "missing column": (lambda: None, ["--user", "whom"], ["votes.csv", "'whom'", "mean 'who'?"]),
    "missing feature": (lambda: None, ["--difference", "size"], ["votes.csv", "'size'", "'tone'"]),
    "missing context": (lambda: None, ["--context", "size"], ["votes.csv", "'size'"]),
    "choice of 2": (edited(won=2), [], ["votes.csv, column 'won'", "2", "line 17", "expected 1"]),
    "choice of yes": (edited(won="yes"), [], ["votes.csv, column 'won'", "'yes'", "line 17"]),
    "missing choice": (edited(won=None), [], ["votes.csv, column 'won'", "missing", "line 17"]),
    "NaN": (edited(tone="NaN"), [], ["votes.csv, column 'tone'", "missing", "line 17", "drop"]),
    "infinite": (edited(tone="inf"), [], ["votes.csv, column 'tone'", "line 17"]),
    # Infinite; before pandas 2.3 it was text.
    "too large": (edited(tone="1e999"), [], ["votes.csv, column 'tone'", "line 17"]),
    "text": (edited(tone="warm"), [], ["votes.csv, column 'tone'", "text 'warm'", "line 17"]),
    "missing user": (edited(who=None), [], ["votes.csv, column 'who'", "missing label", "line 17"]),
    "text column": (
        replaced("votes.csv", votes().assign(note="nice").to_csv(index=False)),
        [],
        ["votes.csv, column 'note'", "'nice'", "--difference"],
    ),
    "duplicate column": (
        replaced("votes.csv", votes().to_csv(index=False).replace("tone", "length", 1)),
        [],
        ["votes.csv", "more than one column named 'length'"],
    ),
    "index column": (
        replaced("votes.csv", votes().to_csv()),
        [],
        ["votes.csv", "column 1 has no name"],
    ),
    "empty table": (
        replaced("votes.csv", "who,won,length\n"),
        [],
        ["votes.csv is empty", "no rows"],
    ),
    "empty file": (replaced("votes.csv", ""), [], ["votes.csv is empty", "no header"]),
    "one user": (
        replaced("votes.csv", ONE_USER),
        [],
        ["votes.csv, column 'who'", "7", "PooledReward"],
    ),
    "a unit too small": (
        replaced("votes.csv", votes().assign(tone=votes()["tone"] * 1e-200).to_csv(index=False)),
        [],
        ["votes.csv", "feature 'tone'", "e-201", "another unit"],
    ),
    "a unit too large": (
        replaced("votes.csv", votes().assign(tone=votes()["tone"] * 1e200).to_csv(index=False)),
        [],
        ["votes.csv", "feature 'tone'", "e+199", "another unit"],
    ),
    "users labelled otherwise": (
        people_file(people().assign(who=["1.0", "2.0", "3.0", "12.0"])),
        WITH_PEOPLE,
        ["people.csv, column 'who'", "user '1.0' made no comparison", "such as '3', '1', '2'"],
    ),
    "constant feature": (
        replaced("votes.csv", votes().assign(size=0).to_csv(index=False)),
        [],
        ["votes.csv", "never differ in 'size'", "--difference length,tone"],
    ),
    "constant interaction": (
        replaced("votes.csv", votes().assign(size=0).to_csv(index=False)),
        ["--context", "size", "--interactions", "all"],
        ["votes.csv", "'length:size'", "--interactions"],
    ),
    "unknown user": (
        people_file(pd.concat([people(), pd.DataFrame({"who": [99], "age": [5]})])),
        WITH_PEOPLE,
        ["people.csv, column 'who'", "user 99", "keep only"],
    ),
    "doubled user": (
        people_file(pd.concat([people(), people()[:1]])),
        WITH_PEOPLE,
        ["people.csv, column 'who'", "user 1 ", "keep one row"],
    ),
    "user without covariates": (
        people_file(people()[1:]),
        WITH_PEOPLE,
        ["people.csv, column 'who'", "no row for user 1", "add one"],
    ),
    "missing covariate": (
        people_file(people().assign(age=[30, None, 27, 65])),
        WITH_PEOPLE,
        ["people.csv, column 'age'", "missing", "line 3"],
    ),
    "covariates without the user column": (
        people_file(people().rename(columns={"who": "id"})),
        WITH_PEOPLE,
        ["people.csv", "no column 'who'"],
    ),
    "missing covariates": (lambda: None, ["--covariates", "no.csv"], ["no.csv", "No such file"]),
    "covariates of nobody": (
        lambda: None,
        [*WITH_PEOPLE, "--model", "PooledReward"],
        ["--covariates", "--model PooledReward"],
    ),
    "folder that is a file": (
        lambda: Path("run").touch(),
        [],
        ["cannot write to run", "File exists", "--out"],
    ),
    "folder in a file": (
        lambda: None,
        ["--out", "votes.csv/run"],
        ["cannot write to votes.csv/run", "Not a directory", "--out"],
    ),
    "two ways": (
        lambda: None,
        ["--difference", "tone", "--left", "length", "--right", "tone"],
        ["votes.csv", "--difference", "--left"],
    ),
    "left alone": (lambda: None, ["--left", "length"], ["votes.csv", "left has 1 columns"]),
    "no shared name": (
        lambda: None,
        ["--left", "length", "--right", "tone"],
        ["votes.csv", "'length'", "'tone'", "--features"],
    ),
    "used twice": (lambda: None, ["--difference", "won"], ["votes.csv", "'won'", "once"]),
    "no context": (lambda: None, ["--interactions", "all"], ["interactions", "context"]),
    "draws": (lambda: None, ["--draws", "2"], ["draws=2", "at least 4"]),
    "interval": (lambda: None, ["--interval", "90"], ["interval", "90", "between 0 and 1"]),
    "seed": (lambda: None, ["--seed", "-1"], ["seed must be", "-1", "at least 0"]),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_used_is_told_in_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    spoil, options, words = BAD[case]
    spoil()
    if case != "seed":  # of which `fit` is the judge
        monkeypatch.setattr(fitting, "fit", lambda *_, **__: pytest.fail("sampling has begun"))
    status, _, err = run(*fit_votes(*options))
    assert status == 2
    assert err.startswith("bayes-pref: ")
    assert err.count("\n") == 1
    assert [word for word in words if word not in err] == []
    assert not Path("run", "posterior.nc").exists()


@pytest.mark.parametrize("case", ["half", "nothing", "other", "missing", "folder"])
def test_what_is_no_saved_posterior_is_told_in_one_line(run: Run, case: str) -> None:
    made_posterior().save("posterior.nc")
    whole = Path("posterior.nc").read_bytes()
    wrong: dict[str, Callable[[], object]] = {
        "half": lambda: Path("posterior.nc").write_bytes(whole[: len(whole) // 2]),
        "nothing": lambda: Path("posterior.nc").write_bytes(b""),
        "other": lambda: Path("posterior.nc").write_bytes(b"who,won\n"),
        "missing": lambda: Path("posterior.nc").unlink(),
        "folder": lambda: (Path("posterior.nc").unlink(), Path("posterior.nc").mkdir()),
    }
    wrong[case]()
    status, out, err = run("show", "posterior.nc")
    assert (status, out) == (2, "")
    assert err.startswith("bayes-pref: cannot load posterior.nc")
    assert err.count("\n") == 1
    assert ("cut short" in err) == (case == "half")


def test_a_line_on_stderr_is_all_that_a_shell_sees(folder: Path) -> None:
    command = [sys.executable, "-m", "bayes_pref.cli", *fit_votes("--usr", "whom")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment())
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("bayes-pref: No such option")  # click 8.2 quotes no names
    assert "--usr" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_reader_who_leaves_early_sees_no_traceback(folder: Path) -> None:
    made_posterior().save(folder / "posterior.nc")
    command = [sys.executable, "-m", "bayes_pref.cli", "show", "posterior.nc"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def environment() -> dict[str, str]:
    """Return an environment in which the package is found wherever the tests run."""
    return os.environ | {"PYTHONPATH": str(ROOT)}


def test_ctrl_c_keeps_the_draws_so_far(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_after(1000, chains, monkeypatch)
    many = 2_000_000  # minutes of work
    status, out, err = run(*fit_votes("--draws", str(many), "--warmup", "0", "--chains", "1"))
    assert status == 130
    assert err.count("\n") == 1
    posterior = bp.Posterior.load("run/posterior.nc")
    kept = posterior.draws.sizes["draw"]
    assert 4 <= kept < many
    assert f"interrupted; the {kept:,} draws so far of each chain are written" in err
    assert "interrupted" in out
    assert len(pd.read_csv("run/weights.csv")) == 8


def test_draws_that_memory_cannot_hold_are_told_in_one_line(run: Run) -> None:
    status, _, err = run(*fit_votes("--draws", str(10**12)))
    assert status == 2
    assert err.count("\n") == 1
    assert "not enough memory" in err
    assert "--thin" in err


def test_ctrl_c_before_any_draw_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "fit", interrupt)
    status, _, err = run(*fit_votes())
    assert status == 130
    assert err == "bayes-pref: interrupted; what was not written yet is lost\n"


def test_draws_that_find_no_room_are_saved_elsewhere(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = storage.write_whole

    def full(target: Path, produce: Any) -> None:
        if target.parent.name == "run":
            raise OSError(28, "No space left on device")
        write(target, produce)

    monkeypatch.setattr(storage, "write_whole", full)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    status, _, err = run(*fit_votes())
    assert status != 0
    assert "No space left on device" in err
    [kept] = tmp_path.glob("bayes-pref-*/posterior.nc")
    assert f"the draws were saved to {kept} instead" in " ".join(err.split())
    assert bp.Posterior.load(kept).draws.sizes["draw"] == 60


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write: Any = os.write

    def full(descriptor: int, part: memoryview) -> int:
        write(descriptor, part[:3])
        raise OSError(28, "No space left on device")

    folder = OutputFolder(tmp_path / "a" / "b")
    folder.table("weights.csv", pd.DataFrame({"mean": [1.0]}), index=False)
    before = (folder.path / "weights.csv").read_text()
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(bp.DataError, match=r"cannot write to .*weights.csv: No space left"):
        folder.table("weights.csv", pd.DataFrame({"mean": [2.0]}), index=False)
    assert (folder.path / "weights.csv").read_text() == before
    assert [path.name for path in folder.path.iterdir()] == ["weights.csv"]
    assert folder.written == ["weights.csv"]


def test_the_summary_tells_the_sign_that_the_draws_have() -> None:
    posterior = made_posterior(draws=200)
    shares = (posterior.draws["weights"] > 0).mean(("chain", "draw", "user"))
    summary = posterior.summary()
    lines = {line.split()[0]: line for line in summary_text(posterior, 0.9).splitlines() if line}
    for feature in posterior.comparisons.feature_names:
        row = summary.loc[f"mu[{feature}]"]
        unclear = row["lower"] <= 0 <= row["upper"]
        share = float(shares.sel(feature=feature))
        way = "less" if row["upper"] < 0 else "more"
        share = 1 - share if way == "less" else share
        assert f"{way} is better for {100 * share:.0f} % of users" in lines[feature]
        assert ("unclear" in lines[feature]) == unclear
        assert f"{row['mean']:.2f}" in lines[feature]


def test_the_summary_of_a_pooled_fit_speaks_of_no_share_of_users() -> None:
    text = summary_text(pooled_posterior(), 0.9)
    assert "of users" not in text
    assert "users' sd" not in text


def test_findings_are_told_in_options_of_the_command() -> None:
    message = (
        "mu[length]: R-hat 1.2; draw longer chains, for example Gibbs(draws=4000, warmup=1000)"
    )
    settings = {"draws": 4000, "warmup": 1000}
    finding = bp.Finding("rhat", "mu[length]", 1.2, 1.01, 3, message, settings)
    text = summary_text(made_posterior(findings=(finding,)), 0.9)
    assert "1 check failed" in text
    assert "--draws 4000 --warmup 1000" in " ".join(text.split())
    assert "Gibbs(draws" not in text


def test_lines_fit_the_screen_whatever_the_names() -> None:
    comparisons = made_comparisons([f"a user with a long name, {k}" for k in range(4)])
    rng = np.random.default_rng(0)
    frame = comparisons.to_frame()
    for k in range(60):
        frame[f"a_feature_with_quite_a_long_name_and_a_number_{k}"] = (
            rng.normal(size=len(frame)) * 9
        )
    people = pd.DataFrame(
        {"user": comparisons.users, "an_age_that_somebody_once_wrote_down": [4, 5, 6, 7]}
    )
    columns = [name for name in frame if name not in ("user", "chosen")]
    wide = bp.Comparisons.from_frame(
        frame, user="user", choice="chosen", difference=columns, covariates=people
    )
    text = summary_text(made_posterior(wide), 0.9)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.isascii()
    assert "and 39 more" in text


def test_a_grid_shortens_names_only_where_it_must() -> None:
    name = "x" * 60
    assert name in grid(["feature", "mean"], [[name, "1.00"]])
    narrow = grid(["feature", "mean"], [[name, "1" * 50]])
    assert max(map(len, narrow.splitlines())) <= WIDTH
    assert "xxx...xxx" in narrow


def test_help_and_version_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        (["--version"], [f"bayes-pref {bp.__version__}\n"]),
        (["--help"], ["fit", "show", "demo"]),
        (
            ["fit", "--help"],
            ["--difference", "--covariates", "--model", "--interval", "default 1000"],
        ),
    ):
        assert main(arguments) == 0
        out = capsys.readouterr().out
        assert all(word in out for word in words)


def test_unknown_options_stop_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Commands:" in capsys.readouterr().err.splitlines()
    for arguments in (["fit"], ["fit", "a.csv", "--user", "a"], ["fit", "--model", "cubic"]):
        assert main(arguments) == 2
    assert "'cubic' is not one of" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.long
def test_the_bank_study_converges_and_loads_elsewhere_with_the_same_rewards(
    shared_data: Path, run: Run
) -> None:
    status, out, err = run(
        "fit", str(shared_data / "bank_choices.csv"), "--user", "id", "--choice", "choice",
        "--covariates", str(shared_data / "bank_demo.csv"), "--thin", "4", "--out", "run/",
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert "over all 13,314 parameters" in out
    population = pd.read_csv("run/population.csv", index_col="parameter")
    assert len(population) == 70  # 14 means, 14 sds, 42 effects of covariates
    assert population["rhat"].max() <= 1.01
    posterior = bp.Posterior.load("run/posterior.nc")
    items = "pandas.DataFrame(numpy.eye(14), columns=posterior.comparisons.feature_names)"
    script = (
        "import sys, numpy, pandas, bayes_pref as bp\n"
        "posterior = bp.Posterior.load('run/posterior.nc')\n"
        f"frame = posterior.reward({items}, users=[1, 946])\n"
        "frame.to_csv(sys.stdout, index=False, float_format='%.17g')\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    ).stdout
    table = pd.DataFrame(np.eye(14), columns=list(posterior.comparisons.feature_names))
    rewards = posterior.reward(table, users=[1, 946])
    assert other == rewards.to_csv(index=False, float_format="%.17g")


def test_a_folder_that_holds_something_is_refused_unless_it_is_to_be_overwritten(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "run").mkdir()
    (folder / "run" / "notes.txt").write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "fit", lambda *_, **__: pytest.fail("sampling has begun"))
        status, _, err = run(*fit_votes())
    assert status == 2
    assert "the folder run exists and is not empty" in err
    assert "--overwrite" in err
    monkeypatch.setattr(fitting, "draw_into", lambda *_: None)
    status, out, err = run(*fit_votes("--overwrite", "--json", "--fail-on", "convergence"))
    assert (status, err) == (1, "")  # chains this short do not pass
    assert (folder / "run" / "notes.txt").read_text() == "mine"
    found = json.loads(out)
    assert found["folder"] == "run"
    assert not found["converged"]
    assert found["population"][0]["parameter"] == "mu[length]"
    assert json.loads(run("show", "run", "--json")[1])["population"] == found["population"]
    again = ["fit", "--config", "run/config.toml", "--out", "again"]
    assert run(*again)[0] == 0
    xr.testing.assert_identical(
        bp.Posterior.load("run/posterior.nc").draws, bp.Posterior.load("again/posterior.nc").draws
    )
