"""Memory that was let go of goes back to the system."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import mmap
import numpy as np
from bayes_pref.inference.runtime.freed_memory import return_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * mmap.PAGESIZE / 2**20

np.ones(2**21)  # of 16 MiB: after it the C library keeps what is smaller
before = resident()
arrays = [np.ones(2**17) for _ in range(200)]
del arrays[::2]
kept = resident()
return_freed_memory()
print(kept - before, resident() - before)
"""


@pytest.mark.skipif(
    sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="glibc has it"
)
def test_arrays_that_are_gone_take_no_memory() -> None:
    # Dask leaves some of these in a process that had workers; with them glibc keeps nothing.
    environment = {name: at for name, at in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", PROGRAM]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    kept, left = map(float, ran.stdout.split())
    assert kept > 180.0  # MiB of 200, half of which nothing uses
    assert left < 120.0
