"""Posterior predictive checks: observed statistics among predictive ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayes_pref.errors import DataError
from bayes_pref.plots.style import (
    CHOSEN,
    GUIDE,
    LITERAL,
    POPULATION,
    SMALL,
    TRUTH,
    legend,
    name_axes,
    one_axes,
    wrapped,
)

_COLUMNS = ["statistic", "observed", "mean", "sd", "lower", "upper", "p"]


def checks(found: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw observed statistics among those of posterior predictive choices.

    Parameters
    ----------
    found
        What `bayes_pref.posterior_predictive_check` returned.
    ax
        Where to draw; None: a new figure.

    Returns
    -------
    ax: one row a statistic, in predictive sds from the predictive mean; those with p < 0.05 have
        another colour

    Raises
    ------
    DataError
        If `found` has other columns.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> bp.plots.checks(bp.posterior_predictive_check(posterior)).get_xlabel()
    'statistic, in predictive sds from the predictive mean'
    """
    if not isinstance(found, pd.DataFrame) or not set(_COLUMNS) <= set(found.columns):
        raise DataError(
            f"found: got {type(found).__name__}, not what bp.posterior_predictive_check(...) "
            "returns"
        )
    own, rows = ax is None, np.arange(len(found))
    ax = one_axes(ax, (6.4, 0.3 * len(found) + 1.3))
    # A statistic that is constant over replications has no scale.
    scale = found["sd"].where(found["sd"] > 0, 1.0)
    low, high, seen = ((found[k] - found["mean"]) / scale for k in ("lower", "upper", "observed"))
    ax.hlines(rows, low, high, color=POPULATION, linewidth=2.0, label="predictive interval")
    strange = (found["p"] < 0.05).to_numpy()
    for which, colour, text in ((~strange, TRUTH, "observed"), (strange, CHOSEN, "p < 0.05")):
        if which.any():
            ax.plot(seen[which], rows[which], "o", color=colour, label=text)
    ax.set_yticks(rows, [wrapped(name) for name in found["statistic"]], fontsize=SMALL)
    for label in ax.get_yticklabels():
        label.set(**LITERAL)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(axis="y", color=GUIDE, linewidth=0.8)
    ax.set_axisbelow(True)
    name_axes(ax, "statistic, in predictive sds from the predictive mean")
    legend(ax, own=own)
    return ax
