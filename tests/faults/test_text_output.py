"""Labels of any content in pages, pictures, tables, messages and on terminals: shown, never run."""

from __future__ import annotations

import csv
import json
import random
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import sweep
from made_posteriors import made_comparisons, made_posterior
from matplotlib import pyplot

import bayes_pref as bp
from bayes_pref.cli.command import say, stop
from bayes_pref.cli.summary_text import summary_text
from bayes_pref.messages import printable
from bayes_pref.plots.style import off_screen
from bayes_pref.reporting import html as pages
from bayes_pref.reporting.csv_cells import restored
from bayes_pref.reporting.folder import OutputFolder

pytestmark = pytest.mark.slow

_MARKUP = [
    "<script>alert(1)</script>", "</title><img src=x onerror=alert(1)>", "' onload='alert(1)",
    '" onerror="alert(1)', "<!--", "-->", "]]>", "&lt;b&gt;", "&#27;", "&nosuch;", "<svg/onload=1>",
    "</td></tr></table>", "javascript:alert(1)", "isn't", "`${1}`", "{{7*7}}", "<?xml?>", "<a\nb>",
]  # fmt: skip
_FORMULAS = [
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", "=cmd|' /C calc'!A0", "\t=1+1", "\r=1+1", "\n=1+1", "'=1",
    "=HYPERLINK(\"http://x\",\"y\")", "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20x",
    "a\r=1+1", "a,=1+1", 'a",=1+1',
    "-", "+", "=", "'", "''", "-3", "+4.5e3", "1e5", "=\\x41", "\\x3d1",
]  # fmt: skip
_MATH = [
    "$",
    "$x$",
    "$\\frac{1}$",
    "\\$",
    "$$",
    "_x",
    "x_1^2",
    "\\input{/etc/passwd}",
    "100 %",
    "#&~^{}",
]
_CONTROLS = [
    "\x1b[2J\x1b[31mred", "\x07", "\x00", "a\x00b", "\x08\x08",
    "\x9b31m", "\x1b]0;title\x07", "\x7f",
    "\u202eevil", "\u2066a\u2069", "\u200b", "\u2028", "\u2029", "\ufeff", "\ufffe", "\uffff",
    "\x85",
    "\ud83d", "\ude00", "a\nb", "a\r\nb", "\x0b\x0c", "\U000e0001", "\u061c",
]  # fmt: skip
_OTHERS = [
    "東京",
    "😀",
    "e\u0301",
    "مرحبا",
    "A" * 5000,
    "a" * 300 + "\x1b",
    "a\tb",
    " ",
    "  x  ",
    "NaN",
    "None",
]
_OTHERS += [
    "True",
    "1",
    "../../etc/passwd",
    "CON",
    "%s%n",
    "{0}",
    "\\",
    "\\n",
    "/",
    ".",
    "[x]",
    "mu[a]",
    "user",
]
_ALL = [*_MARKUP, *_FORMULAS, *_MATH, *_CONTROLS, *_OTHERS]


def labels() -> list[str]:
    """The labels above, and random ones made of them: at least 128 in all, no two alike."""
    rng = random.Random(0)
    made = list(dict.fromkeys(_ALL))
    while len(made) < sweep.cases(140, 4000):
        text = "".join(rng.choices(_ALL[:-30], k=2)) + chr(rng.randrange(0x2FF))
        made += [] if text in made else [text]
    return made


def groups(size: int = 20) -> Iterator[list[str]]:
    """The labels in groups, each of which is the users or features of one data set.

    Without those that no table can hold: half a character, NUL, and what is empty but for spaces.
    """
    found = [
        label for label in labels() if not has_half(label) and "\0" not in label and label.strip()
    ]
    return (found[start : start + size] for start in range(0, len(found), size))


def has_half(label: str) -> bool:
    return any(unicodedata.category(c) == "Cs" for c in label)


def tame(text: str) -> bool:
    """Whether a text has no control characters but line feeds, and no marks of direction."""
    return all(
        c == "\n" or unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in text
    )


