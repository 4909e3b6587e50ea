"""Ctrl-C as a request to stop and keep the draws so far, wherever the interpreter happens to be."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

FEWEST = 4  # draws of a chain that are worth keeping


@contextmanager
def on_interrupt(stop: Callable[[], object]) -> Iterator[threading.Event]:
    """Call `stop` at a first Ctrl-C within the block; a second one interrupts as usual.

    The exception that Ctrl-C raises by itself is lost where Python ignores exceptions, as in the
    finalisers that garbage collection runs, and the work would continue.

    Parameters
    ----------
    stop
        Asks the work to stop. It is never called outside the main thread, which alone receives
        Ctrl-C.

    Yields
    ------
    interrupted: set once there was a Ctrl-C

    Examples
    --------
    >>> asked = []
    >>> with on_interrupt(lambda: asked.append("stop")) as interrupted:
    ...     signal.raise_signal(signal.SIGINT)
    >>> asked, interrupted.is_set()
    (['stop'], True)
    """
    interrupted = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield interrupted
        return

    def heard(number: int, frame: FrameType | None) -> None:
        if interrupted.is_set():
            before(number, frame)
        interrupted.set()
        stop()

    signal.signal(signal.SIGINT, heard)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end the block at once, or at its end where Python ignores the exception.

    It is ignored in finalisers and callbacks of the collector, which compilers have many of.
    """
    with on_interrupt(_interrupt) as interrupted:
        yield
    if interrupted.is_set():
        _interrupt()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let a first Ctrl-C wait for the end of the block, such as an import.

    A module of which half was executed is found by the next import, and fails for good.
    """
    with on_interrupt(lambda: None) as interrupted:
        yield
    if interrupted.is_set():
        _interrupt()


def _interrupt() -> None:
    raise KeyboardInterrupt


def largest_rectangle(kept: list[int]) -> tuple[list[int], int]:
    """Choose the chains, and the number of draws of each, that keep most of an interrupted run.

    Parameters
    ----------
    kept
        Number of draws of each chain; those of an interrupted run differ.

    Returns
    -------
    indices of the chains, and the number of draws to keep of each

    Raises
    ------
    KeyboardInterrupt
        If there are too few draws to keep any.

    Examples
    --------
    >>> largest_rectangle([100, 90, 0])
    ([0, 1], 90)
    """
    order = sorted(range(len(kept)), key=lambda index: -kept[index])
    best = max(range(len(order)), key=lambda last: (last + 1) * kept[order[last]])
    if kept[order[best]] < FEWEST:
        raise KeyboardInterrupt("interrupted before there were draws to keep")
    return sorted(order[: best + 1]), kept[order[best]]
