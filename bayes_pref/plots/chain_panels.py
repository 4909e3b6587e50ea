"""Traces and ranks of parameters, drawn by ArviZ and labelled as the other plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from bayes_pref.data.table import find
from bayes_pref.draws import parameters
from bayes_pref.errors import DataError
from bayes_pref.messages import listed, shown
from bayes_pref.plots.forest import expect_variable
from bayes_pref.plots.style import LITERAL, SMALL, AxesArray, many_axes, name_axes, wrapped
from bayes_pref.posterior import Posterior

_MOST_PARAMETERS = 60
_AT_ONCE = 20  # ArviZ 0.23 drops further parameters


def draw_chains(
    kind: Literal["trace", "rank"],
    posterior: Posterior,
    var_names: str | Sequence[str] | None,
    coords: Mapping[str, Any] | None,
    axes: Any,
) -> AxesArray:
    """Draw one or two panels a parameter, as `trace` and `rank` describe them."""
    from bayes_pref.posterior import arviz_bridge  # takes a second to import

    chosen = _chosen(posterior, var_names, coords)
    count = len(chosen.data_vars)
    if axes is None and count > _MOST_PARAMETERS:
        raise DataError(
            f"{kind}: {count:,} parameters are too many for one figure (at most "
            f"{_MOST_PARAMETERS}); choose with var_names= or coords={{'feature': [...]}}"
        )
    own, panels = axes is None, 2 if kind == "trace" else 1
    columns = 4 if count * panels > 12 else 2
    grid = many_axes(axes, count * panels, columns, (3.0, 1.8)).reshape(count, panels)
    for start in range(0, count, _AT_ONCE):
        some = chosen[list(chosen.data_vars)[start : start + _AT_ONCE]]
        # Not posterior.idata, which would predict every choice first.
        idata = arviz_bridge.to_idata({"posterior": some, "sample_stats": posterior.sample_stats})
        draw = arviz_bridge.trace if kind == "trace" else arviz_bridge.rank
        draw(idata, axes=grid[start : start + _AT_ONCE])
    _label(
        grid,
        [wrapped(each.attrs["label"]) for each in chosen.data_vars.values()],
        columns if own else grid.size,
    )
    return grid if kind == "trace" else grid[:, 0]


def _label(grid: AxesArray, titles: list[str], named: int) -> None:
    """Give the panels (parameter, panel) titles, and the last `named` of them axis labels."""
    words = ("value", "draw") if grid.shape[1] == 2 else ("rank among all draws",)
    for row, title in zip(grid, titles, strict=True):
        for ax in row:
            ax.set_title(title, fontsize=SMALL + 0.5, **LITERAL)
            ax.tick_params(labelsize=SMALL)
            ax.yaxis.label.set_fontsize(SMALL + 0.5)
            ax.set_xlabel("")
    for k in range(grid.size - named, grid.size):
        name_axes(grid.flat[k], words[k % len(words)])


def _chosen(
    posterior: Posterior,
    var_names: str | Sequence[str] | None,
    coords: Mapping[str, Any] | None,
) -> xr.Dataset:
    """The chosen parameters' draws (chain, draw), each a variable with its label as `label`."""
    expect_variable(posterior, None)
    draws = posterior.draws
    if var_names is None:
        names = [name for name in ("mu", "tau") if name in draws]
    else:
        names = [var_names] if isinstance(var_names, str) else list(var_names)
    find(names, pd.Index(list(draws.data_vars)), "variable")
    picked = {}
    for dim, labels in (coords or {}).items():
        if not any(dim in draws[name].dims for name in names):
            raise DataError(f"coords: {listed(names)} have no dimension {shown(dim)}")
        wanted = [labels] if isinstance(labels, str) or np.ndim(labels) == 0 else list(labels)
        picked[dim] = find(wanted, draws.indexes[dim], dim)
    single: dict[str, Any] = {}
    for name in names:
        labels, values = parameters(draws[name].isel(picked, missing_dims="ignore"))
        # Labels are the caller's, and not all of them can be names in ArviZ.
        for k, label in enumerate(labels):
            named = {"label": label}
            single[f"parameter_{len(single)}"] = (("chain", "draw"), values[:, :, k], named)
    return xr.Dataset(single, {dim: draws[dim] for dim in ("chain", "draw")})
