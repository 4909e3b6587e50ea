"""From a file and the options to comparisons: every reader and format, and standard input."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path

import click
import pandas as pd
import pytest

import bayes_pref as bp
from bayes_pref.cli.groups import DATA
from bayes_pref.cli.option_groups import ChosenOptions, choose, generated_options
from bayes_pref.cli.reading import ReadData, described, read_data
from bayes_pref.errors import DataError

Read = Callable[[str], ReadData]
ITEMS = pd.DataFrame({"item": [1, 2, 3], "price": [1.0, 2.0, 4.0], "brand": ["x", "y", "x"]})
VOTES = pd.DataFrame(
    {
        "who": ["a", "a", "b", "b"],
        "one": [1, 2, 1, 3],
        "two": [2, 3, 3, 2],
        "won": [1, 0, 1, 1],
        "drawn": [1, 0, 1, 0],
    }
)
TASKS = pd.DataFrame(
    {
        "who": ["a"] * 4 + ["b"] * 4,
        "id": [1, 1, 2, 2, 1, 1, 2, 2],
        "price": [1.0, 2.0, 3.0, 1.0, 2.0, 1.0, 1.5, 3.0],
        "buys": [1, 0, 0, 1, 0, 1, 1, 0],
    }
)
TEXTS = [
    {"who": "a", "prompt": "2 + 2?", "chosen": "Four.", "rejected": "It is four, I would say."},
    {"who": "b", "prompt": "2 + 2?", "chosen": "It is four, I would say.", "rejected": "Four."},
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a table of each kind."""
    monkeypatch.chdir(tmp_path)
    VOTES.to_csv("votes.csv", index=False)
    ITEMS.to_csv("items.csv", index=False)
    TASKS.to_csv("tasks.csv", index=False)
    Path("texts.jsonl").write_text("\n".join(map(json.dumps, TEXTS)))
    return tmp_path


def chosen(words: str) -> ChosenOptions:
    """Return what these options say of the data."""
    options = [option for _, option in generated_options([DATA])]
    with click.Command("read", params=list(options)).make_context(
        "read", shlex.split(words)
    ) as ctx:
        given = {name: value for name, value in ctx.params.items() if value not in (None, ())}
    return choose([DATA], given, {})["data"]


def read(file: str, words: str, file_format: str | None = None) -> ReadData:
    return read_data(file, chosen(words), file_format)


def same(found: ReadData, expected: bp.Comparisons) -> None:
    pd.testing.assert_frame_equal(
        found.comparisons.to_frame().reset_index(drop=True),
        expected.to_frame().reset_index(drop=True),
    )


@pytest.mark.filterwarnings("ignore::bayes_pref.DataWarning")
def test_items_are_read_with_their_attributes() -> None:
    found = read(
        "votes.csv",
        "--from items --user who --left one --right two --choice won --items items.csv "
        "--coding brand=reference --baseline brand=y --randomised drawn",
    )
    same(
        found,
        bp.Comparisons.from_items(
            VOTES,
            ITEMS,
            user="who",
            left="one",
            right="two",
            choice="won",
            coding={"brand": "reference"},
            baseline={"brand": "y"},
            randomised="drawn",
        ),
    )
    assert found.comparisons.feature_names == ("price", "brand[x]")
    assert found.comparisons.randomised is not None


def test_columns_have_the_roles_that_the_options_name() -> None:
    votes = VOTES.assign(tone=[1.0, -1.0, 0.5, 2.0])
    votes.to_csv("votes.csv", index=False)
    words = "--user who --choice won"
    found = {
        "": ("one", "two", "drawn", "tone"),
        "--difference tone": ("tone",),
        "--context drawn,two": ("one", "tone"),
        "--randomised drawn": ("one", "two", "tone"),
    }
    for more, features in found.items():
        assert read("votes.csv", f"{words} {more}").comparisons.feature_names == features
    crossed = "--difference one --context tone --interactions one:tone"
    assert read("votes.csv", f"{words} {crossed}").comparisons.feature_names == ("one", "one:tone")


def test_labels_that_are_text_stay_text() -> None:
    votes = VOTES.assign(who=["007", "007", "7", "7"])
    votes.to_csv("votes.csv", index=False)
    pd.DataFrame({"who": ["7", "007"], "age": [30, 41]}).to_csv("people.csv", index=False)
    found = read("votes.csv", "--user who --choice won --difference one --covariates people.csv")
    assert found.comparisons.users.tolist() == ["007", "7"]
    assert found.comparisons.covariates.ravel().tolist() == [41.0, 30.0]


