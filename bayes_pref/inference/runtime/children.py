"""Child processes: where there may be any, and that none outlives its parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time

from bayes_pref.inference.runtime.c_library import function_of_linux

_PR_SET_PDEATHSIG = 1
_PERIOD = 0.5  # seconds between two looks at the parent
_IMPORTED_BY = os.getpid()


def may_fork() -> bool:
    """Whether this process may have children that are copies of it.

    Not on Windows, nor in a daemonic process, such as a worker of `multiprocessing.Pool`, Celery or
    Dask.

    Examples
    --------
    >>> import multiprocessing
    >>> may_fork() == ("fork" in multiprocessing.get_all_start_methods())
    True
    """
    forks = "fork" in multiprocessing.get_all_start_methods()
    return forks and not multiprocessing.current_process().daemon


def may_be_forked() -> bool:
    """Whether this process may be a copy of another, whose threads it does not have.

    Examples
    --------
    >>> may_be_forked()
    False
    """
    return os.getpid() != _IMPORTED_BY or multiprocessing.parent_process() is not None


def begin_child(parent: int) -> None:
    """Begin a forked child: it leaves Ctrl-C to its parent, and ends when its parent does.

    Parameters
    ----------
    parent
        Number of the parent's process, which may have ended by now.

    A caller's handlers of signals stay with the caller: a server's would keep a child from ending.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends Ctrl-C to children too
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    if _PRCTL is None or _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(1)


def _watch(parent: int) -> None:
    """End this process when its parent has, where the system does not do so by itself."""
    while os.getppid() == parent:
        time.sleep(_PERIOD)
    os._exit(1)


# Found now: a forked child must not wait for the lock of the dynamic linker.
_PRCTL = function_of_linux("prctl")  # by which a process asks for a signal at its parent's end
