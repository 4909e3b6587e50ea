"""Files that are written completely or not at all.

A file is written under a temporary name in the folder of its destination, put on the disk, and
renamed, so that the destination always holds a complete file, the old one or the new one. Its
writer keeps the temporary file locked. The system drops the lock when the writer dies, however it
dies: a temporary file that can be locked was left by a killed process, and the next write into the
folder removes it.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TypeAlias
from uuid import uuid4

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows, which lets nobody remove a file that is open
    fcntl = None

Part: TypeAlias = bytes | memoryview

_TEMPORARY = re.compile(r"\..+\.\d+-[0-9a-f]{16}\.unfinished", re.DOTALL)
_LONGEST = 120  # characters of the destination's name in that of its temporary file
_AT_ONCE = 2**28  # bytes of a system call: between two, an interrupt is noticed


def write_whole(target: Path, produce: Callable[[], Iterable[Part]]) -> None:
    """Write a file completely or not at all; temporary files of killed processes are removed.

    Parameters
    ----------
    target
        The file; an existing one is replaced, and keeps its permissions.
    produce
        Returns the contents, in parts. Called once the temporary file exists, so that a folder that
        cannot be written to is found before any work.

    Raises
    ------
    OSError
        If the file cannot be written; what was there is as it was.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder, "note.txt"), lambda: [b"two ", b"parts"])
    ...     Path(folder, "note.txt").read_text()
    'two parts'
    """
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "it is a folder or a device, no file", str(target))
    remove_unfinished(target.parent)
    descriptor, temporary = _temporary_of(target)
    try:
        for part in produce():
            _write(descriptor, memoryview(part).cast("B"))
        os.fsync(descriptor)
        if target.exists():
            shutil.copymode(target, temporary)
        if fcntl is None:  # Windows renames no open file
            os.close(descriptor)
            descriptor = -1
        temporary.replace(target)
    finally:
        with suppress(OSError):
            temporary.unlink()
        if descriptor >= 0:
            os.close(descriptor)
    _sync_folder(target.parent)


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files of `write_whole` that killed processes left in a folder."""
    with suppress(OSError):  # tidying up must never be what fails
        # A loop over files: few have such a name.
        for path in folder.iterdir():
            if _TEMPORARY.fullmatch(path.name):
                with suppress(OSError):
                    _remove_abandoned(path)


def _remove_abandoned(path: Path) -> None:
    """Remove a temporary file, unless its writer is alive."""
    if fcntl is None:
        path.unlink()
        return
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    finally:
        os.close(descriptor)


def _temporary_of(target: Path) -> tuple[int, Path]:
    """Create a temporary file for a destination, and lock it."""
    while True:
        number = f"{os.getpid()}-{uuid4().hex[:16]}"
        path = target.with_name(f".{target.name[:_LONGEST]}.{number}.unfinished")
        # By os.open, so that it has the usual permissions of the user's new files.
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags, 0o666)
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks: nobody removes the file there
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        if fcntl is None or os.fstat(descriptor).st_nlink:
            return descriptor, path
        os.close(descriptor)  # somebody found it before it was locked, and removed it


def _write(descriptor: int, part: memoryview) -> None:
    while part:
        part = part[os.write(descriptor, part[:_AT_ONCE]) :]


def _sync_folder(folder: Path) -> None:
    """Make a rename durable. The new file is in place by now, so no failure is reported."""
    if os.name == "posix":  # elsewhere a folder cannot be opened, and renames are durable
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
