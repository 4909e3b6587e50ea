"""Checkpoints: a long run that was killed resumes, and has the draws of one that was not.

A folder holds, for each chain, a file to which its draws are appended and a small one with all that
its next sweep depends on, replaced every few seconds. That state says how many draws belong to it
and what their digest is, and carries a digest of its own, so that nothing damaged is ever used.
Draws written after the last state are written again, with the same values. ``run.json`` says which
run it all belongs to; it is written first and removed last, and files without it mean nothing.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import stat
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_pref.errors import ModelError
from bayes_pref.inference.runtime.folder_lock import FolderLock
from bayes_pref.types import FloatArray

SECONDS = 5.0  # between two states of a chain
FORMAT = 2
OURS = re.compile(r"(chain-\d+\.(state|draws)|run\.json)(\.part)?")
_BLOCK = 2**23  # bytes of draws that are copied, hashed and written at once
_HEADER = 32 + 8  # of a state: its digest and its length
_LARGEST = 2**20  # bytes of run.json


class Checkpoint:
    """The folder of one run, locked against other runs from `with` to the end of the block.

    Parameters
    ----------
    folder
        Created if it does not exist.
    run
        What the draws depend on: settings, seed, and a digest of the data; ready for JSON.
    arrays
        Name -> (chain, draw, ...) where the chains write their draws.

    Raises
    ------
    ModelError
        If the folder belongs to another run, is in use, or cannot be used.
    """

    def __init__(
        self, folder: Path, run: Mapping[str, Any], arrays: Mapping[str, FloatArray]
    ) -> None:
        self.folder = folder
        self.about = json.dumps({"format": FORMAT, **run}).encode()
        self.arrays = arrays
        self.n_chains, self.n_draws = next(iter(arrays.values())).shape[:2]
        self.row = 8 * sum(int(np.prod(each.shape[2:])) for each in arrays.values())
        self._files: dict[int, int] = {}
        self._digests = {chain: hashlib.blake2b(digest_size=32) for chain in range(self.n_chains)}
        self._written = dict.fromkeys(range(self.n_chains), 0)
        self._saved: dict[int, float] = {}
        self._told = False
        self._lock = FolderLock(folder, "run.lock")

    def __enter__(self) -> Checkpoint:
        """Lock the folder; see that it belongs to this run, or make it do so."""
        made = not self.folder.exists()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            if os.path.lexists(self.folder / "run.json"):
                self._check_run()
                self._clear(only_parts=True)
            else:
                self._clear()
                _replace(self.folder / "run.json", self.about)
        except OSError as err:
            self._close()
            if made:
                with suppress(OSError):
                    self.folder.rmdir()
            raise self._unusable(err) from err
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Unlock the folder."""
        self._close()

    def load(self, chain: int) -> dict[str, Any] | None:
        """Return the last state of a chain, its draws in their arrays, or None if it has none.

        Raises
        ------
        ModelError
            If the state or the draws that belong to it are damaged.
        """
        try:
            content = _read(self._path(chain, "state"))
            if content is None:
                return None
            state = _parsed(content)
            if state is None or bytes(state.pop("_run")) != self._run_digest():
                raise self._damaged(f"chain-{chain}.state")
            expected = bytes(state.pop("_digest"))
            self._read_draws(chain, int(state.pop("_kept")), expected)
        except OSError as err:
            raise self._unusable(err) from err
        except KeyError as err:
            raise self._damaged(f"chain-{chain}.state") from err
        return state

    def reserve(self) -> None:
        """Make room on the disk for all draws, so that a long run does not end with a full one.

        Raises
        ------
        ModelError
            If there is no room.
        """
        size = self.n_draws * self.row
        try:
            for chain in range(self.n_chains):
                file = os.open(self._path(chain, "draws"), os.O_RDWR | os.O_CREAT | _BINARY, 0o666)
                self._files[chain] = file
                _allocate(file, size)
        except OSError as err:
            self._close_files()
            if not any(self._written.values()):  # nothing is lost with it
                self.remove()
            if err.errno not in _NO_ROOM:
                raise self._unusable(err) from err
            raise ModelError(
                f"checkpoint {str(self.folder)!r} has no room for {self.n_chains * size / 1e6:.3g} "
                f"MB of draws ({err.strerror or err}): free some, give another folder, or ask for "
                "fewer draws"
            ) from err

    def due(self, chain: int) -> bool:
        """Whether a chain's last state is a few seconds old."""
        now = time.monotonic()
        return now - self._saved.setdefault(chain, now) >= SECONDS

    def save(self, chain: int, state: Mapping[str, Any], kept: int) -> None:
        """Write a chain's state and the draws that belong to it.

        A disk that takes no more is told of in a warning: the run goes on, and what was saved
        before stays valid.

        Parameters
        ----------
        state
            Arrays and text.
        kept
            Number of draws of the chain so far.
        """
        try:
            self._append(chain, kept)
            own = {
                "_run": np.frombuffer(self._run_digest(), np.uint8),
                "_kept": kept,
                "_digest": np.frombuffer(self._digests[chain].digest(), np.uint8),
            }
            buffer = io.BytesIO()
            np.savez(buffer, **state, **own)  # type: ignore[arg-type]
            content = buffer.getvalue()
            length = len(content).to_bytes(8, "little")
            seal = hashlib.sha256(length + content).digest()
            _replace(self._path(chain, "state"), seal + length + content)
        except OSError as err:
            self._tell(f"could not be written ({err.strerror or err}): the run goes on without it")
        self._saved[chain] = time.monotonic()

    def remove(self) -> None:
        """Delete the files, ``run.json`` last: the run is complete."""
        try:
            self._close_files()
            self._clear()
            (self.folder / "run.json").unlink(missing_ok=True)
            self._lock.release()
            if not any(self.folder.iterdir()):
                self.folder.rmdir()
        except OSError as err:
            self._tell(f"could not be removed ({err.strerror or err}): delete it")

    def _append(self, chain: int, kept: int) -> None:
        """Write the draws since the last state."""
        parts = [each[chain].reshape(self.n_draws, -1) for each in self.arrays.values()]
        step = max(1, _BLOCK // max(1, self.row))
        start, digest = self._written[chain], self._digests[chain].copy()
        for first in range(start, kept, step):
            last = min(first + step, kept)
            block = np.concatenate([part[first:last] for part in parts], axis=1)
            view = block.data.cast("B") if block.size else memoryview(b"")
            _write_at(self._files[chain], view, first * self.row)
            digest.update(view)
        if kept > start:
            os.fsync(self._files[chain])
        self._written[chain], self._digests[chain] = kept, digest

    def _read_draws(self, chain: int, kept: int, expected: bytes) -> None:
        """Read the draws that belong to a state into the arrays."""
        name = f"chain-{chain}.draws"
        if not 0 <= kept <= self.n_draws:
            raise self._damaged(f"chain-{chain}.state")
        parts = [each[chain].reshape(self.n_draws, -1) for each in self.arrays.values()]
        ends = np.cumsum([part.shape[1] for part in parts])[:-1]
        step = max(1, _BLOCK // max(1, self.row))
        digest = hashlib.blake2b(digest_size=32)
        file = _open_regular(self._path(chain, "draws"))
        if file is None:
            raise self._damaged(name)
        with os.fdopen(file, "rb") as source:
            if os.fstat(file).st_size < kept * self.row:
                raise self._damaged(name)
            for first in range(0, kept, step):
                last = min(first + step, kept)
                content = source.read((last - first) * self.row)
                digest.update(content)
                if len(content) != (last - first) * self.row:
                    raise self._damaged(name)
                rows = np.frombuffer(content).reshape(last - first, -1)
                for part, values in zip(parts, np.split(rows, ends, axis=1), strict=True):
                    part[first:last] = values
        if digest.digest() != expected:
            raise self._damaged(name)
        self._written[chain], self._digests[chain] = kept, digest

    def _check_run(self) -> None:
        content = _read(self.folder / "run.json", _LARGEST)
        if content == self.about:
            return
        try:
            old = json.loads(content or b"")
        except (ValueError, RecursionError) as err:
            raise self._damaged("run.json") from err
        if not isinstance(old, dict):
            raise self._damaged("run.json")
        if old.get("format") != FORMAT:
            raise ModelError(
                f"checkpoint {str(self.folder)!r} was written by another version of bayes_pref: "
                "give another folder, or delete it to start afresh"
            )
        new = json.loads(self.about)
        other = ", ".join(key for key in new if old.get(key) != new[key])
        if not other:
            raise self._damaged("run.json")
        raise ModelError(
            f"checkpoint {str(self.folder)!r} belongs to another run ({other} differ): "
            "give another folder, or delete it to start afresh"
        )

    def _clear(self, *, only_parts: bool = False) -> None:
        """Delete files of ours but ``run.json``; a state before the draws that it speaks of."""
        names = [entry.name for entry in os.scandir(self.folder) if OURS.fullmatch(entry.name)]
        for name in sorted(names, reverse=True):
            if name != "run.json" and (not only_parts or name.endswith(".part")):
                (self.folder / name).unlink()

    def _path(self, chain: int, what: str) -> Path:
        return self.folder / f"chain-{chain}.{what}"

    def _run_digest(self) -> bytes:
        return hashlib.sha256(self.about).digest()

    def _tell(self, what: str) -> None:
        if not self._told:
            self._told = True
            warnings.warn(f"checkpoint {str(self.folder)!r} {what}", RuntimeWarning, stacklevel=5)

    def _damaged(self, name: str) -> ModelError:
        return ModelError(
            f"checkpoint {str(self.folder)!r} is damaged ({name} is not what was written): delete "
            "it to start afresh, or give another folder"
        )

    def _unusable(self, err: OSError) -> ModelError:
        return ModelError(
            f"checkpoint {str(self.folder)!r} cannot be used ({err}): give a folder that can be "
            "written, or delete it to start afresh"
        )

    def _close_files(self) -> None:
        while self._files:
            os.close(self._files.popitem()[1])

    def _close(self) -> None:
        self._close_files()
        self._lock.release()


_BINARY = getattr(os, "O_BINARY", 0)  # of Windows
_NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


def digest(*arrays: NDArray[Any]) -> str:
    """Return a fingerprint of arrays."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(str((array.shape, array.dtype)).encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def _parsed(content: bytes) -> dict[str, Any] | None:
    """Arrays of a state, or None if it is not what was written."""
    seal, length, rest = content[:32], content[32:_HEADER], content[_HEADER:]
    if len(rest) != int.from_bytes(length, "little"):
        return None
    if hashlib.sha256(length + rest).digest() != seal:
        return None
    with np.load(io.BytesIO(rest), allow_pickle=False) as file:
        return dict(file)


def _open_regular(path: Path) -> int | None:
    """Open a file to read it, or return None if it is not there or is no file."""
    try:
        # Whoever opens a pipe without this flag waits for a writer.
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    except FileNotFoundError:
        return None
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    return None


def _read(path: Path, largest: int | None = None) -> bytes | None:
    """Content of a file, empty if it is no file or larger; None if it is not there."""
    file = _open_regular(path)
    if file is None:
        return b"" if os.path.lexists(path) else None
    with os.fdopen(file, "rb") as source:
        header = source.read(_HEADER)
        size = os.fstat(file).st_size
        if largest is None:
            largest = _HEADER + int.from_bytes(header[32:], "little")
        return header + source.read() if size <= largest else b""


def _allocate(file: int, size: int) -> None:
    """Have the file system set bytes aside, where it can."""
    if not size or not hasattr(os, "posix_fallocate"):  # macOS and Windows have none
        return
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as err:
        if err.errno not in {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise


def _write_at(file: int, view: memoryview, offset: int) -> None:
    """Write all of it: the system may take less at once."""
    while view:
        if hasattr(os, "pwrite"):
            done = os.pwrite(file, view, offset)
        else:  # Windows
            os.lseek(file, offset, os.SEEK_SET)
            done = os.write(file, view)
        view, offset = view[done:], offset + done


def _replace(path: Path, content: bytes) -> None:
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
