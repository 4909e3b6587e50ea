"""Posteriors as NetCDF files: labelled arrays with checksums, and JSON for everything else.

A file holds one group per dataset. Arrays are stored unchanged. The labels of a dimension are
stored as JSON bytes, which keep their types, and once more as text, for other programs. A file is
written beside its destination and then renamed, so that the destination always holds a complete
file, the old one or the new one.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayes_pref.errors import DataError
from bayes_pref.posterior import format_1
from bayes_pref.posterior.labels import decode_index, encode_index, from_json_bytes, json_bytes

FORMAT = 2
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FORMAT_ATTRIBUTE = "bayes_pref_format"
_CHUNK_BYTES = 4 * 2**20
# The exceptions of HDF5, xarray and JSON for a damaged file.
_DAMAGED = (OSError, KeyError, ValueError, TypeError, IndexError, RuntimeError, AttributeError)


def write(
    path: str | os.PathLike[str], groups: Mapping[str, xr.Dataset], settings: Mapping[str, Any]
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
    header |= {_FORMAT_ATTRIBUTE: FORMAT, "bayes_pref_version": _library_version()}
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        # Created before any work, so that missing permissions are found at once; and by os.open,
        # so that the file has the usual permissions of the user's new files.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        xr.Dataset(attrs=header).to_netcdf(temporary, mode="w", engine="h5netcdf")
        for name, dataset in groups.items():
            stored = _stored(dataset)
            stored.to_netcdf(
                temporary, mode="a", group=name, engine="h5netcdf", encoding=_encoding(stored)
            )
        _replace(temporary, target)
    except OSError as err:
        reason = err.strerror or str(err)
        raise DataError(
            f"cannot save to {path}: {reason}; choose a folder with room that you may write to"
        ) from err
    finally:
        temporary.unlink(missing_ok=True)


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
        with Path(path).open("rb") as file:
            signature = file.read(len(_SIGNATURE))
    except OSError as err:
        raise DataError(f"cannot load {path}: {err.strerror}; check the path") from err
    if signature != _SIGNATURE:
        raise DataError(f"cannot load {path}: it is not a file that Posterior.save wrote")
    with damage(path):
        header = xr.load_dataset(path, engine="h5netcdf").attrs
    if _FORMAT_ATTRIBUTE not in header:
        raise DataError(f"cannot load {path}: it is not a file that Posterior.save wrote")
    if header[_FORMAT_ATTRIBUTE] > FORMAT:
        raise DataError(
            f"cannot load {path}: it has format {header[_FORMAT_ATTRIBUTE]}, written by bayes_pref "
            f"{header['bayes_pref_version']}, and this version reads up to {FORMAT}; upgrade it"
        )
    with damage(path):
        plain = {_FORMAT_ATTRIBUTE, "bayes_pref_version"}
        settings = {key: json.loads(value) for key, value in header.items() if key not in plain}
        groups = {
            name: _restored(
                xr.load_dataset(path, group=name, engine="h5netcdf", decode_times=False)
            )
            for name in settings.pop("groups")
        }
        if header[_FORMAT_ATTRIBUTE] == 1:
            return format_1.upgraded(groups, settings)
    return groups, settings


@contextmanager
def damage(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the exceptions that a damaged file causes into one sentence."""
    try:
        yield
    except DataError:
        raise
    except _DAMAGED as err:
        raise DataError(
            f"cannot load {path}: the file is cut short or damaged; save the posterior again, "
            "or fetch another copy"
        ) from err


def _stored(dataset: xr.Dataset) -> xr.Dataset:
    """Replace the labels of each dimension by plain text and by JSON bytes."""
    stored = dataset.drop_vars(list(dataset.coords))
    for dim, index in dataset.indexes.items():
        stored[f"{dim}_labels"] = (f"{dim}_labels_byte", json_bytes(encode_index(index)))
        text = index.to_numpy() if index.dtype.kind in "iuf" else [str(label) for label in index]
        stored = stored.assign_coords({dim: text})
    return stored


def _restored(stored: xr.Dataset) -> xr.Dataset:
    """Undo `_stored`."""
    dims = [dim for dim in stored.dims if f"{dim}_labels" in stored]
    labels = {
        dim: decode_index(from_json_bytes(stored[f"{dim}_labels"].to_numpy())) for dim in dims
    }
    dataset = stored.drop_vars([f"{dim}_labels" for dim in dims]).assign_coords(labels)
    for variable in dataset.variables.values():
        variable.encoding = {}
    return dataset.drop_encoding()


def _encoding(dataset: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Request checksums for every array, in chunks that are contiguous in memory."""
    encoding = {}
    for name, variable in dataset.data_vars.items():
        if variable.size:
            shape, chunk = list(variable.shape), variable.nbytes
            for axis, length in enumerate(variable.shape):
                chunk //= length
                shape[axis] = int(np.clip(_CHUNK_BYTES // max(chunk, 1), 1, length))
                if shape[axis] > 1:
                    break
            encoding[str(name)] = {"fletcher32": True, "chunksizes": tuple(shape)}
    return encoding


def _replace(temporary: Path, target: Path) -> None:
    """Move a finished file into place once it is on the disk."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    if target.exists():
        shutil.copymode(target, temporary)
    temporary.replace(target)
    if os.name == "posix":  # elsewhere a folder cannot be opened, and renames are durable
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _json(value: Any, name: str) -> str:
    try:
        return json.dumps(value, default=_number)
    except TypeError as err:
        raise DataError(f"cannot save {name}: {err}; use plain numbers and text") from err


def _number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be stored as JSON")


def _library_version() -> str:
    try:
        return version("bayes_pref")
    except PackageNotFoundError:
        return "unknown"
