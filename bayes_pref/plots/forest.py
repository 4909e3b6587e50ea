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
from bayes_pref.plots.rows import RowsStyle, draw_rows
from bayes_pref.plots.style import TRUTH, legend
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
    posterior: Posterior,
    name: str,
    ax: Axes | None,
    interval: float,
    units: Units,
    truth: Any,
    *,
    sort: bool = False,
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
    found, own = found.mul(sizes, axis=0), ax is None
    if settings.argument("sort", sort, settings.boolean):
        order = np.argsort(-found["mean"].abs().to_numpy(), kind="stable")
        found, true = found.iloc[order], None if true is None else true.iloc[order]
    said = f"{100 * interval:g} % interval"
    ax = draw_rows(found, list(found.index), ax, RowsStyle(label="posterior mean", interval=said))
    words = f"{said} ({words})"
    if true is not None:
        dot = ax.lines[-1].get_markersize()
        dash: dict[str, Any] = {"markersize": 2.4 * dot, "markeredgewidth": 0.33 * dot}
        ax.plot(true, np.arange(len(found)), "|", color=TRUTH, label="truth", **dash)
        legend(ax, own=own)
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
