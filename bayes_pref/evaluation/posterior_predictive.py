"""Posterior predictive checks: observed statistics of the choices against replicated ones.

A statistic T(y) of the observed choices is compared with T(y_rep) of choices y_rep drawn from the
posterior (Rubin 1984, Annals of Statistics 12; Gelman, Meng & Stern 1996, Statistica Sinica 6). The
p-value is two-sided, 2 min(P(T_rep < T), P(T_rep > T)), with ties split evenly.

The model was fitted to the data that it is checked against. Where the model is right, p-values are
therefore not uniform but concentrate around 1, and p < 0.05 occurs in fewer than 5 % of cases (Meng
1994, Annals of Statistics 22). With users="new", weights are drawn from the population (the mixed
check of Marshall & Spiegelhalter 2003, Statistics in Medicine 22). This detects a population of the
wrong shape, to which each user's own weights would adapt.

The hit rate of tasks depends on the weights, too: T(y, w) of each draw of the weights is compared
with T(y_rep, w) of the choices replicated with them. Posterior means, which are fitted to y, would
agree with y better than with y_rep also where the model is right.

Of tasks among several alternatives, each stage is replicated for the alternatives that it offers in
the data: the places of a ranking given the places before them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.data.sides import ONE_SIDED
from bayes_pref.draws import thin
from bayes_pref.evaluation.alternatives import StageAlternatives
from bayes_pref.evaluation.choice_statistics import (
    MANY,
    Statistic,
    cyclic_triads,
    left_share,
    repeated_pairs,
    share_of,
    spread_of_shares,
    spread_of_users,
)
from bayes_pref.evaluation.choices import expect_population, expect_posterior
from bayes_pref.evaluation.held_out_answers import OF_SIDES, answer_names
from bayes_pref.evaluation.task_statistics import hit_rates, task_statistics
from bayes_pref.models.choice.task_choices import draw_rows
from bayes_pref.models.observational_bias import rows_with_bias
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.estimates import describe
from bayes_pref.posterior.predictions import log_odds
from bayes_pref.types import FloatArray


def posterior_predictive_check(
    posterior: Posterior,
    *,
    users: Literal["same", "new"] = "same",
    draws: int = 500,
    interval: float = 0.9,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare the observed choices with choices replicated from the posterior.

    Parameters
    ----------
    posterior
        What `bayes_pref.fit` returned.
    users
        Whose choices are replicated: "same", those of these users, given their weights; "new",
        those of new users from the population, with the same comparisons, covariates and contexts.
    draws
        Number of replications, at most about the number of posterior draws.
    interval
        Probability inside the predictive intervals.
    seed
        Random seed of the replications.

    Returns
    -------
    frame: `statistic`, `observed`, `mean`, `sd`, `lower`, `upper`, `p`

        The share of left; the users' spread (sd over users) of the share of choices for the left
        side, for the side with the higher mean reward, and for the side with more of each feature;
        where pairs are repeated, the agreement of a user's own answers and that of different users;
        where items have a reward each, the share of triads with cyclic majorities. What counts
        choices for the left side is left out where the answers are one-sided (see
        `Comparisons.sides`), and says nothing where sides were tossed.

        Ties count as half a choice for either side, and levels in equal steps. There are also the
        share of ties and their users' spread, and the share of all choices that are ties among the
        half of the comparisons with the smaller mean reward differences; or the share of each
        level, and the users' spread of the share of the two extreme ones.

        Of tasks among several alternatives: with users="same" the hit rate, which is the share of
        choices of the alternative with the highest reward to the user, draw by draw; where
        alternatives have labels and are shown often, the share of each (best and worst apart); the
        users' spread of the share of choices of the alternative with the highest mean reward to all
        users, and of what is chosen less the mean of the set, in each feature; where sets are
        repeated, the agreement of a user's own answers and that of different users.

        A small `p` means that the model does not reproduce the statistic; where the model is right,
        p < 0.05 occurs in fewer than 1 in 20 checks.

    Raises
    ------
    ModelError
        If that is no posterior, or users="new" and the model has no distribution of users' weights.
    DataError
        If an argument is out of range.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=60, features=["length"], heterogeneity=2.0, seed=0)
    >>> pooled = bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> found = bp.posterior_predictive_check(pooled).set_index("statistic")
    >>> bool(found.loc["users' spread: length", "p"] < 0.01)  # the model lacks users' differences
    True
    """
    posterior = expect_posterior(posterior)
    interval = settings.interval(interval)
    users = settings.argument("users", users, settings.one_of("same", "new"))
    draws = settings.argument("draws", draws, settings.whole(1))
    comparisons = posterior.comparisons
    replicated, weights = _replicate(posterior, users, draws, np.random.default_rng(seed))
    choice = comparisons.choice
    pairs: dict[str, tuple[FloatArray, FloatArray]] = {}
    if comparisons.outcome.rowwise:
        statistics = _statistics(posterior)
    else:
        if users == "same":
            pairs["hit rate"] = hit_rates(weights, comparisons, replicated)
        listed = StageAlternatives.of(comparisons)
        mean = posterior.weights_draws().mean(("chain", "draw", "user")).to_numpy()
        statistics = task_statistics(comparisons, listed, mean)
        replicated, choice = listed.chosen(replicated), listed.chosen(choice)
    pairs |= {
        name: (statistic(choice[None]), statistic(replicated))
        for name, statistic in statistics.items()
        if statistic is not None
    }
    return pd.DataFrame(
        [{"statistic": name, **_compared(*pair, interval)} for name, pair in pairs.items()]
    )


