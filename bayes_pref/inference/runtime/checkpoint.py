"""Checkpoints: a long run that was killed resumes, and has the draws of one that was not.

A folder holds the draws in ``.npy`` files, which the chains write directly, and for each chain a
small ``.npz`` with all that its next sweep depends on, replaced every few seconds. Draws written
after the last state are written again, with the same values.
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_pref.errors import ModelError

SECONDS = 5.0  # between two states of a chain


class Checkpoint:
    """The folder of one run.

    Parameters
    ----------
    folder
        Created if it does not exist.
    run
        What the draws depend on: settings, seed, and a digest of the data; ready for JSON.
    shapes
        Name -> shape of the arrays of draws, all chains.

    Raises
    ------
    ModelError
        If the folder belongs to another run or cannot be used.
    """

    def __init__(
        self, folder: Path, run: dict[str, Any], shapes: dict[str, tuple[int, ...]]
    ) -> None:
        self.folder = folder
        self._saved: dict[int, float] = {}
        about = folder / "run.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            resumed = about.exists()
            if resumed and (other := _differing(json.loads(about.read_text()), run)):
                raise ModelError(
                    f"checkpoint {str(folder)!r} belongs to another run ({other} differ): "
                    "give another folder, or delete it to start afresh"
                )
            mode = "r+" if resumed else "w+"
            self.draws = {
                name: np.lib.format.open_memmap(
                    folder / f"{name}.npy", mode=mode, dtype=np.float64, shape=shape
                )
                for name, shape in shapes.items()
            }
            if not resumed:
                _replace(about, json.dumps(run).encode())
        except (OSError, ValueError) as err:
            if isinstance(err, ModelError):
                raise
            raise ModelError(
                f"checkpoint {str(folder)!r} cannot be used ({err}): give a folder that can be "
                "written, or delete it to start afresh"
            ) from err

    def load(self, chain: int) -> dict[str, Any] | None:
        """Return the last state of a chain, or None if it has none."""
        path = self._path(chain)
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as file:
            return dict(file)

    def save(self, chain: int, state: dict[str, Any], *, now: bool = False) -> None:
        """Write a chain's state, unless the last one is a few seconds old."""
        moment = time.monotonic()
        if not now and moment - self._saved.setdefault(chain, moment) < SECONDS:
            return
        for array in self.draws.values():
            array.flush()
        path = self._path(chain)
        part = path.with_suffix(".part.npz")
        np.savez(part, **state)
        part.replace(path)
        self._saved[chain] = time.monotonic()

    def remove(self) -> None:
        """Delete the files: the run is complete."""
        for pattern in ("run.json", "*.npy", "chain-*.npz"):
            for path in self.folder.glob(pattern):
                path.unlink()
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _path(self, chain: int) -> Path:
        return self.folder / f"chain-{chain}.npz"


def digest(*arrays: NDArray[Any]) -> str:
    """Return a fingerprint of arrays."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(str((array.shape, array.dtype)).encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def _differing(old: dict[str, Any], new: dict[str, Any]) -> str:
    return ", ".join(key for key in new if old.get(key) != new[key])


def _replace(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)
