"""`add_users`: the weights of people whom the fit has never met, without a refit.

Given the population, a new user's weights depend on that user's answers alone. For every draw of
the population kept, they are drawn given it (`conditional_weights`). What the new answers say about
the population is left aside: it matters where new users are many, and a refit uses it.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import xarray as xr

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.data.joining import joined
from bayes_pref.draws import label, stacked, thin
from bayes_pref.errors import ModelError
from bayes_pref.inference.users.conditional_weights import (
    conditional_weights,
    of_users,
    on_regressors,
    supported_spec,
)
from bayes_pref.inference.users.drawn_users import draw_users
from bayes_pref.models.population_from_spec import population_of
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.user_summary import UserSummary
from bayes_pref.seeding import standard_numpy
from bayes_pref.types import FloatArray


def add_users(
    posterior: Posterior,
    comparisons: Comparisons,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> Posterior:
    """Add users that the fit has never met, given their own answers, without a refit.

    Their weights are drawn given each draw of the population, by an independence sampler whose
    error is far below that of the number of draws; the population itself is not updated. Covariates
    and contexts of the new users are used as those of the fitted ones are. Beside a summary of the
    fitted users, which then has means and sds of the new ones, too, their draws are kept whole.

    Parameters
    ----------
    posterior
        What `bayes_pref.fit` returned.
    comparisons
        Answers of new users, with the features, contexts and covariates of the fitted ones.
    draws
        Largest number of draws of the result, over all chains: 1,000 leave a Monte Carlo error of 3
        % of a posterior standard deviation. None of the chains becomes longer than it was.
    seed
        Random seed.

    Returns
    -------
    Posterior
        Of all comparisons and users, the fitted ones first.

    Raises
    ------
    DataError
        If a user was fitted already, or columns are missing or unknown.
    ModelError
        If the model has no distribution of new users' weights that this can draw from.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=30, seed=0)
    >>> users = world.comparisons.users
    >>> known, new = world.comparisons[users[:25]], world.comparisons[users[25:]]
    >>> posterior = bp.fit(bp.HierarchicalReward(), known, bp.Gibbs(progress=False))
    >>> bp.add_users(posterior, new).weights()["user"].nunique()
    30
    """
    if not isinstance(posterior, Posterior):
        raise ModelError(
            f"posterior: got {type(posterior).__name__} but expected a Posterior, as bp.fit "
            "returns it"
        )
    if not isinstance(comparisons, Comparisons):
        raise ModelError(
            f"comparisons: got {type(comparisons).__name__} but expected bp.Comparisons"
        )
    draws = settings.argument("draws", draws, settings.whole(1))
    seed = settings.seed(seed)
    start = time.perf_counter()
    with standard_numpy():
        both = joined(posterior.comparisons, comparisons, "comparisons")
        spec, users = supported_spec(posterior), posterior.users
        kept = thin(posterior.draws, draws)
        if users is not None:
            kept, users = _beside_a_summary(posterior, users, draws, both, seed)
        elif not spec.pooled:
            kept = _with_new_users(posterior, kept, both, seed)
    run = replace(posterior.run, draws=kept.sizes["draw"], seconds=time.perf_counter() - start)
    return replace(
        posterior,
        comparisons=both,
        draws=kept,
        sample_stats=thin(posterior.sample_stats, draws),
        run=run,
        users=users,
    )


def _beside_a_summary(
    posterior: Posterior, summary: UserSummary, draws: int, both: Comparisons, seed: int
) -> tuple[xr.Dataset, UserSummary]:
    """Return draws in the units of all users' regressors, and a summary with the new users."""
    fitted = posterior.comparisons
    before, spec = posterior.model.spec(fitted), posterior.model.spec(both)
    assert before is not None  # or new users were refused
    assert spec is not None
    moved = on_regressors(posterior.draws, list(before.known), spec)
    everybody = replace(posterior, comparisons=both, draws=moved)
    new = list(both.users[fitted.n_users :])
    weights = draw_users(everybody, new, draws=draws, seed=seed).draws["weights"]
    return thin(moved, draws), summary.joined(weights, draws, both.user_shares)


def _with_new_users(
    posterior: Posterior, draws: xr.Dataset, both: Comparisons, seed: int
) -> xr.Dataset:
    """Return draws in the units of all users' regressors, with weights of the new users."""
    fitted, model = posterior.comparisons, posterior.model
    before, spec = model.spec(fitted), model.spec(both)
    assert before is not None  # or new users were refused
    assert spec is not None
    draws = on_regressors(draws, list(before.known), spec)
    new = np.arange(fitted.n_users, both.n_users)
    population = population_of(spec, draws, both)
    weights = conditional_weights(posterior, draws, population, both, new, seed)
    samples = (draws.sizes["chain"], draws.sizes["draw"])
    made = {"weights": weights}
    if spec.factors is not None:
        away = weights - of_users(population.mean, new)[:, :, 0]
        made[str(spec.factors.scores)] = _scores(spec, draws, away, seed)
    sites = {**spec.population_sites, **spec.user_sites}
    parts = []
    for name, values in made.items():
        dims = sites[name]
        old = draws[name].transpose("chain", "draw", *dims).to_numpy()
        whole = np.concatenate([old, values.reshape(*samples, *values.shape[1:])], axis=2)
        parts.append(label({name: whole}, {name: dims}, both)[name])
    user = [name for name in draws.data_vars if "user" in draws[name].dims]
    rest = draws.drop_vars(user).drop_vars("user", errors="ignore")
    return xr.merge([rest, *(part.drop_vars(("chain", "draw"), errors="ignore") for part in parts)])


def _scores(spec: PopulationSpec, draws: xr.Dataset, away: FloatArray, seed: int) -> FloatArray:
    """Draw factor scores (sample, user, factor), given how far weights are from their mean."""
    assert spec.factors is not None  # or there are none
    loadings = stacked(draws, spec.factors.name, "feature", "factor")
    scaled = loadings / stacked(draws, spec.spread, "feature")[:, :, None] ** 2
    covariance = np.linalg.inv(np.eye(loadings.shape[2]) + scaled.swapaxes(1, 2) @ loadings)
    noise = np.random.default_rng([seed, 1]).standard_normal((*away.shape[:2], loadings.shape[2]))
    root = np.linalg.cholesky(covariance)
    return np.asarray(away @ scaled @ covariance + noise @ root.swapaxes(1, 2))
