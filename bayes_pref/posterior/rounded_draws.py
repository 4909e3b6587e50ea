"""Users' draws rounded to what their Monte Carlo error leaves of them.

Nearly all of a saved posterior are the draws of users' weights, and of each number only the first
digits carry information: S draws with standard deviation s estimate a mean to s / sqrt(S) at best.
They are rounded to multiples of a power of two of at most half of that, held as 32-bit floats, and
then compress well. No draw, and so no quantile, moves by more than a quarter of the Monte Carlo
standard error of the mean, and the mean itself by far less.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

NOTE = "rounded"
NOTE_TEXT = "to half of the Monte Carlo standard error of the mean, or finer"
_PARTS = 2.0  # steps in a Monte Carlo standard error of the mean
_DIGITS = 2.0**24  # whole numbers below this are exact as 32-bit floats
_BLOCK = 2**17  # draws at a time: more would leave the processor's cache
_RANGE = 1e-30, 1e30  # well within that of 32-bit floats, and of their squares


def rounded(draws: xr.Variable) -> NDArray[np.float32] | None:
    """Return draws of users' parameters as rounded 32-bit floats, or None to keep them as they are.

    None where users have no part in them, they are no 64-bit floats, or 32 bits cannot hold
    the rounded numbers: a user's draws are too large or too small, or differ too little.

    Parameters
    ----------
    draws
        (chain, draw, ...) in that order.

    Examples
    --------
    >>> values = np.random.default_rng(0).normal(size=(2, 500, 3))
    >>> near = rounded(xr.Variable(("chain", "draw", "user"), values))
    >>> near.dtype, bool(np.abs(near - values).max() < 1 / np.sqrt(1000) / 4)
    (dtype('float32'), True)
    """
    if draws.dims[:2] != ("chain", "draw") or "user" not in draws.dims or draws.dtype != "f8":
        return None
    values = draws.to_numpy()
    if not values.size:
        return None
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        mean = values.mean(axis=(0, 1))
        count = values.shape[0] * values.shape[1]
        squares = np.zeros_like(mean)
        for block, _ in _blocks(values, values):
            away = block - mean
            away *= away
            squares += away.sum(axis=0)
        error = np.sqrt(squares) / count
        step = np.exp2(np.floor(np.log2(error / _PARTS)))
        varies = error != 0
        step = np.where(varies, step, 1.0)
        largest = np.maximum(values.max(axis=(0, 1)), -values.min(axis=(0, 1)))
        fits = (largest < step * _DIGITS) & (step > _RANGE[0]) & (largest < _RANGE[1])
        exact = largest.astype(np.float32) == largest  # of what does not vary
    if not np.where(varies, fits, exact).all():  # NaN fits nowhere
        return None
    found = np.empty(values.shape, dtype=np.float32)
    for block, out in _blocks(values, found):
        whole = block / step
        np.rint(whole, out=whole)
        whole *= step
        out[:] = whole
    if not varies.all():
        found[:, :, ~varies] = values[:, :, ~varies]
    return found


def _blocks(values: NDArray[Any], found: NDArray[Any]) -> Iterator[tuple[NDArray[Any], ...]]:
    """Parts of two arrays (chain, draw, ...): some draws of one chain."""
    draws = values.shape[1]
    step = max(_BLOCK * draws * len(values) // values.size, 1)
    for chain, out in zip(values, found, strict=True):
        for start in range(0, draws, step):
            yield chain[start : start + step], out[start : start + step]
