"""Effects of covariates on users' weights: one panel a covariate, features sorted by size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.data.table import find
from bayes_pref.errors import ModelError
from bayes_pref.plots.forest import expect_variable
from bayes_pref.plots.rows import RowsStyle, draw_rows
from bayes_pref.plots.style import (
    LITERAL,
    SMALL,
    USERS,
    AxesArray,
    cut,
    many_axes,
    name_axes,
)
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.estimates import describe_parameters

_MOST_PANELS, _MOST_ROWS = 12, 15


def covariate_effects(
    posterior: Posterior,
    axes: Any = None,
    *,
    covariates: str | Sequence[str] | None = None,
    interval: float = 0.9,
) -> AxesArray:
    """Draw how users' weights change with their covariates, one panel a covariate.

    An effect is the change of the weight of a typical difference of a feature, in log-odds, between
    users who are one standard deviation of the covariate apart. In each panel features are sorted
    by the size of the effect, and the 15 with the largest are drawn.

    Parameters
    ----------
    posterior
        Of a model that regresses users' weights on covariates.
    axes
        One a covariate to draw into; None: a new figure.
    covariates
        Names of those to draw; None: all, at most the first 12.
    interval
        Probability inside the central credible intervals.

    Returns
    -------
    axes: (covariate,) matplotlib Axes

    Raises
    ------
    DataError, ModelError
        If an argument has another type or value, or there are no effects of covariates.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=30, features=2, contexts=0, covariates=1, seed=0)
    >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> [ax.get_title() for ax in bp.plots.covariate_effects(posterior)]
    ['covariate_1']
    """
    expect_variable(posterior, None)
    if "B" not in posterior.draws:
        raise ModelError(
            "the posterior has no effects of covariates to draw; give the comparisons covariates= "
            "and fit bp.HierarchicalReward() or bp.LowRankReward()"
        )
    comparisons = posterior.comparisons
    names = pd.Index(comparisons.covariate_names)
    asked = [covariates] if isinstance(covariates, str) else covariates
    picked = np.arange(min(len(names), _MOST_PANELS))
    if asked is not None:
        picked = find(list(asked), names, "covariate")
    drawn = posterior.draws["B"].transpose("chain", "draw", "covariate", "feature").to_numpy()
    sds = comparisons.covariates.std(axis=0)
    features = pd.Index(comparisons.feature_names)
    flat = many_axes(axes, len(picked), min(len(picked), 3), _panel(len(features), len(picked)))
    for ax, k in zip(flat, picked, strict=True):
        scaled = drawn[:, :, k] * sds[k] * comparisons.feature_scale
        table = pd.DataFrame(describe_parameters(scaled, interval), index=features)
        order = np.argsort(-table["mean"].abs().to_numpy(), kind="stable")[:_MOST_ROWS]
        table = table.iloc[order]
        draw_rows(table, [cut(name, 40) for name in table.index], ax, RowsStyle())
        ax.axvline(0.0, color=USERS, linewidth=0.9, zorder=0.9)
        name = cut(comparisons.covariate_names[k], 40)
        ax.set_title(name, fontsize=SMALL + 0.5, **LITERAL)
        name_axes(ax, f"log-odds per sd of {name}, {100 * interval:g} % interval")
        ax.xaxis.label.set(**LITERAL)
    return flat


def _panel(features: int, panels: int) -> tuple[float, float]:
    rows = min(features, _MOST_ROWS)
    return (6.4 if panels == 1 else 4.2), 0.24 * rows + 1.1
