"""Means, sds and central credible intervals of draws, in blocks.

The rewards of 16 items to 900 users take 60 million numbers with 4,000 draws. They are computed and
described in blocks of users, so that memory does not grow with the number of users.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import entr

from bayes_pref import settings
from bayes_pref.convergence.statistics import ChainStatistics, chain_statistics
from bayes_pref.draws import parameters, stack_last
from bayes_pref.models.choice import ChoiceDistribution
from bayes_pref.types import FloatArray

# 64 MB of doubles: large enough for fast matrix products, small compared with the draws.
BLOCK_VALUES = 2**23
COLUMNS = ("mean", "sd", "lower", "upper")


def describe(values: FloatArray, interval: float) -> dict[str, FloatArray]:
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


def describer(interval: float) -> Callable[[FloatArray], dict[str, FloatArray]]:
    """Return `describe` for this interval, which is validated at once."""
    interval = settings.interval(interval)
    return lambda values: describe(values, interval)


def describe_choices(
    eta: FloatArray, choices: ChoiceDistribution, interval: float
) -> dict[str, FloatArray]:
    """Describe choices with log-odds (user, comparison, sample); entropies in bits."""
    return describe_chances(choices.probabilities(eta), interval)


def average_chances(
    weights: xr.DataArray, matrix: FloatArray, choices: ChoiceDistribution, shares: FloatArray
) -> FloatArray:
    """Average the probabilities of outcomes over users.

    Parameters
    ----------
    weights
        (chain, draw, user, feature)
    matrix
        (row, feature) left minus right.
    choices
        Distribution of choices at the same draws.
    shares
        (user,) which sum to 1.

    Returns
    -------
    chances: (outcome, row, sample)
    """
    total, start = np.zeros(()), 0
    # A loop over blocks of users: the probabilities of all would be larger than the posterior.
    for block in user_blocks(weights, len(matrix) / matrix.shape[1]):
        here = slice(start, start + len(block))
        chance = choices.of_users(here).probabilities(matrix @ block)
        total, start = total + np.einsum("u,ours->ors", shares[here], chance), here.stop
    return total


def describe_chances(chance: FloatArray, interval: float) -> dict[str, FloatArray]:
    """Describe probabilities of outcomes (outcome, ..., sample); entropies in bits."""
    aleatoric = entr(chance).sum(axis=0).mean(axis=-1) / np.log(2.0)
    mean = chance.mean(axis=-1)
    whole = entr(mean).sum(axis=0) / np.log(2.0)
    # Rounding alone could make the epistemic part negative.
    parts = {"epistemic": np.maximum(whole - aleatoric, 0.0), "aleatoric": aleatoric}
    if len(mean) % 2:
        parts["tie"] = mean[len(mean) // 2]
    return describe(chance[(len(chance) + 1) // 2 :].sum(axis=0), interval) | parts


def estimate_frame(keys: dict[str, pd.Index], columns: dict[str, FloatArray]) -> pd.DataFrame:
    """One row for every pair of two keys, the second varying faster."""
    (first, outer), (second, inner) = keys.items()
    return pd.DataFrame(
        {
            first: outer.repeat(len(inner)),
            second: inner.take(np.tile(np.arange(len(inner)), len(outer))),
            **columns,
        }
    )


def describe_parameters(values: FloatArray, interval: float) -> dict[str, FloatArray]:
    """Describe the draws (chain, draw, parameter) of every parameter, leaving them as they are."""
    chains, draws, count = values.shape
    step = max(1, BLOCK_VALUES // (chains * draws))
    parts = []
    # A loop over blocks of parameters: sorting needs a copy, here of a block only.
    for start in range(0, count, step):
        block = np.moveaxis(values[:, :, start : start + step], 2, 0)
        block = np.array(block, dtype=np.float64, order="C").reshape(len(block), -1)
        parts.append(describe(block, interval))
    parts = parts or [describe(np.empty((0, 1)), interval)]
    return {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}


def parameter_frame(variables: Sequence[xr.DataArray], interval: float) -> pd.DataFrame:
    """Describe every parameter of some variables, and how well it was sampled.

    Returns
    -------
    frame: one row a parameter; `mean`, `sd`, `lower`, `upper`, `rhat`, `ess_bulk`, `ess_tail`
    """
    interval = settings.interval(interval)
    parts = []
    for variable in variables:
        labels, values = parameters(variable)
        columns = describe_parameters(values, interval) | chain_statistics(values)._asdict()
        parts.append(pd.DataFrame(columns, index=pd.Index(labels, name="parameter")))
    nothing = pd.DataFrame(columns=[*COLUMNS, *ChainStatistics._fields])
    return pd.concat(parts) if parts else nothing


def user_blocks(weights: xr.DataArray, values_per_weight: float = 1.0) -> Iterator[FloatArray]:
    """Yield the draws (user, feature, sample) of a few users at a time, freshly copied.

    Parameters
    ----------
    weights
        (chain, draw, user, feature)
    values_per_weight
        Numbers computed for each weight, which limits the users in a block.
    """
    sizes = weights.sizes
    per_user = sizes["chain"] * sizes["draw"] * sizes["feature"] * max(values_per_weight, 1.0)
    step = max(1, int(BLOCK_VALUES // per_user))
    # A loop over blocks of users: all at once would take gigabytes.
    for start in range(0, sizes["user"], step):
        yield stack_last(weights.isel(user=slice(start, start + step)), "user", "feature")


def projections(weights: xr.DataArray, matrix: FloatArray) -> Iterator[tuple[slice, FloatArray]]:
    """Yield users and their draws (user, row, sample) of ``matrix @ weights``, in blocks.

    For each block of users in turn, the blocks run over the rows.

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
    first = 0
    for block in user_blocks(weights, rows / matrix.shape[1]):
        users = slice(first, first + len(block))
        for start in range(0, len(matrix), step):
            yield users, np.matmul(matrix[start : start + step], block)
        first = users.stop


def estimate(
    weights: xr.DataArray,
    matrix: FloatArray,
    describe_block: Callable[[FloatArray], dict[str, FloatArray]],
) -> dict[str, FloatArray]:
    """Describe every projection; columns (user * row,), rows within users.

    `describe_block` turns draws (user, row, sample) into named arrays (user, row).
    """
    parts = [describe_block(block) for _, block in projections(weights, matrix)]
    return _joined(parts or [describe_block(np.empty((0, 0, 1)))])


def estimate_choices(
    weights: xr.DataArray, matrix: FloatArray, choices: ChoiceDistribution, interval: float
) -> dict[str, FloatArray]:
    """Describe the choices between the sides of every row, as `estimate` does projections.

    `choices` are the answers of the users of `weights`, in their order.
    """
    parts = [
        describe_choices(eta, choices.of_users(users), interval)
        for users, eta in projections(weights, matrix)
    ]
    nobody = choices.of_users(slice(0))
    return _joined(parts or [describe_choices(np.empty((0, 0, 1)), nobody, interval)])


def _joined(parts: list[dict[str, FloatArray]]) -> dict[str, FloatArray]:
    """Columns of all blocks; rows are split only where a block holds a single user."""
    return {name: np.concatenate([part[name].ravel() for part in parts]) for name in parts[0]}
