"""Checkpoints: a long run that was killed resumes, and has the draws of one that was not.

A folder holds, for each chain, a file to which its draws are appended and a small one with all that
its next sweep depends on, replaced every few seconds. That state says how many draws belong to it
and what their digest is, and carries a digest of its own, so that nothing damaged is ever used.
Draws written after the last state are written again, with the same values. A chain that is made
longer, and thins the draws it has, begins another file of draws. ``run.json`` says which
run it all belongs to; it is written first and removed last, and files without it mean nothing.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
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
from bayes_pref.inference.runtime.checkpoint_files import (
    BINARY,
    HEADER,
    allocate,
    open_regular,
    read_regular,
    replace_file,
    write_at,
)
from bayes_pref.inference.runtime.folder_lock import FolderLock
from bayes_pref.types import FloatArray

SECONDS = 5.0  # between two states of a chain
FORMAT = 4
OURS = re.compile(r"(chain-\d+\.(state|draws(-\d+)?)|run\.json)(\.part)?")
_BLOCK = 2**23  # bytes of draws that are copied, hashed and written at once
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
        self._file_number = dict.fromkeys(range(self.n_chains), 0)
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
                replace_file(self.folder / "run.json", self.about)
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
            content = read_regular(self._path(chain, "state"))
            if content is None:
                return None
            state = _parsed(content)
            if state is None or bytes(state.pop("_run")) != self._run_digest():
                raise self._damaged(f"chain-{chain}.state")
            expected = bytes(state.pop("_digest"))
            self._file_number[chain] = int(state.pop("_file_number"))
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
                self._open_draws(chain, size)
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
                "_file_number": self._file_number[chain],
            }
            buffer = io.BytesIO()
            np.savez(buffer, **state, **own)  # type: ignore[arg-type]
            content = buffer.getvalue()
            length = len(content).to_bytes(8, "little")
            seal = hashlib.sha256(length + content).digest()
            replace_file(self._path(chain, "state"), seal + length + content)
        except OSError as err:
            self._tell(f"could not be written ({err.strerror or err}): the run goes on without it")
        self._saved[chain] = time.monotonic()

    def rewrite(self, chain: int, state: Mapping[str, Any], kept: int) -> None:
        """Write a chain's state and its draws, which are other ones than before, to another file.

        The old file goes once the state no longer speaks of it.
        """
        old = self._draws_path(chain)
        os.close(self._files.pop(chain))
        self._file_number[chain] += 1
        self._written[chain], self._digests[chain] = 0, hashlib.blake2b(digest_size=32)
        self.save(chain, state, kept)
        if not self._told:
            old.unlink(missing_ok=True)

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

    def _open_draws(self, chain: int, size: int) -> None:
        """Open the file of a chain's draws, with room for all of them."""
        file = os.open(self._draws_path(chain), os.O_RDWR | os.O_CREAT | BINARY, 0o666)
        self._files[chain] = file
        allocate(file, size)

    def _append(self, chain: int, kept: int) -> None:
        """Write the draws since the last state."""
        parts = [each[chain].reshape(self.n_draws, -1) for each in self.arrays.values()]
        step = max(1, _BLOCK // max(1, self.row))
        start, digest = self._written[chain], self._digests[chain].copy()
        if chain not in self._files:
            self._open_draws(chain, self.n_draws * self.row)
        for first in range(start, kept, step):
            last = min(first + step, kept)
            block = np.concatenate([part[first:last] for part in parts], axis=1)
            view = block.data.cast("B") if block.size else memoryview(b"")
            write_at(self._files[chain], view, first * self.row)
            digest.update(view)
        if kept > start:
            os.fsync(self._files[chain])
        self._written[chain], self._digests[chain] = kept, digest

    def _read_draws(self, chain: int, kept: int, expected: bytes) -> None:
        """Read the draws that belong to a state into the arrays."""
        name = self._draws_path(chain).name
        if not 0 <= kept <= self.n_draws:
            raise self._damaged(f"chain-{chain}.state")
        parts = [each[chain].reshape(self.n_draws, -1) for each in self.arrays.values()]
        ends = np.cumsum([part.shape[1] for part in parts])[:-1]
        step = max(1, _BLOCK // max(1, self.row))
        digest = hashlib.blake2b(digest_size=32)
        file = open_regular(self._draws_path(chain))
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
        """Refuse a folder that belongs to another run, and name what differs."""
        content = read_regular(self.folder / "run.json", _LARGEST)
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
        other = ", ".join(key for key in old | new if old.get(key) != new.get(key))
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

    def _draws_path(self, chain: int) -> Path:
        number = self._file_number[chain]
        return self._path(chain, f"draws-{number}" if number else "draws")

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
    seal, length, rest = content[:32], content[32:HEADER], content[HEADER:]
    if len(rest) != int.from_bytes(length, "little"):
        return None
    if hashlib.sha256(length + rest).digest() != seal:
        return None
    with np.load(io.BytesIO(rest), allow_pickle=False) as file:
        return dict(file)
