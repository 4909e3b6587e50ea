"""Forest plots of the population, the units of weights, and true values beside estimates."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.errors import DataError, ModelError
from bayes_pref.messages import shown
from bayes_pref.plots.style import (
    GUIDE,
    LITERAL,
    POPULATION,
    SMALL,
    TRUTH,
    legend,
    one_axes,
    points,
    wrapped,
)
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.estimates import describe_parameters
from bayes_pref.types import FloatArray

Units: TypeAlias = Literal["scaled", "raw"]

_MEANINGS = {
    "mu": "population mean",
    "tau": "differences between users",
    "weights": "differences between users",
    "V": "factors that users share",
}
_TALLEST = 60.0  # inches: taller images are hard to open


def described(posterior: Posterior, name: str, interval: float) -> pd.DataFrame:
    """Estimates of a variable of the population, indexed by feature, per raw unit.

    Raises
    ------
    ModelError
        If `posterior` is none, or its model has no such variable.
    """
    expect_variable(posterior, name)
    draws = posterior.draws[name].transpose("chain", "draw", "feature")
    index = pd.Index(posterior.comparisons.feature_names)
    return pd.DataFrame(describe_parameters(draws.to_numpy(), interval), index=index)


def expect_variable(posterior: object, name: str | None) -> None:
    """Refuse what is no posterior, and a posterior without a variable (None: any)."""
    if not isinstance(posterior, Posterior):
        raise ModelError(
            f"posterior: got {type(posterior).__name__} but expected a Posterior, "
            "as bp.fit returns it"
        )
    if name is not None and name not in posterior.draws:
        other = "bp.LowRankReward()" if name == "V" else "bp.HierarchicalReward()"
        raise ModelError(
            f"{type(posterior.model).__name__} has no {_MEANINGS[name]} to draw; {other} has"
        )


def unit_sizes(comparisons: Comparisons, units: Units) -> tuple[FloatArray, str]:
    """Raw units (d,) of each feature in one unit of the axis, and the words for the axis.

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
    units = settings.argument("units", units, settings.one_of("scaled", "raw"))
    features = comparisons.features
    if features.of_items.all() and not features.interactions:
        return np.ones(comparisons.n_features), "log-odds"
    if units == "raw":
        return np.ones(comparisons.n_features), "log-odds per unit"
    return comparisons.feature_scale, "log-odds per typical difference"


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
    # What fits in the height above the axis label; where not even small print does, some rows have
    # no label.
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
    ax.set_yticks(rows[::step], labels[::step], fontsize=font, **LITERAL)
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
        If `truth` is no frame, or lacks a user or a feature.
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
