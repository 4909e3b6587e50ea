"""What the plots share: colours, units, axes, labels that fit, and true values beside estimates.

Colours are those of Okabe & Ito, told apart with any colour vision. Labels are the caller's own
words, so a dollar sign in them is a dollar sign, not mathematics. No global setting is touched.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Hashable, Iterable
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bayes_pref.data import Comparisons
from bayes_pref.data.validate import FloatArray, shown
from bayes_pref.errors import DataError, ModelError
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.estimates import describe_parameters

AxesArray: TypeAlias = np.ndarray[Any, Any]  # of matplotlib Axes, for which NumPy has no type
Units: TypeAlias = Literal["scaled", "raw"]

POPULATION, CHOSEN, TRUTH = "#0072B2", "#D55E00", "#000000"
USERS, USERS_INTERVAL, GUIDE = "#5F6B76", "#BCC5CE", "#E6E9EC"
SMALL = 8.5  # points, of all labels
_MEANINGS = {
    "mu": "population mean",
    "tau": "differences between users",
    "weights": "differences between users",
}
_LABEL_WIDTH = 30
_LEGEND_INCHES = 1.95  # width of an entry
_TALLEST = 60.0  # inches: taller images are hard to open


def described(posterior: Posterior, name: str, interval: float) -> pd.DataFrame:
    """Estimates of a variable of the population, indexed by feature, per raw unit.

    Raises
    ------
    ModelError
        If that is no posterior, or its model has no such variable.
    """
    expect_variable(posterior, name)
    draws = posterior.draws[name].transpose("chain", "draw", "feature")
    index = pd.Index(posterior.comparisons.feature_names)
    return pd.DataFrame(describe_parameters(draws.to_numpy(), interval), index=index)


def expect_variable(posterior: object, name: str | None) -> None:
    """Refuse what is not a posterior, and one whose model lacks a variable (None: any will do)."""
    if not isinstance(posterior, Posterior):
        raise ModelError(
            f"posterior: got {type(posterior).__name__} but expected a Posterior, "
            "as bp.fit returns it"
        )
    if name is not None and name not in posterior.draws:
        raise ModelError(
            f"{type(posterior.model).__name__} has no {_MEANINGS[name]} to draw; "
            "bp.HierarchicalReward() has"
        )


def unit_sizes(comparisons: Comparisons, units: Units) -> tuple[FloatArray, str]:
    """Raw units (d,) of each feature that the axis counts as one, and the words for the axis.

    Raises
    ------
    DataError
        If `units` is neither "scaled" nor "raw".

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> unit_sizes(world.comparisons, "raw")
    (array([1., 1., 1., 1.]), 'log-odds per unit')
    """
    if units not in ("scaled", "raw"):
        raise DataError(f"units must be 'scaled' or 'raw', got {shown(units)}")
    features = comparisons.features
    if features.indicators and not features.interactions:
        return np.ones(comparisons.n_features), "log-odds"
    if units == "raw":
        return np.ones(comparisons.n_features), "log-odds per unit"
    return comparisons.feature_scale, "log-odds per typical difference"


def one_axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Return the caller's axes, or those of a new figure of this size (inches)."""
    if ax is None:
        ax = pyplot.subplots(figsize=size, layout="constrained")[1]
    elif not isinstance(ax, Axes):
        raise DataError(f"ax: got {type(ax).__name__} but expected one matplotlib Axes")
    return tidy(ax)


