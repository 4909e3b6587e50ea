"""Memory that was let go of, back to the system."""

from __future__ import annotations

import ctypes
import sys
from typing import Any


def return_freed_memory() -> None:
    """Have the C library return memory that nothing uses, where it would keep it for later.

    glibc keeps what arrays of a few megabytes had, apart for every thread, and other arrays do not
    fill it. With another C library nothing happens.

    Examples
    --------
    >>> return_freed_memory()
    """
    if _TRIM is not None:
        _TRIM(0)


def _trim() -> Any:
    """The function of glibc that returns memory, if there is one."""
    if sys.platform != "linux":
        return None
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None


_TRIM = _trim()
