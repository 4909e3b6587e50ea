"""The figure of identifiability: the prior's share in each principal direction."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bayes_pref.diagnostics.report import Report
from bayes_pref.plots.style import (
    CHOSEN,
    POPULATION,
    USERS,
    blank,
    legend,
    name_axes,
    panel_axes,
)


def draw_learned(report: Report, ax: Axes | None = None) -> Axes:
    """Draw the share of the remaining variance due to the prior, by principal direction.

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
    own, ax = ax is None, panel_axes(ax, "Directions that the data identify")
    share, most = report.spectrum, report.thresholds.prior_share
    if not share.size:
        return blank(ax, "Identifiability was not assessed: see the notes of the report")
    place, lost = np.arange(1, len(share) + 1), share > most
    for these, colour, label in (
        (~lost, POPULATION, "identified"),
        (lost, CHOSEN, "not identified"),
    ):
        if these.any():
            ax.bar(place[these], 100 * share[these], color=colour, label=label)
    ax.axhline(100 * most, color=USERS, linewidth=0.8, linestyle=":")
    ax.set_ylim(0, 100)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    name_axes(ax, "principal directions of the features", "variance due to the prior, %")
    legend(ax, own=own, above=False)
    return ax
