"""Labelled draws, (chain, draw, ...): built with the caller's labels, and laid out again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayes_pref.data import Comparisons

Array = NDArray[np.float64]
Floats = Array


def label(
    values: dict[str, Array], variables: dict[str, tuple[str, ...]], comparisons: Comparisons
) -> xr.Dataset:
    """Name the dimensions of draws (chain, draw, ...) with the caller's own labels."""
    labels: dict[str, Any] = {
        "user": comparisons.users.rename("user"),
        "feature": list(comparisons.feature_names),
        "feature_bis": list(comparisons.feature_names),
        "covariate": list(comparisons.covariate_names),
        "context": list(comparisons.features.contexts),
        "cutpoint": comparisons.outcome.boundaries,
        "context_bis": list(comparisons.features.contexts),
    }
    for name, dims in variables.items():
        if "factor" in dims:
            count = values[name].shape[2 + dims.index("factor")]
            labels["factor"] = [f"factor_{number + 1}" for number in range(count)]
    # Users are named even where no variable has them: a pooled model still answers for each.
    used = {"user"} | {dim for dims in variables.values() for dim in dims}
    # What the model itself counts, such as components, is numbered from 1.
    for name, dims in variables.items():
        for dim, size in zip(dims, values[name].shape[2:], strict=True):
            labels.setdefault(dim, list(range(1, size + 1)))
    chains, draws = next(iter(values.values())).shape[:2]
    return xr.Dataset(
        {name: (("chain", "draw", *dims), values[name]) for name, dims in variables.items()},
        coords={"chain": np.arange(chains), "draw": np.arange(draws)}
        | {dim: labels[dim] for dim in labels if dim in used},
    )


def parameters(variable: xr.DataArray) -> tuple[list[str], Floats]:
    """Name every parameter of a variable and lay out its draws as (chain, draw, parameter).

    Of a symmetric matrix (dimensions ``x`` and ``x_bis``), only what is above the diagonal counts.

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


def stacked(draws: xr.Dataset, name: str, *dims: str) -> Array:
    """Draws of a variable with these dimensions, (sample, ...), chains one after the other."""
    values = draws[name].transpose("chain", "draw", *dims).to_numpy()
    return np.asarray(values.reshape(-1, *values.shape[2:]), dtype=np.float64)


def _labels(variable: xr.DataArray, dim: str) -> pd.Index:
    return variable.indexes[dim] if dim in variable.indexes else pd.RangeIndex(variable.sizes[dim])