class Page(HTMLParser):
    """What a browser would see of a page: its elements, their attributes and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def structure(self) -> list[Any]:
        return [(tag, [name for name, _ in attrs]) for tag, attrs in self.elements]


def fitted(users: list[str], features: list[str]) -> bp.Posterior:
    """A posterior made by hand, of users and features with these labels."""
    return made_posterior(renamed(users, features))


def renamed(users: list[str], features: list[str]) -> bp.Comparisons:
    plain = made_comparisons(users, rows=max(30, len(users)))
    drawn = np.random.default_rng(0).normal(size=(len(plain), len(features)))
    frame = pd.DataFrame(drawn, columns=features, index=plain.rows)
    frame = frame.assign(**{"who is it": plain.users[plain.user], "which won": plain.choice})
    return bp.Comparisons.from_frame(
        frame, user="who is it", choice="which won", difference=features
    )


def test_a_page_has_the_same_elements_whatever_the_labels() -> None:
    def page(label: str) -> str:
        frame = pd.DataFrame({"mean": [0.5]}).assign(who=pd.Series([label], dtype=object))
        frame.columns = pd.Index(["mean", label], dtype=object)
        parts = (
            pages.paragraph(label), pages.items([label]), pages.table(frame),
            pages.plain_table([[label, label]]),
            f"<p><img alt='{pages.escaped(label)}' src='data:,'></p>",
        )  # fmt: skip
        return pages.page(label, [pages.Section(label, parts)])

    plain, tried, held = Page(page("x")), 0, 0
    for label in labels():
        found = Page(page(label))
        shown = printable(label)
        alt = [value for _, attrs in found.elements for name, value in attrs if name == "alt"]
        same = found.structure() == plain.structure() and alt == [shown]
        whole = sum(shown in text for text in found.texts) >= 8 or not shown.strip()
        ok = same and whole and tame(page(label)) and bool(page(label).encode())
        tried, held = tried + 1, held + ok
        assert ok, label
    sweep.report("labels in a page", tried, held)


def test_a_report_has_the_same_elements_whatever_the_labels(tmp_path: Path) -> None:
    tried = held = 0
    plain = structure_but_counts(made_report(["ann", "bob", "cid"]).page())
    for users in groups():
        report = made_report(users)
        text = report.page()
        found = Page(text)
        assert structure_but_counts(text) == plain, users
        data = [text for text in found.texts if text.startswith('{"noun":"comparisons"')]
        columns = {each["name"]: each for each in json.loads(*data)["columns"]}
        assert set(columns["user"]["levels"]) == {printable(user) for user in users}
        ok = tame(text) and tame(report.summary()) and tame(str(report._repr_html_()))
        report.export(tmp_path / str(tried), formats="svg" if tried == 0 else [])
        assert ok, users
        tried, held = tried + len(users), held + ok * len(users)
    sweep.report("labels in a report", tried, held)


def structure_but_counts(text: str) -> list[Any]:
    """The elements of a page, without those of the verdicts, which are as many as were given."""
    return [
        (tag, names)
        for tag, names in Page(text).structure()
        if tag not in {"li", "span"} and "data-verdict" not in names
    ]


def made_report(users: list[str]) -> bp.Report:
    posterior = made_posterior(made_comparisons(users))
    return bp.diagnose(posterior, assessments=["preference"])


def test_no_cell_of_a_csv_file_is_a_formula_and_every_label_comes_back(tmp_path: Path) -> None:
    found = labels()
    folder = OutputFolder(tmp_path)
    texts = pd.Series(found, dtype=object, index=pd.Index(found, dtype=object))
    frame = pd.DataFrame({"user": texts, "mean": -0.5, "=head": "x"})
    folder.table("cells.csv", frame, index=True)
    text = (tmp_path / "cells.csv").read_text(encoding="utf-8")
    assert tame(text)
    with (tmp_path / "cells.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == len(found) + 1
    assert rows[0] == ["", "user", "mean", "'=head"]
    held = 0
    for label, (index, user, mean, _) in zip(found, rows[1:], strict=True):
        assert index == user
        assert mean == "-0.5"  # a number stays one
        assert not user.startswith(tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")) or is_number(
            user
        ), label
        held += 1
    read = pd.read_csv(tmp_path / "cells.csv", dtype=str, keep_default_na=False, index_col=0)
    assert restored(read)["user"].tolist() == found
    sweep.report("labels in CSV files", len(found), held)


def is_number(text: str) -> bool:
    try:
        return bool(float(text)) or True
    except ValueError:
        return False


def test_pictures_are_valid_xml_with_the_labels_as_they_are(tmp_path: Path) -> None:
    tried = held = 0
    for names in groups(40):
        posterior = made_posterior(renamed(names[:12], names))
        with off_screen():
            for name, draw in pictures(posterior, names[0], names[:4]).items():
                path = tmp_path / f"{name}.svg"
                axes = draw()
                figure = getattr(axes, "flat", [axes])[0].figure
                with mpl.rc_context({"svg.fonttype": "path" if tried else "none"}):
                    figure.savefig(path, dpi=40)
                pyplot.close(figure)
                ElementTree.parse(path)
        tried, held = tried + len(names), held + len(names)
    sweep.report("labels in pictures", tried, held)


def pictures(posterior: bp.Posterior, user: str, features: list[str]) -> dict[str, Any]:
    return {
        "population": lambda: bp.plots.population(posterior),
        "users": lambda: bp.plots.users(posterior, user, features),
    }


def test_terminals_see_no_control_character(capsys: pytest.CaptureFixture[str]) -> None:
    tried = held = 0
    for names in groups():
        features = [f"{name}{k}" for k, name in enumerate(names[:3])]
        comparisons = renamed(names, features)
        posterior = made_posterior(comparisons)
        for text in (
            repr(posterior),
            posterior._repr_html_(),
            repr(comparisons),
            comparisons._repr_html_(),
        ):
            assert tame(text), names
        say(summary_text(posterior, 0.9))
        for name in names:
            with pytest.raises(bp.DataError) as refused:
                posterior.weights([f"{name}?"])
            assert tame(str(refused.value)), name
            assert "\n" not in str(refused.value)
            stop(name, 2)
            say(name)
        out = capsys.readouterr()
        assert tame(out.out), names
        assert tame(out.err), names
        tried, held = tried + len(names), held + len(names)
    sweep.report("labels on a terminal", tried, held)


def test_a_control_character_that_is_not_escaped_is_caught() -> None:
    assert not tame("a\x1b[2J")
    assert not tame("a\u202e")
    with pytest.raises(ElementTree.ParseError):
        ElementTree.fromstring("<a>\x07</a>")
    assert Page("<img alt='isn't'>").structure() != Page("<img alt='x'>").structure()
