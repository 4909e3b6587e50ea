"""Options of the command: what is typed becomes what Python takes, or leads to what was meant."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from bayes_pref.cli import groups, main
from bayes_pref.cli.entry import build_group
from bayes_pref.cli.groups import DATA, ENGINE, MODEL
from bayes_pref.cli.option_groups import Group
from bayes_pref.cli.option_types import ValueType
from bayes_pref.cli.registry import BUILT_IN
from bayes_pref.cli.subcommand import Subcommand
from bayes_pref.cli.toml_files import TABLES, given_text, read_config, toml
from bayes_pref.errors import DataError
from conftest import ROOT

COMMANDS = {str(command.name): command for command in BUILT_IN}
FIT = ["fit", "votes.csv", "--user", "who", "--choice", "won", "--out", "run"]


def parsed_command(words: list[str]) -> dict[str, Any]:
    """Return what the words after a subcommand's name set."""
    command = COMMANDS[words[0]]
    parent = build_group().context_settings
    with command.make_context(words[0], list(words[1:]), **parent) as context:
        return dict(context.params)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_has_examples_that_parse(
    name: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    Path("run/config.toml").write_text('interval = 0.5\n[data]\nuser = "a"\nchoice = "b"\n')
    command = COMMANDS[name]
    assert isinstance(command, Subcommand)
    assert command.examples
    assert main([name, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("\\\n", " ").split())
    for text, line in command.examples:
        assert text in shown
        assert line in shown
        program, *words = shlex.split(line)
        assert program == "bayes-pref"
        assert words[0] == name
        parsed_command(words)


def test_a_shell_is_told_how_an_option_goes_on() -> None:
    command = COMMANDS["fit"]
    with command.make_context("fit", ["votes.csv"], resilient_parsing=True) as context:
        found = {item.value for item in command.shell_complete(context, "--cov")}
    assert found == {"--covariance", "--covariates"}


def test_an_example_that_does_not_parse_would_be_caught() -> None:
    with pytest.raises(click.UsageError):
        parsed_command([*FIT, "--covarience", "full"])


@pytest.mark.parametrize(
    ("annotation", "words", "expected"),
    [
        ("Sequence[str] | None", ["a,b", "c"], ["a", "b", "c"]),
        ("Sequence[str] | None", ['"a,b",c'], ["a,b", "c"]),
        ("Sequence[str] | None", ["a"], ["a"]),
        ("Literal['all'] | Sequence[tuple[str, str]] | None", ["all"], "all"),
        ("Literal['all'] | Sequence[tuple[str, str]] | None", ["a:b"], [("a", "b")]),
        ("str | Mapping[str, str]", ["effect"], "effect"),
        ("str | Mapping[str, str]", ["a=steps", "b=effect"], {"a": "steps", "b": "effect"}),
        ("Mapping[str, Sequence[Any]] | None", ["size=S,M,L"], {"size": ["S", "M", "L"]}),
        ("Mapping[str, Sequence[Any]] | None", ["size=1"], {"size": [1]}),
        ("Occasion | None", ["long=a,b"], {"long": ["a", "b"]}),
        ("float | Mapping[str, float] | None", ["0.5"], 0.5),
        ("float | Mapping[str, float] | None", ["a=2"], {"a": 2.0}),
        ("bool | Literal['flexible']", ["false"], False),
        ("bool | Literal['flexible']", ["flexible"], "flexible"),
        ("Levels | None", ["5"], 5),
        ("Levels | None", ["bad,fair,good"], ["bad", "fair", "good"]),
        ("Any", ["none"], "none"),
        ("Any", ["true"], True),
        ("ArrayLike", ["0.5,1"], [0.5, 1]),
        ("int | Sequence[str]", ["3"], 3),
        ("str", ["1"], "1"),
        ("str", ["a", "b"], "b"),
    ],
)
def test_words_become_the_values_that_python_takes(
    annotation: str, words: list[str], expected: object
) -> None:
    found = ValueType(annotation).read(words)
    assert found == expected
    assert type(found) is type(expected)


def test_settings_go_to_the_model_and_the_engine_that_have_them() -> None:
    words = shlex.split("--model LowRankReward --rank 3 --draws 50 --no-diagonal --effect-sd 2")
    found = parsed_command([*FIT, *words])
    assert found["model"].owner == "LowRankReward"
    assert found["model"].given == {"diagonal": False, "effect_sd": 2.0, "rank": 3}
    assert (found["engine"].owner, found["engine"].given) == (None, {"draws": 50})
    assert found["fit"]["seed"] == 0


def test_one_seed_is_for_all() -> None:
    found = parsed_command([*FIT, "--seed", "4"])
    assert found["fit"]["seed"] == found["data"]["seed"] == 4


def test_a_name_with_two_meanings_has_to_be_told() -> None:
    tasks = ["fit", "a.csv", "--from", "tasks", "--user", "u", "--task", "t", "--out", "run"]
    lowrank = [*tasks, "--model", "LowRankReward"]
    with pytest.raises(click.UsageError, match=r"write --data.rank or --model.rank"):
        parsed_command([*lowrank, "--rank", "3"])
    found = parsed_command([*lowrank, "--data.rank", "place", "--model.rank", "3"])
    assert found["data"].given["rank"] == "place"
    assert found["model"].given["rank"] == 3
    assert parsed_command([*tasks, "--rank", "place"])["data"].given["rank"] == "place"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--covarience", "full"], "--covariance"),
        (["--survey_wait", "w"], "--survey-weight"),
        (["--model", "LowRankRewrd"], "did you mean 'LowRankReward'?"),
        (["--covariance", "ful"], "did you mean 'full'?"),
        (["--rank", "2"], "--model LowRankReward or --engine SVI"),
        (["--steps", "20"], "--steps belongs to --engine SVI"),
        (["--components", "2"], "--model MixtureReward"),
        (["--draws", "many"], "not a valid integer"),
        (["--interactions", "tone"], "'tone' is no pair"),
        (["--model", "MixtureReward"], "--components is missing (number of components)"),
        (["--from", "tasks"], "--task is missing"),
    ],
)
def test_what_was_meant_is_told_in_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*FIT, *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith("bayes-pref: ")
    assert err.count("\n") == 1
    assert said in err


