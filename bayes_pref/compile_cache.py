"""Numba's compiled code on disk, where the disk allows it, and nothing that can fail elsewhere.

Numba's own cache raises where it finds no folder to write to, as in a container whose package is
read-only and whose user has no home, and where a file of it is empty, cut or garbage. Here a file
is sealed with its digest: one that is not what was written is replaced by code compiled anew.
A file is written whole under another name and then renamed, and its name is a digest of its
signature, so that processes that start at once neither wait for nor overwrite each other.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache
from numba.core.serialize import dumps

_CHECKSUM = hashlib.sha256().digest_size
_OLD = 600.0  # seconds after which a file under its other name is one of a killed process


class CompiledFiles:
    """The files of one function: one for each signature, processor and version of numba.

    Parameters
    ----------
    folder
        Made when the first file is written.
    name
        Beginning of the files' names.
    stamp
        Whatever else decides whether a file is current.
    prefix
        Folders beside it whose names begin with this are removed when it is made; empty: none.
    """

    def __init__(self, folder: Path, name: str, stamp: object, prefix: str = "") -> None:
        self.folder = folder
        self.name = name
        self.stamp = (numba.__version__, sys.implementation.cache_tag, stamp)
        self.prefix = prefix

    def path(self, key: tuple[Any, ...]) -> Path:
        """Return the file of a key: signature, processor, bytecode."""
        digest = hashlib.sha256(repr((self.stamp, key)).encode()).hexdigest()
        return self.folder / f"{self.name}.{digest[:16]}.nbc"

    def load(self, key: tuple[Any, ...]) -> Any:
        """Read what `save` wrote, or return None: it is not there, or not whole."""
        path = self.path(key)
        try:
            content = path.read_bytes() if path.is_file() else b""
        except OSError:
            return None
        checksum, data = content[:_CHECKSUM], content[_CHECKSUM:]
        if hashlib.sha256(data).digest() != checksum:
            return None
        try:
            return pickle.loads(data)
        except Exception:  # noqa: BLE001  of a version that numba's number does not tell of
            return None

    def save(self, key: tuple[Any, ...], data: Any) -> None:
        """Write the compiled code of a key, if the disk takes it."""
        content, path = dumps(data), self.path(key)
        part = path.with_name(f"{path.name}.{uuid.uuid4().hex[:16]}")
        try:
            if not self.folder.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                self._remove_others()
            self._remove_parts(path)
            if path.is_dir():
                shutil.rmtree(path)
            part.write_bytes(hashlib.sha256(content).digest() + content)
            part.replace(path)
        except OSError:
            # The disk is full, or a process with changed sources has just removed this folder. The
            # code is in memory, and another process compiles its own.
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def flush(self) -> None:
        """Remove the files of this function."""
        for path in self.folder.glob(f"{self.name}.*"):
            path.unlink(missing_ok=True)

    def _remove_others(self) -> None:
        """Remove the folders of earlier sources."""
        for other in self.folder.parent.glob(f"{self.prefix}*") if self.prefix else ():
            if other != self.folder:
                shutil.rmtree(other, ignore_errors=True)

    def _remove_parts(self, path: Path) -> None:
        """Remove what processes that were killed have left of a file."""
        for part in self.folder.glob(f"{path.name}.*"):
            if time.time() - part.stat().st_mtime > _OLD:
                part.unlink(missing_ok=True)


class SealedCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function, in files of ours.

    Where the files go is numba's choice: NUMBA_CACHE_DIR, else beside the source, else the user's
    cache folder.

    Parameters
    ----------
    function
        What is compiled.
    folder
        Name of the folder there.
    prefix
        See `CompiledFiles`.
    """

    def __init__(self, function: Callable[..., Any], folder: str, prefix: str = "") -> None:
        self._impl_class = _impl_class()
        super().__init__(function)
        stamp = self._impl.locator.get_source_stamp()
        place = Path(self._cache_path) / folder
        self._cache_file = CompiledFiles(place, self._impl.filename_base, stamp, prefix)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Read compiled code, or return None if there is none that can be used."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001  whatever is wrong with it, it can be compiled anew
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep compiled code, if the disk takes it."""
        with suppress(OSError):
            super().save_overload(sig, data)


def sealed_cache(
    function: Callable[..., Any], folder: str, prefix: str = ""
) -> SealedCache | NullCache:
    """Return a function's cache, one that keeps nothing where no folder can be written to.

    Parameters
    ----------
    function, folder, prefix
        See `SealedCache`.
    """
    try:
        return SealedCache(function, folder, prefix)
    except (RuntimeError, OSError):  # numba found no folder
        return NullCache()


class _Homeless(CompileResultCacheImpl):  # type: ignore[misc]
    """Numba's choice of a folder, less the user's: without a home it would be one called ``~``."""

    _locator_classes = tuple(
        each for each in CompileResultCacheImpl._locator_classes if "UserWide" not in each.__name__
    )


def _impl_class() -> type[CompileResultCacheImpl]:
    try:
        home = Path.home().is_absolute()
    except RuntimeError:
        home = False
    return CompileResultCacheImpl if home or os.environ.get("XDG_CACHE_HOME") else _Homeless
