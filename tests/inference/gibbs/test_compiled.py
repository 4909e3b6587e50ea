"""Kernels compiled in a process beside this one."""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bayes_pref.inference.gibbs.kernels import jit as compiled
from bayes_pref.inference.gibbs.kernels.jit import compile_beside

SOURCE = """
from bayes_pref.inference.gibbs.kernels.jit import compiled

@compiled
def double(value):
    return 2.0 * value
"""


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "made.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "made", raising=False)
    importlib.invalidate_caches()
    return importlib.import_module("made").double


def test_a_kernel_compiled_beside_is_read_from_disk(double: Any, tmp_path: Path) -> None:
    compile_beside([(double, (1.0,))])
    assert not double.signatures  # nothing was compiled here
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("*.nbc")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)  # the index of the cache is written after the code
    assert double(21.0) == 42.0
    assert sum(double.stats.cache_hits.values()) == 1
    assert not double.stats.cache_misses


def test_a_kernel_that_is_there_is_not_compiled_again(double: Any, tmp_path: Path) -> None:
    double(1.0)
    before = sorted(tmp_path.rglob("*.nbc"))
    compile_beside([(double, (1,))])
    time.sleep(1.0)
    assert sorted(tmp_path.rglob("*.nbc")) == before


def test_a_kernel_is_handed_to_a_process_beside_once(
    double: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "_BESIDE", set())
    forked = []
    monkeypatch.setattr(
        compiled.multiprocessing, "get_all_start_methods", lambda: forked.append("asked") or []
    )
    for _ in range(2):
        compile_beside([(double, (1.0,))])
    assert not double.signatures  # so that nothing but the memory of it stops the second
    assert forked == ["asked"]
