"""The evidence of an audit's checks in one figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayes_pref.plots.style import (
    CHOSEN,
    GUIDE,
    LITERAL,
    POPULATION,
    SMALL,
    USERS,
    legend,
    name_axes,
    one_axes,
    wrapped,
)

_STYLES = {
    "tested and fails": (CHOSEN, "o", "tested and fails"),
    "tested here and passes": (POPULATION, "o", "tested and passes"),
    "holds by design (declared)": (POPULATION, "D", "declared"),
    "cannot be tested with what was recorded": (USERS, "x", "describes the data"),
}
_LEVEL, _LEAST = 0.01, 1e-3


def draw_audit(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw one row a check: its p-value, or the probability that the assumption holds.

    Parameters
    ----------
    table
        `Audit.table`.
    ax
        Where to draw; None: a new figure.
    """
    own, rows = ax is None, np.arange(len(table))
    ax = one_axes(ax, (6.8, 0.3 * len(table) + 1.3))
    strength = table["p"].fillna(1.0 - table["probability"]).clip(lower=_LEAST)
    ax.axvline(_LEVEL, color=USERS, linewidth=0.8, linestyle="--")
    for status, (colour, marker, text) in _STYLES.items():
        which = (table["status"] == status).to_numpy() & strength.notna().to_numpy()
        if which.any():
            ax.plot(strength[which], rows[which], marker, color=colour, label=text)
    for row in rows[strength.isna()]:  # a loop over checks
        ax.text(1.2, row, "not tested", ha="right", va="center", color=USERS, fontsize=SMALL)
    labels = [
        f"{wrapped(assumption)}: {wrapped(check)}"
        for assumption, check in zip(table["assumption"], table["check"], strict=True)
    ]
    ax.set_yticks(rows, labels, fontsize=SMALL, **LITERAL)
    ax.set_xscale("log")
    ax.set_xlim(0.7 * _LEAST, 1.4)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(axis="y", color=GUIDE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    name_axes(ax, "p-value, or probability that the assumption holds")
    legend(ax, own=own)
    return ax
