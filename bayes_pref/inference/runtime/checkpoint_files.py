"""Files of a checkpoint: opened only if regular, written whole, with room set aside."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

HEADER = 32 + 8  # of a state: its digest and its length
BINARY = getattr(os, "O_BINARY", 0)  # of Windows


def open_regular(path: Path) -> int | None:
    """Open a file to read it, or return None if it is not there or is no file."""
    try:
        # Whoever opens a pipe without this flag waits for a writer.
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | BINARY)
    except FileNotFoundError:
        return None
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    return None


def read_regular(path: Path, largest: int | None = None) -> bytes | None:
    """Content of a file, empty if it is no file or larger; None if it is not there."""
    file = open_regular(path)
    if file is None:
        return b"" if os.path.lexists(path) else None
    with os.fdopen(file, "rb") as source:
        header = source.read(HEADER)
        size = os.fstat(file).st_size
        if largest is None:
            largest = HEADER + int.from_bytes(header[32:], "little")
        return header + source.read() if size <= largest else b""


def allocate(file: int, size: int) -> None:
    """Have the file system set bytes aside, where it can."""
    if not size or not hasattr(os, "posix_fallocate"):  # macOS and Windows have none
        return
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as err:
        if err.errno not in {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise


def write_at(file: int, view: memoryview, offset: int) -> None:
    """Write all of it: the system may take less at once."""
    while view:
        if hasattr(os, "pwrite"):
            done = os.pwrite(file, view, offset)
        else:  # Windows
            os.lseek(file, offset, os.SEEK_SET)
            done = os.write(file, view)
        view, offset = view[done:], offset + done


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole under another name, then give it its own."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
