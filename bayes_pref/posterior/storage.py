"""Posteriors as NetCDF files: labelled arrays with checksums, and JSON for everything else.

A file holds one group per dataset. Arrays are stored as they are; the labels of a dimension are
stored as JSON bytes beside them, which keeps their types, and once more as text, for other
programs. A file is written beside its destination and then renamed, so that the destination
always holds a whole file: the old one or the new one.
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
import pandas as pd
import xarray as xr

from bayes_pref.data import Comparisons, Features, Outcome, Representation
from bayes_pref.errors import DataError
from bayes_pref.posterior.labels import decode_index, encode_index
from bayes_pref.text.text_features import TextFeatures

FORMAT = 1
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FORMAT_ATTRIBUTE = "bayes_pref_format"
_CHUNK_BYTES = 4 * 2**20
# What HDF5, xarray and the decoding of JSON raise on a file whose bytes are not what was written.
_DAMAGED = (OSError, KeyError, ValueError, TypeError, IndexError, RuntimeError, AttributeError)


def write(
    path: str | os.PathLike[str], groups: Mapping[str, xr.Dataset], settings: Mapping[str, Any]
) -> None:
    """Write datasets and JSON settings to one file, whole or not at all.

    Parameters
    ----------
    path
        Where to; an existing file is replaced. Any suffix will do, ``.nc`` is usual.
    groups
        Datasets by name of group.
    settings
        What JSON can hold, by name.

    Raises
    ------
    DataError
        If the folder does not exist or cannot be written to, or something has no place in JSON.
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
        # Created first, and by ourselves, so that a folder without permission is found out before
        # any work and the file has the permissions that the user's other new files have.
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
    """Read what `write` wrote.

    Returns
    -------
    groups, settings
        Datasets by name of group, held in memory, and the decoded JSON.

    Raises
    ------
    DataError
        If the file is missing, damaged, of another kind, or of a newer format.
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
    return groups, settings


@contextmanager
def damage(path: str | os.PathLike[str]) -> Iterator[None]:
    """Say that a file is damaged, whatever its bytes make the code inside trip over."""
    try:
        yield
    except DataError:
        raise
    except _DAMAGED as err:
        raise DataError(
            f"cannot load {path}: the file is cut short or damaged; save the posterior again, "
            "or fetch another copy"
        ) from err


def comparisons_dataset(comparisons: Comparisons) -> xr.Dataset:
    """Comparisons as a dataset: arrays as they are, labels and names as JSON bytes."""
    catalogue = comparisons.catalogue
    described = {
        "users": encode_index(comparisons.users),
        "rows": encode_index(comparisons.rows),
        "attributes": comparisons.features.attributes,
        "contexts": comparisons.features.contexts,
        "interactions": comparisons.features.interactions,
        "indicators": comparisons.features.indicators,
        "covariate_names": comparisons.covariate_names,
        "user_name": comparisons.user_name,
        "choice_name": comparisons.choice_name,
        "items": None if catalogue is None else encode_index(catalogue.index),
        "item_columns": None if catalogue is None else encode_index(catalogue.columns),
    }
    dataset = xr.Dataset(
        {
            "difference": (("comparison", "feature"), comparisons.difference),
            "choice": ("comparison", comparisons.choice),
            "user": ("comparison", comparisons.user),
            "context": (("comparison", "context_column"), comparisons.context),
            "covariates": (("user_label", "covariate"), comparisons.covariates),
            "described": ("described_byte", _bytes(described)),
        }
    )
    if catalogue is not None:
        dataset["catalogue"] = (("item", "item_column"), catalogue.to_numpy(np.float64))
    if comparisons.right is not None:
        dataset["right"] = (("comparison", "attribute"), comparisons.right)
    parts = {
        "outcome": comparisons.outcome,
        "text": comparisons.text,
        "network": comparisons.representation,
    }
    for name, part in parts.items():
        if part is not None:
            described, arrays = part.state()
            dataset[name] = (f"{name}_byte", _bytes(described))
            for key, values in arrays.items():
                dims = [f"{name}_{key}_{axis}" for axis in range(values.ndim)]
                dataset[f"{name}_{key}"] = (dims, values)
    return dataset


def comparisons_from(dataset: xr.Dataset) -> Comparisons:
    """Build the comparisons that `comparisons_dataset` stored."""
    described = _from_bytes(dataset["described"].to_numpy())
    catalogue = None
    if described["items"] is not None:
        catalogue = pd.DataFrame(
            dataset["catalogue"].to_numpy(),
            index=decode_index(described["items"]),
            columns=decode_index(described["item_columns"]),
        )
    text, network = _part(dataset, "text"), _part(dataset, "network")
    return Comparisons(
        difference=dataset["difference"].to_numpy(),
        choice=dataset["choice"].to_numpy(),
        user=dataset["user"].to_numpy(),
        users=decode_index(described["users"]),
        features=Features(
            tuple(described["attributes"]),
            tuple(described["contexts"]),
            tuple((attribute, context) for attribute, context in described["interactions"]),
            described["indicators"],
        ),
        context=dataset["context"].to_numpy(),
        covariates=dataset["covariates"].to_numpy(),
        covariate_names=tuple(described["covariate_names"]),
        rows=decode_index(described["rows"]),
        catalogue=catalogue,
        user_name=described["user_name"],
        choice_name=described["choice_name"],
        outcome=_outcome(dataset, described),
        right=dataset["right"].to_numpy() if "right" in dataset else None,
        text=None if text is None else TextFeatures.from_state(*text),
        representation=None if network is None else Representation.from_state(*network),
    )


def _outcome(dataset: xr.Dataset, described: dict[str, Any]) -> Outcome:
    """What a choice is; files of format 1 have labels of levels and stages of rankings instead."""
    part = _part(dataset, "outcome")
    if part is not None:
        return Outcome.from_state(*part)
    stage = {"stage": dataset["stage"].to_numpy()} if "stage" in dataset else {}
    return Outcome.from_state({"levels": described.get("levels")}, stage)


def _part(dataset: xr.Dataset, name: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Settings and arrays of a part that comparisons may have."""
    if name not in dataset:
        return None
    prefix = f"{name}_"
    arrays = {
        str(key).removeprefix(prefix): values.to_numpy()
        for key, values in dataset.data_vars.items()
        if str(key).startswith(prefix)
    }
    return _from_bytes(dataset[name].to_numpy()), arrays


