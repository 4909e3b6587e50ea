"""Labelled draws (chain, draw, ...): labelled with the caller's labels, named, stacked and thinned.

Dimensions are found by name throughout, so that their order in a dataset does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from bayes_pref.data import Comparisons
from bayes_pref.errors import DataError
from bayes_pref.types import FloatArray, IntArray

Labelled = TypeVar("Labelled", xr.Dataset, xr.DataArray)


def label(
    values: dict[str, FloatArray], variables: dict[str, tuple[str, ...]], comparisons: Comparisons
) -> xr.Dataset:
    """Label the dimensions of draws (chain, draw, ...) with the caller's own labels.

    Parameters
    ----------
    values
        Draws (chain, draw, ...) by variable.
    variables
        Names of the dimensions of each variable, after chain and draw.
    comparisons
        The data, which hold the labels of users, features, covariates and contexts. All other
        dimensions are numbered from 1.
    """
    features, contexts = list(comparisons.feature_names), list(comparisons.features.contexts)
    labels: dict[str, Any] = {
        "user": comparisons.users.rename("user"),
        "feature": features,
        "feature_bis": features,
        "covariate": list(comparisons.covariate_names),
        "context": contexts,
        "cutpoint": comparisons.outcome.boundaries,
        "context_bis": contexts,
    }
    sizes = {
        dim: size
        for name, dims in variables.items()
        for dim, size in zip(dims, values[name].shape[2:], strict=True)
    }
    if "exposure" in sizes:
        labels["exposure"] = curved_names(contexts)[: sizes["exposure"]]
    if "factor" in sizes:
        labels["factor"] = [f"factor_{number + 1}" for number in range(sizes["factor"])]
    for dim, size in sizes.items():
        labels.setdefault(dim, list(range(1, size + 1)))
    # Users are labelled even where no variable has them: a pooled model answers for each user.
    used = {"user", *sizes}
    chains, draws = next(iter(values.values())).shape[:2]
    return xr.Dataset(
        {name: (("chain", "draw", *dims), values[name]) for name, dims in variables.items()},
        coords={"chain": np.arange(chains), "draw": np.arange(draws)}
        | {dim: labels[dim] for dim in labels if dim in used},
    )


def curved_names(contexts: Sequence[str]) -> list[str]:
    """Names of the squares of exposures, then of their products.

    Examples
    --------
    >>> curved_names(["age", "length"])
    ['age^2', 'length^2', 'age x length']
    """
    return [f"{name}^2" for name in contexts] + [
        f"{name} x {other}" for name, other in combinations(contexts, 2)
    ]


def parameters(variable: xr.DataArray) -> tuple[list[str], FloatArray]:
    """Name the parameters of a variable and lay out its draws as (chain, draw, parameter).

    Of a symmetric matrix (dimensions ``x`` and ``x_bis``), only entries above the diagonal count.

    Examples
    --------
    >>> import xarray as xr
    >>> mu = xr.DataArray(
    ...     [[[0.5, 1.0]]], {"feature": ["length", "tone"]}, ("chain", "draw", "feature")
    ... )
    >>> parameters(mu.rename("mu"))[0]
    ['mu[length]', 'mu[tone]']
    """
    dims = [str(dim) for dim in variable.dims if dim not in ("chain", "draw")]
    values = variable.transpose("chain", "draw", *dims).to_numpy()
    values = values.reshape(*values.shape[:2], -1)
    if not dims:
        return [str(variable.name)], values
    labels = [[str(label) for label in _labels(variable, dim)] for dim in dims]
    columns = np.meshgrid(*(np.arange(len(found)) for found in labels), indexing="ij")
    places = np.stack([column.ravel() for column in columns], axis=1)
    for dim in dims:
        if f"{dim}_bis" in dims:
            above = places[:, dims.index(dim)] < places[:, dims.index(f"{dim}_bis")]
            places, values = places[above], values[:, :, above]
    names = [
        f"{variable.name}[{', '.join(found[k] for found, k in zip(labels, place, strict=True))}]"
        for place in places.tolist()
    ]
    return names, values


def stack(variable: xr.DataArray, *dims: str) -> FloatArray:
    """Lay out draws as (sample, ...) with these dimensions, chain after chain.

    Examples
    --------
    >>> import xarray as xr
    >>> mu = xr.DataArray([[[1.0], [2.0]], [[3.0], [4.0]]], dims=("chain", "draw", "feature"))
    >>> stack(mu, "feature").ravel()
    array([1., 2., 3., 4.])
    """
    values = variable.transpose("chain", "draw", *dims).to_numpy()
    return np.asarray(values.reshape(-1, *values.shape[2:]), dtype=np.float64)


def stacked(draws: xr.Dataset, name: str, *dims: str) -> FloatArray:
    """Lay out the draws of one variable as (sample, ...), chain after chain."""
    return stack(draws[name], *dims)


def stack_last(variable: xr.DataArray, *dims: str) -> FloatArray:
    """Lay out draws as (..., sample) with these dimensions first: a contiguous copy.

    Examples
    --------
    >>> import xarray as xr
    >>> mu = xr.DataArray([[[1.0], [2.0]], [[3.0], [4.0]]], dims=("chain", "draw", "feature"))
    >>> stack_last(mu, "feature")
    array([[1., 2., 3., 4.]])
    """
    ordered = variable.transpose(*dims, "chain", "draw").to_numpy()
    copied = np.array(ordered, dtype=np.float64, order="C")
    return copied.reshape(*copied.shape[: len(dims)], -1)


def evenly_spaced(size: int, most: int) -> IntArray:
    """Positions of at most `most` of `size` draws, evenly spaced, from the first.

    Examples
    --------
    >>> evenly_spaced(10, 4)
    array([0, 2, 5, 7])
    """
    count = min(size, most)
    return np.arange(count) * size // max(count, 1)


def thin(draws: Labelled, most: int) -> Labelled:
    """Keep at most `most` draws, evenly spaced in each chain and equally many of each.

    Where the chains do not divide `most`, the number is rounded up.

    Examples
    --------
    >>> import xarray as xr
    >>> draws = xr.Dataset({"mu": (("chain", "draw"), np.zeros((4, 1000)))})
    >>> dict(thin(draws, 200).sizes)
    {'chain': 4, 'draw': 50}
    """
    each = -(-most // draws.sizes["chain"])
    return draws.isel(draw=evenly_spaced(draws.sizes["draw"], each))


def no_draws_of_users() -> DataError:
    """Error of a posterior that holds a summary of users' weights, asked for their draws."""
    return DataError(
        "this posterior holds a summary of users' weights, and not their draws",
        "take those of some users with bp.draw_users(posterior, users)",
    )


def _labels(variable: xr.DataArray, dim: str) -> pd.Index:
    return variable.indexes[dim] if dim in variable.indexes else pd.RangeIndex(variable.sizes[dim])
