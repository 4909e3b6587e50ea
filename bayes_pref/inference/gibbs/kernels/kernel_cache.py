"""Compiled kernels on disk, under a key of the sources of all kernels.

Compiled code contains the code of every kernel it calls, but numba's own cache compares only the
file of the outermost kernel, so that a change in a called kernel goes unnoticed. Here the folder is
named after a digest of all kernel sources. A change in any of them opens a new folder and removes
the old one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba.core.caching import NullCache

from bayes_pref.compile_cache import SealedCache, sealed_cache
from bayes_pref.models.choice import kernel_form

SOURCES = Path(__file__).parent
PREFIX = "kernels-"


@cache
def source_digest() -> str:
    """Digest of the sources of all kernels: this folder, and the constants that they read."""
    digest = hashlib.sha256()
    for path in [*sorted(SOURCES.glob("*.py")), Path(kernel_form.__file__)]:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def cache_for(kernel: Callable[..., Any]) -> SealedCache | NullCache:
    """Return the kernel's cache, one that keeps nothing where no folder can be written to."""
    return sealed_cache(kernel, f"{PREFIX}{source_digest()}", PREFIX)
