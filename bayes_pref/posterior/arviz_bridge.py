"""The only module that imports ArviZ, version 0.23 (InferenceData) or 1.x (DataTree).

Both versions draw into axes that are created here, one row a parameter, so that plots look the same
with either version and fit into a figure of the caller.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import MatplotlibDeprecationWarning

from bayes_pref.errors import DataError
from bayes_pref.posterior.arviz_caches import a_cache_folder, seal_caches

with warnings.catch_warnings(), a_cache_folder():
    # ArviZ 0.23 announces 1.x at import; this module supports both.
    warnings.simplefilter("ignore", FutureWarning)
    import arviz

AxesArray = np.ndarray[Any, Any]  # of matplotlib Axes, for which NumPy has no type
Names = str | Sequence[str] | None
Coordinates = Mapping[str, Any] | None

# By version number: asking 1.x for a removed name gives a warning.
HAS_INFERENCE_DATA = int(arviz.__version__.partition(".")[0]) < 1
_ROW_INCHES = 1.8
_WIDTH_INCHES = 9.0


def to_idata(groups: Mapping[str, xr.Dataset]) -> Any:
    """Combine datasets in the container of ArviZ.

    Parameters
    ----------
    groups
        Datasets by the names of ArviZ's schema: ``posterior``, ``sample_stats``, ...

    Returns
    -------
    An `arviz.InferenceData` with ArviZ 0.23, an `xarray.DataTree` with 1.x. Both hold the draws in
    ``idata.posterior``.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> draws = xr.Dataset({"mu": (("chain", "draw"), np.zeros((4, 100)))})
    >>> to_idata({"posterior": draws}).posterior["mu"].shape
    (4, 100)
    """
    named = {}
    for name, dataset in groups.items():
        # ArviZ 1.x finds chains and draws by label in every group.
        bare = [dim for dim in ("chain", "draw") if dim in dataset.dims and dim not in dataset]
        labels = {dim: np.arange(dataset.sizes[dim]) for dim in bare}
        named[name] = dataset.assign_coords(labels).assign_attrs(inference_library="bayes_pref")
    if HAS_INFERENCE_DATA:
        return arviz.InferenceData(**named)
    return xr.DataTree.from_dict(named)


def trace(
    idata: Any, var_names: Names = None, *, coords: Coordinates = None, axes: Any = None
) -> AxesArray:
    """Plot the density and the trace of every chosen parameter, by chain.

    Parameters
    ----------
    idata
        As `to_idata` returns it.
    var_names
        Variables to draw; None: all.
    coords
        Labels to draw, by dimension, such as ``{"feature": ["length"]}``; None: all.
    axes
        Two matplotlib Axes a parameter to draw into; None: a new figure.

    Returns
    -------
    axes: (parameter, 2) matplotlib Axes, density and trace

    Raises
    ------
    DataError
        If there is no such variable or label, or `axes` are too few or too many.
    """
    chosen = _chosen(idata, var_names, coords)
    grid = _grid(chosen, axes, columns=2)
    if HAS_INFERENCE_DATA:
        with _quiet():
            arviz.plot_trace(_subset(idata, chosen), axes=grid, compact=False, show=False)
    else:
        arviz.plot_trace_dist(
            _subset(idata, chosen),
            compact=False,
            backend="matplotlib",
            plot_collection=_collection(chosen, grid, {"column": ["dist", "trace"]}),
        )
    return grid


def rank(
    idata: Any, var_names: Names = None, *, coords: Coordinates = None, axes: Any = None
) -> AxesArray:
    """Plot the ranks of every chosen parameter's draws, by chain; uniform if converged.

    Parameters
    ----------
    idata, var_names, coords
        As for `trace`.
    axes
        One matplotlib Axes a parameter to draw into; None: a new figure.

    Returns
    -------
    axes: (parameter,) matplotlib Axes

    Raises
    ------
    DataError
        As `trace`.
    """
    chosen = _chosen(idata, var_names, coords)
    grid = _grid(chosen, axes, columns=1)
    if HAS_INFERENCE_DATA:
        with _quiet():
            arviz.plot_rank(_subset(idata, chosen), ax=grid[:, 0], show=False)
    else:
        arviz.plot_rank(
            _subset(idata, chosen),
            backend="matplotlib",
            plot_collection=_collection(chosen, grid[:, 0], {}),
        )
    return np.asarray(grid[:, 0])


def power_scaling(idata: Any, component: str) -> xr.Dataset:
    """Return how fast each parameter changes with a power of the prior or of the likelihood.

    Parameters
    ----------
    idata
        As `to_idata` returns it, with the groups `log_prior` and `log_likelihood`.
    component
        "prior" or "likelihood".
    """
    with _quiet():
        if HAS_INFERENCE_DATA:
            found: xr.Dataset = arviz.psens(idata, component=component)
        else:
            found = arviz.psense(idata, group=component)
    return found


def pareto_k(log_weights: np.ndarray[Any, Any]) -> float:
    """Pareto k of importance weights (Vehtari et al. 2024); above 0.7 they are unreliable.

    Parameters
    ----------
    log_weights
        (draw,), up to a constant.

    Examples
    --------
    >>> import numpy as np
    >>> draws = np.random.default_rng(0).normal(size=2000)
    >>> pareto_k(0.1 * draws) < 0.7 < pareto_k(0.7 * draws**2)
    True
    """
    return float(smoothed(np.asarray(log_weights)[None])[1][0])


def smoothed(
    log_weights: np.ndarray[Any, Any], relative_efficiency: float = 1.0
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Pareto-smooth importance weights (Vehtari et al. 2024).

    Parameters
    ----------
    log_weights
        (row, draw), each row up to a constant.
    relative_efficiency
        Effective sample size of the draws as a share of their number.

    Returns
    -------
    log_weights, k
        Smoothed log weights (row, draw), normalised in each row, and the Pareto k (row,).

    Examples
    --------
    >>> import numpy as np
    >>> draws = np.random.default_rng(0).normal(size=(1, 2000))
    >>> weights, k = smoothed(0.1 * draws)
    >>> bool(k[0] < 0.7), round(float(np.exp(weights).sum()), 6)
    (True, 1.0)
    """
    if HAS_INFERENCE_DATA:
        found, k = arviz.psislw(log_weights, reff=relative_efficiency)
    else:
        from arviz_stats.base import array_stats

        found, k = array_stats.psislw(log_weights, r_eff=relative_efficiency)
    found = np.asarray(found, dtype=np.float64)
    top = found.max(axis=-1, keepdims=True)
    total = np.log(np.exp(found - top).sum(axis=-1, keepdims=True)) + top
    return found - total, np.asarray(k, dtype=np.float64)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence deprecation warnings of matplotlib that are caused inside ArviZ 0.23."""
    if HAS_INFERENCE_DATA:
        seal_caches()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MatplotlibDeprecationWarning)
        yield


def _chosen(idata: Any, var_names: Names, coords: Coordinates) -> xr.Dataset:
    """Select the draws of the chosen variables and labels."""
    group = idata["posterior"]
    draws: xr.Dataset = group if isinstance(group, xr.Dataset) else group.to_dataset()
    wanted = [var_names] if isinstance(var_names, str) else list(var_names or draws.data_vars)
    absent = [name for name in wanted if name not in draws.data_vars]
    if absent:
        known = ", ".join(map(str, draws.data_vars))
        raise DataError(f"var_names: no variable {absent[0]!r}; there are {known}")
    # Labels stay lists, so that a dimension with a single label is kept.
    labels = {dim: np.atleast_1d(np.asarray(found)) for dim, found in (coords or {}).items()}
    for dim, found in labels.items():
        if dim not in draws[wanted].dims:
            raise DataError(
                f"coords: {', '.join(map(str, wanted))}: no dimension {dim!r}; "
                f"use {', '.join(str(known) for known in draws[wanted].dims)}"
            )
        unknown = ~np.isin(found, draws[dim].to_numpy())
        if unknown.any():
            raise DataError(f"coords: unknown {dim} {found[unknown].tolist()[0]!r}")
    return draws[wanted].sel(labels)


def _subset(idata: Any, chosen: xr.Dataset) -> Any:
    """The chosen draws, and divergences where the sampler reported them."""
    groups = {"posterior": chosen}
    if "sample_stats" in (idata.groups() if HAS_INFERENCE_DATA else idata.children):
        stats = idata["sample_stats"]
        stats = stats if isinstance(stats, xr.Dataset) else stats.to_dataset()
        groups["sample_stats"] = stats
    return to_idata(groups)


def _others(variable: xr.DataArray) -> list[str]:
    return [str(dim) for dim in variable.dims if dim not in ("chain", "draw")]


def _grid(chosen: xr.Dataset, axes: Any, *, columns: int) -> AxesArray:
    """Return Axes (parameter, column): the caller's, or those of a new figure."""
    count = sum(
        int(np.prod([variable.sizes[dim] for dim in _others(variable)]))
        for variable in chosen.data_vars.values()
    )
    if axes is None:
        from matplotlib import pyplot

        size = (_WIDTH_INCHES, _ROW_INCHES * count + 0.4)
        return np.asarray(
            pyplot.subplots(count, columns, figsize=size, squeeze=False, layout="constrained")[1]
        )
    given = np.asarray(axes, dtype=object).ravel()
    if given.size != count * columns:
        raise DataError(
            f"axes: {given.size} Axes for {count} parameters; {count * columns} are needed, "
            "or fewer parameters with var_names= and coords="
        )
    return given.reshape(count, columns)


