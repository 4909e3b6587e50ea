"""Run chains in parallel threads, with one progress bar, until complete or interrupted.

The kernels release the interpreter's lock, so that threads use all cores without the memory and
starting time of processes.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event
from typing import TypeVar

from threadpoolctl import threadpool_limits

from bayes_pref.inference.runtime.interrupts import on_interrupt
from bayes_pref.progress import tqdm

Tick = Callable[[int], object]
Result = TypeVar("Result")


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
        # Threads of linear algebra would compete with the chains, and their number would change
        # rounding errors: draws are to depend on the seed alone.
        threadpool_limits(1, user_api="blas"),
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
