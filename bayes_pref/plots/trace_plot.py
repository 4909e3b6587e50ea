"""Density and trace of parameters, by chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bayes_pref.plots.chain_panels import draw_chains
from bayes_pref.plots.style import AxesArray
from bayes_pref.posterior import Posterior


def trace(
    posterior: Posterior,
    var_names: str | Sequence[str] | None = None,
    axes: Any = None,
    *,
    coords: Mapping[str, Any] | None = None,
) -> AxesArray:
    """Draw the density and the trace of parameters, by chain.

    Parameters
    ----------
    posterior
        What `bayes_pref.fit` returned.
    var_names
        Variables to draw; None: `mu` and, where users differ, `tau`.
    axes
        Two a parameter to draw into; None: a new figure (at most 60 parameters).
    coords
        Labels to draw, by dimension, such as ``{"feature": ["length"]}``; None: all.

    Returns
    -------
    axes: (parameter, 2) matplotlib Axes, density and trace

    Raises
    ------
    DataError, ModelError
        If an argument has another type or value, or the parameters are too many.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> bp.plots.trace(posterior, "tau").shape
    (4, 2)
    """
    return draw_chains("trace", posterior, var_names, coords, axes)
