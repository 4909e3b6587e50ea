"""One pair for one user: what each feature adds to the preference, and what it adds up to."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.errors import DataError
from bayes_pref.plots.forest import expect_variable
from bayes_pref.plots.rows import RowsStyle, draw_rows, marks
from bayes_pref.plots.style import (
    CHOSEN,
    LITERAL,
    SMALL,
    USERS,
    cut,
    name_axes,
    points,
)
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.estimates import describe
from bayes_pref.posterior.queries import (
    AVERAGE,
    POPULATION,
    Items,
    difference_matrix,
    item_matrix,
)
from bayes_pref.types import FloatArray

_MOST = 12  # features with a row of their own
_WORDS = {AVERAGE: "all users on average", POPULATION: "a new user"}


def pair(
    posterior: Posterior,
    left: Items,
    right: Items = None,
    user: Hashable = AVERAGE,
    ax: Axes | None = None,
    *,
    interval: float = 0.9,
) -> Axes:
    """Draw what speaks for the left and for the right side of one pair, to one user.

    A row is what a feature adds to the reward difference: its difference times the user's weight.
    Rows are sorted by size; of many, the smallest are added up. The last row is the whole
    difference, with the probability of choosing left.

    Parameters
    ----------
    posterior
        What `bayes_pref.fit` returned.
    left, right
        One item each, or one row of differences, as for `Posterior.preference`.
    user
        Label of a user; ``"average"``: the mean over all users; ``"population"``: a new one.
    ax
        Where to draw; None: a new figure.
    interval
        Probability inside the central credible intervals.

    Returns
    -------
    ax

    Raises
    ------
    DataError, ModelError
        If an argument has another type or value, or there is not one pair and one user.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> import pandas as pd
    >>> names = list(posterior.comparisons.feature_names)
    >>> pair = pd.DataFrame([[1.0, 0.0, -1.0, 0.0]], columns=names)
    >>> ax = bp.plots.pair(posterior, pair, user=world.comparisons.users[0])
    >>> sorted(label.get_text() for label in ax.get_yticklabels())
    ['feature_1 (+1)', 'feature_3 (-1)', 'together']
    """
    expect_variable(posterior, None)
    interval = settings.interval(interval)
    matrix, labels = difference_matrix(left, right, posterior.comparisons)
    weights = posterior.weights_draws(user)
    if len(matrix) != 1 or weights.sizes["user"] != 1:
        raise DataError(
            f"a plot of one pair to one user: got {len(matrix):,} pairs and "
            f"{weights.sizes['user']:,} users",
            "give one row and name one user",
        )
    drawn = weights.transpose("user", "feature", "chain", "draw").to_numpy()
    parts = drawn.reshape(matrix.shape[1], -1) * matrix[0][:, None]
    parts, names = _named(parts, matrix[0], posterior.comparisons)
    table = pd.DataFrame(describe(parts, interval))
    ax = draw_rows(table, names, ax, RowsStyle())
    height = points(ax)[1] / len(table)
    whole = table.iloc[[-1]]
    last = RowsStyle(colour=CHOSEN, offset=len(table) - 1.0)
    marks(ax, whole, last, 1.3 * height)
    if len(table) > 1:
        ax.axhline(len(table) - 1.5, color=USERS, linewidth=0.7)
    ax.axvline(0.0, color=USERS, linewidth=0.9, zorder=0.9)
    ax.get_yticklabels()[-1].set(fontweight="bold")
    who = _WORDS.get(user) if isinstance(user, str) else None
    asked = user if who else [user]
    chance = posterior.preference(left, right, asked, interval=interval).iloc[0]
    label = cut(labels[0], 60)
    if right is not None:
        sides = (item_matrix(side, posterior.comparisons)[1][0] for side in (left, right))
        label = " against ".join(cut(side, 40) for side in sides)
    return _titled(ax, chance, label, who or f"user {cut(user, 40)}", interval)


def _named(
    parts: FloatArray, difference: FloatArray, comparisons: Comparisons
) -> tuple[FloatArray, list[str]]:
    """Parts (row, sample) of what differs, the smallest added up, and of the whole; their names.

    Rewards of items have no origin, so that only the difference of two of them is a part.
    """
    of_items = comparisons.features.of_items
    there = np.flatnonzero((difference != 0) & ~of_items)
    size = np.abs(parts[there].mean(axis=1))
    there = there[np.argsort(-size, kind="stable")]
    few = len(there) <= _MOST
    own, rest = (there, there[:0]) if few else (there[: _MOST - 1], there[_MOST - 1 :])
    names = [f"{cut(comparisons.feature_names[k], 60)} ({difference[k]:+.4g})" for k in own]
    values = [*parts[own]]
    if len(rest):
        values.append(parts[rest].sum(axis=0))
        names.append(f"{len(rest)} other features")
    if difference[of_items].any() and len(there):
        values.append(parts[of_items].sum(axis=0))
        names.append("the items themselves")
    return np.stack([*values, parts.sum(axis=0)]), [*names, "together"]


def _titled(ax: Axes, chance: Any, label: str, user: str, interval: float) -> Axes:
    percent = f"{100 * interval:g} %"
    said = f"P(left) = {chance['mean']:.2f} ({chance['lower']:.2f} to {chance['upper']:.2f})"
    ax.set_title(f"{label}, {user}: {said}", fontsize=SMALL + 0.5, loc="left", **LITERAL)
    name_axes(ax, f"speaks for right   <   log-odds, {percent} interval   >   speaks for left")
    return ax
