"""The standard deviations of users' weights, as a forest plot."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from bayes_pref.plots.forest import Units, forest
from bayes_pref.plots.style import name_axes
from bayes_pref.posterior import Posterior


def heterogeneity(
    posterior: Posterior,
    ax: Axes | None = None,
    *,
    interval: float = 0.9,
    units: Units = "scaled",
    sort: bool = False,
    truth: pd.Series[float] | Mapping[str, float] | None = None,
) -> Axes:
    """Draw the standard deviation of users' weights with its interval, one row a feature.

    With covariates it is the standard deviation given these.

    Parameters
    ----------
    posterior, ax, interval, units, sort
        As for `population`.
    truth
        True sds per raw unit, by feature, such as ``world.truth.tau``; drawn as upright dashes.

    Returns
    -------
    ax

    Raises
    ------
    DataError, ModelError
        If an argument has another type or value, or users do not differ in the model.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> [label.get_text() for label in bp.plots.heterogeneity(posterior).get_yticklabels()]
    ['feature_1', 'feature_2', 'feature_3', 'feature_4']
    """
    ax, words = forest(posterior, "tau", ax, interval, units, truth, sort=sort)
    ax.set_xlim(left=0.0)
    beyond = " beyond covariates" if posterior.comparisons.covariate_names else ""
    name_axes(ax, f"users' sd{beyond}, {words}")
    return ax
