"""Average effects and marginal means: dots and intervals, grouped by attribute."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayes_pref.errors import DataError
from bayes_pref.plots.style import (
    GROUPS,
    LITERAL,
    SMALL,
    USERS,
    blank,
    cut,
    legend,
    name_axes,
    one_axes,
)

_NEEDED = ("attribute", "level", "mean", "lower", "upper")
_ROW, _TALLEST = 0.24, 14.0  # inches
_SPREAD = 0.5  # of a row, over which groups are spread


def average_effects(
    effects: pd.DataFrame, ax: Axes | None = None, *, differences: bool = False
) -> Axes:
    """Draw average effects, marginal means or interactions with their intervals.

    Levels stand below their attribute; the baseline of effects is a hollow dot at 0. Groups have
    colours of their own.

    Parameters
    ----------
    effects
        What `Posterior.amce` with ``over=``, `Posterior.marginal_means` or `Posterior.acie`
        returned.
    ax
        Where to draw; None: a new figure.
    differences
        Whether to draw the differences between groups, and not the groups.

    Returns
    -------
    ax

    Raises
    ------
    DataError
        If `effects` is no such frame, or has no groups whose differences could be drawn.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> ax = bp.plots.average_effects(posterior.amce("observed", attributes="feature_1"))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['feature_1', 'unit']
    """
    if not isinstance(effects, pd.DataFrame) or not set(_NEEDED) <= set(effects.columns):
        raise DataError(
            f"effects: got {type(effects).__name__} without some of {', '.join(_NEEDED)}",
            "give what posterior.amce(over='observed') or posterior.marginal_means() returned",
        )
    grouped = "minus" in effects
    if differences and not grouped:
        raise DataError("effects has no groups", "ask for them with by=")
    if grouped:
        between = effects["minus"].notna()
        effects = effects[between if differences else ~between]
    own = ax is None
    rows, labels, heads = _rows(effects)
    ax = one_axes(ax, (6.4, min(_ROW * (len(labels) + 1) + 1.1, _TALLEST)))
    if not len(effects):
        return blank(ax, "no effects")
    middle = 0.5 if "baseline" not in effects and not differences else 0.0
    ax.axvline(middle, color=USERS, linewidth=0.9, zorder=0.9)
    names = list(effects["group"].unique()) if grouped else [None]
    offsets = np.linspace(-_SPREAD / 2, _SPREAD / 2, len(names)) if len(names) > 1 else [0.0]
    for number, (name, offset) in enumerate(zip(names, offsets, strict=True)):
        part = effects if name is None else effects[effects["group"] == name]
        at = np.array([rows[_key(row)] for row in _records(part)]) + offset
        style: dict[str, Any] = {"color": GROUPS[number % len(GROUPS)]}
        said = None if name is None else cut(name)
        if differences:
            said = f"{cut(name)} minus {cut(part['minus'].iloc[0])}"
        ax.hlines(at, part["lower"], part["upper"], linewidth=1.8, **style)
        ax.plot(part["mean"], at, "o", markersize=4.5, label=said, **style)
    if "baseline" in effects:
        base = [rows[key] for key in heads if key in rows]
        ax.plot(np.zeros(len(base)), base, "o", color=USERS, markerfacecolor="none", markersize=4.5)
    ax.set_yticks(range(len(labels)), [text for text, _ in labels], **LITERAL)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    for tick, (_, heading) in zip(ax.get_yticklabels(), labels, strict=True):
        tick.set(fontsize=SMALL, fontweight="bold" if heading else "normal")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    if grouped:
        legend(ax, own=own)
    name_axes(ax, _words(effects, differences=differences))
    return ax


def _records(effects: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in effects.to_dict("records")]


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["attribute"], str(row["level"]), row.get("other"), str(row.get("other_level"))


def _rows(
    effects: pd.DataFrame,
) -> tuple[dict[tuple[Any, ...], int], list[tuple[str, bool]], list[tuple[Any, ...]]]:
    """Row of each effect, texts of all rows and whether they head others, and the baselines."""
    rows: dict[tuple[Any, ...], int] = {}
    labels: list[tuple[str, bool]] = []
    bases: list[tuple[Any, ...]] = []
    last: object = None
    for row in _records(effects):  # a loop over rows of the plot
        head = (row["attribute"], row.get("other"))
        if head != last and _key(row) not in rows:
            beside = "" if row.get("other") is None else f" beside {row['other']}"
            labels.append((cut(f"{row['attribute']}{beside}"), True))
            base = row.get("baseline")
            if not pd.isna(base) and row.get("other") is None:
                key = (row["attribute"], str(base), None, "None")
                rows[key] = len(labels)
                bases.append(key)
                labels.append((_text(base), False))
        last = head
        if _key(row) not in rows:
            rows[_key(row)] = len(labels)
            beside = "" if row.get("other") is None else f", {_text(row['other_level'])}"
            labels.append((cut(f"{_text(row['level'])}{beside}"), False))
    return rows, labels, bases


def _text(level: object) -> str:
    """Write a level, a number in few digits."""
    return f"{level:.4g}" if isinstance(level, float) else cut(level)


def _words(effects: pd.DataFrame, *, differences: bool) -> str:
    """What the axis shows."""
    if "other" in effects:
        what = "interaction of effects on the probability of being chosen"
    elif "baseline" in effects:
        what = "effect on the probability of being chosen"
    else:
        what = "probability of being chosen"
    return f"difference between groups: {what}" if differences else what
