"""What the README shows is what a reader gets: snippets, commands, options, files and tests."""

from __future__ import annotations

import ast
import io
import re
import shlex
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image, pyplot
from printed import disagreement, same

from bayes_pref.cli import main
from conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs/guide.md").read_text(encoding="utf-8")
BOTH = f"{README}\n{GUIDE}"
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
FENCE = re.compile(r"(?ms)^```(\w+)\n(.*?)^```$")


def examples(document: str) -> list[tuple[str, str, str]]:
    """Language and source of every block, and what it prints: the block ``text`` that follows."""
    blocks = FENCE.findall(document)
    following = [*blocks[1:], ("", "")]
    pairs = zip(blocks, following, strict=True)
    return [
        (language, source, after if kind == "text" else "")
        for (language, source), (kind, after) in pairs
        if language != "text"
    ]


def command_lines(source: str) -> list[list[str]]:
    """Words of every command in a shell block, without comments."""
    lines = source.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


COMMANDS = [
    line
    for language, source, _ in examples(BOTH)
    if language == "sh"
    for line in command_lines(source)
]


def output_of(run: Callable[[], Any]) -> str:
    """What a call prints."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        run()
    return printed.getvalue()


@pytest.mark.slow
def test_every_snippet_and_command_prints_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # they write where they stand
    namespace: dict[str, Any] = {}
    ran = []
    for language, source, quoted in examples(BOTH):
        if language == "python":
            code = compile(source, f"README or guide: {source.splitlines()[0]}", "exec")
            printed = output_of(lambda code=code: exec(code, namespace))
        else:
            printed = ""
            for words in command_lines(source):
                # make test is this run; make demo is the command in the Makefile.
                words = ["bayes-pref", "demo"] if words == ["make", "demo"] else words
                if words[0] == "bayes-pref":
                    ran.append(words[1])
                    printed += output_of(lambda words=words: _succeeds(words[1:]))
        assert disagreement(quoted, printed) == "", source
    assert {"demo", "fit"} <= set(ran)
    for folder, name in (("run", "posterior.nc"), ("run", "weights.csv"), ("demo", "users.png")):
        assert (tmp_path / folder / name).is_file()
    shown, drawn = (image.imread(path) for path in (ROOT / "docs/users.png", "users.png"))
    assert shown.shape == drawn.shape, "run the guide's first snippet in docs/ to remake it"
    assert np.abs(shown - shown.mean()).max() > 0.3  # a picture, not a blank
    pyplot.close("all")


PAGES = ["choice_tasks", "average_effects", "sensitivity", "new_users", "predicting", "asking"]
PAGES += [
    "scale",
    "start",
    "robust_estimates",
]  # the first page shows the first screen of the README
HOW_TO = [f"how_to/{path.stem}" for path in sorted((ROOT / "docs" / "how_to").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES + HOW_TO)
def test_the_snippets_of_a_page_print_what_is_shown(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # some write files where they stand
    shown = examples((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"))
    shown = [example for example in shown if example[0] == "python"]
    assert shown
    namespace: dict[str, Any] = {}
    for _, source, quoted in shown:
        code = compile(source, f"docs/{page}.md", "exec")
        printed = output_of(lambda code=code: exec(code, namespace))
        assert disagreement(quoted, printed) == "", source
    pyplot.close("all")


def _succeeds(arguments: list[str]) -> None:
    status = main(arguments)
    assert status == 0


def test_the_first_screen_has_an_installation_a_table_a_verdict_and_a_picture() -> None:
    screen, _, _ = README.partition("\n## ")
    assert "pip install ." in screen
    [snippet] = [source for language, source, _ in examples(screen) if language == "python"]
    assert len([line for line in snippet.splitlines() if line.strip()]) <= 10
    [quoted] = [quoted for _, source, quoted in examples(screen) if source == snippet]
    assert "confounded" in quoted
    assert len(re.findall(r"!\[[^\]]+\]\(docs/report\.png\)", screen)) == 1
    assert len(screen.splitlines()) <= 70


def test_every_make_target_that_is_named_exists() -> None:
    named = set(re.findall(r"\bmake ([a-z]+)\b(?=`|\s+#)", README))
    assert {"demo", "test", "lint"} <= named
    assert named <= set(re.findall(r"(?m)^([a-z]+):", MAKEFILE))
    assert "$(BIN)/bayes-pref demo" in MAKEFILE


def test_every_option_of_the_command_that_is_named_exists(
    capsys: pytest.CaptureFixture[str],
) -> None:
    used = {words[1] for words in COMMANDS if words[0] == "bayes-pref"}
    offered = ""
    for command in used | set(re.findall(r"`bayes-pref (\w+)", BOTH)):
        assert main([command, "--help"]) == 0
        offered += capsys.readouterr().out
    named = set(re.findall(r"(?<![\w-])--[a-z]+\b", BOTH)) - {"--index"}
    assert {"--user", "--choice", "--out", "--left", "--right", "--covariates"} <= named
    assert named - set(re.findall(r"--[a-z]+\b", offered)) == set()


def test_every_test_and_file_that_is_named_exists() -> None:
    tests = re.findall(r"`(test_\w+\.py)::(test_\w+)`", GUIDE)
    assert len(tests) >= 5
    for file, name in tests:
        [path] = (ROOT / "tests").rglob(file)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert name in names, f"{file} has no {name}"
    for home, page in ((ROOT, README), (ROOT / "docs", GUIDE)):
        for target in re.findall(r"\]\((?!http)([^)#]+)", page):
            assert (home / target).is_file(), target


@pytest.mark.parametrize(
    ("quoted", "printed", "agree"),
    [
        ("u001  length  0.50", "u001 length   0.56", True),
        ("u001  length  0.50", "u001 length   0.80", False),
        ("u001  length  0.50", "u002 length   0.50", False),
        ("u001  length  0.50", "u001 width    0.50", False),
        ("of 120 people", "of 121 people", False),
        ("right: 71 %", "right: 70 %", True),
        ("right: 71 %", "right: 61 %", False),
        ("log score -0.579", "log score -0.584", True),
        ("log score -0.579", "log score -0.61", False),
        ("done in 3.1 s, 4 chains", "done in 12.9 s, 4 chains", True),
        ("done in ..., 4 chains", "done in no time, 4 chains", True),
        ("done in ..., 4 chains", "done in no time, 5 chains", False),
        ("confounded     533", "confounded     528", True),
        ("confounded     533", "confounded     500", False),
        ("indifferent 11", "indifferent 10", True),
        ("indifferent 11", "undecided 11", False),
        ("ess 1900.5", "ess 2300.1", True),
        ("ess 1900.5", "ess 400.1", False),
    ],
)
def test_lines_agree_up_to_monte_carlo_error_and_no_further(
    quoted: str, printed: str, agree: bool
) -> None:
    assert same(quoted, printed) is agree


@pytest.mark.parametrize(
    ("quoted", "agree"),
    [
        ("a\nb\nc", True),
        ("a\n\n  b\nc\n", True),
        ("a\nc", False),
        ("b\nc", False),
        ("a\nb", False),
        ("", False),
        ("...", True),
        ("...\nb\n...", True),
        ("a\n...\nc", True),
        ("...\nc\n...\nb", False),
        ("...\nd\n...", False),
    ],
)
def test_passages_are_found_whole_and_in_order(quoted: str, agree: bool) -> None:
    assert (disagreement(quoted, "a\nb\nc\n") == "") is agree
