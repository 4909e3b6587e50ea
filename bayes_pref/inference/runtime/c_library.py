"""Functions of the C library, where there are any."""

from __future__ import annotations

import ctypes
import sys
from typing import Any


def function_of_linux(name: str) -> Any:
    """Return a function that the C library has on Linux; None where there is none.

    Examples
    --------
    >>> function_of_linux("no such function") is None
    True
    """
    if sys.platform != "linux":
        return None
    try:
        return getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None
