"""The prior density of the population's parameters, at the draws of a posterior."""

from __future__ import annotations

from typing import Any

import xarray as xr
from scipy.stats import halfnorm, norm

from bayes_pref.data import Comparisons
from bayes_pref.models import RewardModel
from bayes_pref.types import FloatArray


def population_log_prior(
    model: RewardModel, comparisons: Comparisons, draws: xr.Dataset
) -> xr.Dataset | None:
    """Log density of the prior of `mu`, `tau` and known coefficients, at every draw, by variable.

    The priors of correlations and of the choice model are left out. Densities are normalised.

    Parameters
    ----------
    model, comparisons, draws
        Of a posterior.

    Returns
    -------
    dataset: with the dimensions of the draws; None where users are not normal, or weights signed

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> list(population_log_prior(posterior.model, posterior.comparisons, posterior.draws))
    ['mu', 'tau']
    """
    spec = model.spec(comparisons)
    if spec is None or spec.signs is not None:
        return None
    priors: dict[str, tuple[Any, FloatArray, tuple[str, ...]]] = {}
    priors["mu"] = norm, spec.mean_sd, ("feature",)
    if spec.covariance != "none":
        priors[spec.spread] = (halfnorm, spec.spread_sd, ("feature",))
    for term, _ in spec.known:
        priors[term.name] = (norm, term.prior_sd, ("feature", term.dim))
    found = {}
    for name, (distribution, scale, last) in priors.items():
        drawn = draws[name]
        first = [dim for dim in drawn.dims if dim not in last]
        ordered = drawn.transpose(*first, *last)
        density = distribution.logpdf(ordered.to_numpy(), scale=scale)
        found[name] = xr.DataArray(density, ordered.coords, ordered.dims)
    return xr.Dataset(found)
