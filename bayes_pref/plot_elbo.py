"""How the ELBO of a variational fit rose, and where its learning rate was cut."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from bayes_pref.errors import ModelError
from bayes_pref.plot_parts import CHOSEN, POPULATION, expect_variable, name_axes, one_axes
from bayes_pref.posterior import Posterior

_SHOWN = 0.9  # share of the windows that sets the lower end of the axis


def elbo(posterior: Posterior, ax: Axes | None = None) -> Axes:
    """Plot the ELBO over the steps of a variational fit; it should end in a plateau.

    Parameters
    ----------
    posterior
        Fitted with `SVI`.
    ax
        matplotlib Axes to draw into; None: those of a new figure.

    Returns
    -------
    ax: one line through the means of windows of steps; dashed lines where the learning rate was
        cut. The steep first rise may lie below the axis.

    Raises
    ------
    ModelError
        If the posterior does not come from `SVI`, or its run was too short for one window.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> from bayes_pref.inference.svi import SVI
    >>> world = bp.simulate(users=20, seed=0)
    >>> posterior = bp.fit(bp.PooledReward(), world.comparisons, SVI(progress=False))
    >>> elbo(posterior).get_xlabel()
    'step'
    """
    expect_variable(posterior, None)
    if not posterior.engine.get("elbo"):
        name = posterior.engine.get("name", "the engine")
        raise ModelError(f"there is no ELBO to draw: {name} recorded none; fit with bp.SVI()")
    history = np.asarray(posterior.engine["elbo"])
    every = int(posterior.engine["elbo_every"])
    steps = every * np.arange(1, len(history) + 1)
    ax = one_axes(ax, (6.0, 3.4))
    ax.plot(steps, history, color=POPULATION, marker="o", markersize=3, linewidth=1.2)
    for cut in posterior.engine["elbo_cuts"]:
        ax.axvline(cut, color=CHOSEN, linestyle="--", linewidth=1.0)
    low, high = np.quantile(history, 1 - _SHOWN), history.max()
    if high > low:
        ax.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
    name_axes(ax, "step", f"ELBO, mean of {every} steps")
    return ax
