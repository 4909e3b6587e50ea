"""How predictions turned out: calibration curves, and predictive checks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayes_pref.errors import DataError
from bayes_pref.evaluation import Evaluation
from bayes_pref.plots.style import (
    CHOSEN,
    GUIDE,
    POPULATION,
    SMALL,
    TRUTH,
    USERS,
    legend,
    name_axes,
    one_axes,
    wrapped,
)

_COLUMNS = ["statistic", "observed", "mean", "sd", "lower", "upper", "p"]


def reliability(evaluation: Evaluation, ax: Axes | None = None) -> Axes:
    """Draw how often left was chosen against how often it was predicted to be: calibration.

    Parameters
    ----------
    evaluation
        What `bayes_pref.evaluate` returned.
    ax
        Where to draw; None: a new figure.

    Returns
    -------
    ax: a point a bin of predictions, with its confidence interval; on the diagonal if calibrated

    Raises
    ------
    DataError
        If that is no evaluation.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> train, test = bp.simulate(users=20, seed=0).comparisons.split(by="comparison")
    >>> posterior = bp.fit(bp.PooledReward(), train, bp.Gibbs(progress=False))
    >>> bp.plots.reliability(bp.evaluate(posterior, test)).get_xlabel()
    'predicted probability of left'
    """
    if not isinstance(evaluation, Evaluation):
        raise DataError(
            f"evaluation: got {type(evaluation).__name__}, not what bp.evaluate(...) returns"
        )
    own, found = ax is None, evaluation.calibration
    ax = one_axes(ax, (4.4, 4.4))
    ax.plot([0, 1], [0, 1], color=USERS, linewidth=0.9, label="calibrated")
    ax.vlines(
        found["predicted"], found["lower"], found["upper"], color=POPULATION, label="interval"
    )
    ax.plot(found["predicted"], found["mean"], "o", color=POPULATION, label="share that chose left")
    ax.set_xlim(0.0, 1.0)
    ax.set_ylim(-0.02, 1.02)
    ax.grid(color=GUIDE, linewidth=0.8)
    ax.set_axisbelow(True)
    name_axes(ax, "predicted probability of left", "share that chose left")
    legend(ax, own=own)
    return ax


def checks(found: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw observed statistics among those of choices drawn from the posterior.

    Parameters
    ----------
    found
        What `bayes_pref.posterior_predictive_check` returned.
    ax
        Where to draw; None: a new figure.

    Returns
    -------
    ax: one row a statistic, in predictive sds from the predictive mean; p < 0.05 in another colour

    Raises
    ------
    DataError
        If that is not what `check` returned.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> posterior = bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> bp.plots.checks(bp.posterior_predictive_check(posterior)).get_xlabel()
    'statistic, in predictive sds from the predictive mean'
    """
    if not isinstance(found, pd.DataFrame) or not set(_COLUMNS) <= set(found.columns):
        raise DataError(
            f"found: got {type(found).__name__}, not what bp.posterior_predictive_check(...) returns"
        )
    own, rows = ax is None, np.arange(len(found))
    ax = one_axes(ax, (6.4, 0.3 * len(found) + 1.3))
    # A statistic that is the same in all replications has no scale of its own.
    scale = found["sd"].where(found["sd"] > 0, 1.0)
    low, high, seen = ((found[k] - found["mean"]) / scale for k in ("lower", "upper", "observed"))
    ax.hlines(rows, low, high, color=POPULATION, linewidth=2.0, label="predictive interval")
    strange = (found["p"] < 0.05).to_numpy()
    for which, colour, text in ((~strange, TRUTH, "observed"), (strange, CHOSEN, "p < 0.05")):
        if which.any():
            ax.plot(seen[which], rows[which], "o", color=colour, label=text)
    ax.set_yticks(rows, [wrapped(name) for name in found["statistic"]], fontsize=SMALL)
    for label in ax.get_yticklabels():
        label.set_parse_math(False)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(axis="y", color=GUIDE, linewidth=0.8)
    ax.set_axisbelow(True)
    name_axes(ax, "statistic, in predictive sds from the predictive mean")
    legend(ax, own=own)
    return ax
