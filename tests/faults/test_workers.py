"""Fits in workers of pools, and children of parents that are killed."""

from __future__ import annotations

import json
import multiprocessing
import sys

import pytest
import sweep

pytestmark = pytest.mark.slow

# Imported by the workers of a pool, which takes the name of a file.
CODE = "import worker_faults; worker_faults.main()"


def tried(name: str, count: int) -> None:
    child = sweep.child(CODE, name, count, seconds=600.0 + 60.0 * count, megabytes=8192)
    assert child.code == 0, f"{child.out[-2000:]}{child.err[-4000:]}"
    found = [json.loads(line) for line in child.out.splitlines()]
    sweep.report(f"workers, {name}", len(found), sum(held for _, held in found))
    assert [done for done, held in found if not held] == []
    assert len(found) == count


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="processes cannot be forked here"
)
def test_a_fit_in_a_worker_has_the_draws_of_the_main_process() -> None:
    tried("pools", sweep.cases(2, 100))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_child_outlives_a_parent_that_is_killed() -> None:
    tried("kills", sweep.cases(2, 30))
