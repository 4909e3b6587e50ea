"""Labelled arrays as an HDF5 file in memory, and back, believing nothing that the file says.

The file in memory has room for large arrays but no copy of them: it is handed on in parts, and
between two parts of HDF5's own lies an array as it stands.

Each dataset is a group. Arrays are stored as NetCDF stores them, with dimension scales, so that
xarray and ArviZ read them. The labels of a dimension are stored as JSON bytes, which keep their
types, and once more as text, for other programs.

Reading takes arrays that lie inside the file, and nothing else: no links, no data in other files,
no filters that HDF5 would have to look for, no array larger than what the file holds.
"""

from __future__ import annotations

import io
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from operator import itemgetter
from typing import Any, BinaryIO

import h5py
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayes_pref.posterior.labels import decode_index, encode_index, from_json_bytes, json_bytes
from bayes_pref.posterior.rounded_draws import NOTE, NOTE_TEXT, rounded
from bayes_pref.posterior.seal import DamagedFile

_LABELS = "_labels"
_NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable."
_CHUNK_BYTES = 2**20
_THREADS = 8
# Rounded draws shrink to a third. A small file must not fill the memory: what shrinks more than
# this is neither written compressed nor read.
_MOST_COMPRESSED = 16
_IN_PLACE = 2**16  # bytes from which an array is not copied
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}


class _Memory(io.RawIOBase):
    """A file in memory of about so many bytes; what is not written to takes no memory.

    Parameters
    ----------
    size
        More are found room for when they are written.
    """

    def __init__(self, size: int) -> None:
        self._bytes = _zeros(size)
        self._place = self._end = 0
        self._arrays: list[tuple[int, memoryview]] = []

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_END: self._end}.get(whence, self._place)
        return self._place

    def readinto(self, buffer: Any) -> int:
        found = self._bytes[self._place : min(self._place + len(buffer), self._end)]
        buffer[: len(found)] = found
        self._place += len(found)
        return len(found)

    def write(self, data: Any) -> int:
        end = self._place + len(data)
        self.truncate(max(end, self._end))
        self._bytes[self._place : end] = data
        self._place = end
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """End the file at `size` bytes, by default where reading or writing stands."""
        self._end = self._place if size is None else size
        if self._end > len(self._bytes):
            larger = _zeros(2 * self._end)
            larger[: len(self._bytes)] = self._bytes
            self._bytes = larger
        return self._end

    def lay(self, start: int, values: NDArray[Any]) -> None:
        """Put an array at a place that is never written to."""
        self._arrays.append((start, values.reshape(-1).view(np.uint8).data))

    def parts(self) -> list[memoryview]:
        """Return the contents in order."""
        found, place = [], 0
        for start, array in sorted(self._arrays, key=itemgetter(0)):
            found += [self._bytes[place:start], array]
            place = start + len(array)
        return [*found, self._bytes[place : self._end]]


def image_of(
    groups: Mapping[str, xr.Dataset], header: Mapping[str, Any], *, compact: bool
) -> list[memoryview]:
    """Return the bytes of an HDF5 file, in parts of which some are the arrays themselves.

    Parameters
    ----------
    groups
        Datasets by name of group.
    header
        Text and whole numbers, by name.
    compact
        Whether to store users' draws as `rounded_draws` describes.
    """
    memory = _Memory(sum(dataset.nbytes for dataset in groups.values()) + _CHUNK_BYTES)
    # A superblock newer than that of the formats without a seal, which tells them apart.
    with h5py.File(memory, "w", libver=("v108", "latest")) as file:
        for name, value in header.items():
            file.attrs[name] = value
        for name, dataset in groups.items():
            group = file.create_group(name, track_order=True)
            stored = _stored(dataset)
            for dim, size in stored.sizes.items():
                _add_dimension(group, str(dim), size, stored.indexes.get(dim))
            for key, variable in stored.data_vars.items():
                narrow = rounded(variable.variable) if compact else None
                dims = [str(dim) for dim in variable.dims]
                if narrow is None or not _add_compressed(group, str(key), narrow, dims):
                    _add(memory, group, str(key), variable.to_numpy(), dims)
    return memory.parts()


