"""Correlations of users' weights, as a triangle of cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from bayes_pref import settings
from bayes_pref.plots.forest import expect_variable
from bayes_pref.plots.style import (
    CHOSEN,
    LITERAL,
    POPULATION,
    SMALL,
    USERS,
    cut,
    name_axes,
    one_axes,
)
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray, IntArray

_COLOURS = LinearSegmentedColormap.from_list("correlations", [CHOSEN, "#F4F5F6", POPULATION])
_CELL, _LETTERS = 0.42, 26  # inches; characters of a name
_DARK = 0.65  # correlation from which white text reads better


def correlations(
    posterior: Posterior, ax: Axes | None = None, *, interval: float = 0.9, most: int = 20
) -> Axes:
    """Draw how users' weights go together: who weighs one feature more, weighs which others more.

    Features that go together stand together. A number in bold has an interval without zero; the
    others may as well be zero.

    Parameters
    ----------
    posterior
        Of a model with correlations, such as ``bp.HierarchicalReward(covariance="full")``.
    ax
        Where to draw; None: a new figure.
    interval
        Probability inside the central credible intervals.
    most
        How many features to draw, those with the strongest correlations.

    Returns
    -------
    ax

    Raises
    ------
    DataError, ModelError
        If an argument has another type or value, or the model has no correlations.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=30, features=3, contexts=0, correlation=0.9, seed=0)
    >>> full = bp.HierarchicalReward(covariance="full")
    >>> posterior = bp.fit(full, world.comparisons, bp.Gibbs(progress=False))
    >>> len(bp.plots.correlations(posterior).texts)
    3
    """
    expect_variable(posterior, None)
    most = settings.argument("most", most, settings.whole(2))
    table = posterior.correlations(interval=interval)
    names = list(dict.fromkeys(np.ravel(table[["feature", "other"]].to_numpy())))[:most]
    mean, sure = _matrix(table, names)
    order = _together(mean)
    mean, sure = mean[np.ix_(order, order)], sure[np.ix_(order, order)]
    labels = [cut(names[k], _LETTERS) for k in order]
    # The first row and the last column of the whole square would be empty.
    below = np.ma.masked_array(mean, np.triu(np.ones_like(mean, dtype=bool)))[1:, :-1]
    side = _CELL * (len(names) - 1)
    ax = one_axes(ax, (side + 2.6, side + 1.9))
    image = ax.imshow(below, cmap=_COLOURS, vmin=-1.0, vmax=1.0, aspect="equal")
    for row, column in zip(*np.nonzero(~np.ma.getmaskarray(below)), strict=True):
        value = below[row, column]
        bold = sure[row + 1, column]
        ax.text(
            column,
            row,
            f"{round(value, 2) + 0.0:.2f}".replace("0.", ".", 1),
            ha="center",
            va="center",
            fontsize=SMALL - 1,
            fontweight="bold" if bold else "normal",
            color="white" if abs(value) > _DARK else "black" if bold else USERS,
        )
    ax.set_xticks(range(len(labels) - 1), labels[:-1], rotation=90, fontsize=SMALL, **LITERAL)
    ax.set_yticks(range(len(labels) - 1), labels[1:], fontsize=SMALL, **LITERAL)
    ax.tick_params(length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.6, pad=0.02)
    bar.ax.tick_params(labelsize=SMALL)
    count = posterior.comparisons.n_features
    rest = f", {len(names)} of {count:,} features" if len(names) < count else ""
    words = f"correlation of users' weights{rest}"
    name_axes(ax, f"{words}; bold: {100 * interval:g} % interval without 0")
    return ax


def _matrix(table: pd.DataFrame, names: list[str]) -> tuple[FloatArray, FloatArray]:
    """Means (k, k) of the features named, and whether their signs are known."""
    mean, sure = np.eye(len(names)), np.zeros((len(names), len(names)))
    place = pd.Series(range(len(names)), names)
    known = table[table["feature"].isin(names) & table["other"].isin(names)]
    rows, columns = (place[known[side]].to_numpy() for side in ("feature", "other"))
    mean[rows, columns] = mean[columns, rows] = known["mean"]
    sure[rows, columns] = sure[columns, rows] = known["lower"] * known["upper"] > 0.0
    return mean, sure


def _together(mean: FloatArray) -> IntArray:
    """Order in which features that go together are neighbours."""
    if len(mean) < 3:
        return np.arange(len(mean))
    distance = squareform(np.clip(1.0 - mean, 0.0, 2.0), checks=False)
    return np.asarray(
        leaves_list(linkage(distance, "average", optimal_ordering=True)), dtype=np.int64
    )
