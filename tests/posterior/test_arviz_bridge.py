"""The bridge to ArviZ: groups and plots that look the same whichever version is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from made_posteriors import made_posterior
from matplotlib import pyplot

from bayes_pref.errors import DataError
from bayes_pref.posterior import arviz_bridge

SOURCE = Path(arviz_bridge.__file__).parent


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    pyplot.close("all")


def made_idata() -> Any:
    posterior = made_posterior()
    stats = posterior.sample_stats.drop_vars(["chain", "draw"])
    stats["diverging"][0, 3] = True
    return arviz_bridge.to_idata({"posterior": posterior.draws, "sample_stats": stats})


def test_only_the_bridge_imports_arviz() -> None:
    importers = [
        path.name
        for path in SOURCE.rglob("*.py")
        if any(
            line.split()[:2] in (["import", "arviz"], ["from", "arviz"])
            for line in path.read_text().splitlines()
        )
    ]
    assert importers == ["arviz_bridge.py"]


def test_groups_keep_their_draws_and_number_bare_chains() -> None:
    idata = made_idata()
    xr.testing.assert_equal(idata["posterior"]["weights"], made_posterior().draws["weights"])
    assert idata["sample_stats"]["chain"].to_numpy().tolist() == [0, 1]
    assert idata["posterior"].attrs["inference_library"] == "bayes_pref"


def test_trace_draws_every_chain_of_every_parameter() -> None:
    axes = arviz_bridge.trace(made_idata(), ["mu", "tau"])
    assert axes.shape == (6, 2)
    for density, steps in axes:
        assert len(density.get_lines()) >= 2
        longest = [len(line.get_xdata()) for line in steps.get_lines()]
        assert longest.count(50) == 2


def test_rank_draws_one_panel_a_parameter() -> None:
    coords = {"user": ["kim", "ann"], "feature": "tone"}
    axes = arviz_bridge.rank(made_idata(), "weights", coords=coords)
    assert axes.shape == (2,)
    shown = [axis.get_title() for axis in axes]
    assert all(name in title for name, title in zip(["kim", "ann"], shown, strict=True))
    assert all(axis.has_data() for axis in axes)


@pytest.mark.parametrize(("plot", "columns"), [(arviz_bridge.trace, 2), (arviz_bridge.rank, 1)])
def test_plots_go_into_the_axes_of_the_caller(plot: Callable[..., Any], columns: int) -> None:
    figure, axes = pyplot.subplots(3, columns)
    before = pyplot.get_fignums()
    found = plot(made_idata(), "mu", axes=axes)
    assert pyplot.get_fignums() == before
    assert np.ravel(found).tolist() == np.ravel(axes).tolist()
    assert all(axis.has_data() for axis in figure.axes)


def test_what_cannot_be_drawn_is_refused() -> None:
    idata = made_idata()
    with pytest.raises(DataError, match="no variable 'nu'; there are mu, tau, weights"):
        arviz_bridge.trace(idata, "nu")
    with pytest.raises(DataError, match="coords: unknown feature 'lenght'"):
        arviz_bridge.rank(idata, coords={"feature": ["lenght"]})
    with pytest.raises(DataError, match="mu: no dimension 'user'; use chain, draw, feature"):
        arviz_bridge.rank(idata, "mu", coords={"user": ["ann"]})
    with pytest.raises(DataError, match="axes: 1 Axes for 3 parameters; 6 are needed"):
        arviz_bridge.trace(idata, "mu", axes=pyplot.subplots()[1])
