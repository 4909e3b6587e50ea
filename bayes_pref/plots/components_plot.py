"""Components of a mixture: their mean weights side by side."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayes_pref import settings
from bayes_pref.errors import ModelError
from bayes_pref.plots.forest import Units, expect_variable, unit_sizes
from bayes_pref.plots.rows import RowsStyle, draw_rows, marks
from bayes_pref.plots.style import GROUPS, USERS, cut, legend, name_axes, points
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.estimates import describe_parameters

_APART = 0.5  # of a row, over which components are spread


def components(
    posterior: Posterior,
    ax: Axes | None = None,
    *,
    interval: float = 0.9,
    units: Units = "scaled",
    most: int = 20,
) -> Axes:
    """Draw the mean weights of a mixture's components, features sorted by how far these differ.

    Parameters
    ----------
    posterior
        Of a `MixtureReward`.
    ax
        Where to draw; None: a new figure.
    interval, units
        As for `population`.
    most
        How many features to draw, those in which components differ most.

    Returns
    -------
    ax

    Raises
    ------
    DataError, ModelError
        If an argument has another type or value, or the model has no components.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, features=2, contexts=0, seed=0)
    >>> engine = bp.Gibbs(progress=False)
    >>> posterior = bp.fit(bp.MixtureReward(components=1), world.comparisons, engine)
    >>> bp.plots.components(posterior).get_legend_handles_labels()[1]
    ['component 1 (100 % of users)']
    """
    expect_variable(posterior, "mu")
    most = settings.argument("most", most, settings.whole(1))
    mu = posterior.draws["mu"]
    if "component" not in mu.dims:
        raise ModelError(
            f"{type(posterior.model).__name__} has no components to draw; "
            "bp.MixtureReward(components=...) has"
        )
    sizes, words = unit_sizes(posterior.comparisons, units)
    drawn = mu.transpose("component", "chain", "draw", "feature").to_numpy() * sizes
    names = pd.Index(posterior.comparisons.feature_names)
    tables = [pd.DataFrame(describe_parameters(each, interval), index=names) for each in drawn]
    means = np.stack([table["mean"] for table in tables])
    far = np.ptp(means, axis=0) if len(means) > 1 else np.abs(means[0])
    order = np.argsort(-far, kind="stable")[:most]
    share = posterior.draws["share"].mean(("chain", "draw")).to_numpy()
    offsets = np.linspace(-_APART / 2, _APART / 2, len(tables)) if len(tables) > 1 else [0.0]
    own = ax is None
    drawn_in: Axes | None = None
    for number, (table, offset) in enumerate(zip(tables, offsets, strict=True)):
        style = RowsStyle(
            colour=GROUPS[number % len(GROUPS)],
            offset=float(offset),
            label=f"component {number + 1} ({100 * share[number]:.0f} % of users)",
            share=1.0 / len(tables),
        )
        if drawn_in is not None:
            height = points(drawn_in)[1] / len(order)
            marks(drawn_in, table.iloc[order], style, height * style.share)
        else:
            drawn_in = draw_rows(table.iloc[order], [cut(names[k]) for k in order], ax, style)
    assert drawn_in is not None  # a mixture has a component
    ax = drawn_in
    ax.axvline(0.0, color=USERS, linewidth=0.9, zorder=0.9)
    rest = f", {len(order)} of {len(names):,} features" if len(order) < len(names) else ""
    name_axes(ax, f"components' mean weights, {100 * interval:g} % interval ({words}){rest}")
    legend(ax, own=own)
    return ax
