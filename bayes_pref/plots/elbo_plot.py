"""The ELBO of a variational fit over its steps."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from bayes_pref.errors import ModelError
from bayes_pref.inference.pyro_tools.pyro_posterior import PyroPosterior
from bayes_pref.plots.style import CHOSEN, POPULATION, name_axes, one_axes
from bayes_pref.posterior import Posterior

_SHOWN = 0.9  # share of the windows inside the axis


def elbo(fitted: Posterior | PyroPosterior, ax: Axes | None = None) -> Axes:
    """Draw the ELBO over the steps of a variational fit; a converged fit ends in a plateau.

    Parameters
    ----------
    fitted
        What `SVI` returned.
    ax
        Where to draw; None: a new figure.

    Returns
    -------
    ax: a line through the means of windows of steps, and dashed lines where the learning rate was
        reduced; the steep initial increase may lie below the axis

    Raises
    ------
    ModelError
        If the fit is not by `SVI`, or was too short for one window of steps.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> posterior = bp.fit(bp.PooledReward(), world.comparisons, bp.SVI(progress=False))
    >>> bp.plots.elbo(posterior).get_xlabel()
    'step'
    """
    if not isinstance(fitted, Posterior | PyroPosterior):
        raise ModelError(
            f"fitted: got {type(fitted).__name__} but expected a Posterior or a "
            "PyroPosterior by bp.SVI()"
        )
    record = fitted.run.elbo
    if record is None or not record.history:
        raise ModelError(
            f"there is no ELBO to draw: {fitted.run.engine} recorded none; fit with bp.SVI()"
        )
    history = np.asarray(record.history)
    steps = record.every * np.arange(1, len(history) + 1)
    ax = one_axes(ax, (6.0, 3.4))
    ax.plot(steps, history, color=POPULATION, marker="o", markersize=3, linewidth=1.2)
    for cut in record.cuts:
        ax.axvline(cut, color=CHOSEN, linestyle="--", linewidth=1.0)
    low, high = np.quantile(history, 1 - _SHOWN), history.max()
    if high > low:
        ax.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
    name_axes(ax, "step", f"ELBO, mean of {record.every} steps")
    return ax
