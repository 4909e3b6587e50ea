"""What ArviZ 0.23 keeps on disk, made so that it can do without.

It writes a file to the user's cache folder when it is imported, and compiles some of its functions
with numba's cache: both raise in a container whose user has no home.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any

_COMPILING = ("arviz.utils", "arviz.stats.density_utils")


@contextmanager
def a_cache_folder() -> Iterator[None]:
    """Give ArviZ a folder to write its notice to within the block, unless it is imported already.

    The notice, of version 1, is of no use here.
    """
    try:
        platformdirs: Any = importlib.import_module("platformdirs")
    except ImportError:  # this version of ArviZ writes none
        platformdirs = None
    if "arviz" in sys.modules or platformdirs is None:
        yield
        return
    before = platformdirs.user_cache_dir
    with TemporaryDirectory() as folder:
        platformdirs.user_cache_dir = lambda *_, **__: folder
        try:
            yield
        finally:
            platformdirs.user_cache_dir = before


@cache
def seal_caches() -> None:
    """Have ArviZ's functions compiled with a cache of ours, which cannot raise."""
    import numba

    from bayes_pref.compile_cache import sealed_cache  # numba takes half a second to import

    compiling: Any = importlib.import_module("arviz.utils").maybe_numba_fn
    for name in _COMPILING:
        for value in vars(importlib.import_module(name)).values():
            if isinstance(value, compiling) and value.kwargs.pop("cache", False):
                made: Any = numba.jit(**value.kwargs)(value.function)
                made._cache = sealed_cache(value.function, "bayes_pref")
                value.numba_fn = made
