"""A sign of life: lines in a log, bars on a terminal, and nothing that outlives the work."""

from __future__ import annotations

import io
import sys
import threading
import time

import pytest

from bayes_pref import progress
from bayes_pref.cli import heartbeat


def test_a_log_has_lines_that_say_how_far_the_work_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "EVERY", 0.02)
    before = threading.active_count()
    with heartbeat.heartbeat():
        with progress.tqdm(total=2000, desc="Gibbs", unit="sweep") as bar:
            bar.update(1500)
            time.sleep(0.1)
        with pytest.raises(ZeroDivisionError), heartbeat.heartbeat():
            _ = 1 / 0
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines
    assert all(line.startswith("bayes-pref: 0 s so far") for line in lines)
    assert "Gibbs, 1,500 of 2,000 sweeps" in lines[0]
    assert "\r" not in err
    assert threading.active_count() == before


def test_quick_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with heartbeat.heartbeat(), progress.tqdm(total=2) as bar:
        bar.update(2)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with heartbeat.heartbeat(), progress.tqdm(total=2, desc="Gibbs", file=terminal) as bar:
        bar.update(2)
    assert "Gibbs: 100%" in terminal.getvalue()


def test_bars_that_are_off_stay_off() -> None:
    with progress.counted() as so_far:
        list(progress.tqdm(range(3), disable=True))
        assert so_far() == ""
        list(progress.tqdm(range(3), desc="sbc", unit="fit"))
        assert so_far() == "sbc, 3 of 3 fits"
