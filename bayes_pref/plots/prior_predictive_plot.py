"""Prior predictive probabilities of choices."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from bayes_pref.data import Comparisons
from bayes_pref.errors import DataError
from bayes_pref.plots.style import POPULATION, SMALL, fitted, name_axes, one_axes

_CERTAIN = 0.01  # distance from 0 or 1 within which a choice is all but certain


def prior_predictive(
    prior: xr.Dataset, comparisons: Comparisons | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the prior predictive density of the probability that left is preferred.

    Parameters
    ----------
    prior
        What ``model.prior_predictive(comparisons)`` returned.
    comparisons
        Which of its comparisons to draw, such as ``comparisons["ann"]``; None: all.
    ax
        Where to draw; None: a new figure.

    Returns
    -------
    ax

    Raises
    ------
    DataError
        If `prior` is no prior predictive, or it holds none of these comparisons.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> prior = bp.HierarchicalReward().prior_predictive(world.comparisons, draws=100)
    >>> bp.plots.prior_predictive(prior).get_xlabel()
    'P(left preferred) before any data'
    """
    if not isinstance(prior, xr.Dataset) or "probability" not in prior:
        raise DataError(
            f"prior: got {type(prior).__name__}, not what model.prior_predictive(...) returns"
        )
    chance = prior["probability"]
    if comparisons is not None:
        chance = chance.isel(comparison=chance.indexes["comparison"].isin(comparisons.rows))
    if not chance.size:
        raise DataError("comparisons: the prior predictive holds none of these rows")
    ax = one_axes(ax, (5.4, 3.4))
    values = chance.to_numpy()
    density, edges = np.histogram(values, bins=40, range=(0.0, 1.0), density=True)
    ax.stairs(density, edges, fill=True, color=POPULATION, alpha=0.8)
    certain = float(np.mean((values < _CERTAIN) | (values > 1.0 - _CERTAIN)))
    text = f"{100.0 * certain:.0f} % of the probabilities are within {_CERTAIN:g} of 0 or 1"
    if certain > 0.5:
        text += ": most choices are all but certain before any data; smaller prior sds change that"
    ax.set_title(fitted(ax, text), fontsize=SMALL + 0.5, loc="left")
    ax.set_xlim(0.0, 1.0)
    name_axes(ax, "P(left preferred) before any data", "prior density")
    return ax
