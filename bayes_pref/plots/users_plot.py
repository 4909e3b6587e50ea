"""Users' weights and the population's: one panel a feature, users sorted by their weights."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes

from bayes_pref.data.table import find
from bayes_pref.errors import DataError
from bayes_pref.messages import shown
from bayes_pref.plots.forest import Units, described, expect_variable, true_table, unit_sizes
from bayes_pref.plots.style import (
    CHOSEN,
    LITERAL,
    POPULATION,
    SMALL,
    TRUTH,
    USERS,
    USERS_INTERVAL,
    AxesArray,
    are_many,
    cut,
    legend,
    many_axes,
    name_axes,
    points,
    wrapped,
)
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.queries import user_positions
from bayes_pref.types import IntArray

_MOST_PANELS = 20
_DRAWN = 4000  # most users drawn: a panel has fewer pixels
_NAMED = 12  # most users named below the panels
_LETTERS = 16
_STRETCHED = 4.0  # times the range of three quarters of the features


def users(
    posterior: Posterior,
    user: Hashable | None = None,
    features: str | Sequence[str] | None = None,
    axes: Any = None,
    *,
    interval: float = 0.9,
    units: Units = "scaled",
    truth: pd.DataFrame | None = None,
) -> AxesArray:
    """Draw every user's weights and the population's, one panel a feature, users sorted.

    Of more than 4,000 users as many are drawn, evenly spaced.

    Parameters
    ----------
    posterior, interval, units
        As for `population`.
    user
        Label of a user to highlight.
    features
        Features to draw, or attributes with levels, of which all features are; None: all, or the 20
        in which users differ most per typical difference.
    axes
        One a feature to draw into; None: a new figure.
    truth
        True weights per raw unit, users by features, such as ``world.truth.weights``.

    Returns
    -------
    axes: (feature,) matplotlib Axes

    Raises
    ------
    DataError, ModelError
        If an argument has another type or value, or users do not differ in the model.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> axes = bp.plots.users(posterior, world.comparisons.users[0], features="feature_2")
    >>> [ax.get_title() for ax in axes]
    ['feature_2']
    """
    summarised = isinstance(posterior, Posterior) and posterior.users is not None
    expect_variable(posterior, None if summarised else "weights")
    comparisons, people = posterior.comparisons, posterior.comparisons.users
    sizes, words = unit_sizes(comparisons, units)
    picked = _picked(posterior, features)
    names, sizes = [comparisons.feature_names[k] for k in picked], sizes[picked]
    chosen = None if user is None else _position(user, people)
    true = None if truth is None else true_table(truth, people, names) * sizes
    table = posterior.weights(interval=interval)[["mean", "lower", "upper"]]
    found = {
        str(key): values.to_numpy().reshape(len(people), -1)[:, picked] * sizes
        for key, values in table.items()
    }
    centre = described(posterior, "mu", interval).iloc[picked].mul(sizes, axis=0)

    own, columns = axes is None, _columns(len(picked))
    panel = (6.4, 4.2) if columns == 1 else (2.9, 2.3 if len(picked) > 3 else 2.8)
    reach = found["upper"].max(axis=0) - found["lower"].min(axis=0)
    # On one scale features can be compared, unless one of them would flatten all others.
    shared = units == "scaled" and bool(
        reach.max() <= _STRETCHED * np.quantile(reach, 0.75, method="lower")
    )
    flat = many_axes(axes, len(picked), columns, panel, share_y=shared)
    for k, ax in enumerate(flat):
        table = pd.DataFrame({key: value[:, k] for key, value in found.items()}, index=people)
        if true is not None:
            table["truth"] = true[:, k]
        _panel(ax, table, centre.iloc[k], f"{100 * interval:g} % interval", chosen)
        ax.set_title(wrapped(names[k], 28), fontsize=SMALL + 0.5, **LITERAL)
    for ax in flat[-columns:] if own else flat:
        name_axes(ax, f"{len(people):,} users, sorted{_said_of_drawn(len(people))}")
    if own and features is None and len(picked) < comparisons.n_features:
        text = f"{len(picked)} of {comparisons.n_features:,} features: where users differ most"
        flat[0].figure.suptitle(text, fontsize=SMALL + 1.5)
    if own:
        differ = "" if shared or units == "raw" else "; scales differ"
        flat[0].figure.supylabel(f"users' weights\n({words}{differ})", fontsize=SMALL + 0.5)
    else:
        for ax in flat:
            name_axes(ax, up=f"users' weights\n({words})")
    legend(flat[0], own=own, above=True)
    return flat


def _panel(
    ax: Axes, table: pd.DataFrame, centre: pd.Series[float], words: str, chosen: int | None
) -> None:
    """One feature: users (row,) of `table` sorted by mean, the population behind them."""
    count = len(table)
    order = np.argsort(table["mean"].to_numpy(), kind="stable")
    table = table.iloc[order]
    drawn = _drawn(count)
    place, some = drawn + 1, table.iloc[drawn]
    # Narrow enough for gaps between users; a ribbon where there are too many of them.
    room = points(ax)[0] / len(drawn)
    thin, dot = float(np.clip(0.5 * room, 0.4, 2.0)), float(np.clip(0.7 * room, 1.8, 4.5))
    ax.axhline(0.0, color=USERS, linewidth=0.7, linestyle=(0, (1, 3)), zorder=0.5)
    bars: dict[str, Any] = {"color": USERS_INTERVAL, "linewidth": thin, "label": f"users' {words}"}
    lines = ax.vlines(place, some["lower"], some["upper"], **bars)
    lines.set_rasterized(are_many(len(drawn)))
    if "truth" in table:
        style: dict[str, Any] = {
            "markersize": dot,
            "markeredgewidth": 0.4 * dot,
            "alpha": float(np.clip(80 / count, 0.35, 0.8)),
        }
        ax.plot(place, some["truth"], "x", color=TRUTH, label="truth", **style)
    dots: dict[str, Any] = {
        "color": USERS,
        "markersize": dot,
        "markeredgewidth": 0,
        "label": "users' means",
    }
    ax.plot(place, some["mean"], "o", **dots)
    ax.axhline(centre["mean"], color=POPULATION, linewidth=1.4, label="population mean")
    band: dict[str, Any] = {"color": POPULATION, "alpha": 0.25, "label": f"population's {words}"}
    ax.axhspan(centre["lower"], centre["upper"], linewidth=0, **band)
    margin = max(0.6, 0.02 * count)
    ax.set_xlim(1 - margin, count + margin)
    ax.set_xticks([])
    if count <= _NAMED:
        labels = [_short(label) for label in table.index]
        ax.set_xticks(place, labels, rotation=90, **LITERAL)
        ax.tick_params(axis="x", length=0)
    if chosen is not None:
        _point_out(ax, int(np.flatnonzero(order == chosen)[0]), table, thin)


def _point_out(ax: Axes, where: int, table: pd.DataFrame, thin: float) -> None:
    """Highlight one user, with a label where there is room."""
    row, name = table.iloc[where], _short(table.index[where])
    ax.vlines(
        where + 1, row["lower"], row["upper"], color=CHOSEN, linewidth=max(1.8, thin), zorder=4
    )
    ax.plot(
        where + 1, row["mean"], "o", color=CHOSEN, markersize=5.0, zorder=5, label=f"user {name}"
    )
    if "truth" in table:  # again, over the bar
        ax.plot(where + 1, row["truth"], "x", color=TRUTH, markersize=5.0, zorder=5.5)
    if len(table) <= _NAMED:
        ax.get_xticklabels()[where].set_color(CHOSEN)
        return
    left = where < len(table) / 2
    text = ax.annotate(
        name,
        (where + 1, row["upper"] if left else row["lower"]),
        xytext=(0, 3 if left else -3),
        textcoords="offset points",
        ha="left"
        if where < len(table) / 4
        else "right"
        if where > 3 * len(table) / 4
        else "center",
        va="bottom" if left else "top",
        color=CHOSEN,
        fontsize=SMALL,
        zorder=6,
        **LITERAL,
    )
    text.set_path_effects([patheffects.withStroke(linewidth=2.0, foreground="white")])


def _said_of_drawn(count: int) -> str:
    return f"; {_DRAWN:,} drawn" if count > _DRAWN else ""


def _drawn(count: int) -> IntArray:
    """Places of the users to draw among the sorted ones: all, or evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, _DRAWN)).round().astype(np.int64))


