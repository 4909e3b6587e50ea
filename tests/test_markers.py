"""Which tests a bare pytest runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from conftest import ROOT

TESTS = """
import pytest

def test_fast(): ...

@pytest.mark.slow
def test_slow(): ...

@pytest.mark.long
def test_long(): ...

@pytest.mark.parametrize("case", ["fast", pytest.param("long", marks=pytest.mark.long)])
def test_cases(case): ...
"""


def collected(folder: Path, expression: str) -> set[str]:
    """Return the tests that pytest selects by their markers."""
    (folder / "test_marked.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    slow\n    long\n")
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-q", "--collect-only"]
    done = subprocess.run(
        [*command, "-m", expression, "test_marked.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    return {line.partition("::")[2] for line in done.stdout.splitlines() if "::" in line}


def test_a_long_test_is_slow_too(tmp_path: Path) -> None:
    assert collected(tmp_path, "slow") == {"test_slow", "test_long", "test_cases[long]"}
