"""Models by how well they predict what was left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayes_pref.errors import DataError
from bayes_pref.messages import shown
from bayes_pref.plots.rows import RowsStyle, draw_rows
from bayes_pref.plots.style import LITERAL, SMALL, USERS, cut, name_axes

_NEEDED = ("difference", "difference_se", "weight", "bad")


def compare(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how much worse than the best each model predicts, with two standard errors.

    On the right stands the model's stacking weight: its part in the mixture of models that predicts
    best. A model with Pareto k above 0.7 says so, since its elpd is not to be relied on.

    Parameters
    ----------
    table
        What `bayes_pref.compare` returned.
    ax
        Where to draw; None: a new figure.

    Returns
    -------
    ax

    Raises
    ------
    DataError
        If `table` is no such frame.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> table = pd.DataFrame(
    ...     {
    ...         "difference": [0.0, -9.5],
    ...         "difference_se": [0.0, 2.1],
    ...         "weight": [0.9, 0.1],
    ...         "bad": [0, 0],
    ...     },
    ...     index=["full", "pooled"],
    ... )
    >>> [label.get_text() for label in bp.plots.compare(table).get_yticklabels()]
    ['full', 'pooled']
    """
    if not isinstance(table, pd.DataFrame) or not set(_NEEDED) <= set(table.columns):
        raise DataError(
            f"table: got {shown(table)} without some of {', '.join(_NEEDED)}",
            "give what bp.compare({...}) returned",
        )
    two = 2.0 * table["difference_se"]
    bars = pd.DataFrame(
        {
            "mean": table["difference"],
            "lower": table["difference"] - two,
            "upper": table["difference"] + two,
        }
    )
    names = [
        f"{cut(name, 40)} ({bad:,} k above 0.7)" if bad else cut(name, 40)
        for name, bad in zip(table.index, table["bad"], strict=True)
    ]
    ax = draw_rows(bars, names, ax, RowsStyle())
    ax.axvline(0.0, color=USERS, linewidth=0.9, zorder=0.9)
    for row, weight in enumerate(np.asarray(table["weight"], dtype=float)):
        at: dict[str, Any] = {
            "xycoords": ("axes fraction", "data"),
            "va": "center",
            "fontsize": SMALL - 0.5,
        }
        ax.annotate(f"{100 * weight:.0f} %", (1.01, row), **at, **LITERAL)
    ax.annotate("weight", (1.01, 1.0), xycoords="axes fraction", va="bottom", fontsize=SMALL)
    name_axes(ax, "elpd minus that of the best model, two standard errors each way")
    return ax
