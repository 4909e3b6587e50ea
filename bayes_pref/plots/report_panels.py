"""The pictures of a report: shifts, choices seen against choices of all, directions, overlap."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bayes_pref.diagnostics.verdicts import NO_OVERLAP
from bayes_pref.plots.style import (
    CHOSEN,
    GUIDE,
    POPULATION,
    SMALL,
    TRUTH,
    USERS,
    USERS_INTERVAL,
    legend,
    many_axes,
    name_axes,
    one_axes,
    wrapped,
)

if TYPE_CHECKING:
    from bayes_pref.diagnostics.report import Report

DESCRIPTION = (
    "Four panels: shift of each comparison; choices of those shown a pair against all people; "
    "how much of each direction is the prior's; overlap of users and contexts"
)
_SIZE = (5.6, 3.6)
_UNLEARNED = 0.5  # share of the prior from which a direction counts as never separated


def draw_all(report: Report, axes: Any = None) -> Figure:
    """Draw all panels into four axes, or a new figure."""
    flat = many_axes(axes, len(PANELS), 2, _SIZE)
    for draw, ax in zip(PANELS.values(), flat, strict=True):
        draw(report, ax)
    return cast(Figure, flat[0].figure)


def shift(report: Report, ax: Axes | None = None) -> Axes:
    """Draw the shift of every comparison with its interval, smallest first.

    Parameters
    ----------
    report
        From `bayes_pref.diagnose`.
    ax
        Where to draw; None: a new figure.

    Returns
    -------
    ax
    """
    own, ax = ax is None, one_axes(ax, _SIZE)
    ax.set_title("Who is shown a pair, and who is not", fontsize=SMALL + 1.5, loc="left")
    found = report.comparisons.dropna(subset="shift").sort_values("shift", kind="stable")
    if found.empty:
        return _nothing(ax, "Confounding was not assessed: see the notes of the report")
    place = pd.Series(np.arange(len(found)), found.index)
    wide = float(np.clip(300.0 / len(found), 0.3, 3.0))
    ax.axhspan(-report.threshold, report.threshold, color=GUIDE, label="too small to matter")
    flagged = found["verdict"] == "confounded"
    for rows, colour, label in (
        (found[~flagged], USERS_INTERVAL, f"{100 * report.interval:g} % interval"),
        (found[flagged], CHOSEN, "confounded"),
    ):
        bounds = (rows["shift_lower"], rows["shift_upper"])
        ax.vlines(place[rows.index], *bounds, color=colour, linewidth=wide, label=label)
    ax.plot(place, found["shift"], color=TRUTH, linewidth=1.2, label="posterior mean")
    name_axes(ax, "comparisons, by shift", "shift in P(left preferred)")
    legend(ax, own=own, above=True)
    return ax


def observed(report: Report, ax: Axes | None = None) -> Axes:
    """Draw what those who are shown a pair prefer against what all people prefer.

    Parameters
    ----------
    report, ax
        As for `shift`.

    Returns
    -------
    ax
    """
    own, ax = ax is None, one_axes(ax, _SIZE)
    ax.set_title("Choices seen, and choices of all", fontsize=SMALL + 1.5, loc="left")
    found = report.comparisons.dropna(subset="shift")
    if found.empty:
        return _nothing(ax, "Confounding was not assessed: see the notes of the report")
    ax.plot([0, 1], [0, 1], color=USERS, linewidth=0.8)
    flagged = found["verdict"] == "confounded"
    size = float(np.clip(70.0 / np.sqrt(len(found)), 1.5, 4.0))
    for rows, colour, label in (
        (found[~flagged], USERS_INTERVAL, "other comparisons"),
        (found[flagged], CHOSEN, "confounded"),
    ):
        (dots,) = ax.plot(rows["p_do"], rows["p_obs"], "o", label=label, color=colour)
        dots.set(markersize=size, markeredgewidth=0.0)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    name_axes(ax, "P(left preferred) by people in general", "by those who are shown it")
    legend(ax, own=own, above=False)
    return ax


def learned(report: Report, ax: Axes | None = None) -> Axes:
    """Draw how much of what is said of each direction of the features is the prior's.

    Parameters
    ----------
    report, ax
        As for `shift`.

    Returns
    -------
    ax
    """
    own, ax = ax is None, one_axes(ax, _SIZE)
    ax.set_title("What the data separate", fontsize=SMALL + 1.5, loc="left")
    if not report.spectrum.size:
        return _nothing(ax, "Identifiability was not assessed: see the notes of the report")
    share = report.spectrum
    place = np.arange(1, len(share) + 1)
    lost = share > _UNLEARNED
    for these, colour, label in (
        (~lost, POPULATION, "learned from the data"),
        (lost, CHOSEN, "never separated"),
    ):
        if these.any():
            ax.bar(place[these], 100 * share[these], color=colour, label=label)
    ax.axhline(100 * _UNLEARNED, color=USERS, linewidth=0.8, linestyle=":")
    ax.set_ylim(0, 100)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    name_axes(ax, "directions of the features, least learned first", "share of the prior, %")
    legend(ax, own=own, above=False)
    return ax


def overlap(report: Report, ax: Axes | None = None) -> Axes:
    """Draw which contexts are shown to people like each user.

    Each dot is a comparison: users by row, those who see high contexts on top; contexts across,
    along the direction in which users differ most.

    Parameters
    ----------
    report, ax
        As for `shift`.

    Returns
    -------
    ax
    """
    ax = one_axes(ax, _SIZE)
    ax.set_title("Who is shown which context", fontsize=SMALL + 1.5, loc="left")
    found = report.exposure.dropna(subset="overlap")
    if found.empty:
        return _nothing(ax, "Overlap was not assessed: see the notes of the report")
    title = str(report.exposure.columns[1])
    centre = found.groupby("user", sort=False)[title].transform("mean")
    size = float(np.clip(6000.0 / len(found), 2.0, 16.0))
    dots = ax.scatter(
        found[title],
        centre.rank(method="dense"),
        c=found["overlap"],
        cmap="cividis",
        vmin=0.0,
        vmax=1.0,
        s=size,
        linewidths=0,
    )
    bar = ax.figure.colorbar(dots, ax=ax, pad=0.02)
    bar.ax.tick_params(labelsize=SMALL)
    bar.ax.axhline(NO_OVERLAP, color=CHOSEN, linewidth=1.5)
    bar.set_label("overlap", fontsize=SMALL + 0.5)
    name_axes(ax, title, "users, by their contexts")
    return ax


def _nothing(ax: Axes, text: str) -> Axes:
    """Say why there is nothing to draw."""
    ax.text(0.5, 0.5, wrapped(text, 40), ha="center", va="center", fontsize=SMALL + 1)
    ax.set_axis_off()
    return ax


PANELS: dict[str, Callable[..., Axes]] = {
    "shift": shift,
    "observed": observed,
    "learned": learned,
    "overlap": overlap,
}
