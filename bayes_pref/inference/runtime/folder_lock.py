"""A lock on a folder that ends with the process that holds it, however that ends."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import suppress
from pathlib import Path

from bayes_pref.errors import ModelError

try:
    import fcntl
except ImportError:  # Windows, where a lock holds within a process only
    fcntl = None  # type: ignore[assignment]

# Folders locked by this process, (process, device, file): the system's locks are between processes.
_HELD: set[tuple[int, int, int]] = set()
_GUARD = threading.Lock()

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}  # of some network disks


class FolderLock:
    """A lock that one run at a time holds on a folder.

    Parameters
    ----------
    folder
        Must exist when the lock is acquired.
    name
        Of the file in it that is locked; removed on release.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     lock = FolderLock(Path(folder), "run.lock")
    ...     lock.acquire()
    ...     lock.release()
    ...     list(Path(folder).iterdir())
    []
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.path = folder / name
        self._file: int | None = None
        self._key = (0, 0, 0)

    def acquire(self) -> None:
        """Take the lock.

        Raises
        ------
        ModelError
            If it is held already, by this process or another.
        """
        found = self.folder.stat()
        key = (os.getpid(), found.st_dev, found.st_ino)
        with _GUARD:
            # Asked first: closing any handle of the file would end the lock that this process has.
            if key in _HELD:
                raise self._in_use()
            self._file, self._key = self._locked(), key
            _HELD.add(key)

    def release(self) -> None:
        """Give the lock back, if it is held."""
        if self._file is None:
            return
        with _GUARD:
            with suppress(OSError):  # what counts is the lock: a file left over locks nobody out
                self.path.unlink()
            os.close(self._file)
            self._file = None
            _HELD.discard(self._key)

    def _locked(self) -> int:
        """Open the file and lock it; not one that its holder removes meanwhile."""
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                if fcntl is not None:
                    # Not flock, which a process that was forked meanwhile would go on holding.
                    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(file), self.path.stat()):
                        return file
            except (BlockingIOError, PermissionError) as err:
                os.close(file)
                raise self._in_use() from err
            except OSError as err:
                if err.errno in _NO_LOCKS:
                    return file
                os.close(file)
                raise
            os.close(file)

    def _in_use(self) -> ModelError:
        return ModelError(
            f"checkpoint {str(self.folder)!r} is in use by another fit: wait for it, or give each "
            "fit a folder of its own"
        )
