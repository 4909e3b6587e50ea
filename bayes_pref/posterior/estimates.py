"""From draws to numbers: means, sds and central credible intervals, a block at a time.

A posterior of 900 users and 4,000 draws gives 60 million rewards for 16 items. They are computed,
described and forgotten in blocks of users, so that memory does not grow with the users asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.special import entr

from bayes_pref import settings
from bayes_pref.models.choice import ChoiceDistribution

Floats = NDArray[np.float64]

# 64 MB of doubles: large enough for fast matrix products, small beside the draws themselves.
BLOCK_VALUES = 2**23
COLUMNS = ("mean", "sd", "lower", "upper")


def describe(values: Floats, interval: float) -> dict[str, Floats]:
    """Mean, sd and central interval over the last axis; sorts `values` in place.

    Parameters
    ----------
    values
        (..., sample)
    interval
        Probability inside the interval.

    Returns
    -------
    Arrays (...) named as the columns of an estimate.

    Examples
    --------
    >>> import numpy as np
    >>> found = describe(np.arange(101.0), 0.9)
    >>> {name: round(float(number), 1) for name, number in found.items()}
    {'mean': 50.0, 'sd': 29.3, 'lower': 5.0, 'upper': 95.0}
    """
    interval = settings.interval(interval)
    size = values.shape[-1]
    described = [values.mean(axis=-1), values.std(axis=-1, ddof=1 if size > 1 else 0)]
    values.sort(axis=-1)
    for level in ((1.0 - interval) / 2.0, (1.0 + interval) / 2.0):
        place = (size - 1) * level
        low = values[..., int(place)]
        high = values[..., min(int(place) + 1, size - 1)]
        described.append(low + (high - low) * (place - int(place)))
    return dict(zip(COLUMNS, described, strict=True))


def describer(interval: float) -> Callable[[Floats], dict[str, Floats]]:
    """Return `describe` for this interval, which is checked now."""
    interval = settings.interval(interval)
    return lambda values: describe(values, interval)


def describe_choices(
    eta: Floats, choices: ChoiceDistribution, interval: float
) -> dict[str, Floats]:
    """Describe choices with log-odds (user, comparison, sample); entropies in bits."""
    chance = choices.probabilities(eta)
    aleatoric = entr(chance).sum(axis=0).mean(axis=-1) / np.log(2.0)
    mean = chance.mean(axis=-1)
    whole = entr(mean).sum(axis=0) / np.log(2.0)
    # Rounding alone could make the epistemic part negative.
    parts = {"epistemic": np.maximum(whole - aleatoric, 0.0), "aleatoric": aleatoric}
    if len(mean) % 2:
        parts["tie"] = mean[len(mean) // 2]
    return describe(chance[(len(chance) + 1) // 2 :].sum(axis=0), interval) | parts


def estimate_frame(keys: dict[str, pd.Index], columns: dict[str, Floats]) -> pd.DataFrame:
    """One row for every pair of two keys, the second varying faster."""
    (first, outer), (second, inner) = keys.items()
    return pd.DataFrame(
        {
            first: outer.repeat(len(inner)),
            second: inner.take(np.tile(np.arange(len(inner)), len(outer))),
            **columns,
        }
    )


def describe_parameters(values: Floats, interval: float) -> dict[str, Floats]:
    """Describe the draws (chain, draw, parameter) of every parameter, leaving them as they are."""
    chains, draws, count = values.shape
    step = max(1, BLOCK_VALUES // (chains * draws))
    parts = []
    # A loop over blocks of parameters: sorting needs a copy, which need not be of everything.
    for start in range(0, count, step):
        block = np.moveaxis(values[:, :, start : start + step], 2, 0)
        block = np.array(block, dtype=np.float64, order="C").reshape(len(block), -1)
        parts.append(describe(block, interval))
    parts = parts or [describe(np.empty((0, 1)), interval)]
    return {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}


def user_blocks(weights: xr.DataArray, values_per_weight: float = 1.0) -> Iterator[Floats]:
    """Yield the draws (user, feature, sample) of a few users at a time, freshly copied.

    Parameters
    ----------
    weights
        (chain, draw, user, feature)
    values_per_weight
        How many numbers will be made of each weight, which decides how many users fit.
    """
    sizes = weights.sizes
    per_user = sizes["chain"] * sizes["draw"] * sizes["feature"] * max(values_per_weight, 1.0)
    step = max(1, int(BLOCK_VALUES // per_user))
    ordered = weights.transpose("user", "feature", "chain", "draw")
    # A loop over blocks of users, not users: all at once would need gigabytes.
    for start in range(0, sizes["user"], step):
        block = ordered[start : start + step].to_numpy()
        yield np.array(block, dtype=np.float64, order="C").reshape(*block.shape[:2], -1)


def projections(weights: xr.DataArray, matrix: Floats) -> Iterator[Floats]:
    """Yield draws (user, row, sample) of ``matrix @ weights``, a few users and rows at a time.

    The blocks run over the users, and for each block of users over the rows.

    Parameters
    ----------
    weights
        (chain, draw, user, feature)
    matrix
        (row, feature)
    """
    samples = weights.sizes["chain"] * weights.sizes["draw"]
    step = max(1, BLOCK_VALUES // samples)
    rows = min(len(matrix), step)
    for block in user_blocks(weights, rows / matrix.shape[1]):
        for start in range(0, len(matrix), step):
            yield np.matmul(matrix[start : start + step], block)


def estimate(
    weights: xr.DataArray,
    matrix: Floats,
    describe_block: Callable[[Floats], dict[str, Floats]],
) -> dict[str, Floats]:
    """Describe every projection; columns (user * row,), rows within users.

    `describe_block` turns draws (user, row, sample) into named arrays (user, row).
    """
    parts = [describe_block(block) for block in projections(weights, matrix)]
    parts = parts or [describe_block(np.empty((0, 0, 1)))]
    # Rows come in several blocks only where a block holds a single user, so the order is right.
    return {name: np.concatenate([part[name].ravel() for part in parts]) for name in parts[0]}
