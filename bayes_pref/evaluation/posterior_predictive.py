"""Posterior predictive checks: whether the model makes up choices like those that were made.

For statistics T of the choices, the observed T(y) is set against T(y_rep), y_rep drawn from the
posterior (Rubin 1984, Annals of Statistics 12; Gelman, Meng & Stern 1996, Statistica Sinica 6). The
p-value is two-sided, 2 min(P(T_rep < T), P(T_rep > T)), ties shared out evenly.

The data were used to fit the model that they are checked against, so p-values are not uniform when
the model is right but gather around 1, and p < 0.05 then happens in fewer than 5 % of cases (Meng
1994, Annals of Statistics 22). With users="new", weights are drawn anew from the population (the
mixed check of Marshall & Spiegelhalter 2003, Statistics in Medicine 22), which sees a population of
the wrong shape where each user's own weights have adapted to the choices.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayes_pref import settings
from bayes_pref.errors import DataError, ModelError
from bayes_pref.evaluation.choice_statistics import (
    Statistic,
    cyclic_triads,
    left_share,
    repeated_pairs,
    spread_of_users,
)
from bayes_pref.evaluation.choices import expect_posterior, refuse_rankings, some
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.estimates import describe
from bayes_pref.posterior.predictions import log_odds

Array = NDArray[np.float64]


def posterior_predictive_check(
    posterior: Posterior,
    *,
    users: Literal["same", "new"] = "same",
    draws: int = 500,
    interval: float = 0.9,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare the choices that were made with choices drawn from the posterior.

    Parameters
    ----------
    posterior
        What `bayes_pref.fit` returned.
    users
        Whose choices are drawn: "same", of these users by their own weights; "new", of users
        drawn from the population in their places, who are shown the same.
    draws
        Replications, at most about as many as the posterior has draws.
    interval
        Probability inside the predictive intervals.
    seed
        Of the replications.

    Returns
    -------
    frame: `statistic`, `observed`, `mean`, `sd`, `lower`, `upper`, `p`

        The share of left; the users' spread (sd over users) in how often they choose left, what
        all users like better on average, and what has more of each feature; where pairs are repeated,
        how often a user agrees with themselves and with others; and of items with a reward each,
        the share of triads whose majorities go round in a circle. A small `p` says that the model
        does not make such data; when it is right, p < 0.05 is rarer than 1 in 20, each.

    Raises
    ------
    ModelError
        If that is no posterior, or users="new" and the model has no population.
    DataError
        If an argument is out of range, or there are ties.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=60, features=["length"], heterogeneity=2.0, seed=0)
    >>> pooled = bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> found = bp.posterior_predictive_check(pooled).set_index("statistic")
    >>> bool(found.loc["users' spread: length", "p"] < 0.01)  # users differ, the model's do not
    True
    """
    posterior = expect_posterior(posterior)
    interval = settings.interval(interval)
    users = settings.argument("users", users, settings.one_of("same", "new"))
    draws = settings.argument("draws", draws, settings.whole(1))
    comparisons = posterior.comparisons
    refuse_rankings(comparisons, "check", "use bp.loo(posterior, by='user')")
    if not np.isin(comparisons.choice, (0.0, 1.0)).all():
        raise DataError("check knows choices of left and right only, and here are others, too")
    replicated = _replicate(posterior, users, draws, np.random.default_rng(seed))
    rows = []
    # A loop over statistics: each goes over all replications at once.
    for name, statistic in _statistics(posterior).items():
        observed = float(statistic(comparisons.choice[None])[0])
        values = statistic(replicated)
        # Sums in another order round differently: what is that near is equal.
        near = np.abs(values - observed) <= 1e-9 * max(abs(observed), 1.0)
        below = (((values < observed) & ~near).sum() + 0.5 * near.sum() + 0.5) / (len(values) + 1)
        described = describe(values[None].copy(), interval)
        rows.append(
            {
                "statistic": name,
                "observed": observed,
                **{column: float(found[0]) for column, found in described.items()},
                "p": float(2.0 * min(below, 1.0 - below)),
            }
        )
    return pd.DataFrame(rows)


def _statistics(posterior: Posterior) -> dict[str, Statistic]:
    """Every statistic that these comparisons have, by its name."""
    comparisons = posterior.comparisons
    mean = posterior.weights_draws().mean(("chain", "draw", "user")).to_numpy()
    signs = {
        "users' spread: left": np.ones(len(comparisons)),
        "users' spread: higher mean reward": comparisons.difference @ mean,
    }
    signs |= {
        f"users' spread: {name}": comparisons.difference[:, k]
        for k, name in enumerate(comparisons.feature_names)
    }
    found: dict[str, Statistic | None] = {"share of left": left_share}
    found |= {name: spread_of_users(comparisons, sign) for name, sign in signs.items()}
    found |= repeated_pairs(comparisons)
    found["cyclic triads of items"] = cyclic_triads(comparisons)
    return {name: statistic for name, statistic in found.items() if statistic is not None}


def _replicate(posterior: Posterior, users: str, draws: int, rng: np.random.Generator) -> Array:
    """Choices (sample, row) drawn from the posterior."""
    comparisons, chosen = posterior.comparisons, some(posterior.draws, draws)
    if users == "same":
        weights = posterior.model.user_weights(chosen)
    else:
        population = posterior.model.population(chosen, comparisons)
        if population is None:
            raise ModelError(
                f"{type(posterior.model).__name__} has no population to draw new users "
                "from; use users='same'"
            )
        drawn = population.draw(comparisons.n_users, rng)[None]
        weights = xr.DataArray(drawn, dims=("chain", "draw", "user", "feature"))
    choices = posterior.model.choice_distribution(chosen, comparisons)
    samples = weights.sizes["chain"] * weights.sizes["draw"]
    out = np.empty((samples, len(comparisons)))
    # A loop over blocks of rows, as everywhere.
    for part, eta in log_odds(weights, comparisons.user, comparisons.difference):
        out[:, part] = choices.draw(eta, rng).T
    return out
