"""A subcommand from another package, written with public names alone."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest
from made_posteriors import made_posterior

import bayes_pref as bp
from bayes_pref.cli import main, subcommand

MODULE = """
import click


@click.command("reverse", help="Print words in reverse order.")
@click.argument("words", nargs=-1)
def reverse(words):
    print(*reversed(words))
    return 0


WRONG = "reverse"
"""


@subcommand(
    "users",
    help="Print the users of a posterior.",
    examples=[("Those of the fit in run:", "bayes-pref users run/posterior.nc")],
)
@click.argument("path")
def users(path: str) -> int:
    """Print the users."""
    posterior = bp.Posterior.load(path)
    sys.stdout.write(" ".join(map(str, posterior.comparisons.users)))
    return 0


def install(folder: Path, entry: str) -> None:
    """Write a package and the entry point that it would have if it were installed."""
    (folder / "toy_commands.py").write_text(MODULE)
    info = folder / "toy_commands-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-commands\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[bayes_pref.commands]\nreverse = {entry}\n")


def test_a_subcommand_can_be_handed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    posterior = made_posterior()
    posterior.save(tmp_path / "posterior.nc")
    assert main(["users", str(tmp_path / "posterior.nc")], commands=[users]) == 0
    assert capsys.readouterr().out.split() == [str(user) for user in posterior.comparisons.users]


def test_its_errors_are_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["users", str(tmp_path / "none.nc")], commands=[users]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("bayes-pref: cannot load ")
    assert err.count("\n") == 1


def test_it_is_unknown_unless_it_is_handed_over(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["users", "posterior.nc"]) == 2
    assert "No such command 'users'" in capsys.readouterr().err


def test_a_subcommand_of_an_installed_package_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(tmp_path, "toy_commands:reverse")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["reverse", "one", "two"]) == 0
    assert capsys.readouterr().out == "two one\n"
    assert main(["--help"]) == 0
    assert "Print words in reverse order" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("toy_commands:MISSING", ["'reverse'", "MISSING", "toy-commands"]),
        ("no_such_module:reverse", ["'reverse'", "no_such_module", "toy-commands"]),
        ("toy_commands:WRONG", ["'reverse'", "is a str", "toy-commands"]),
    ],
)
def test_an_installed_subcommand_that_cannot_be_loaded_is_named_with_its_package(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    entry: str,
    words: list[str],
) -> None:
    install(tmp_path, entry)
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["reverse", "one"]) == 2
    err = capsys.readouterr().err
    assert [word for word in words if word not in err] == []


def test_two_subcommands_of_one_name_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"], commands=[click.Command("fit")]) == 2
    assert "two subcommands are named 'fit'" in capsys.readouterr().err