@pytest.mark.filterwarnings("ignore::bayes_pref.DataWarning")
def test_tasks_are_read_with_an_outside_option() -> None:
    words = "--from tasks --user who --task id --choice buys --attributes price --none true"
    bought = TASKS.assign(buys=0)
    bought.to_csv("tasks.csv", index=False)
    found = read("tasks.csv", words)
    same(
        found,
        bp.Comparisons.from_tasks(
            bought, user="who", task="id", choice="buys", attributes=["price"], none=True
        ),
    )
    text = described(found, "tasks.csv", chosen(words))
    assert text.startswith("tasks.csv: 4 tasks by 2 users")


@pytest.mark.filterwarnings("ignore::bayes_pref.DataWarning")
def test_rankings_and_wide_tables_are_read() -> None:
    TASKS.assign(
        id=[1, 1, 2, 2, 3, 3, 4, 4], item=[1, 2, 1, 3, 1, 2, 2, 3], place=[1, 2] * 4
    ).to_csv("ranks.csv", index=False)
    found = read("ranks.csv", "--from rankings --user who --ranking id --item item --rank place")
    assert found.comparisons.feature_names == ("1", "2", "3")
    assert found.comparisons.catalogue is not None
    assert found.comparisons.catalogue.index.tolist() == [1, 2, 3]
    pd.DataFrame(
        {"who": ["a", "b"], "price_x": [1.0, 2.0], "price_y": [2.0, 2.5], "won": ["x", "y"]}
    ).to_csv("wide.csv", index=False)
    wide = read(
        "wide.csv", "--from wide --user who --choice won --attributes price --alternatives x,y"
    )
    assert wide.comparisons.difference.ravel().tolist() == [-1.0, -0.5]
    assert wide.comparisons.choice.tolist() == [1.0, 0.0]


@pytest.mark.filterwarnings("ignore::bayes_pref.DataWarning")
@pytest.mark.parametrize("file", ["texts.jsonl", "-", "texts.csv"])
def test_texts_are_read_from_lines_and_tables(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = Path("texts.jsonl").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))
    pd.DataFrame(TEXTS).to_csv("texts.csv", index=False)
    found = read(file, "--from text --user who --surface length")
    assert found.comparisons.feature_names == ("length",)
    assert found.comparisons.n_users == 2


@pytest.mark.parametrize("file_format", ["csv", "tsv", "jsonl"])
def test_the_standard_input_is_read_and_named(
    file_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = VOTES.drop(columns="drawn")
    text = {
        "csv": frame.to_csv(index=False),
        "tsv": frame.to_csv(index=False, sep="\t"),
        "jsonl": frame.to_json(orient="records", lines=True),
    }[file_format]
    words = "--user who --choice won --difference one,two"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    found = read("-", words, file_format)
    assert found.comparisons.difference.tolist() == VOTES[["one", "two"]].to_numpy().tolist()
    bad = text.replace("{", "", 1) if file_format == "jsonl" else text + "x"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(bad.encode())))
    with pytest.raises(DataError, match="the standard input") as refused:
        read("-", words, file_format)
    assert "/tmp" not in str(refused.value)


def test_rows_of_json_lines_are_named_by_their_line() -> None:
    lines = [json.dumps(row) for row in VOTES.drop(columns="drawn").to_dict("records")]
    lines[2] = lines[2].replace('"one": 1', '"one": null')
    Path("votes.jsonl").write_text("\n\n".join(lines))
    with pytest.raises(DataError, match=r"votes.jsonl, column 'one': missing .* in line 5"):
        read("votes.jsonl", "--user who --choice won")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--from items --user who --left one --right two --choice won --items no.csv", "no.csv"),
        ("--from items --user who --left one --right twwo --choice won", "'twwo'.*mean 'two'"),
        (
            "--from items --user who --left one --right two --choice won --items votes.csv",
            "votes.csv has no column 'item'",
        ),
        ("--user who --choice won --context drawnn", "'drawnn'.*mean 'drawn'"),
    ],
)
def test_what_is_missing_is_named(words: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read("votes.csv", words)
