"""How far the prior and the answers decide each parameter of the population, by power-scaling.

The density of the prior, or of the answers, is raised to a power near one, and draws are weighted
anew by Pareto-smoothed importance sampling, so that nothing is fitted again; the diagnostic is how
fast the distribution of a parameter changes (Kallioinen, Paananen, Buerkner & Vehtari 2024, Stat.
Comput. 34). It is computed by ArviZ.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayes_pref.draws import parameters
from bayes_pref.errors import ModelError
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.prior_density import population_log_prior

THRESHOLD = 0.05  # as in the paper


def prior_sensitivity(posterior: Posterior) -> pd.DataFrame:
    """Say which parameters of the population would change with another prior.

    The prior is that of `mu`, `tau` and the coefficients of covariates and exposures; that of
    correlations stays. The distribution of users around the population is part of the model, not
    of the prior.

    Parameters
    ----------
    posterior
        What `bayes_pref.fit` returned.

    Returns
    -------
    frame: one row a parameter: `parameter`, `prior` and `likelihood`, how much it changes with
        either, and `diagnosis`: "-", "prior matters" (`prior` above 0.05: the prior and the answers
        disagree, or the prior is strong) or "answers say little" (and `likelihood` below 0.05)

    Raises
    ------
    ModelError
        If the model has no such prior, or its weights have a sign.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> bp.prior_sensitivity(posterior)["parameter"].tolist()[:2]
    ['mu[feature_1]', 'mu[feature_2]']
    """
    from bayes_pref.posterior import arviz_bridge  # ArviZ takes a second to import

    prior = log_prior(posterior)
    names = list(prior)
    answers = posterior.idata["log_likelihood"]["choice"]
    total = answers.sum([dim for dim in answers.dims if dim not in ("chain", "draw")])
    idata = arviz_bridge.to_idata(
        {
            "posterior": posterior.draws[names],
            "log_prior": prior,
            "log_likelihood": xr.Dataset({"choice": total}),
        }
    )
    found = {
        component: arviz_bridge.power_scaling(idata, component)
        for component in ("prior", "likelihood")
    }
    parts = []
    for name in names:  # a loop over the few variables
        labels, _ = parameters(posterior.draws[name])
        columns = {}
        for component, scaled in found.items():
            dims = [dim for dim in posterior.draws[name].dims if dim not in ("chain", "draw")]
            columns[component] = scaled[name].transpose(*dims).to_numpy().ravel()
        parts.append(pd.DataFrame({"parameter": labels, **columns}))
    frame = pd.concat(parts, ignore_index=True)
    moved = frame["prior"] > THRESHOLD
    little = moved & (frame["likelihood"] < THRESHOLD)
    words = np.where(little, "answers say little", np.where(moved, "prior matters", "-"))
    return frame.assign(diagnosis=words)


def log_prior(posterior: Posterior) -> xr.Dataset:
    """Log density of the prior of the population's parameters, at every draw, by variable.

    Raises
    ------
    ModelError
        As `prior_sensitivity`.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> list(log_prior(posterior))
    ['mu', 'tau']
    """
    found = population_log_prior(posterior.model, posterior.comparisons, posterior.draws)
    if found is None:
        raise ModelError(
            f"prior_sensitivity is for normal users, and not for this "
            f"{type(posterior.model).__name__}",
            "fit bp.HierarchicalReward() without constraints",
        )
    return found
