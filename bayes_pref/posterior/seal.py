"""The seal of a saved posterior: its length and its SHA-256 digest, in the last 64 bytes.

    bytes of an HDF5 file | magic (24) | their number (8, little-endian) | SHA-256 (32)

The digest is of all that stands before it. It is compared before HDF5 reads anything, because a
damaged HDF5 file can crash the library, or keep it busy for ever. HDF5 ignores what follows its
own bytes, so that any program for NetCDF opens a sealed file as it is.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable
from typing import BinaryIO

_MAGIC = b"\nbayes_pref: whole file\n"
_TRAILER = struct.Struct("<24sQ32s")
_DIGEST = 32
_BLOCK = 2**20
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_UNSEALED = 0  # the HDF5 superblock of files of formats 1 and 2, which have no seal


class DamagedFile(ValueError):
    """A file is not as it was written."""


def seal(image: Iterable[bytes | memoryview]) -> bytes:
    """Return the last 64 bytes of a file that begins with the parts of an HDF5 image.

    Examples
    --------
    >>> len(seal([b"image"]))
    64
    """
    digest, length = hashlib.sha256(), 0
    for part in image:
        digest.update(part)
        length += len(part)
    start = _MAGIC + struct.pack("<Q", length)
    digest.update(start)
    return start + digest.digest()


def is_hdf5(file: BinaryIO) -> bool:
    """Whether a file begins as every saved posterior does."""
    file.seek(0)
    return file.read(len(_SIGNATURE)) == _SIGNATURE


def is_whole(file: BinaryIO) -> bool:
    """Compare a file with its seal; False if it is of a format without one.

    Raises
    ------
    DamagedFile
        If the file is not as it was written.
    """
    size = file.seek(0, os.SEEK_END)
    trailer = b""
    if size >= _TRAILER.size:
        file.seek(size - _TRAILER.size)
        trailer = file.read(_TRAILER.size)
    if not trailer.startswith(_MAGIC):
        file.seek(len(_SIGNATURE))
        if file.read(1) == bytes([_UNSEALED]):
            return False
        raise DamagedFile("the seal is missing")
    _, length, expected = _TRAILER.unpack(trailer)
    if length != size - _TRAILER.size or _digest(file, size - _DIGEST) != expected:
        raise DamagedFile("the digest differs")
    return True


def _digest(file: BinaryIO, length: int) -> bytes:
    """SHA-256 of the first bytes of a file."""
    digest, buffer = hashlib.sha256(), memoryview(bytearray(_BLOCK))
    file.seek(0)
    # A loop over blocks: the file may be larger than the memory.
    while length:
        read = file.readinto(buffer[: min(length, _BLOCK)])  # type: ignore[attr-defined]
        if not read:
            break
        digest.update(buffer[:read])
        length -= read
    return digest.digest()
