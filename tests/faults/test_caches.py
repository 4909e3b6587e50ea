"""Caches of compiled code that are damaged, and places where none can be kept."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import arviz
import pytest
import sweep

import bayes_pref as bp

pytestmark = pytest.mark.slow

CODE = "import cache_faults; cache_faults.main()"
NOWHERE = "/dev/null/home"  # no user, not even root, can make it


def tried(name: str, folder: Path, count: int, environment: dict[str, str]) -> None:
    limits = {"seconds": 600.0, "megabytes": 8192}
    # Run in that folder, which Python looks into first.
    child = sweep.child(CODE, name, folder, count, **limits, environment=environment, folder=folder)
    assert child.code == 0, f"{child.out[-2000:]}{child.err[-4000:]}"
    found = [json.loads(line) for line in child.out.splitlines()]
    sweep.report(f"caches, {name}", len(found), sum(held == "held" for _, held in found))
    assert [case for case in found if case[1] != "held"] == []
    assert found


def test_a_damaged_cache_is_compiled_anew(tmp_path: Path) -> None:
    tried("damages", tmp_path, sweep.cases(7, 63), {"NUMBA_CACHE_DIR": str(tmp_path)})


def test_nothing_needs_a_place_to_keep_what_was_compiled(tmp_path: Path) -> None:
    for package in (bp, arviz):
        folder = Path(package.__file__).parent
        copy = tmp_path / folder.name
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__", "*.nb?"))
        for each in [copy, *copy.rglob("*/")]:
            if each.is_dir():  # a file in place of the folder: root, too, cannot write into it
                (each / "__pycache__").touch()
    tests = Path(__file__).parent
    paths = [tmp_path, tests.parent, tests, os.environ.get("PYTHONPATH", "")]
    environment = {
        "PYTHONPATH": os.pathsep.join(str(path) for path in paths if path),
        "HOME": NOWHERE,
        "XDG_CACHE_HOME": NOWHERE,
        "XDG_CONFIG_HOME": NOWHERE,
        "NUMBA_CACHE_DIR": "",
    }
    tried("homeless", tmp_path, sweep.cases(2, 10), environment)


@pytest.mark.skipif(not sweep.WHOLE, reason="compiles for a minute; make test-faults does")
def test_damaged_code_of_torchs_compiler_is_compiled_anew(tmp_path: Path) -> None:
    tried("inductor", tmp_path, 6, {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path)})
