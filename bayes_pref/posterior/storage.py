"""Posteriors as sealed NetCDF files: labelled arrays, and JSON for everything else.

Format 3 is an HDF5 file (`hdf5_image`) and a seal of 64 bytes (`seal`). It is made in memory and
written in one piece beside its destination, which always holds a complete file, the old one or the
new one. Files of formats 1 and 2, which have no seal but a checksum of each array, are read, too.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import xarray as xr

from bayes_pref.errors import DataError
from bayes_pref.posterior import format_1
from bayes_pref.posterior.hdf5_image import attribute, dataset_of, image_of, opened
from bayes_pref.posterior.seal import DamagedFile, is_hdf5, is_whole, seal
from bayes_pref.whole_files import Part, write_whole

FORMAT = 3
ELICITATION = "elicitation"  # the group that only a saved elicitation has
_SEALED = 3  # the first format with a seal
_FORMAT_ATTRIBUTE = "bayes_pref_format"
_VERSION_ATTRIBUTE = "bayes_pref_version"
_SETTINGS = ("model", "run", "seed", "findings")
_SETTINGS_1 = ("model", "engine", "seed", "findings")
try:
    _VERSION = version("bayes_pref")  # read now: later there may be no handle left for it
except PackageNotFoundError:
    _VERSION = "unknown"
_Result = TypeVar("_Result")
_BINARY = getattr(os, "O_BINARY", 0)
# The exceptions of HDF5, xarray and JSON for a damaged file.
_DAMAGED = (
    OSError, KeyError, ValueError, TypeError, IndexError, RuntimeError, AttributeError,
    OverflowError,
)  # fmt: skip


def write(
    path: str | os.PathLike[str],
    groups: Mapping[str, xr.Dataset],
    settings: Mapping[str, Any],
    *,
    compact: bool = False,
) -> None:
    """Write datasets and JSON settings to one file, completely or not at all.

    Parameters
    ----------
    path
        The file; an existing one is replaced. Any suffix will do, ``.nc`` is usual.
    groups
        Datasets by name of group.
    settings
        Values that JSON can hold, by name.
    compact
        Whether to round users' draws to their Monte Carlo error.

    Raises
    ------
    DataError
        If the folder does not exist or cannot be written to, or JSON cannot hold a value.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise DataError(f"cannot save to {path}: there is no folder {target.parent}; create it")
    if target.is_dir():
        raise DataError(f"cannot save to {path}: it is a folder; add a file name")
    header: dict[str, Any] = {name: _json(value, name) for name, value in settings.items()}
    header["groups"] = _json(list(groups), "groups")
    header |= {_FORMAT_ATTRIBUTE: FORMAT, _VERSION_ATTRIBUTE: _VERSION}

    def produce() -> Iterator[Part]:
        # Another thread makes the image, so that Ctrl-C never interrupts HDF5, and computes the
        # digest while this one writes.
        with ThreadPoolExecutor(1) as pool:
            image = _started(pool, partial(image_of, groups, header, compact=compact))()
            sealed = _started(pool, partial(seal, image))
            yield from image
            yield sealed()

    try:
        write_whole(target, produce)
    except OSError as err:
        reason = err.strerror or str(err)
        raise DataError(
            f"cannot save to {path}: {reason}; choose a folder with room that you may write to"
        ) from err
    except MemoryError as err:
        raise DataError(
            f"cannot save to {path}: the memory does not hold the file; free some, or thin the "
            "draws"
        ) from err


def read(path: str | os.PathLike[str]) -> tuple[dict[str, xr.Dataset], dict[str, Any]]:
    """Read what `write` wrote; files of format 1 are brought up to date.

    Returns
    -------
    groups, settings
        Datasets by name of group, held in memory, and the decoded JSON.

    Raises
    ------
    DataError
        If the file is missing, damaged, no saved posterior, or of a newer format.
    """
    try:
        # Without waiting for a writer, if it is a pipe.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            regular = stat.S_ISREG(status.st_mode)
            if not regular or not is_hdf5(file):
                raise DataError(f"cannot load {path}: it is not a file that Posterior.save wrote")
            with damage(path):
                return _read(path, file, status.st_size)
    except OSError as err:
        raise DataError(f"cannot load {path}: {err.strerror}; check the path") from err


def _read(
    path: str | os.PathLike[str], file: BinaryIO, size: int
) -> tuple[dict[str, xr.Dataset], dict[str, Any]]:
    """Return the groups and settings of a file, in the form of the present format."""
    sealed = is_whole(file)
    with opened(file) as image:
        if _FORMAT_ATTRIBUTE not in image.attrs:
            raise DataError(f"cannot load {path}: it is not a file that Posterior.save wrote")
        number = attribute(image, _FORMAT_ATTRIBUTE)
        if number > FORMAT:
            raise DataError(
                f"cannot load {path}: it has format {number}, written by bayes_pref "
                f"{attribute(image, _VERSION_ATTRIBUTE)}, and this version reads up to {FORMAT}; "
                "upgrade it"
            )
        if number < 1 or sealed != (number >= _SEALED):
            raise DamagedFile(f"format {number} with{'' if sealed else 'out'} a seal")
        names = _SETTINGS if number > 1 else _SETTINGS_1
        settings = {name: json.loads(attribute(image, name)) for name in names}
        groups = {
            name: dataset_of(image, name, size) for name in json.loads(attribute(image, "groups"))
        }
    return format_1.upgraded(groups, settings) if number == 1 else (groups, settings)


def _started(pool: ThreadPoolExecutor, call: Callable[[], _Result]) -> Callable[[], _Result]:
    """Start a call in a thread; return what waits for its result."""
    try:
        return pool.submit(call).result
    except RuntimeError:  # no thread can start: Python is ending, or a limit is reached
        return call


@contextmanager
def refusals(what: str, path: str | os.PathLike[str]) -> Iterator[None]:
    """Say in refusals which file cannot be loaded or saved."""
    try:
        yield
    except DataError as err:
        start = f"cannot {what} {path}: "
        raise err if str(err).startswith(start) else DataError(f"{start}{err}") from err


@contextmanager
def damage(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the exceptions that a damaged file causes into one sentence."""
    try:
        with refusals("load", path):
            yield
    except DataError:
        raise
    except MemoryError as err:
        raise DataError(f"cannot load {path}: the memory does not hold it; free some") from err
    except _DAMAGED as err:
        raise DataError(
            f"cannot load {path}: the file is cut short or damaged; save the posterior again, "
            "or fetch another copy"
        ) from err


def _json(value: Any, name: str) -> str:
    try:
        return json.dumps(value, default=_number)
    except TypeError as err:
        raise DataError(f"cannot save {name}: {err}; use plain numbers and text") from err


def _number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be stored as JSON")
