"""Ranks of true values: the difference of their distribution from uniform, with its band."""

from __future__ import annotations

from typing import Any

from bayes_pref import settings
from bayes_pref.errors import DataError
from bayes_pref.evaluation.sbc import SBC
from bayes_pref.plots.style import (
    CHOSEN,
    GUIDE,
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


def draw_calibration(result: SBC, axes: Any, probability: float) -> AxesArray:
    """Draw what `bayes_pref.plots.calibration` describes."""
    if not isinstance(result, SBC):
        raise DataError(f"result: got {type(result).__name__}, not what bp.sbc(...) returns")
    probability = settings.argument("probability", probability, settings.fraction)
    difference, band = result.difference(), result.band(probability)
    outside = ((difference.lt(band["lower"], axis=0)) | difference.gt(band["upper"], axis=0)).any()
    # Where panels are too many for a figure, those that leave the band come first.
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
            label=f"all of every curve is here in {100 * probability:g} % of cases, if calibrated",
        )
        ax.axhline(0.0, color=GUIDE, linewidth=0.8)
        colour = CHOSEN if outside[name] else POPULATION
        ax.plot(difference.index, difference[name], color=colour, linewidth=1.6)
        ax.set_xlim(0.0, 1.0)
        ax.set_ylim(-high, high)
        title = f"{name}, outside" if outside[name] else name
        ax.set_title(wrapped(title, 28), fontsize=SMALL + 0.5, parse_math=False)
    across = "rank of the truth, as a share"
    for ax in flat[-columns:] if own else flat:
        name_axes(ax, across)
    if own:
        flat[0].figure.supylabel("share of ranks below, less that share", fontsize=SMALL + 0.5)
    else:
        for ax in flat:
            name_axes(ax, up="share of ranks below,\nless that share")
    legend(flat[0], own=own)
    return flat
