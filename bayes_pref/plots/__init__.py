"""Pictures of what was learned, drawn into your axes or a new figure's, which are returned.

Nothing is fitted here: a picture shows the numbers of `Posterior.summary`, `Posterior.weights` or
`RewardModel.prior_predictive`. Weights are drawn per typical difference of their feature (the root
mean square over the comparisons), so that features in different units can share an axis.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from bayes_pref.data import Comparisons
from bayes_pref.errors import DataError
from bayes_pref.evaluation.sbc import SBC
from bayes_pref.plots.chains import draw_chains
from bayes_pref.plots.elbo import elbo as elbo
from bayes_pref.plots.evaluations import checks as checks
from bayes_pref.plots.evaluations import reliability as reliability
from bayes_pref.plots.factors import factors as factors
from bayes_pref.plots.forest_parts import Units, forest
from bayes_pref.plots.ranks import draw_calibration
from bayes_pref.plots.style import POPULATION, SMALL, USERS, AxesArray, fitted, name_axes, one_axes
from bayes_pref.plots.user_panels import draw_users
from bayes_pref.posterior import Posterior

_RENAMED = {"tastes": "factors"}
_CERTAIN = 0.01  # a choice whose probability is this near 0 or 1 is all but certain


def population(
    posterior: Posterior,
    ax: Axes | None = None,
    *,
    interval: float = 0.9,
    units: Units = "scaled",
    truth: pd.Series[float] | Mapping[str, float] | None = None,
) -> Axes:
    """Draw the population's mean weights with their credible intervals, one row a feature.

    Parameters
    ----------
    posterior
        What `bayes_pref.fit` returned.
    ax
        Where to draw; None: a new figure.
    interval
        Probability inside the central credible intervals.
    units
        "scaled": log-odds per typical difference of a feature; "raw": per raw unit.
    truth
        True weights per raw unit, by feature, such as ``world.truth.mu``; drawn as upright dashes.

    Returns
    -------
    ax

    Raises
    ------
    DataError, ModelError
        If an argument is not one of those.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> bp.plots.population(posterior, truth=world.truth.mu).get_xlabel()
    'population weight, 90 % interval (log-odds per typical difference)'
    """
    ax, words = forest(posterior, "mu", ax, interval, units, truth)
    ax.axvline(0.0, color=USERS, linewidth=0.9, zorder=0.9)
    name_axes(ax, f"population weight, {words}")
    return ax


def heterogeneity(
    posterior: Posterior,
    ax: Axes | None = None,
    *,
    interval: float = 0.9,
    units: Units = "scaled",
    truth: pd.Series[float] | Mapping[str, float] | None = None,
) -> Axes:
    """Draw how much users differ in each feature: the sd of their weights, with its interval.

    Where there are covariates, it is the spread that these leave unexplained.

    Parameters
    ----------
    posterior, ax, interval, units
        As for `population`.
    truth
        True sds per raw unit, by feature, such as ``world.truth.tau``; drawn as upright dashes.

    Returns
    -------
    ax

    Raises
    ------
    DataError, ModelError
        If an argument is not one of those, or in this model users do not differ.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> [label.get_text() for label in bp.plots.heterogeneity(posterior).get_yticklabels()]
    ['feature_1', 'feature_2', 'feature_3', 'feature_4']
    """
    ax, words = forest(posterior, "tau", ax, interval, units, truth)
    ax.set_xlim(left=0.0)
    beyond = " beyond covariates" if posterior.comparisons.covariate_names else ""
    name_axes(ax, f"users' sd{beyond}, {words}")
    return ax


def users(
    posterior: Posterior,
    user: Hashable | None = None,
    features: str | Sequence[str] | None = None,
    axes: Any = None,
    *,
    interval: float = 0.9,
    units: Units = "scaled",
    truth: pd.DataFrame | None = None,
) -> AxesArray:
    """Draw every user's weights against the population's, one panel a feature, users sorted.

    Parameters
    ----------
    posterior, interval, units
        As for `population`.
    user
        Label of a user to point out.
    features
        Which to draw; None: all, or the 20 in which users differ most per typical difference.
    axes
        One a feature to draw into; None: a new figure.
    truth
        True weights per raw unit, users by features, such as ``world.truth.weights``.

    Returns
    -------
    axes: (feature,) matplotlib Axes

    Raises
    ------
    DataError, ModelError
        If an argument is not one of those, or in this model users do not differ.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> axes = bp.plots.users(posterior, world.comparisons.users[0], features="feature_2")
    >>> [ax.get_title() for ax in axes]
    ['feature_2']
    """
    return draw_users(posterior, user, features, axes, interval, units, truth)


def trace(
    posterior: Posterior,
    var_names: str | Sequence[str] | None = None,
    axes: Any = None,
    *,
    coords: Mapping[str, Any] | None = None,
) -> AxesArray:
    """Draw the density and the trace of parameters, by chain.

    Parameters
    ----------
    posterior
        What `bayes_pref.fit` returned.
    var_names
        Variables to draw; None: `mu` and, where users differ, `tau`.
    axes
        Two a parameter to draw into; None: a new figure (at most 60 parameters).
    coords
        Labels to draw, by dimension, such as ``{"feature": ["length"]}``; None: all.

    Returns
    -------
    axes: (parameter, 2) matplotlib Axes, density and trace

    Raises
    ------
    DataError, ModelError
        If an argument is not one of those, or the parameters are too many.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> bp.plots.trace(posterior, "tau").shape
    (4, 2)
    """
    return draw_chains("trace", posterior, var_names, coords, axes)


def rank(
    posterior: Posterior,
    var_names: str | Sequence[str] | None = None,
    axes: Any = None,
    *,
    coords: Mapping[str, Any] | None = None,
) -> AxesArray:
    """Draw the ranks of parameters' draws, by chain: flat for all chains if they agree.

    Parameters
    ----------
    posterior, var_names, coords
        As for `trace`.
    axes
        One a parameter to draw into; None: a new figure (at most 60 parameters).

    Returns
    -------
    axes: (parameter,) matplotlib Axes

    Raises
    ------
    DataError, ModelError
        As `trace`.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> bp.plots.rank(posterior, "tau").shape
    (4,)
    """
    return draw_chains("rank", posterior, var_names, coords, axes)


def prior_predictive(
    prior: xr.Dataset, comparisons: Comparisons | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the probabilities that left is preferred which a prior expects, before any data.

    Parameters
    ----------
    prior
        What ``model.prior_predictive(comparisons)`` returned.
    comparisons
        Which of its comparisons to draw, such as ``comparisons["ann"]``; None: all.
    ax
        Where to draw; None: a new figure.

    Returns
    -------
    ax

    Raises
    ------
    DataError
        If that is not what a prior predictive is, or it holds none of these comparisons.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> prior = bp.HierarchicalReward().prior_predictive(world.comparisons, draws=100)
    >>> bp.plots.prior_predictive(prior).get_xlabel()
    'P(left preferred) before any data'
    """
    if not isinstance(prior, xr.Dataset) or "probability" not in prior:
        raise DataError(
            f"prior: got {type(prior).__name__}, not what model.prior_predictive(...) returns"
        )
    chance = prior["probability"]
    if comparisons is not None:
        chance = chance.isel(comparison=chance.indexes["comparison"].isin(comparisons.rows))
    if not chance.size:
        raise DataError("comparisons: the prior predictive holds none of these rows")
    ax = one_axes(ax, (5.4, 3.4))
    values = chance.to_numpy()
    density, edges = np.histogram(values, bins=40, range=(0.0, 1.0), density=True)
    ax.stairs(density, edges, fill=True, color=POPULATION, alpha=0.8)
    certain = float(np.mean((values < _CERTAIN) | (values > 1.0 - _CERTAIN)))
    text = f"{100.0 * certain:.0f} % of the probabilities are within {_CERTAIN:g} of 0 or 1"
    if certain > 0.5:
        text += ": most choices are all but certain before any data; smaller prior sds soften that"
    ax.set_title(fitted(ax, text), fontsize=SMALL + 0.5, loc="left")
    ax.set_xlim(0.0, 1.0)
    name_axes(ax, "P(left preferred) before any data", "prior density")
    return ax