def _zeros(size: int) -> memoryview:
    """Return memory that the system provides when it is written to."""
    return np.zeros(size, np.uint8).data


@contextmanager
def opened(file: BinaryIO) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading."""
    file.seek(0)
    with h5py.File(file, "r") as found:
        yield found


def attribute(file: h5py.File, name: str) -> Any:
    """Return an attribute of a file as plain text or a plain number."""
    value = file.attrs[name]
    return value if isinstance(value, str) else np.asarray(value).item()


def dataset_of(file: h5py.File, name: str, size: int) -> xr.Dataset:
    """Read a group of a file of so many bytes.

    Raises
    ------
    DamagedFile
        If the group holds anything that no saved posterior has.
    """
    group = _inside(file, name, h5py.Group)
    # Scales are labels as text, or only lengths: for other programs.
    arrays = {key: _inside(group, key, h5py.Dataset) for key in group}
    plain = {key: array for key, array in arrays.items() if not array.is_scale}
    return _restored(
        xr.Dataset({key: (_dims(array), _values(array, size)) for key, array in plain.items()})
    )


def _stored(dataset: xr.Dataset) -> xr.Dataset:
    """Replace the labels of each dimension by plain text and by JSON bytes."""
    stored = dataset.drop_vars(list(dataset.coords))
    for dim, index in dataset.indexes.items():
        stored[f"{dim}{_LABELS}"] = (f"{dim}{_LABELS}_byte", json_bytes(encode_index(index)))
        stored = stored.assign_coords({dim: _plain(index)})
    return stored


def _restored(stored: xr.Dataset) -> xr.Dataset:
    """Undo `_stored`; a dimension with labels may have no array, such as users of one reward."""
    names = [str(name) for name in stored.data_vars if str(name).endswith(_LABELS)]
    labels = {
        name.removesuffix(_LABELS): decode_index(from_json_bytes(stored[name].to_numpy()))
        for name in names
    }
    return stored.drop_vars(names).assign_coords(labels)


def _plain(index: pd.Index[Any]) -> NDArray[Any]:
    """Return labels as numbers or as text that every program can read."""
    if index.dtype.kind in "iuf":
        return index.to_numpy()
    texts = [str(label).encode("utf-8", "replace").decode("utf-8") for label in index]
    return np.array([text.replace("\0", "\N{REPLACEMENT CHARACTER}") for text in texts], object)


def _add_dimension(group: h5py.Group, dim: str, size: int, index: pd.Index[Any] | None) -> None:
    if index is None:
        group.create_dataset(dim, shape=(size,), dtype=">f4")
        group[dim].make_scale(f"{_NO_VARIABLE}{size:10d}")
    else:
        text = h5py.string_dtype() if index.dtype.kind not in "iuf" else None
        group.create_dataset(dim, data=index.to_numpy(), dtype=text)
        group[dim].make_scale(dim)


def _add(
    memory: _Memory, group: h5py.Group, name: str, values: NDArray[Any], dims: list[str]
) -> None:
    truth = values.dtype == np.bool_
    plain = values.dtype.kind in "iuf" and values.dtype.isnative and values.flags.c_contiguous
    if plain and values.nbytes >= _IN_PLACE:
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        settings.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        added = group.create_dataset(name, shape=values.shape, dtype=values.dtype, dcpl=settings)
        memory.lay(added.id.get_offset(), values)
    else:
        added = group.create_dataset(name, data=values.astype(np.int8) if truth else values)
    if truth:
        added.attrs["dtype"] = "bool"  # xarray's convention
    _label(group, added, dims)


def _label(group: h5py.Group, added: h5py.Dataset, dims: list[str]) -> None:
    for axis, dim in enumerate(dims):
        added.dims[axis].attach_scale(group[dim])


def _add_compressed(group: h5py.Group, name: str, values: NDArray[Any], dims: list[str]) -> bool:
    """Add rounded draws; False if they shrink so much that they could not be read."""
    added = group.create_dataset(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=_chunks(values),
        compression=1,
        shuffle=True,
    )
    places = list(added.iter_chunks())
    # HDF5 compresses one chunk after another, and looks for repetitions that draws do not have.
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _THREADS)) as pool:
        pack = partial(_packed_at, values, added.chunks)
        try:
            packed: Iterator[bytes] = pool.map(pack, places)
        except RuntimeError:  # no thread can start: Python is ending, or a limit is reached
            packed = map(pack, places)
        for place, chunk in zip(places, packed, strict=True):
            added.id.write_direct_chunk(tuple(part.start for part in place), chunk)
    _label(group, added, dims)
    added.attrs[NOTE] = NOTE_TEXT
    if added.id.get_storage_size() * _MOST_COMPRESSED >= values.nbytes:
        return True
    del group[name]
    return False


def _packed_at(values: NDArray[Any], shape: tuple[int, ...], place: tuple[slice, ...]) -> bytes:
    """Return a chunk as HDF5's filters store it: bytes of the same place together, deflated."""
    whole = values[place]
    if whole.shape != shape:  # the last one of a dimension
        part, whole = whole, np.zeros(shape, values.dtype)
        whole[tuple(map(slice, part.shape))] = part
    octets = np.ascontiguousarray(whole).view(np.uint8).reshape(-1, whole.itemsize)
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    return packer.compress(octets.T.tobytes()) + packer.flush()