def _short(label: Hashable) -> str:
    return cut(label, _LETTERS)


def _columns(panels: int) -> int:
    """Columns of a grid that is slightly wider than high."""
    return panels if panels <= 3 else min(5, int(np.ceil(np.sqrt(panels))))


def _picked(posterior: Posterior, features: str | Sequence[str] | None) -> IntArray:
    """Positions of the features to draw."""
    names = pd.Index(posterior.comparisons.feature_names)
    if features is not None:
        asked = [features] if isinstance(features, str) else list(features)
        if not asked:
            raise DataError("features: name at least one, or leave it out to draw all")
        whole = {each.name: each.columns for each in posterior.comparisons.features.codings}
        wanted = [name for each in asked for name in _features(each, names, whole)]
        return find(list(dict.fromkeys(wanted)), names, "feature")
    if len(names) <= _MOST_PANELS:
        return np.arange(len(names))
    means = posterior.weights()["mean"].to_numpy().reshape(-1, len(names))
    spread = means.std(axis=0) * posterior.comparisons.feature_scale
    return np.sort(np.argsort(-spread, kind="stable")[:_MOST_PANELS])


def _features(name: Any, names: pd.Index, whole: Mapping[str, tuple[str, ...]]) -> tuple[Any, ...]:
    """Features that a name stands for: itself, or all features of an attribute."""
    an_attribute = isinstance(name, str) and name not in names and name in whole
    return whole[name] if an_attribute else (name,)


def _position(user: Hashable, people: pd.Index) -> int:
    """Position of the user to highlight."""
    found = user_positions(user, people)
    if found.size != 1:
        raise DataError(f"user: name one user to highlight, got {shown(user)}")
    return int(found[0])
