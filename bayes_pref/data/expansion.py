"""Compressed files that would fill the memory: refused by what they expand to, before they do."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from bayes_pref.errors import DataError

MOST_BYTES = 256 * 2**20  # that any file may expand to
MOST_TIMES = 50  # its own size, beyond that: tables of text compress up to 20 times
_BLOCK = 2**20


def refuse_bomb(path: Path, size: float, expanded: float) -> None:
    """Refuse a file that expands to far more than its size.

    Parameters
    ----------
    path
        The file, for the message.
    size, expanded
        Bytes of the file, and of what it holds.

    Examples
    --------
    >>> refuse_bomb(Path("votes.csv.gz"), 3e6, 6e9)
    Traceback (most recent call last):
    bayes_pref.errors.DataError: votes.csv.gz has 3.0 MB and expands to 6,000 MB or more, over 50
    times its size; if this is right, save it uncompressed
    """
    if expanded > max(MOST_BYTES, MOST_TIMES * size):
        raise DataError(
            f"{path} has {size / 1e6:,.1f} MB and expands to {expanded / 1e6:,.0f} MB or more, "
            f"over {MOST_TIMES} times its size",
            "if this is right, save it uncompressed",
        )


def refuse_gzip_bomb(path: Path) -> None:
    """Decompress a gzip file block by block, and refuse it once it has expanded too far.

    A file that is damaged is left to the reader that follows.
    """
    size, expanded = path.stat().st_size, 0
    if size * 1100 <= MOST_BYTES:  # more than gzip can achieve
        return
    try:
        with gzip.open(path) as file:
            while block := file.read(_BLOCK):
                expanded += len(block)
                refuse_bomb(path, size, expanded)
    except (OSError, EOFError, zlib.error):
        return
