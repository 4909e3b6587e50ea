"""Ranks of simulation-based calibration: their distribution minus the uniform one."""

from __future__ import annotations

from typing import Any

from bayes_pref import settings
from bayes_pref.errors import DataError
from bayes_pref.evaluation.sbc import SBC
from bayes_pref.plots.style import (
    CHOSEN,
    GUIDE,
    LITERAL,
    POPULATION,
    SMALL,
    USERS_INTERVAL,
    AxesArray,
    legend,
    many_axes,
    name_axes,
    wrapped,
)

_MOST_PANELS = 24


def calibration(result: SBC, axes: Any = None, *, probability: float = 0.95) -> AxesArray:
    """Draw the ranks of true values in their posteriors, one panel a quantity.

    A curve is the empirical distribution function of the ranks minus the uniform one. Below and
    then above zero: posteriors are too wide; above and then below: too narrow; all above: estimates
    are too high; all below: too low. Curves that leave the band have another colour.

    Parameters
    ----------
    result
        What `bayes_pref.sbc` returned.
    axes
        One a quantity to draw into; None: a new figure (of at most 24, worst first).
    probability
        Probability that a curve of uniform ranks stays inside the band everywhere.

    Returns
    -------
    axes: (quantity,) matplotlib Axes

    Raises
    ------
    DataError
        If an argument has another type or value.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=8, comparisons=5, features=1, contexts=0, seed=0)
    >>> found = bp.sbc(bp.PooledReward(), world.comparisons, replications=10, progress=False)
    >>> [ax.get_title() for ax in bp.plots.calibration(found)]
    ['mu[feature_1]', 'log_likelihood']
    """
    if not isinstance(result, SBC):
        raise DataError(f"result: got {type(result).__name__}, not what bp.sbc(...) returns")
    probability = settings.argument("probability", probability, settings.fraction)
    difference, band = result.difference(), result.band(probability)
    outside = ((difference.lt(band["lower"], axis=0)) | difference.gt(band["upper"], axis=0)).any()
    # Where there are too many panels for a figure, curves that leave the band come first.
    names = list(difference.columns)
    if axes is None and len(names) > _MOST_PANELS:
        names = sorted(names, key=lambda name: not outside[name])[:_MOST_PANELS]
    own, columns = axes is None, min(4, len(names))
    flat = many_axes(axes, len(names), columns, (2.5, 1.9), share_y=True)
    high = 1.1 * max(band.abs().to_numpy().max(), difference[names].abs().to_numpy().max())
    for ax, name in zip(flat, names, strict=True):
        ax.fill_between(
            band.index,
            band["lower"],
            band["upper"],
            color=USERS_INTERVAL,
            linewidth=0,
            label=f"{100 * probability:g} % simultaneous band if calibrated",
        )
        ax.axhline(0.0, color=GUIDE, linewidth=0.8)
        colour = CHOSEN if outside[name] else POPULATION
        ax.plot(difference.index, difference[name], color=colour, linewidth=1.6)
        ax.set_xlim(0.0, 1.0)
        ax.set_ylim(-high, high)
        title = f"{name}, outside" if outside[name] else name
        ax.set_title(wrapped(title, 28), fontsize=SMALL + 0.5, **LITERAL)
    across = "rank of the true value, 0 to 1"
    for ax in flat[-columns:] if own else flat:
        name_axes(ax, across)
    if own:
        flat[0].figure.supylabel("share of ranks below, minus uniform", fontsize=SMALL + 0.5)
    else:
        for ax in flat:
            name_axes(ax, up="share of ranks below,\nminus uniform")
    legend(flat[0], own=own)
    return flat
