"""How kernels are compiled: once, kept on disk, and without the interpreter's lock.

Compiling is most of the wait for a first fit, so kernels avoid what makes numba compile general
code behind a short expression: slices are copied by loops, and only what Python calls gets the
code that unpacks Python's arguments.
"""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from numba import njit, typeof
from numba.core.caching import NullCache

from bayes_pref.inference.gibbs.kernels.kernel_cache import cache_for
from bayes_pref.inference.runtime.children import begin_child, may_fork

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

# Sums may be reordered and fused, so that loops use vector instructions. Infinities and NaN keep
# their meaning: a rejected proposal is recognised by them.
REORDER = {"reassoc", "contract", "arcp", "nsz"}

# Dividing by zero gives an infinity, as in NumPy: code that could raise compiles and runs slower.
SHARED = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}


# Kernels that a process beside this one was started for. They need not get signatures here: what
# calls them may come from disk, with them in it.
_BESIDE: set[Any] = set()


def compiled(kernel: Kernel) -> Kernel:
    """Compile a kernel at its first call; later processes read it from disk."""
    return _kept(kernel)


def compiled_part(kernel: Kernel) -> Kernel:
    """Like `compiled`, for what only other kernels call."""
    return _kept(kernel, no_cpython_wrapper=True)


def compiled_inline(kernel: Kernel) -> Kernel:
    """Like `compiled_part`, for what is called once a user: a call passes all arrays of `Rows`."""
    return _kept(kernel, no_cpython_wrapper=True, forceinline=True)


def compiled_reordering(kernel: Kernel) -> Kernel:
    """Like `compiled`, but sums may be reordered and fused."""
    return _kept(kernel, fastmath=REORDER)


def compiled_reordering_part(kernel: Kernel) -> Kernel:
    """Like `compiled_reordering`, for what only other kernels call."""
    return _kept(kernel, fastmath=REORDER, no_cpython_wrapper=True)


def compiled_reordering_inline(kernel: Kernel) -> Kernel:
    """Like `compiled_inline`, but sums may be reordered and fused."""
    return _kept(kernel, fastmath=REORDER, no_cpython_wrapper=True, forceinline=True)


def compiled_into_callers(algorithm: Kernel) -> Kernel:
    """Compile an algorithm that holds the kernel it works on, such as a slice update of a density.

    Compiled code that calls it keeps a copy of its own. The kernel is a variable of the enclosing
    function, not an argument: numba keeps no code on disk that has a kernel among its arguments.
    """
    # Not on disk by itself: numba does not recognise the kernel that it holds in a new process.
    return njit(**SHARED, no_cpython_wrapper=True)(algorithm)  # type: ignore[no-any-return]


def _kept(kernel: Kernel, **options: Any) -> Kernel:
    """Compile a kernel, and keep the result on disk under the sources of all kernels."""
    made: Any = njit(**SHARED, **options)(kernel)
    made._cache = cache_for(kernel)
    return made  # type: ignore[no-any-return]


def compile_beside(kernels: Sequence[tuple[Any, tuple[Any, ...]]]) -> None:
    """Compile kernels for arguments like these in a process beside this one, which goes on.

    The interpreter compiles one kernel at a time. What the other process has left on disk by the
    time that this one comes to it need not be compiled here; whatever it has not, is. Does nothing
    where that was done before, by this process or at its first call to the kernel, where nothing is
    kept on disk, where this process may have no children, or where the system gives none.
    """
    first = kernels[0][0]
    if first in _BESIDE or first.signatures:
        return
    _BESIDE.add(first)
    if not may_fork() or isinstance(first._cache, NullCache):
        return
    parent = os.getpid()

    def work() -> None:
        try:
            begin_child(parent)
            for kernel, like in kernels:
                kernel.compile(tuple(typeof(value) for value in like))
        finally:
            os._exit(0)  # nothing of the parent is to be cleaned up twice

    process = multiprocessing.get_context("fork").Process(target=work, daemon=True)
    with warnings.catch_warnings():
        # Python 3.12 warns that a lock which another thread holds stays locked in the child: should
        # it ever wait for one, it ends with this process, and nobody waits for it.
        warnings.simplefilter("ignore", DeprecationWarning)
        # It only saves time: a system without room for it, or a framework of workers that allows
        # no children of theirs, is none of the fit's business.
        with suppress(OSError, AssertionError):
            process.start()
