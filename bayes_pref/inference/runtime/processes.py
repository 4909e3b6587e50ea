"""Run chains in parallel processes, with one progress bar, until complete or interrupted.

Compiled gradients hold the interpreter's lock, so threads would run one at a time. Processes are
forked: they start within milliseconds with the compiled gradient and the data in memory. A new
interpreter would take seconds for imports, and need a script that can be imported and a model that
can be pickled. Chains write their draws to shared memory, so that an interrupted run keeps them.
"""

from __future__ import annotations

import math
import mmap
import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

import numpy as np
import torch

from bayes_pref.errors import ModelError
from bayes_pref.inference.runtime.children import begin_child, may_be_forked, may_fork
from bayes_pref.inference.runtime.interrupts import on_interrupt
from bayes_pref.inference.runtime.threads import Tick
from bayes_pref.progress import tqdm
from bayes_pref.types import FloatArray


class Flag(Protocol):
    """A flag that can be set: an event of threads or of processes."""

    def is_set(self) -> bool:
        """Whether it is."""


Chain = Callable[[int, Tick, Flag], None]


def shared(*shape: int) -> FloatArray:
    """Array of zeros in memory that forked processes share; unused pages need no memory.

    Examples
    --------
    >>> float(shared(2, 3).sum())
    0.0
    """
    memory = mmap.mmap(-1, max(1, 8 * math.prod(shape)))
    return np.frombuffer(memory, count=math.prod(shape)).reshape(shape)


def run_forked(
    chain: Chain, *, chains: int, workers: int, steps: int, title: str, progress: bool
) -> bool:
    """Run ``chain(index, tick, stop)`` for every index; returns whether all are complete.

    Parameters
    ----------
    chain
        Runs one chain, with one thread for torch: writes draws to a `shared` array, calls
        ``tick(n)`` after every n steps and returns soon after ``stop`` is set.
    chains, workers
        How many chains there are, and how many run at once.
    steps
        Steps of one chain, for the progress bar.

    Raises
    ------
    ModelError
        If a chain fails; has the chain's message.

    A first Ctrl-C sets ``stop`` and waits for the chains; a second ends them and raises. Where
    processes cannot be forked, as on Windows and in a worker of a pool, chains run here one after
    another, with the same draws. No process outlives this one.
    """
    run = _Run(chain, chains)
    with (
        tqdm(total=chains * steps, desc=title, unit="draw", disable=not progress) as bar,
        on_interrupt(run.stop.set) as interrupted,
    ):
        try:
            while run.unfinished:
                run.start(workers, bar)
                run.watch(bar)
        finally:
            run.end()
        bar.update(int(run.steps.sum()) - bar.n)
    return not interrupted.is_set()


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Run torch in one thread within the block; its sums then depend on no number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def no_threads_of_a_parent() -> Iterator[None]:
    """Run torch in one thread within the block in a process that may be forked.

    Torch would wait for ever for threads of its own that stayed with the parent.
    """
    with one_torch_thread() if may_be_forked() else nullcontext():
        yield


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Defer Ctrl-C to the end of the block; processes started within never receive it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _failed(index: int, message: str) -> ModelError:
    return ModelError(f"chain {index} failed: {message}")


class _SharedFlag:
    """A flag without a lock, which a killed process could leave locked."""

    def __init__(self) -> None:
        self._raised = shared(1)

    def set(self) -> None:
        """Raise the flag, in all processes."""
        self._raised[0] = 1.0

    def is_set(self) -> bool:
        """Whether a process has raised it."""
        return bool(self._raised[0])


class _Run:
    """Chains that wait, run and have ended."""

    def __init__(self, chain: Chain, chains: int) -> None:
        self.chain = chain
        self.parent = os.getpid()
        self.waiting = list(range(chains))
        self.running: dict[int, tuple[Any, Connection]] = {}
        self.steps = shared(chains)
        self.stop = _SharedFlag()

    @property
    def unfinished(self) -> bool:
        """Whether chains run, or wait and may still start."""
        return bool(self.running or (self.waiting and not self.stop.is_set()))

    def start(self, workers: int, bar: Any) -> None:
        """Start chains while there is room."""
        while self.waiting and len(self.running) < workers and not self.stop.is_set():
            index = self.waiting.pop(0)
            if not may_fork():
                self._run_here(index, bar)
                continue
            try:
                self._fork(index)
            except (OSError, AssertionError):
                # The system has no room for another process, or a framework of workers allows none:
                # wait for those that run, or do without.
                if self.running:
                    self.waiting.insert(0, index)
                    return
                self._run_here(index, bar)

    def _fork(self, index: int) -> None:
        """Run a chain in a process of its own."""
        # Ctrl-C here would reach a child that does not ignore it yet, or leave a child running that
        # is not in the list.
        with _no_interrupt():
            context: Any = multiprocessing.get_context("fork")
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=self._child, args=(index, theirs), daemon=True)
            try:
                with warnings.catch_warnings():
                    # Python 3.12 warns that a lock held by another thread stays held in the child.
                    # The child takes none of them: it samples and writes to shared memory.
                    warnings.simplefilter("ignore", DeprecationWarning)
                    process.start()
            except BaseException:
                ours.close()
                raise
            finally:
                theirs.close()
            self.running[index] = process, ours

    def _run_here(self, index: int, bar: Any) -> None:
        def tick(count: int) -> None:
            self.steps[index] += count
            bar.update(count)

        try:
            with one_torch_thread():
                self.chain(index, tick, self.stop)
        except Exception as err:
            raise _failed(index, f"{type(err).__name__}: {err}") from err

    def watch(self, bar: Any) -> None:
        """Wait a moment for messages; raises what a chain reports."""
        if not self.running:
            return
        # Also wait for messages: a long one blocks its process until it is read.
        ends = [end for process, pipe in self.running.values() for end in (process.sentinel, pipe)]
        wait(ends, timeout=0.1)
        bar.update(int(self.steps.sum()) - bar.n)
        for index, (process, pipe) in list(self.running.items()):
            if process.is_alive() and not pipe.poll():
                continue
            del self.running[index]
            try:
                message = pipe.recv()
            except EOFError:  # it sent no message
                process.join()
            else:
                process.join()
                raise _failed(index, message)
            if process.exitcode != 0:
                raise ModelError(
                    f"chain {index} was ended by the system (exit code {process.exitcode}): if "
                    "memory ran out, ask for fewer draws or set cores=1"
                )

    def end(self) -> None:
        """End all processes that still run."""
        self.stop.set()
        for process, _ in self.running.values():
            process.terminate()
            process.join()

    def _child(self, index: int, pipe: Connection) -> None:
        """Run a chain, send the parent its error, if any, and end the child."""
        begin_child(self.parent)
        torch.set_num_threads(1)

        def tick(count: int) -> None:
            self.steps[index] += count

        try:
            self.chain(index, tick, self.stop)
        except BaseException as err:  # noqa: BLE001  of any kind: the parent raises it
            pipe.send(f"{type(err).__name__}: {err}")
        # Not through the interpreter's end, which waits for threads that are in the parent alone,
        # such as those of a pool that this fit runs in.
        os._exit(0)
