"""`draw_users`: whole draws of some users' weights, after a fit that kept a summary of them."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from bayes_pref import settings
from bayes_pref.draws import label, thin
from bayes_pref.errors import ModelError
from bayes_pref.inference.users.conditional_weights import (
    conditional_weights,
    on_regressors,
    supported_spec,
)
from bayes_pref.models.population_from_spec import population_of
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.queries import user_positions
from bayes_pref.seeding import standard_numpy


def draw_users(
    posterior: Posterior,
    users: Sequence[Hashable],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> Posterior:
    """Draw the weights of some of the fitted users, given the draws of the population.

    Given a draw of the population, a user's weights depend on that user's answers alone. They are
    drawn by an independence sampler whose error is far below that of the number of draws. The
    result is a posterior like any other, of these users' comparisons, that `bayes_pref.diagnose`,
    `bayes_pref.recommend` and the methods of `Posterior` take.

    Parameters
    ----------
    posterior
        What `bayes_pref.fit` returned, with draws of users' weights or a summary of them.
    users
        Labels of users.
    draws
        Largest number of draws of the result, over all chains.
    seed
        Random seed.

    Returns
    -------
    Posterior
        Of these users and their comparisons alone, and of the same population.

    Raises
    ------
    DataError
        If a user is unknown.
    ModelError
        If the model has no distribution of users' weights that this can draw from.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=30, seed=0)
    >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> some = bp.draw_users(posterior, list(world.comparisons.users[:3]), draws=400)
    >>> some.draws["weights"].sizes["user"]
    3
    """
    if not isinstance(posterior, Posterior):
        raise ModelError(
            f"posterior: got {type(posterior).__name__} but expected a Posterior, as bp.fit "
            "returns it"
        )
    draws = settings.argument("draws", draws, settings.whole(1))
    seed = settings.seed(seed)
    start = time.perf_counter()
    with standard_numpy():
        whole, model = posterior.comparisons, posterior.model
        places = user_positions(users, whole.users)
        own = whole[list(whole.users.take(places))]
        if whole.outcome.rowwise:  # ties are an answer even to those who gave none
            own = replace(own, outcome=whole.outcome)
        before = supported_spec(posterior, "draws of single users")
        kept = thin(posterior.draws, draws)
        of_users = [name for name in kept.data_vars if "user" in kept[name].dims]
        kept = kept.drop_vars([*of_users, "user"], errors="ignore")
        spec = model.spec(own)
        assert spec is not None  # as it was for all users
        if not spec.pooled:
            known = [(term, values[places]) for term, values in before.known]
            kept = on_regressors(kept, known, spec)
            population = population_of(spec, kept, own)
            everybody = np.arange(len(places))
            values = conditional_weights(posterior, kept, population, own, everybody, seed)
            sampled = (kept.sizes["chain"], kept.sizes["draw"])
            made = {"weights": values.reshape(*sampled, *values.shape[1:])}
            weights = label(made, {"weights": ("user", "feature")}, own)["weights"]
            kept = xr.merge([kept, weights.drop_vars(("chain", "draw"))])
        else:
            kept = kept.assign_coords(user=own.users.rename("user"))
    seconds = time.perf_counter() - start
    run = replace(posterior.run, draws=kept.sizes["draw"], seconds=seconds)
    return replace(
        posterior,
        comparisons=own,
        draws=kept,
        sample_stats=thin(posterior.sample_stats, draws),
        run=run,
        users=None,
    )
