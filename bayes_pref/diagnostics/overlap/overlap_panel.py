"""The figure of overlap: which contexts users see, and how much overlap each comparison has."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from scipy.linalg import eigh

from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.query import Query
from bayes_pref.diagnostics.report import Report
from bayes_pref.diagnostics.task_sets import one_row_a_task
from bayes_pref.models.regressors import mean_contexts
from bayes_pref.plots.style import (
    CHOSEN,
    POPULATION,
    SMALL,
    USERS_INTERVAL,
    are_many,
    name_axes,
    panel_axes,
)
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray

# Neither end is as light as paper, nor as dark as a screen at night.
_COLOURS = LinearSegmentedColormap.from_list("overlap", [CHOSEN, USERS_INTERVAL, POPULATION])


def draw_overlap(report: Report, ax: Axes | None = None) -> Axes:
    """Draw each comparison's context against its user, coloured by overlap.

    Users are sorted by the mean of their contexts. Several contexts are combined along the
    direction in which users differ most.

    Parameters
    ----------
    report
        What `bayes_pref.diagnose` returned.
    ax
        Where to draw; None: a new figure.

    Returns
    -------
    ax
    """
    ax = panel_axes(ax, "Contexts of each user")
    found = report.exposure.dropna(subset="overlap")
    title = str(report.exposure.columns[1])
    centre = found.groupby("user", sort=False)[title].mean()
    place = centre.rank(method="first")  # a row of its own for each user, whatever they share
    dots = ax.scatter(
        found[title],
        found["user"].map(place),
        c=found["overlap"],
        cmap=_COLOURS,
        vmin=0.0,
        vmax=1.0,
        s=float(np.clip(6000.0 / len(found), 2.0, 16.0)),
        linewidths=0,
        rasterized=are_many(len(found)),
    )
    bar = ax.figure.colorbar(dots, ax=ax, pad=0.02)
    bar.ax.tick_params(labelsize=SMALL)
    bar.ax.axhline(report.thresholds.overlap, color=CHOSEN, linewidth=1.5)
    bar.set_label("overlap", fontsize=SMALL + 0.5)
    name_axes(ax, title, "users, sorted by context")
    return ax


def exposure_frame(posterior: Posterior, query: Query, overlap: FloatArray) -> pd.DataFrame:
    """Return what the figure draws, one row a comparison: `user`, the context, and `overlap`."""
    names = posterior.comparisons.features.contexts
    title = names[0] if len(names) == 1 else "leading combination of contexts"
    along = query.context @ _leading(one_row_a_task(posterior.comparisons))
    return pd.DataFrame({"user": query.labels, title: along, "overlap": overlap})


def _leading(comparisons: Comparisons) -> FloatArray:
    """Direction (q,) of the contexts with the largest ratio of variance between to within users."""
    context = comparisons.context
    if context.shape[1] == 1:
        return np.ones(1)
    own = mean_contexts(comparisons)
    within = np.cov((context - own[comparisons.user]).T)
    # A small ridge: a context that never varies within users has no variance there.
    within += 1e-6 * np.trace(np.cov(context.T)) / len(within) * np.eye(len(within))
    return np.asarray(eigh(np.cov(own.T), within)[1][:, -1])
