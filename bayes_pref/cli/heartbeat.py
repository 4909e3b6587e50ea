"""A sign of life during long work: bars on a terminal, elsewhere a line every half minute."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from bayes_pref.cli.command import warn
from bayes_pref.progress import counted

EVERY = 30.0  # seconds


@contextmanager
def heartbeat() -> Iterator[None]:
    """Say on stderr how far the work is: where stderr is no terminal, in lines of a log."""
    if sys.stderr.isatty():
        yield
        return
    begin, over = time.perf_counter(), Event()
    with counted() as so_far:

        def beat() -> None:
            while not over.wait(EVERY):
                found = so_far()
                seconds = time.perf_counter() - begin
                warn(f"{seconds:.0f} s so far{f': {found}' if found else ''}")

        # A daemon, so that it cannot keep the process alive.
        thread = Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
