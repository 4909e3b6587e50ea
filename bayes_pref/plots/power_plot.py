"""Power against the number of users."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.errors import DataError
from bayes_pref.plots.style import (
    CHOSEN,
    GUIDE,
    LITERAL,
    POPULATION,
    SMALL,
    TRUTH,
    USERS,
    AxesArray,
    cut,
    legend,
    many_axes,
    name_axes,
)

_NEEDED = ("kind", "feature", "users", "tasks", "power", "se")
_COLOURS = (POPULATION, CHOSEN, "#009E73", "#CC79A7", USERS, TRUTH)
_CERTAIN, _TARGET = 1.96, 0.8
_ALL = "all"
_APART = 1.02


def power(table: pd.DataFrame, axes: Any = None) -> AxesArray:
    """Draw how much is found by how many users, one panel for effects, signs and flags each.

    A line for each number of tasks, averaged over features, with 95 % intervals of the simulation.

    Parameters
    ----------
    table
        `Power.table`, as `bayes_pref.power` returns it.
    axes
        One a kind to draw into; None: a new figure.

    Returns
    -------
    axes: (kind,) matplotlib Axes

    Raises
    ------
    DataError
        If `table` is no such frame.

    Examples
    --------
    >>> table = pd.DataFrame(
    ...     {"kind": "effect", "feature": "all", "users": [50, 100], "tasks": 5}
    ... ).assign(power=[0.4, 0.7], se=0.05)
    >>> [ax.get_title() for ax in bp.plots.power(table)]
    ['effect']
    """
    if not isinstance(table, pd.DataFrame) or not set(_NEEDED) <= set(table.columns):
        raise DataError(
            f"table: got {type(table).__name__} without some of {', '.join(_NEEDED)}",
            "give bp.power(...).table",
        )
    whole = table[(table["feature"] == _ALL) & table["power"].notna()]
    if not len(whole):
        raise DataError("table: it has no rows of all features", "give bp.power(...).table")
    kinds = list(whole["kind"].unique())
    own = axes is None
    flat = many_axes(axes, len(kinds), min(3, len(kinds)), (3.4, 2.8), share_y=True)
    sizes = sorted(whole["users"].unique())
    for ax, kind in zip(flat, kinds, strict=True):
        ax.axhline(_TARGET, color=GUIDE, linewidth=1.2)
        part = whole[whole["kind"] == kind]
        for number, (tasks, line) in enumerate(part.groupby("tasks")):
            shown = line.sort_values("users")
            reach = _CERTAIN * shown["se"]
            low = np.minimum(reach, shown["power"])
            high = np.minimum(reach, 1.0 - shown["power"])
            ax.errorbar(
                shown["users"] * _APART**number,  # so that no interval hides another
                shown["power"],
                yerr=np.stack([low, high]),
                fmt="-o",
                color=_COLOURS[number % len(_COLOURS)],
                linewidth=1.6,
                markersize=4.5,
                label=f"{tasks:,} tasks each",
            )
        if len(sizes) > 1:
            ax.set_xscale("log")
        ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
        ax.set_xticks([], minor=True)
        ax.set_ylim(-0.02, 1.02)
        ax.set_title(cut(kind), fontsize=SMALL + 1.5, **LITERAL)
        name_axes(ax, "users")
    for ax in flat[:1] if own else flat:
        name_axes(ax, up="power")
    legend(flat[0], own=own)
    return flat
