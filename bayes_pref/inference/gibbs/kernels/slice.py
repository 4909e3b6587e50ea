"""Slice sampling of one number, stepping out and shrinking (Neal 2003, Annals of Statistics 31)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

STEPS = 30  # of stepping out, on each side
SHRINKS = 10_000  # halvings, as it were: an interval is down to `start` after a thousand
LOG_WIDTH = 0.5  # first width for the logarithm of a scale


def slice_update_of(log_density: Callable[..., float]) -> Callable[..., float]:
    """Return the slice update of a log density, as Python; compile it where the density is."""

    def slice_update(
        args: tuple[Any, ...],
        start: float,
        width: float,
        rng: np.random.Generator,
    ) -> float:
        """One update from `start`; ``log_density(x, *args)`` is called last at the value returned.

        `width` is that of the first interval, and must not depend on `start`. Returns nan where
        the density at `start` is no number, below which no interval would ever hold a value.
        """
        height = log_density(start, *args) - rng.standard_exponential()
        if not height < np.inf:
            return np.nan
        low = start - width * rng.random()
        high = low + width
        for _ in range(STEPS):
            if log_density(low, *args) <= height:
                break
            low -= width
        for _ in range(STEPS):
            if log_density(high, *args) <= height:
                break
            high += width
        for _ in range(SHRINKS):
            value = low + (high - low) * rng.random()
            if log_density(value, *args) > height:
                return value
            if value < start:
                low = value
            else:
                high = value
        return np.nan

    return slice_update


def slice_move(
    start: float, log_density: Callable[[float], float], rng: np.random.Generator
) -> float:
    """One update of the logarithm of a scale, whose log density is a Python function."""
    return float(slice_update_of(log_density)((), start, LOG_WIDTH, rng))
