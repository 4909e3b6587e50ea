"""What the sweeps rest on: child processes are limited and told of, and counts are kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import sweep

pytestmark = pytest.mark.slow


def test_a_child_is_told_of_as_it_ended() -> None:
    well = sweep.child("import sys; print(sys.argv[1:])", 1, "two")
    assert (well.code, well.out, well.timed_out) == (0, "['1', 'two']\n", False)
    assert "ZeroDivisionError" in sweep.child("1 / 0").err
    assert sweep.child("import os; os.kill(os.getpid(), 11)").code == -11


def test_a_child_that_hangs_or_takes_too_much_is_stopped() -> None:
    hung = sweep.child("while True: pass", seconds=0.5)
    assert hung.timed_out
    assert hung.code == -9
    greedy = "held = bytearray(2**30); held[::4096] = b'x' * 2**18; import time; time.sleep(0.1)"
    assert "MemoryError" in sweep.child(greedy, megabytes=500).err
    assert 1000 < sweep.child(greedy, megabytes=2000).megabytes < 1200


def test_a_child_can_have_a_full_disk(tmp_path: Path) -> None:
    code = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_bytes(bytes(5000))"
    assert "OSError" in sweep.child(code, tmp_path / "file", file_bytes=1000).err
    assert sweep.child(code, tmp_path / "file", file_bytes=6000).code == 0


def test_counts_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "COUNTS", str(tmp_path / "counts"))
    sweep.report("cut files", 1200, 1199)
    sweep.report("labels", 3, 3)
    expected = ["cut files: tried 1,200, held 1,199", "labels: tried 3, held 3"]
    assert (tmp_path / "counts").read_text().splitlines() == expected


@pytest.mark.parametrize(("whole", "count"), [(False, 3), (True, 700)])
def test_a_sweep_is_a_sample_or_whole(
    whole: bool, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "WHOLE", whole)
    assert sweep.cases(3, 700) == count
    assert sweep.settings(3, 700).max_examples == count