def _collection(chosen: xr.Dataset, grid: AxesArray, columns: dict[str, list[str]]) -> Any:
    """Assign the axes to the parameters, for ArviZ 1.x."""
    place = 0
    plots, rows, cols = {}, {}, {}
    for name, variable in chosen.data_vars.items():
        dims = _others(variable)
        shape = [variable.sizes[dim] for dim in dims]
        count = int(np.prod(shape))
        coords = {dim: variable[dim] for dim in dims} | columns
        panels = [len(labels) for labels in columns.values()]
        layout, full = [*shape, *panels], [*dims, *columns]
        row, col = np.indices((count, int(np.prod(panels))))
        row, col = (place + row).reshape(layout), col.reshape(layout)
        plots[name] = xr.DataArray(grid[place : place + count].reshape(layout), coords, full)
        rows[name], cols[name] = xr.DataArray(row, coords, full), xr.DataArray(col, coords, full)
        place += count
    figure = xr.Dataset({"figure": np.array(grid.flat[0].figure, dtype=object)})
    groups = {"/plot": plots, "/row_index": rows, "/col_index": cols}
    tree = {"/": figure} | {path: xr.Dataset(group) for path, group in groups.items()}
    data = chosen
    for dim, labels in columns.items():
        data = data.expand_dims({dim: len(labels)}).assign_coords({dim: labels})
    return arviz.PlotCollection(
        data,
        xr.DataTree.from_dict(tree),
        backend="matplotlib",
        aes={"color": ["chain"], "overlay": ["chain"]},
    )