def _chunks(values: NDArray[Any]) -> tuple[int, ...]:
    """Return the shape of chunks that are contiguous in memory."""
    shape, chunk = list(values.shape), values.nbytes
    for axis, length in enumerate(values.shape):
        chunk //= length
        shape[axis] = int(np.clip(_CHUNK_BYTES // max(chunk, 1), 1, length))
        if shape[axis] > 1:
            break
    return tuple(shape)


def _inside(group: h5py.Group, name: str, kind: type) -> Any:
    """Return a member of a group that lies in the same file."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise DamagedFile(f"{name} is a link")
    if group.get(name, getclass=True) is not kind:
        raise DamagedFile(f"{name} is no {kind.__name__}")
    return group[name]


def _dims(array: h5py.Dataset) -> list[str]:
    """Return the names of an array's dimensions."""
    return [str(scales[0].name).rpartition("/")[2] for scales in array.dims]


def _values(array: h5py.Dataset, size: int) -> NDArray[Any]:
    """Read an array of plain numbers, no larger than the file allows."""
    settings = array.id.get_create_plist()
    filters = {settings.get_filter(k)[0] for k in range(settings.get_nfilters())}
    stored = array.id.get_storage_size()
    most = stored * (_MOST_COMPRESSED if h5py.h5z.FILTER_DEFLATE in filters else 1)
    outside = array.is_virtual or settings.get_external_count() or not filters <= _FILTERS
    if outside or array.dtype.kind not in "iuf":
        raise DamagedFile(f"{array.name} is no array of this file")
    needed = math.prod(array.shape) * array.dtype.itemsize  # NumPy's product may overflow
    if needed > most or stored > size or max(array.shape, default=0) > size:
        raise DamagedFile(f"{array.name} is larger than the file")
    if NOTE in array.attrs and array.chunks:
        # Chunk by chunk: all of them as they are stored would need half as much memory again.
        found = np.empty(array.shape)
        for place in array.iter_chunks():
            found[place] = array[place]
        return found
    values: NDArray[Any] = array[()]
    if NOTE in array.attrs:
        return values.astype(np.float64)
    return values.astype(np.bool_) if array.attrs.get("dtype") == "bool" else values
