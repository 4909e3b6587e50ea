"""How many cases a sweep tries, what it counted, and child processes for what may crash or hang.

A usual run takes a sample of each sweep; with `BAYES_PREF_FAULTS=whole`, as `make test-faults`
sets it, every sweep is whole. A test of a sweep reads `import sweep` and is marked `slow`.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import hypothesis

from conftest import ROOT

WHOLE = os.environ.get("BAYES_PREF_FAULTS") == "whole"
COUNTS = os.environ.get("BAYES_PREF_FAULTS_COUNTS")


def cases(sample: int, whole: int) -> int:
    """Return how many cases this run tries: a sample, or the whole sweep."""
    return whole if WHOLE else sample


def settings(sample: int, whole: int) -> hypothesis.settings:
    """Return Hypothesis' settings for so many examples: the same ones in every run."""
    return hypothesis.settings(
        max_examples=cases(sample, whole),
        deadline=None,  # the machine's other work is no failure
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


def report(name: str, tried: int, held: int) -> None:
    """Print a sweep's counts, and append them to the file that `BAYES_PREF_FAULTS_COUNTS` names."""
    line = f"{name}: tried {tried:,}, held {held:,}"
    sys.stdout.write(f"{line}\n")
    if COUNTS:
        # One write to a file opened for appending: those of two workers do not mix.
        with Path(COUNTS).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


@dataclass(frozen=True)
class Child:
    """What became of a child process.

    Attributes
    ----------
    code
        Its exit code; a signal's number with a minus where a signal ended it, -9 on a timeout.
    out, err
        What it wrote.
    timed_out
        Whether it was killed because its time was over.
    seconds
        How long it ran.
    megabytes
        The most memory that it held at a time (0 where the system does not tell).
    """

    code: int
    out: str
    err: str
    timed_out: bool
    seconds: float
    megabytes: float


def peak_megabytes(pid: int) -> float:
    """Return the most memory that a process has held; getrusage would count this one's in."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, IndexError):  # not Linux, or gone by now
        return 0.0


def child(
    code: str,
    *args: object,
    seconds: float = 60.0,
    megabytes: int = 4096,
    file_bytes: int | None = None,
    environment: dict[str, str] | None = None,
    folder: Path | None = None,
) -> Child:
    """Run Python code in a process of its own, within limits, and never raise because of it.

    Parameters
    ----------
    code
        What `python -c` runs; the package and the tests can be imported.
    *args
        Its `sys.argv[1:]`, as text.
    seconds
        After these it is killed, with every process that it started.
    megabytes
        Of private memory; an allocation beyond is a MemoryError there (on Linux).
    file_bytes
        The largest file that it may write, if any: a stand-in for a full disk.
    environment
        Variables on top of this process's.
    folder
        Where it runs; by default here.
    """

    def limit() -> None:
        with contextlib.suppress(ValueError, OSError):  # not every system has this limit
            resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, megabytes << 20))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if file_bytes is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an OSError instead, as of a full disk
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

    paths = [ROOT, ROOT / "tests", ROOT / "tests" / "faults", os.environ.get("PYTHONPATH", "")]
    variables = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(path) for path in paths if path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
    }
    # Files, not pipes: a grandchild that outlives the child would keep a pipe open.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, args)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=variables | (environment or {}),
            cwd=folder,
            start_new_session=True,
            preexec_fn=limit,
        )
        timed_out, most = False, 0.0
        while process.poll() is None:
            most = max(most, peak_megabytes(process.pid))
            if time.monotonic() - start > seconds and not timed_out:
                timed_out = True
                os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.005)
        took = time.monotonic() - start
        with contextlib.suppress(ProcessLookupError, PermissionError):  # those that it left behind
            os.killpg(process.pid, signal.SIGKILL)
        written = []
        for file in (out, err):
            file.seek(0)
            written.append(file.read().decode("utf-8", "backslashreplace"))
    return Child(process.returncode, *written, timed_out, took, most)
