"""Checkpoints that are damaged, killed at every step, or on a full disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sweep

pytestmark = pytest.mark.slow


def tried(name: str, folder: Path, count: int) -> list[tuple[str, str]]:
    """Run a sweep in a child process; what was done and the outcome, case by case."""
    code = "import checkpoint_faults; checkpoint_faults.main()"
    seconds = 600.0 + 5.0 * count  # first it may compile all kernels, on a machine with other work
    child = sweep.child(code, name, folder, count, seconds=seconds, megabytes=8192)
    assert child.code == 0, f"{child.out[-2000:]}{child.err[-2000:]}"
    return [tuple(json.loads(line)) for line in child.out.splitlines()]


@pytest.mark.parametrize(
    ("name", "sample", "whole", "good"),
    [
        ("damages", 10, 200, ("refused", "same")),
        ("kills", 2, 80, ("killed",)),
        # Every time, test_full_disks tries saving, exporting and a checkpoint.
        ("full_disks", 0, 40, ("refused", "same")),
    ],
)
def test_no_checkpoint_crashes_or_changes_a_fit(
    name: str, sample: int, whole: int, good: tuple[str, ...], tmp_path: Path
) -> None:
    if not sweep.cases(sample, whole):
        pytest.skip("in the whole sweep alone")
    found = tried(name, tmp_path, sweep.cases(sample, whole))
    held = [outcome for _, outcome in found if outcome in good]
    sweep.report(f"checkpoints, {name.replace('_', ' ')}", len(found), len(held))
    assert [case for case in found if case[1] not in good] == []
    assert len(found) >= sweep.cases(sample, whole)
    if name != "kills":
        assert set(held) == set(good)  # both can happen