def _stored(dataset: xr.Dataset) -> xr.Dataset:
    """Replace the labels of each dimension by plain text and by JSON bytes."""
    stored = dataset.drop_vars(list(dataset.coords))
    for dim, index in dataset.indexes.items():
        stored[f"{dim}_labels"] = (f"{dim}_labels_byte", _bytes(encode_index(index)))
        text = index.to_numpy() if index.dtype.kind in "iuf" else [str(label) for label in index]
        stored = stored.assign_coords({dim: text})
    return stored


def _restored(stored: xr.Dataset) -> xr.Dataset:
    """Undo `_stored`."""
    dims = [dim for dim in stored.dims if f"{dim}_labels" in stored]
    labels = {dim: decode_index(_from_bytes(stored[f"{dim}_labels"].to_numpy())) for dim in dims}
    dataset = stored.drop_vars([f"{dim}_labels" for dim in dims]).assign_coords(labels)
    for variable in dataset.variables.values():
        variable.encoding = {}
    return dataset.drop_encoding()


def _encoding(dataset: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Checksums for every array, in chunks that are contiguous in memory."""
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
    raise TypeError(f"{value!r} of type {type(value).__name__} has no place in JSON")


def _bytes(value: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)


def _from_bytes(values: np.ndarray[Any, np.dtype[np.uint8]]) -> Any:
    return json.loads(values.astype(np.uint8).tobytes())


def _library_version() -> str:
    try:
        return version("bayes_pref")
    except PackageNotFoundError:
        return "unknown"