def _compared(observed: FloatArray, values: FloatArray, interval: float) -> dict[str, float]:
    """Mean of what was observed, (1,) or (sample,), description of replications, and p-value."""
    # Sums in another order round differently, so values this near count as equal.
    near = np.abs(values - observed) <= 1e-9 * np.maximum(np.abs(observed), 1.0)
    below = (((values < observed) & ~near).sum() + 0.5 * near.sum() + 0.5) / (len(values) + 1)
    described = describe(values[None].copy(), interval)
    return {
        "observed": float(observed.mean()),
        **{column: float(found[0]) for column, found in described.items()},
        "p": float(2.0 * min(below, 1.0 - below)),
    }


def _statistics(posterior: Posterior) -> dict[str, Statistic | None]:
    """Statistics of choices between two, by name; None where these comparisons have none."""
    comparisons = posterior.comparisons
    mean = posterior.weights_draws().mean(("chain", "draw", "user")).to_numpy()
    # Where the answers decided the sides, how many are for left is no finding.
    sided = comparisons.sides != ONE_SIDED
    signs = {"users' spread: left": np.ones(len(comparisons))} if sided else {}
    signs["users' spread: higher mean reward"] = comparisons.difference @ mean
    signs |= {
        f"users' spread: {name}": comparisons.difference[:, k]
        for k, name in enumerate(comparisons.feature_names)
        if comparisons.n_features <= MANY  # of thousands nobody reads a statistic each
    }
    found: dict[str, Statistic | None] = {"share of left": left_share} if sided else {}
    found |= {name: spread_of_users(comparisons, sign) for name, sign in signs.items()}
    count = posterior.choice_distribution.n_outcomes
    if count > 2:
        found |= _of_answers(comparisons, mean)
    found |= repeated_pairs(comparisons, [place / (count - 1) for place in range(count)])
    return found | {"cyclic triads of items": cyclic_triads(comparisons)}


def _of_answers(comparisons: Comparisons, mean: FloatArray) -> dict[str, Statistic | None]:
    """Statistics of ties, or of levels.

    Parameters
    ----------
    comparisons
        The comparisons.
    mean
        (d,) mean weights of all users.
    """
    names = answer_names(comparisons.outcome)
    if names == OF_SIDES:
        apart = np.abs(comparisons.difference @ mean)
        nearest = np.argsort(apart, kind="stable")[: (len(apart) + 1) // 2]
        return {
            "share of ties": share_of(0.5),
            "share of ties: nearest half": share_of(0.5, nearest),
            "users' spread: ties": spread_of_shares(comparisons, [0.5]),
        }
    last = len(names) - 1
    found: dict[str, Statistic | None] = {
        f"share of level {name}": share_of(place / last) for place, name in enumerate(names)
    }
    return found | {"users' spread: extreme levels": spread_of_shares(comparisons, [0.0, 1.0])}


def _replicate(
    posterior: Posterior, users: str, draws: int, rng: np.random.Generator
) -> tuple[FloatArray, xr.DataArray]:
    """Choices (sample, row) drawn from the posterior, and the weights with which they were."""
    model, comparisons = posterior.model, posterior.comparisons
    chosen = thin(posterior.draws, draws)
    if users == "same":
        weights = model.user_weights(chosen)
    else:
        population = expect_population(model, chosen, comparisons, "use users='same'")
        drawn = population.draw(comparisons.n_users, rng)[None]
        weights = xr.DataArray(drawn, dims=("chain", "draw", "user", "feature"))
    choices = model.choice_distribution(chosen, comparisons)
    if users != "same" and choices.careless is not None:
        share = chosen["careless_share"].transpose("chain", "draw").to_numpy().ravel()
        careless = (rng.random(choices.careless.shape) < share).astype(np.float64)
        choices = replace(choices, careless=careless)
    rows, difference = rows_with_bias(weights, chosen, comparisons)
    samples = weights.sizes["chain"] * weights.sizes["draw"]
    out = np.empty((samples, len(comparisons)))
    # A loop over blocks of rows: the log-odds of all would be as large as the posterior.
    outcome, together = comparisons.outcome, comparisons.outcome.tasks(len(comparisons))
    for part, eta in log_odds(rows, comparisons.user, difference, together):
        own = outcome.take(np.arange(part.start, part.stop))
        of_rows = choices.of_users(comparisons.user[part])
        out[:, part] = draw_rows(of_rows, eta, own, rng).T
    return out, weights
