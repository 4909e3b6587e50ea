"""Compiled kernels on disk, under a key of the sources of all kernels.

Compiled code contains the code of every kernel it calls, but numba's own cache compares only the
file of the outermost kernel, so that a change in a called kernel goes unnoticed. Here the folder is
named after a digest of all kernel sources. A change in any of them opens a new folder and removes
the old one. A file is written whole under another name and then renamed, and its name is a digest
of its signature, so that processes that start at once neither wait for nor overwrite each other.
"""

from __future__ import annotations

import hashlib
import pickle
import shutil
import sys
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, NullCache
from numba.core.serialize import dumps

SOURCES = Path(__file__).parent
PREFIX = "kernels-"
_CHECKSUM = hashlib.sha256().digest_size


@cache
def source_digest() -> str:
    """Digest of the files of this folder, the sources of all kernels."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.glob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


class CompiledFiles:
    """The files of one kernel: one for each signature, processor and version of numba.

    Parameters
    ----------
    folder
        Made when the first file is written.
    name
        Beginning of the files' names.
    stamp
        Whatever else decides whether a file is current.
    """

    def __init__(self, folder: Path, name: str, stamp: object) -> None:
        self.folder = folder
        self.name = name
        self.stamp = (numba.__version__, sys.implementation.cache_tag, stamp)

    def path(self, key: tuple[Any, ...]) -> Path:
        """Return the file of a key: signature, processor, bytecode."""
        digest = hashlib.sha256(repr((self.stamp, key)).encode()).hexdigest()
        return self.folder / f"{self.name}.{digest[:16]}.nbc"

    def load(self, key: tuple[Any, ...]) -> Any:
        """Read what `save` wrote, or return None: it is not there, or not whole."""
        try:
            content = self.path(key).read_bytes()
        except OSError:
            return None
        checksum, data = content[:_CHECKSUM], content[_CHECKSUM:]
        return pickle.loads(data) if hashlib.sha256(data).digest() == checksum else None

    def save(self, key: tuple[Any, ...], data: Any) -> None:
        """Write the compiled code of a key, if the disk takes it."""
        content, path = dumps(data), self.path(key)
        try:
            if not self.folder.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                self._remove_others()
            part = path.with_name(f"{path.name}.{uuid.uuid4().hex[:16]}")
            part.write_bytes(hashlib.sha256(content).digest() + content)
            part.replace(path)
        except OSError:
            # The disk is full, or a process with changed sources has just removed this folder. The
            # kernel is in memory, and another process compiles its own.
            return

    def flush(self) -> None:
        """Remove the files of this kernel."""
        for path in self.folder.glob(f"{self.name}.*"):
            path.unlink(missing_ok=True)

    def _remove_others(self) -> None:
        """Remove the folders of earlier sources."""
        for other in self.folder.parent.glob(f"{PREFIX}*"):
            if other != self.folder:
                shutil.rmtree(other, ignore_errors=True)


class SourceCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of one kernel, in files of ours.

    Where the files go is numba's choice: NUMBA_CACHE_DIR, else beside the source, else the user's
    cache folder.
    """

    def __init__(self, kernel: Callable[..., Any]) -> None:
        super().__init__(kernel)
        folder = Path(self._cache_path) / f"{PREFIX}{source_digest()}"
        stamp = self._impl.locator.get_source_stamp()
        self._cache_file = CompiledFiles(folder, self._impl.filename_base, stamp)


def cache_for(kernel: Callable[..., Any]) -> FunctionCache | NullCache:
    """Return the kernel's cache, one that keeps nothing where no folder can be written to."""
    try:
        return SourceCache(kernel)
    except RuntimeError:  # numba found no folder
        return NullCache()
