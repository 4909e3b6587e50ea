"""Calibration curve of held-out predictions."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from bayes_pref.errors import DataError
from bayes_pref.evaluation import Evaluation
from bayes_pref.plots.style import (
    GUIDE,
    POPULATION,
    USERS,
    legend,
    name_axes,
    one_axes,
    wrapped,
)


def reliability(evaluation: Evaluation, ax: Axes | None = None) -> Axes:
    """Draw a calibration curve: how often left was chosen, by its predicted probability.

    Where the evaluation is folded, the curve is that of the side predicted to win; of tasks among
    several alternatives, of each alternative. Of ties and levels there is a curve for every answer.

    Parameters
    ----------
    evaluation
        What `bayes_pref.evaluate` returned.
    ax
        Where to draw; None: a new figure.

    Returns
    -------
    ax: a point a bin of predictions, with its confidence interval; calibrated predictions lie on
        the diagonal

    Raises
    ------
    DataError
        If `evaluation` is none.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> train, test = bp.simulate(users=20, seed=0).comparisons.split(by="comparison")
    >>> posterior = bp.fit(bp.PooledReward(), train, bp.Gibbs(progress=False))
    >>> bp.plots.reliability(bp.evaluate(posterior, test)).get_xlabel()
    'predicted probability of left'
    """
    if not isinstance(evaluation, Evaluation):
        raise DataError(
            f"evaluation: got {type(evaluation).__name__}, not what bp.evaluate(...) returns"
        )
    own, found = ax is None, evaluation.calibration
    ax = one_axes(ax, (4.4, 4.4))
    side = "the predicted side" if evaluation.folded else "left"
    side = side if evaluation.alternatives is None else "the alternative"
    ax.plot([0, 1], [0, 1], color=USERS, linewidth=0.9, label="calibrated")
    ax.vlines(
        [], [], [], color=POPULATION if evaluation.answers is None else USERS, label="interval"
    )
    if evaluation.answers is None:
        _curve(ax, found, POPULATION, f"share that chose {side}")
    else:
        side, answers = "the answer", found["answer"].unique()
        colours = colormaps["viridis"](np.linspace(0.0, 0.9, len(answers)))
        for answer, colour in zip(answers, colours, strict=True):
            own_bins = found[found["answer"] == answer]
            _curve(ax, own_bins, to_hex(colour), wrapped(answer))
    ax.set_xlim(0.5 if evaluation.folded and evaluation.answers is None else 0.0, 1.0)
    ax.set_ylim(-0.02, 1.02)
    ax.grid(color=GUIDE, linewidth=0.8)
    ax.set_axisbelow(True)
    name_axes(ax, f"predicted probability of {side}", f"share that chose {side}")
    legend(ax, own=own)
    return ax


def _curve(ax: Axes, found: pd.DataFrame, colour: str, label: str) -> None:
    """Draw the bins of one curve."""
    ax.vlines(found["predicted"], found["lower"], found["upper"], color=colour)
    ax.plot(found["predicted"], found["mean"], "o", color=colour, label=label)
