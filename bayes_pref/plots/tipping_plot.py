"""Contours of an estimate against the strength of an unmeasured factor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from bayes_pref.plots.style import (
    CHOSEN,
    LITERAL,
    POPULATION,
    SMALL,
    USERS,
    USERS_INTERVAL,
    apart,
    cut,
    name_axes,
    panel_axes,
    points,
)

_POINTS = 101


def tipping_contours(
    margin: float,
    largest: float,
    recorded: Mapping[str, tuple[float, float]],
    title: str,
    ax: Axes | None = None,
) -> Axes:
    """Draw how far the nearer end of an interval stays from zero, whatever a hidden factor does.

    Parameters
    ----------
    margin
        Distance of that end from zero without a factor, log-odds; 0 where zero is inside.
    largest
        Bias of a factor with both partial R2 equal to one, log-odds.
    recorded
        Partial R2 with what is shown and with preference, of what was recorded, by name.
    title
        What the estimate is, such as ``the effect of one unit more of price``.
    ax
        Where to draw; None: a new figure.

    Returns
    -------
    ax

    Examples
    --------
    >>> ax = tipping_contours(0.3, 1.0, {"age": (0.1, 0.05)}, "the effect of price")
    >>> ax.texts[-1].get_text()
    'age'
    """
    ax = panel_axes(ax, f"What would turn {cut(title, 60)}")
    ax.title.set(**LITERAL)
    tipping = margin / largest if largest > 0.0 else np.inf
    reach = [2.0 * tipping if np.isfinite(tipping) else 0.0]
    reach += [1.3 * value for point in recorded.values() for value in point]
    limit = float(np.clip(max(reach), 0.1, 1.0))
    strength = np.linspace(0.0, limit, _POINTS)
    left = margin - largest * np.sqrt(np.outer(strength, strength))
    others = np.linspace(left.min(), left.max(), 8)
    levels = np.unique(others[np.abs(others) > 0.05 * np.ptp(left)])
    if len(levels) > 1:
        lines = ax.contour(
            strength, strength, left, levels=levels, colors=USERS_INTERVAL, linewidths=0.9
        )
        ax.clabel(lines, fmt="%.2f", fontsize=SMALL - 1.5, colors=USERS)
    if left.min() < 0.0 < left.max():
        ax.contour(strength, strength, left, levels=[0.0], colors=CHOSEN, linewidths=1.8)
    height = points(ax)[1] / limit * np.array([up for _, up in recorded.values()])
    lifted = apart(height, 1.1 * SMALL) - height if len(height) else height
    for (name, (shown, preference)), lift in zip(recorded.items(), lifted, strict=True):
        ax.plot(shown, preference, "D", color=POPULATION, markersize=4.5, clip_on=False)
        at: dict[str, Any] = {"xytext": (6, 3 + lift), "textcoords": "offset points"}
        ax.annotate(cut(name, 30), (shown, preference), fontsize=SMALL - 1, **at, **LITERAL)
    ax.set_xlim(0.0, limit)
    ax.set_ylim(0.0, limit)
    lines_are = "(lines: the nearer end of the interval, log-odds)"
    across = f"partial R² of the factor with what is shown {lines_are}"
    name_axes(ax, across, "partial R² with preference")
    return ax
