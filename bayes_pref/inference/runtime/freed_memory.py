"""Memory that was let go of, back to the system."""

from __future__ import annotations

from bayes_pref.inference.runtime.c_library import function_of_linux


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


_TRIM = function_of_linux("malloc_trim")
