"""The figure of identifiability: the prior's share in each principal direction."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from bayes_pref.diagnostics.report import Report
from bayes_pref.plots.style import (
    CHOSEN,
    LITERAL,
    POPULATION,
    SMALL,
    USERS,
    cut,
    legend,
    name_axes,
    panel_axes,
)

_MOST = 12  # directions
_LETTERS = 26  # of a direction's name


def draw_learned(report: Report, ax: Axes | None = None) -> Axes:
    """Draw the share of the remaining variance due to the prior, by principal direction.

    A direction is named by its largest features; of many, those with the largest share are drawn.

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
    share, most = report.spectrum[:_MOST], report.thresholds.prior_share
    names = [cut(name, _LETTERS) for name in report.results["principal"][:_MOST]]
    place, lost = np.arange(len(share)), share > most
    for these, colour, label in (
        (~lost, POPULATION, "identified"),
        (lost, CHOSEN, "not identified"),
    ):
        if these.any():
            ax.barh(place[these], 100 * share[these], color=colour, label=label)
    # A share of nearly 0 is good news, not a missing bar.
    for k, value in enumerate(100 * share):
        text = f"{value:.0f} %" if value >= 10.0 else f"{value:.2g} %"
        ax.text(value + 1.0, k, text, va="center", fontsize=SMALL - 1)
    ax.axvline(100 * most, color=USERS, linewidth=0.8, linestyle=":")
    ax.set_xlim(0, 112)
    ax.set_xticks([0, 25, 50, 75, 100])
    ax.set_ylim(len(share) - 0.4, -0.6)
    ax.set_yticks(place, names, fontsize=SMALL - 1, **LITERAL)
    ax.tick_params(axis="y", length=0)
    count = len(report.spectrum)
    beside = f"the {_MOST} least known of {count:,}" if count > _MOST else None
    name_axes(ax, "variance due to the prior, %", beside)
    legend(ax, own=own, above=False)
    return ax
