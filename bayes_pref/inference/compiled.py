"""How kernels are compiled: once, kept on disk, and without the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(kernel: Kernel) -> Kernel:
    """Compile a kernel at its first call; later processes read it from disk."""
    return njit(cache=True, nogil=True)(kernel)  # type: ignore[no-any-return]


def compiled_reordering(kernel: Kernel) -> Kernel:
    """Like `compiled`, but sums may be reordered and fused, which lets loops run in parallel lanes.

    Infinities and NaN keep their meaning: a rejected proposal is recognised by them.
    """
    reorder = {"reassoc", "contract", "arcp", "nsz"}
    return njit(cache=True, nogil=True, fastmath=reorder)(kernel)  # type: ignore[no-any-return]
