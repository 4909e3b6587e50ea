"""Users' factor scores as points, and the loadings of features as arrows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes

from bayes_pref import settings
from bayes_pref.errors import DataError
from bayes_pref.messages import direction_name
from bayes_pref.plots.forest import expect_variable
from bayes_pref.plots.style import (
    LITERAL,
    POPULATION,
    SMALL,
    USERS,
    USERS_INTERVAL,
    apart,
    legend,
    name_axes,
    one_axes,
    points,
    wrapped,
)
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray

_RENAMED = {"tastes": "factors="}
_REACH = 0.85  # of the longest arrow, as a share of the furthest user's distance from the middle
_MOST_ARROWS = 12


@settings.keywords(_RENAMED)
def factors(
    posterior: Posterior, ax: Axes | None = None, *, factors: Sequence[str] | None = None
) -> Axes:
    """Draw users by their factor scores, and the factors by their loadings.

    A dot is a user's posterior mean score, in sds of the population, with a cross of one posterior
    sd each way. An arrow is a feature's mean loadings, log-odds per typical difference, all on one
    scale: users in its direction weigh it more. Of many features, the 12 with the longest arrows
    are drawn. With a single factor users are sorted by it.

    Parameters
    ----------
    posterior
        Of a `LowRankReward`.
    ax
        Where to draw; None: a new figure.
    factors
        Two to draw, across and up, such as ``["factor_1", "factor_3"]``; None: the first two.

    Returns
    -------
    ax

    Raises
    ------
    DataError, ModelError
        If an argument has another type or value, or the model has no factors.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=40, features=3, contexts=0, heterogeneity=0, factors=1, seed=0)
    >>> model = bp.LowRankReward(rank=1, diagonal=False)
    >>> posterior = bp.fit(model, world.comparisons, bp.Gibbs(draws=1500, progress=False))
    >>> bp.plots.factors(posterior).get_xlabel()
    'factor_1: feature_2 + feature_3 (sds of the population)'
    """
    expect_variable(posterior, "V")
    draws, comparisons = posterior.draws, posterior.comparisons
    names = [str(name) for name in draws["factor"].to_numpy()]
    picked = _picked(names, factors)
    z = draws["z"].transpose("chain", "draw", "user", "factor").to_numpy()[..., picked]
    flat = z.reshape(-1, *z.shape[2:])
    mean, sd = flat.mean(axis=0), flat.std(axis=0, ddof=1)
    loadings = draws["V"].mean(("chain", "draw")).transpose("feature", "factor").to_numpy()
    arrows = loadings[:, picked] * comparisons.feature_scale[:, None]
    own, ax = ax is None, one_axes(ax, (6.0, 5.6))
    along = [
        f"{names[k]}: {direction_name(arrow, comparisons.feature_names)} (sds of the population)"
        for k, arrow in zip(picked, arrows.T, strict=True)
    ]
    if len(picked) == 1:
        order = np.argsort(mean[:, 0], kind="stable")
        # Users from bottom to top, the arrows side by side at the height of the middle.
        height = np.arange(len(order), dtype=float)[:, None] - (len(order) - 1) / 2
        mean, sd = np.hstack([mean[order], height]), np.hstack([sd[order], 0.0 * height])
        arrows = np.hstack([arrows, 0.0 * arrows])
        name_axes(ax, along[0], f"{len(order):,} users, sorted")
        ax.set_yticks([])
    else:
        name_axes(ax, *along)
    _draw_users(ax, mean, sd)
    _draw_arrows(ax, arrows, comparisons.feature_names, float(np.abs(mean[:, 0]).max()))
    legend(ax, own=own)
    return ax


def _draw_users(ax: Axes, mean: FloatArray, sd: FloatArray) -> None:
    """A dot for each user (n, 2), and a cross of one sd each way."""
    ax.axhline(0.0, color=USERS_INTERVAL, linewidth=0.7, linestyle=(0, (1, 3)), zorder=0.5)
    ax.axvline(0.0, color=USERS_INTERVAL, linewidth=0.7, linestyle=(0, (1, 3)), zorder=0.5)
    count = len(mean)
    bar: dict[str, Any] = {
        "color": USERS_INTERVAL,
        "linewidth": float(np.clip(40.0 / count, 0.3, 1.2)),
        "alpha": float(np.clip(60.0 / count, 0.3, 1.0)),
    }
    x, y = mean.T
    ax.hlines(y, x - sd[:, 0], x + sd[:, 0], label="users' sd", **bar)
    ax.vlines(x, y - sd[:, 1], y + sd[:, 1], label="_users' sd up", **bar)
    size = float(np.clip(120.0 / np.sqrt(count) / 4.0, 1.8, 4.5))
    ax.plot(
        x, y, "o", color=USERS, markersize=size, markeredgewidth=0, label="users' means", zorder=2
    )


def _draw_arrows(ax: Axes, arrows: FloatArray, names: Sequence[str], reach: float) -> None:
    """An arrow for each feature (d, 2), the longest of a length that users reach."""
    lengths = np.linalg.norm(arrows, axis=1)
    if not lengths.max() > 0.0:
        return
    tips = arrows * (_REACH * reach / lengths.max())
    style = {"arrowstyle": "-|>", "color": POPULATION, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
    drawn = np.sort(np.argsort(-lengths, kind="stable")[:_MOST_ARROWS])
    lifted = _lifted(ax, tips[drawn])
    for k, lift in zip(drawn, lifted, strict=True):
        ax.annotate("", tips[k], xytext=(0.0, 0.0), arrowprops=style, zorder=3)
        left, below = tips[k] < 0.0
        label = ax.annotate(
            wrapped(names[k], 24),
            tips[k],
            xytext=(-3 if left else 3, (-2 if below else 2) + lift),
            textcoords="offset points",
            ha="right" if left else "left",
            va="top" if below else "bottom",
            color=POPULATION,
            fontsize=SMALL,
            zorder=4,
            **LITERAL,
        )
        label.set_path_effects([patheffects.withStroke(linewidth=2.0, foreground="white")])


def _lifted(ax: Axes, tips: FloatArray) -> FloatArray:
    """How far up (points) to move the labels at tips (n, 2), so that those on a side are apart."""
    low, high = ax.get_ylim()
    height = tips[:, 1] * points(ax)[1] / (high - low)
    height -= np.where(tips[:, 1] < 0.0, SMALL, 0.0)  # these labels stand below their tips
    moved = height.copy()
    for side in (tips[:, 0] < 0.0, tips[:, 0] >= 0.0):
        moved[side] = apart(height[side], 1.1 * SMALL)
    return np.asarray(moved - height)


def _picked(names: list[str], wanted: Sequence[str] | None) -> list[int]:
    """Places of the factors to draw: two, or the only one."""
    if wanted is None:
        return list(range(min(2, len(names))))
    known = ", ".join(map(repr, names))
    asked = [wanted] if isinstance(wanted, str) else list(wanted)
    if len(asked) != 2 or len(set(asked)) != 2 or not set(asked) <= set(names):
        raise DataError(f"factors: name two of {known}, one for each axis; got {asked!r}")
    return [names.index(name) for name in asked]
