"""The site has every page and every public name, and its link check finds what is broken."""

from __future__ import annotations

import re
from pathlib import Path

from check_links import broken_links

import bayes_pref as bp
from bayes_pref import plots, text
from conftest import ROOT

DOCS = ROOT / "docs"
TREE = re.compile(r"(?ms)^```\{toctree\}\n(.*?)^```")
SUMMARY = re.compile(r"(?ms)^\.\. autosummary::\n   :toctree: api\n\n(.*?)^```$")


def entries(page: Path) -> list[str]:
    """Pages that the tables of contents of a page name, from the root of the repository."""
    found = []
    for block in TREE.findall(page.read_text(encoding="utf-8")):
        lines = [line for line in block.splitlines() if line and not line.startswith(":")]
        found += [line[1:] if line.startswith("/") else f"docs/{line}" for line in lines]
    return found


def listed_names() -> list[list[str]]:
    """Names of each group of the API's page."""
    return [block.split() for block in SUMMARY.findall((DOCS / "api.md").read_text("utf-8"))]


def test_the_first_page_is_the_first_screen_of_the_readme() -> None:
    page, readme = ((ROOT / name).read_text("utf-8") for name in ("docs/index.md", "README.md"))
    [first] = re.findall(r':start-after: "(.+)"', page)
    [last] = re.findall(r':end-before: "(.+)"', page)
    screen = readme.partition(first)[2].partition(last)
    assert screen[1] == last, f"docs/index.md shows the README up to {last!r}, which it has not"
    assert "```python" in screen[0]
    assert "](docs/report.png)" in screen[0]


def test_every_page_and_notebook_is_in_one_table_of_contents() -> None:
    named = [entry for page in DOCS.rglob("*.md") for entry in entries(page)]
    pages = [path for path in DOCS.rglob("*.md") if path.name != "index.md"]
    pages += [
        *(ROOT / "notebooks").glob("*.ipynb"),
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
    ]
    there = [str(path.relative_to(ROOT).with_suffix("")) for path in pages]
    assert sorted(named) == sorted(there), "name a new page in docs/by_subject.md or docs/how_to.md"


def test_every_public_name_has_its_place_in_the_api() -> None:
    *groups, of_text, of_plots = listed_names()
    of_package = {name for name in bp.__all__ if name not in ("plots", "text")}
    assert sorted(name for group in groups for name in group) == sorted(of_package)
    assert sorted(of_text) == sorted(text.__all__)
    drawn = {name for name, value in vars(plots).items() if callable(value) and name[0] != "_"}
    assert sorted(of_plots) == sorted(drawn - {"NoReturn"})


def test_links_to_files_and_anchors_that_are_missing_are_found(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.html").write_text('<h1 id="top">B</h1><a href="../a.html">A</a>')
    (tmp_path / "a.html").write_text(
        '<a href="deep/b.html#top">B</a> <a href="https://example.org/none">else</a>'
    )
    assert broken_links(tmp_path) == []
    (tmp_path / "a.html").write_text(
        '<a href="deep/b.html#end">B</a><img src="c.png"><a href="#here">here</a>'
    )
    broken = broken_links(tmp_path)
    assert [sentence.split(": ")[1] for sentence in broken] == ["deep/b.html#end", "c.png", "#here"]
