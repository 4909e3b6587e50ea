"""Rows of dots with intervals, the base of plots that rank or sort what they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayes_pref.plots.style import GUIDE, LITERAL, POPULATION, SMALL, one_axes, points, wrapped

_FAR = 5.0  # times as far from 0 as three quarters of the rows
_TALLEST = 60.0  # inches: taller images are hard to open


@dataclass(frozen=True, kw_only=True)
class RowsStyle:
    """How rows are drawn.

    Parameters
    ----------
    colour
        Of dots and intervals.
    offset
        How far below the middle of its row a mark stands, in rows.
    label, interval
        Of the dots and of the intervals, for the legend; None: none.
    width
        Of a new figure, inches.
    share
        Of the height of a row that one series of marks takes.

    Examples
    --------
    >>> RowsStyle(offset=0.2).offset
    0.2
    """

    colour: str = POPULATION
    offset: float = 0.0
    label: str | None = None
    interval: str | None = None
    width: float = 6.4
    share: float = 1.0


def draw_rows(
    table: pd.DataFrame, labels: Sequence[str], ax: Axes | None, style: RowsStyle
) -> Axes:
    """Draw `mean`, `lower` and `upper` of each row, the first on top, with its label.

    Parameters
    ----------
    table
        With these columns.
    labels
        What the rows are called.
    ax
        Where to draw; None: a new figure that is as high as the rows need.
    style
        Colour and place of the marks.

    Examples
    --------
    >>> table = pd.DataFrame({"mean": [1.0], "lower": [0.5], "upper": [2.0]})
    >>> draw_rows(table, ["tea"], None, RowsStyle()).get_yticklabels()[0].get_text()
    'tea'
    """
    names = [wrapped(label) for label in labels]
    lines = max(name.count("\n") + 1 for name in names)
    count = len(names)
    if ax is None:
        room = (18.0 if count <= 30 else 12.0) * (1.0 + 0.6 * (lines - 1)) / style.share**0.5
        ax = one_axes(None, (style.width, min(count * room / 72.0 + 1.1, _TALLEST)))
    else:
        ax = one_axes(ax, (0.0, 0.0))
    height = max(points(ax)[1] - 2.0 * SMALL, SMALL) / count
    marks(ax, table, style, height * style.share)
    # What fits in the height above the axis label; where not even small print does, some rows have
    # no label.
    font = float(np.clip(0.8 * height / lines, 4.0, SMALL))
    step = max(1, int(np.ceil(1.2 * font * lines / height)))
    ax.set_yticks(np.arange(count)[::step], names[::step], fontsize=font, **LITERAL)
    ax.set_ylim(count - 0.4, -0.6)
    _keep_readable(ax, table)
    ax.grid(axis="y", color=GUIDE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return ax


def _keep_readable(ax: Axes, table: pd.DataFrame) -> None:
    """Keep rows far beyond the others from stretching the axis; they are written at its end."""
    size = table[["lower", "upper"]].abs().max(axis=1).to_numpy()
    usual = np.quantile(size, 0.75, method="lower")
    far = size > _FAR * usual
    if not far.any() or not usual > 0.0:
        return
    near = table[~far]
    low, high = min(near["lower"].min(), 0.0), max(near["upper"].max(), 0.0)
    margin = 0.35 * (high - low)
    ax.set_xlim(low - margin, high + margin)
    for row in np.flatnonzero(far):
        mean, lower, upper = table[["mean", "lower", "upper"]].iloc[row]
        right = mean > 0.0
        text = f"{mean:.3g} ({lower:.3g} to {upper:.3g})"
        ax.annotate(
            f"{text} \u25b6" if right else f"\u25c0 {text}",
            (0.995 if right else 0.005, row - 0.1),
            xycoords=("axes fraction", "data"),
            ha="right" if right else "left",
            va="bottom",
            fontsize=SMALL - 1.5,
        )


def marks(ax: Axes, table: pd.DataFrame, style: RowsStyle, height: float) -> None:
    """Draw a dot and an interval in each row, in the size that its height (points) allows."""
    rows = np.arange(len(table)) + style.offset
    bar: dict[str, Any] = {"linewidth": float(np.clip(0.2 * height, 0.8, 2.2))}
    bar |= {"color": style.colour, "label": style.interval}
    ax.hlines(rows, table["lower"], table["upper"], **bar)
    size = float(np.clip(0.5 * height, 1.6, 5.5))
    ax.plot(table["mean"], rows, "o", color=style.colour, markersize=size, label=style.label)
