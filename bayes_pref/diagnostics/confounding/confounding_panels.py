"""The figures of confounding: shifts with their intervals, and p_obs against p_do."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayes_pref.diagnostics.report import Report
from bayes_pref.plots.style import (
    CHOSEN,
    GUIDE,
    TRUTH,
    USERS,
    USERS_INTERVAL,
    are_many,
    legend,
    name_axes,
    panel_axes,
)


def draw_shift(report: Report, ax: Axes | None = None) -> Axes:
    """Draw the shift of every comparison with its interval, in ascending order.

    Parameters
    ----------
    report
        What `bayes_pref.diagnose` returned.
    ax
        Where to draw; None: a new figure.

    Returns
    -------
    ax
    """
    own, ax = ax is None, panel_axes(ax, f"Confounding shifts of {report.wording.rows}")
    found = report.comparisons.dropna(subset="shift").sort_values("shift", kind="stable")
    place = pd.Series(np.arange(len(found)), found.index)
    wide = float(np.clip(300.0 / len(found), 0.3, 3.0))
    smallest = report.thresholds.shift
    ax.axhspan(-smallest, smallest, color=GUIDE, label="too small to matter")
    flagged = found["verdict"] == "confounded"
    for rows, colour, label in (
        (found[~flagged], USERS_INTERVAL, f"{100 * report.interval:g} % interval"),
        (found[flagged], CHOSEN, "confounded"),
    ):
        bounds = (rows["shift_lower"], rows["shift_upper"])
        if len(rows):
            lines = ax.vlines(place[rows.index], *bounds, color=colour, linewidth=wide, label=label)
            lines.set_rasterized(are_many(len(found)))
    (line,) = ax.plot(place, found["shift"], color=TRUTH, linewidth=1.2, label="posterior mean")
    line.set_rasterized(are_many(len(found)))
    words = report.wording
    name_axes(ax, f"{words.rows}, sorted by shift", f"shift in {words.probability}")
    legend(ax, own=own, above=True)
    return ax


def draw_observed(report: Report, ax: Axes | None = None) -> Axes:
    """Draw the choices of the users who see a pair against those of all users.

    Parameters
    ----------
    report, ax
        As for `draw_shift`.

    Returns
    -------
    ax
    """
    title = f"Users who see such {report.wording.shown}, and all users"
    own, ax = ax is None, panel_axes(ax, title)
    found = report.comparisons.dropna(subset="shift")
    ax.plot([0, 1], [0, 1], color=USERS, linewidth=0.8)
    flagged = found["verdict"] == "confounded"
    size = float(np.clip(70.0 / np.sqrt(len(found)), 1.5, 4.0))
    for rows, colour, label in (
        (found[~flagged], USERS_INTERVAL, f"other {report.wording.rows}"),
        (found[flagged], CHOSEN, "confounded"),
    ):
        if len(rows):
            (dots,) = ax.plot(rows["p_do"], rows["p_obs"], "o", label=label, color=colour)
            dots.set(markersize=size, markeredgewidth=0.0, rasterized=are_many(len(found)))
    ax.set(xlim=(0, 1), ylim=(0, 1))
    chance = report.wording.probability
    name_axes(ax, f"{chance}, all users", f"{chance}, users who see it")
    legend(ax, own=own, above=False)
    return ax