def test_underscores_are_hyphens() -> None:
    found = parsed_command([*FIT, "--survey_weight", "people", "--mean_sd", "1"])
    assert found["data"].given["survey_weight"] == "people"
    assert found["model"].given["mean_sd"] == 1.0


def test_a_configuration_file_gives_what_the_command_line_leaves_out(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(
        'file = "votes.csv"\nout = "run"\ninterval = 0.5\n'
        '[data]\nuser = "who"\nchoice = "won"\ninteractions = [["a", "b"]]\n'
        '[model]\nname = "MixtureReward"\ncomponents = 2\n'
        "[engine]\ndraws = 10\n[thresholds]\nshift = 0.1\n"
    )
    found = parsed_command(["fit", "--config", str(path), "--draws", "20"])
    assert (found["file"], found["out"], found["interval"]) == ("votes.csv", "run", 0.5)
    assert found["data"].given["interactions"] == (("a", "b"),)
    assert found["model"].given == {"components": 2}
    assert found["engine"].given == {"draws": 20}
    # Another model, to which the file's settings do not belong.
    other = parsed_command(["fit", "--config", str(path), "--model", "PooledReward"])
    assert (other["model"].owner, other["model"].given) == ("PooledReward", {})


def test_what_was_given_is_written_and_read_again(tmp_path: Path) -> None:
    words = ["--context", "tone", "--order", "size=S,M", "--mean-sd", "1", "--draws", "50"]
    first = parsed_command([*FIT, *words])
    groups = [first[name] for name in ("data", "model", "engine", "fit")]
    path = tmp_path / "config.toml"
    path.write_text(given_text({"file": "votes.csv", "file_format": None}, groups))
    again = parsed_command(["fit", "--config", str(path), "--out", "run"])
    for group in groups:
        assert again[group.group.name].given == group.given
        assert again[group.group.name].owner == group.owner


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[modle]\n", r"there is no table \[modle\]; did you mean 'model'"),
        ("intervall = 0.5\n", "there is no setting 'intervall'; did you mean 'interval'"),
        ("a = \n", "is no TOML"),
    ],
)
def test_a_configuration_file_with_a_fault_is_refused(
    tmp_path: Path, content: str, said: str
) -> None:
    path = tmp_path / "study.toml"
    path.write_text(content)
    with pytest.raises(DataError, match=said):
        read_config(str(path), ["interval"])


def test_a_missing_configuration_file_is_told() -> None:
    with pytest.raises(DataError, match=r"cannot read no\.toml: No such file"):
        read_config("no.toml", [])


def test_unknown_settings_in_a_table_lead_to_the_known(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text('[model]\ncovarience = "full"\n')
    with pytest.raises(click.UsageError, match=r"\[model\] has no 'covarience'.*'covariance'"):
        parsed_command([*FIT, "--config", str(path)])


def test_values_are_the_same_after_toml() -> None:
    value = {"a b": [1, 2.5, True, 'quoted "x"', "ü\n"], "inner": {"none": "no"}}
    assert tomllib.loads(f"value = {toml(value)}")["value"] == value
    assert tomllib.loads(f"value = {toml(float('inf'))}")["value"] == float("inf")


def test_groups_know_whose_a_parameter_is() -> None:
    assert MODEL.owners_of("rank") == ["LowRankReward"]
    assert ENGINE.owners_of("thin") == ["Gibbs", "NUTS"]
    assert DATA.owners_of("features") == ["frame"]


def test_a_configuration_file_may_have_a_table_of_every_group() -> None:
    known = {group.name for group in vars(groups).values() if isinstance(group, Group)}
    assert known == set(TABLES)
    assert main(["config"]) == 0


def test_every_command_line_of_the_documentation_parses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "command.md").read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"(?ms)^```sh\n(.*?)^```", page))
    lines = blocks.replace("\\\n", " ").splitlines()
    commands = [words for line in lines if (words := shlex.split(line, comments=True))]
    assert len(commands) > 15
    monkeypatch.chdir(tmp_path)
    Path("study.toml").write_text('[data]\nuser = "who"\nchoice = "won"\n')
    for program, *words in commands:
        assert program == "bayes-pref"
        parsed_command(words)
    named = set(re.findall(r"(?m)^\| `(\w+)`(?:, `(\w+)`)? \|", page))
    assert {name for pair in named for name in pair if name and not name.isdigit()} == set(COMMANDS)