def many_axes(
    axes: Any, count: int, columns: int, panel: tuple[float, float], *, share_y: bool = False
) -> AxesArray:
    """Return the caller's axes, or `count` of a new figure with this many columns; flat.

    Raises
    ------
    DataError
        If the caller's axes are too few or too many, or not axes.
    """
    if axes is not None:
        flat = np.asarray(axes, dtype=object).ravel()
        if flat.size != count or not all(isinstance(ax, Axes) for ax in flat):
            kind = type(flat[0]).__name__ if flat.size else "nothing"
            raise DataError(
                f"axes: {count} matplotlib Axes are needed, one a panel; got {flat.size} of {kind}"
            )
    else:
        rows = -(-count // columns)
        size = (panel[0] * columns, panel[1] * rows + 0.6)
        figure = pyplot.figure(figsize=size, layout="constrained")
        flat = np.empty(count, dtype=object)
        for k in range(count):
            shared = flat[0] if share_y and k else None
            flat[k] = figure.add_subplot(rows, columns, k + 1, sharey=shared)
            flat[k].tick_params(labelleft=not share_y or k % columns == 0)
    for ax in flat:
        tidy(ax)
    return flat


def tidy(ax: Axes) -> Axes:
    """Take away the frame that carries no information."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=SMALL)
    return ax


def legend(ax: Axes, *, own: bool, above: bool = False) -> None:
    """Explain the artists of `ax`: below a figure of our own, inside axes of the caller's.

    `above` raises the upper end of the axis to make room; otherwise the legend goes where it fits.
    """
    handles, labels = ax.get_legend_handles_labels()
    style: dict[str, Any] = {"fontsize": SMALL, "frameon": False}
    if own and isinstance(ax.figure, Figure):
        fit = max(1, int(ax.figure.get_figwidth() / _LEGEND_INCHES))
        style |= {"loc": "outside lower center", "ncols": min(fit, len(labels))}
        drawn = ax.figure.legend(handles, labels, **style)
    else:
        drawn = ax.legend(handles, labels, **style, loc="upper left" if above else "best")
    if above and not own:
        share = min(1.5 * SMALL * len(labels) / points(ax)[1], 0.6)
        low, high = ax.get_ylim()
        ax.set_ylim(low, low + (high - low) / (1.0 - 0.8 * share))
    for text in drawn.get_texts():
        text.set_parse_math(False)
    # What is fine print among a thousand users must still be seen in the legend.
    for handle in drawn.legend_handles:
        if isinstance(handle, Line2D):
            handle.set_linewidth(max(handle.get_linewidth(), 1.8))
            handle.set_markersize(max(handle.get_markersize(), 4.5))


def name_axes(ax: Axes, across: str | None = None, up: str | None = None) -> None:
    """Write what the axes are, in lines that are no longer than the axes."""
    if across is not None:
        ax.set_xlabel(fitted(ax, across), fontsize=SMALL + 0.5)
    if up is not None:
        ax.set_ylabel(up, fontsize=SMALL + 0.5)


def fitted(ax: Axes, text: str) -> str:
    """Break a text where it would be wider than the axes."""
    return textwrap.fill(text, max(int(points(ax)[0] / (0.56 * SMALL)), 20))


def points(ax: Axes) -> tuple[float, float]:
    """Width and height of axes as they stand, before any layout; points."""
    box, inch = ax.get_window_extent(), ax.figure.dpi
    return box.width * 72.0 / inch, box.height * 72.0 / inch


def wrapped(label: object, width: int = _LABEL_WIDTH) -> str:
    """Break a long label into lines, where possible after a space, underscore, colon or hyphen.

    Examples
    --------
    >>> print(wrapped("number_of_questions_asked:prompt_is_about_code"))
    number_of_questions_asked:
    prompt_is_about_code
    """
    lines = [""]
    for part in re.findall(r"[^\s_:\-]+[\s_:\-]*|[\s_:\-]+", str(label)):
        for piece in textwrap.wrap(part, width, drop_whitespace=False):
            if len(lines[-1]) + len(piece.rstrip()) > width:
                lines.append("")
            lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def forest(
    posterior: Posterior, name: str, ax: Axes | None, interval: float, units: Units, truth: Any
) -> tuple[Axes, str]:
    """Draw a variable of the population, one row a feature, the first on top.

    A dot at the mean, a line from bound to bound, and an upright dash at the truth where given.

    Returns
    -------
    ax, and words for the interval and the unit
    """
    found = described(posterior, name, interval)
    sizes, words = unit_sizes(posterior.comparisons, units)
    true = None if truth is None else true_values(truth, found.index) * sizes
    found, labels, own = found.mul(sizes, axis=0), [wrapped(n) for n in found.index], ax is None
    rows, lines = np.arange(len(found)), max(label.count("\n") + 1 for label in labels)
    room = (18.0 if len(rows) <= 30 else 12.0) * (1.0 + 0.6 * (lines - 1))
    ax = one_axes(ax, (6.4, min(len(rows) * room / 72.0 + 1.1, _TALLEST)))
    # What fits in the height that there is, above the axis label; where even small print does not,
    # some rows go bare.
    height = max(points(ax)[1] - 2.0 * SMALL, SMALL) / len(rows)
    font = float(np.clip(0.8 * height / lines, 4.0, SMALL))
    step = max(1, int(np.ceil(1.2 * font * lines / height)))
    bar: dict[str, Any] = {"color": POPULATION, "linewidth": float(np.clip(0.2 * height, 0.8, 2.2))}
    dot, words = float(np.clip(0.5 * height, 1.6, 5.5)), f"{100 * interval:g} % interval ({words})"
    ax.hlines(rows, found["lower"], found["upper"], label=f"{100 * interval:g} % interval", **bar)
    ax.plot(found["mean"], rows, "o", color=POPULATION, markersize=dot, label="posterior mean")
    if true is not None:
        dash: dict[str, Any] = {"markersize": 2.4 * dot, "markeredgewidth": 0.33 * dot}
        ax.plot(true, rows, "|", color=TRUTH, label="truth", **dash)
        legend(ax, own=own)
    ax.set_yticks(rows[::step], labels[::step], fontsize=font, parse_math=False)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(axis="y", color=GUIDE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return ax, words


def true_values(truth: Any, features: pd.Index) -> pd.Series[float]:
    """True values (feature,) out of a Series or mapping, in the order of the features.

    Raises
    ------
    DataError
        If a feature has no value.
    """
    try:
        given = pd.Series(truth, dtype=float)
    except (TypeError, ValueError) as err:
        raise DataError(f"truth: expected a number for each feature, got {shown(truth)}") from err
    _require(features, given.index, "feature")
    return given.loc[list(features)]


def true_table(truth: Any, users: pd.Index, features: Iterable[Hashable]) -> FloatArray:
    """True values (user, feature) out of a frame, in the order of users and features.

    Raises
    ------
    DataError
        If that is no frame, or a user or a feature is not in it.
    """
    if not isinstance(truth, pd.DataFrame):
        raise DataError(
            f"truth: got {type(truth).__name__} but expected a frame, users by features"
        )
    _require(features, truth.columns, "feature")
    _require(users, truth.index, "user")
    return truth.loc[list(users), list(features)].to_numpy(dtype=float)


def _require(wanted: Iterable[Hashable], given: pd.Index, what: str) -> None:
    absent = [label for label in wanted if label not in given]
    if absent:
        raise DataError(f"truth has no value for the {what} {shown(absent[0])}")
    if not given.is_unique:
        raise DataError(f"truth has the {what} {shown(given[given.duplicated()][0])} twice")