def calibration(result: SBC, axes: Any = None, *, probability: float = 0.95) -> AxesArray:
    """Draw whether true values have uniform ranks in their posteriors, one panel a quantity.

    A curve is the distribution function of the ranks less that of uniform ones. Below and then
    above zero: posteriors are too wide; above and then below: too narrow; all above: estimates are
    too high; all below: too low. Curves that leave the band are drawn in another colour.

    Parameters
    ----------
    result
        What `bayes_pref.sbc` returned.
    axes
        One a quantity to draw into; None: a new figure (of at most 24, worst first).
    probability
        That, if all is well, no curve leaves the band anywhere.

    Returns
    -------
    axes: (quantity,) matplotlib Axes

    Raises
    ------
    DataError
        If an argument is not one of those.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=8, comparisons=5, features=1, contexts=0, seed=0)
    >>> found = bp.sbc(bp.PooledReward(), world.comparisons, replications=20, progress=False)
    >>> [ax.get_title() for ax in bp.plots.calibration(found)]
    ['mu[feature_1]', 'log_likelihood']
    """
    return draw_calibration(result, axes, probability)


if not TYPE_CHECKING:  # else a type checker would take every name to exist

    def __getattr__(name: str) -> NoReturn:
        """Say the new name of a plot that was renamed."""
        message = f"module 'bayes_pref.plots' has no attribute {name!r}"
        if name in _RENAMED:
            message += f": it is called bayes_pref.plots.{_RENAMED[name]}"
        raise AttributeError(message)
