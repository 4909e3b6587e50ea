"""The population's mean weights, as a forest plot."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from bayes_pref.plots.forest import Units, forest
from bayes_pref.plots.style import USERS, name_axes
from bayes_pref.posterior import Posterior


def population(
    posterior: Posterior,
    ax: Axes | None = None,
    *,
    interval: float = 0.9,
    units: Units = "scaled",
    sort: bool = False,
    truth: pd.Series[float] | Mapping[str, float] | None = None,
) -> Axes:
    """Draw the population's mean weights with credible intervals, one row a feature.

    Parameters
    ----------
    posterior
        What `bayes_pref.fit` returned.
    ax
        Where to draw; None: a new figure.
    interval
        Probability inside the central credible intervals.
    units
        "scaled": log-odds per typical difference of a feature; "raw": per raw unit.
    sort
        Whether to sort features by the size of their estimates, the largest first.
    truth
        True weights per raw unit, by feature, such as ``world.truth.mu``; drawn as upright dashes.

    Returns
    -------
    ax

    Raises
    ------
    DataError, ModelError
        If an argument has another type or value.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> bp.plots.population(posterior, truth=world.truth.mu).get_xlabel()
    'population weight, 90 % interval (log-odds per typical difference)'
    """
    ax, words = forest(posterior, "mu", ax, interval, units, truth, sort=sort)
    ax.axvline(0.0, color=USERS, linewidth=0.9, zorder=0.9)
    name_axes(ax, f"population weight, {words}")
    return ax
