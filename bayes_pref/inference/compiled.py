"""How kernels are compiled: once, kept on disk, and without the interpreter's lock.

Compiling is most of the wait for a first fit, so kernels avoid what makes numba compile general
code behind a short expression: slices are copied by loops, and only what Python calls gets the
code that unpacks Python's arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

# Sums may be reordered and fused, which lets loops run in parallel lanes. Infinities and NaN keep
# their meaning: a rejected proposal is recognised by them.
REORDER = {"reassoc", "contract", "arcp", "nsz"}


def compiled(kernel: Kernel) -> Kernel:
    """Compile a kernel at its first call; later processes read it from disk."""
    return njit(cache=True, nogil=True, no_cfunc_wrapper=True)(kernel)  # type: ignore[no-any-return]


def compiled_part(kernel: Kernel) -> Kernel:
    """Like `compiled`, for what only other kernels call."""
    return njit(  # type: ignore[no-any-return]
        cache=True, nogil=True, no_cfunc_wrapper=True, no_cpython_wrapper=True
    )(kernel)


def compiled_reordering(kernel: Kernel) -> Kernel:
    """Like `compiled`, but sums may be reordered and fused."""
    return njit(  # type: ignore[no-any-return]
        cache=True, nogil=True, no_cfunc_wrapper=True, fastmath=REORDER
    )(kernel)


def compiled_reordering_part(kernel: Kernel) -> Kernel:
    """Like `compiled_reordering`, for what only other kernels call."""
    return njit(  # type: ignore[no-any-return]
        cache=True,
        nogil=True,
        no_cfunc_wrapper=True,
        no_cpython_wrapper=True,
        fastmath=REORDER,
    )(kernel)
