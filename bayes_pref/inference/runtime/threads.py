"""Run chains in parallel threads, with one progress bar, until complete or interrupted.

The kernels release the interpreter's lock, so that threads use all cores without the memory and
starting time of processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event, Lock
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from bayes_pref.inference.runtime.interrupts import on_interrupt
from bayes_pref.progress import tqdm

Tick = Callable[[int], object]
Result = TypeVar("Result")


_blas = Lock()
_within = 0  # blocks of `one_blas_thread` that threads are in
_limits: Any = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Run linear algebra in one thread within the block.

    Its threads would compete with the chains, and their number would change rounding errors: draws
    are to depend on the seed alone. The limit holds for the whole process, so that of blocks in
    several threads the first sets it and the last one lifts it.
    """
    global _within, _limits
    with _blas:
        if not _within:
            _limits = threadpool_limits(1, user_api="blas")
        _within += 1
    try:
        yield
    finally:
        with _blas:
            _within -= 1
            if not _within:
                _limits.restore_original_limits()


def run_in_turn(
    chain: Callable[[int, Tick, Event], Result],
    *,
    chains: int,
    steps: int,
    title: str,
    progress: bool,
) -> tuple[list[Result], bool]:
    """Run chains as `run_chains` does, one after another and in this very thread."""
    stop = Event()
    with (
        tqdm(total=chains * steps, desc=title, unit="sweep", disable=not progress) as bar,
        on_interrupt(stop.set) as interrupted,
        one_blas_thread(),
    ):
        found = [chain(index, bar.update, stop) for index in range(chains)]
        return found, not interrupted.is_set()


def run_chains(
    chain: Callable[[int, Tick, Event], Result],
    *,
    chains: int,
    workers: int,
    steps: int,
    title: str,
    progress: bool,
) -> tuple[list[Result], bool]:
    """Run ``chain(index, tick, stop)`` for every index; returns their results and whether complete.

    Parameters
    ----------
    chain
        Runs one chain: calls ``tick(n)`` after every n steps and returns its result as soon as
        ``stop`` is set.
    steps
        Steps of one chain, for the progress bar.

    A first Ctrl-C sets ``stop`` and waits for the results so far; chains return within a step.
    """
    stop = Event()
    with (
        tqdm(total=chains * steps, desc=title, unit="sweep", disable=not progress) as bar,
        on_interrupt(stop.set) as interrupted,
        one_blas_thread(),
        ThreadPoolExecutor(max_workers=workers) as pool,
    ):
        futures = [pool.submit(chain, index, bar.update, stop) for index in range(chains)]
        pending = set(futures)
        while pending:
            # Short waits: a signal is handled between them.
            done, pending = wait(futures, timeout=0.1)
            if any(future.exception() for future in done):
                stop.set()
        return [future.result() for future in futures], not interrupted.is_set()
