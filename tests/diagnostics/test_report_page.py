"""The page of a report in a real browser: rows sort, filter and turn, and labels stay labels."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from browser import CHROMIUM, WHY_NOT, Browser, browser
from made_posteriors import made_comparisons, made_posterior

import bayes_pref as bp
from bayes_pref.data import Comparisons
from bayes_pref.messages import printable

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason=WHY_NOT)]

ROWS, USERS = 14_799, 946  # as many as a published conjoint study has
SECONDS = 2.0  # for one action; a few hundredths where the machine is free
HOSTILE = [
    "<script>alert(1)</script>", "</script><script>console.error(1)</script>", "<!--", "-->",
    "<img src=x onerror=alert(1)>", "' onload='alert(1)", "it's \"so\"", "<svg/onload=alert(1)>",
    "a\x1b[2Jb", "\u202eevil", "{{7*7}}", "`${1}`", "\\u003cb>", "&lt;b&gt;",
]  # fmt: skip


@pytest.fixture(scope="module")
def page() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture(autouse=True)
def _nothing_on_the_console(page: Browser) -> Iterator[None]:
    page.problems.clear()
    yield
    assert page.problems == []


def large_comparisons() -> Comparisons:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.integers(-1, 2, size=(ROWS, 3)), columns=["price", "brand", "size"])
    frame = frame.assign(who=np.arange(ROWS) % USERS, won=rng.integers(0, 2, size=ROWS))
    frame["price"] = frame["price"].where(rng.random(ROWS) < 0.9, 0)
    return Comparisons.from_frame(
        frame, user="who", choice="won", difference=["price", "brand", "size"]
    )


@pytest.fixture(scope="module")
def report() -> bp.Report:
    posterior = made_posterior(large_comparisons(), draws=10)
    return bp.diagnose(posterior, assessments=["preference"])


@pytest.fixture(scope="module")
def path(report: bp.Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("page") / "report.html"
    begin = time.process_time()
    report.to_html(found)
    assert time.process_time() - begin < 20.0  # about 1 s; what is asked for
    assert found.stat().st_size < 5e6
    return found


def status(page: Browser) -> str:
    return str(page("document.querySelector('#comparisons [role=status]').textContent"))


def cells(page: Browser, label: str, table: str = "comparisons") -> list[str]:
    """What the column of a table shows on this page."""
    selector = json.dumps(f"#{table} tbody td[data-label={json.dumps(label)}]")
    return list(
        page(f"[...document.querySelectorAll({selector})].map(td => td.firstChild.textContent)")
    )


def choose(page: Browser, **filters: str) -> None:
    """Set filters of the comparisons, each in less than the time that people wait for."""
    places = {"text": ".search input", "verdict": ".verdict select", "user": ".user input"}
    places["feature"] = ".feature select"
    for name, value in filters.items():
        begin = time.perf_counter()
        page.type(f"#comparisons {places[name]}", value)
        assert time.perf_counter() - begin < SECONDS


def test_rows_are_found_by_verdict_user_feature_and_text(
    page: Browser, report: bp.Report, path: Path
) -> None:
    page.open(path)
    rows, difference = report.comparisons, report.query.difference
    assert status(page) == f"14,799 comparisons, page 1 of {-(-ROWS // 50)}"
    for verdict, count in rows["verdict"].value_counts().items():
        choose(page, verdict=str(verdict))
        assert status(page).startswith(f"{count:,} of 14,799")
        assert set(cells(page, "verdict")) == {verdict}
    choose(page, verdict="", user="7")
    assert status(page).startswith(f"{(rows['user'] == 7).sum()} of")
    choose(page, user="", feature="0")
    assert status(page).startswith(f"{(difference[:, 0] != 0).sum():,} of")
    both = (difference[:, 0] != 0) & (rows["verdict"] == "prefers")
    choose(page, verdict="prefers")
    assert status(page).startswith(f"{both.sum():,} of")
    assert page("document.querySelector('#comparisons button:nth-of-type(2)').textContent") == (
        "Show all"
    )
    page("document.querySelector('#comparisons button:nth-of-type(2)').click()")
    said = rows["sentence"].iloc[100]
    choose(page, text=said.upper())
    assert status(page).startswith(f"{rows['sentence'].eq(said).sum()} of")
    choose(page, text="no such words")
    assert status(page) == "0 of 14,799 comparisons, page 1 of 1"
    choose(page, text="")


def test_a_press_on_a_heading_sorts_and_pages_turn_by_key(
    page: Browser, report: bp.Report, path: Path
) -> None:
    page.open(path)
    headings = "[...document.querySelectorAll('#comparisons th button')]"
    heading = f"{headings}.find(button => button.textContent === 'log-odds')"
    expected = report.comparisons["mean"].round(3).sort_values()
    begin = time.perf_counter()
    page(f"{heading}.click()")
    assert time.perf_counter() - begin < SECONDS
    assert page(f"{heading}.closest('th').ariaSort") == "ascending"
    shown = [float(text) for text in cells(page, "log-odds")]
    assert shown == pytest.approx(expected.iloc[:50].tolist(), abs=0.0051)
    for _ in range(2):
        page.press("n")
    page.press("p")
    assert "page 2 of" in status(page)
    shown = [float(text) for text in cells(page, "log-odds")]
    assert shown == pytest.approx(expected.iloc[50:100].tolist(), abs=0.0051)
    page(f"{heading}.click()")
    assert float(cells(page, "log-odds")[0]) == pytest.approx(expected.iloc[-1], abs=0.0051)
    page.press("/")
    assert page("document.activeElement === document.querySelector('#comparisons .search input')")
    page.press("n")  # into the field, where it turns no page
    assert page("document.activeElement.value") == "n"


def test_links_of_verdicts_and_users_show_their_comparisons(
    page: Browser, report: bp.Report, path: Path
) -> None:
    page.open(path)
    counts = report.counts()["comparisons"]
    page("document.querySelector('a[data-verdict=undecided]').click()")
    assert status(page).startswith(f"{counts['undecided']:,} of")
    user = cells(page, "user", "users")[3]
    page("document.querySelectorAll('#users tbody button')[3].click()")
    assert status(page).startswith(f"{(report.comparisons['user'].astype(str) == user).sum()} of")
    assert set(cells(page, "user")) == {user}


def test_a_row_opens_to_all_its_numbers(page: Browser, report: bp.Report, path: Path) -> None:
    page.open(path)
    page("document.querySelector('#comparisons button.open').click()")
    numbers = page("document.querySelector('#comparisons tr.more').textContent")
    row = report.comparisons[report.comparisons["row"].astype(str) == cells(page, "row")[0]]
    assert f"{row['sd'].item():.3f}" in numbers
    assert page("document.activeElement.ariaExpanded") == "true"
    assert (
        page("document.querySelector('#comparisons .said').textContent") == row["sentence"].item()
    )


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_a_phone_in_light_and_in_dark(
    page: Browser, path: Path, *, dark: bool
) -> None:
    page.open(path, width=390, height=844, dark=dark)
    assert page("document.documentElement.scrollWidth") <= 390
    shade = page("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, shade[4:-1].split(","))) < 60) is dark
    page.open(path, width=1280)


def test_what_is_printed_has_no_controls(page: Browser, path: Path) -> None:
    page.open(path, dark=True)
    page.call("Emulation.setEmulatedMedia", media="print")
    try:
        hidden = "getComputedStyle(document.querySelector('#comparisons .controls')).display"
        assert page(hidden) == "none"
        assert page("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    finally:
        page.call("Emulation.setEmulatedMedia", media="")


def test_labels_are_shown_and_never_run(page: Browser, tmp_path: Path) -> None:
    report = bp.diagnose(
        made_posterior(hostile_comparisons(), draws=10), assessments=["preference"]
    )
    report.to_html(tmp_path / "report.html")
    page.open(tmp_path / "report.html")
    assert set(cells(page, "user", "users")) == {printable(label) for label in HOSTILE}
    assert page("document.querySelectorAll('img, svg, b').length") == len(report.figures)
    assert page("document.scripts.length") == 3
    for label in HOSTILE:
        choose(page, user=printable(label))
        assert set(cells(page, "user")) == {printable(label)}
    choose(page, user="", text=HOSTILE[0])
    assert not status(page).startswith("0 of")


def hostile_comparisons() -> Any:
    made = made_comparisons(HOSTILE)
    frame = pd.DataFrame(made.difference, columns=["<b>length</b>", "it's", '"tone"'])
    frame = frame.assign(who=made.users[made.user], won=made.choice, about=made.context[:, 0])
    frame.index = pd.Index([f"<i>{k}</i>" for k in range(len(frame))])
    features = ["<b>length</b>", "it's", '"tone"']
    return Comparisons.from_frame(
        frame, user="who", choice="won", difference=features, context=["about"]
    )


def test_errors_of_a_page_and_its_requests_would_be_seen(page: Browser, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text("<img src='http://127.0.0.1:9/x'><script>console.error('no'); nosuch()</script>")
    page.open(bad)
    seen = " ".join(page.problems)
    assert all(part in seen for part in ("http://127.0.0.1:9/x", "no", "nosuch is not defined"))
    page.problems.clear()
