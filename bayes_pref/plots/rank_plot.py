"""Rank histograms of parameters, by chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bayes_pref.plots.chain_panels import draw_chains
from bayes_pref.plots.style import AxesArray
from bayes_pref.posterior import Posterior


def rank(
    posterior: Posterior,
    var_names: str | Sequence[str] | None = None,
    axes: Any = None,
    *,
    coords: Mapping[str, Any] | None = None,
) -> AxesArray:
    """Draw rank histograms of parameters, by chain: all flat if the chains agree.

    Parameters
    ----------
    posterior, var_names, coords
        As for `trace`.
    axes
        One a parameter to draw into; None: a new figure (at most 60 parameters).

    Returns
    -------
    axes: (parameter,) matplotlib Axes

    Raises
    ------
    DataError, ModelError
        As `trace`.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> bp.plots.rank(posterior, "tau").shape
    (4,)
    """
    return draw_chains("rank", posterior, var_names, coords, axes)
