"""p_do where nothing says who sees what: shares of the population that would choose each side.

Without contexts confounding cannot be assessed, but what all users would choose is defined all the
same: E P(choice | w) over the population of the posterior at hand, a mixture of Gaussians as
`Population` has it, whose means may depend on covariates. Between two these expectations are
integrals over one normal variable; from larger sets users are simulated. Where weights have a sign
users are drawn, and where a model says nothing of its population the fitted users stand for it.
Users count equally, as in `shifts`.
"""

from __future__ import annotations

import numpy as np

from bayes_pref.diagnostics.confounding.choice_shares import (
    ChoiceShares,
    choices_of_pairs,
    lapsed_sets,
    softmax_of_sets,
)
from bayes_pref.diagnostics.confounding.shifts import most_draws
from bayes_pref.diagnostics.query import Query
from bayes_pref.draws import evenly_spaced, stacked, thin
from bayes_pref.errors import ModelError
from bayes_pref.inference.runtime.room_for_weights import memory
from bayes_pref.models.choice import ChoiceDistribution
from bayes_pref.models.population import Population
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray

# Where users' own weights are averaged over.
_FEWEST_DRAWS, _MOST_DRAWS, _MOST_USERS = 50, 250, 200
_VALUES = 2**25  # weights held at once
_DRAWN = 64  # users of every draw
_BLOCK = 2**22  # probabilities held at once


def shares_of_all(posterior: Posterior, query: Query) -> FloatArray:
    """Return the posterior mean of p_do of every row, (n,).

    Parameters
    ----------
    posterior
        Posterior of any model.
    query
        n rows.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> from bayes_pref.diagnostics.query import read_query
    >>> shares_of_all(posterior, read_query(posterior)).shape
    (300,)
    """
    draws = thin(posterior.draws, most_draws(posterior, query))
    population = posterior.model.population(draws, posterior.comparisons)
    if population is None or population.scores is not None or population.signs is not None:
        return _of_users(posterior, query)
    choices = choices_of_pairs(posterior, draws)
    found = np.zeros(len(query))
    share = np.exp(population.log_share).mean(axis=1)
    for t in range(population.components):  # a loop over a few components
        mean, covariance = _moments(population, t)
        found += _expected(query, choices, mean, covariance, share[:, t])
    return found


def _moments(population: Population, component: int) -> tuple[FloatArray, FloatArray]:
    """Mean (draw, d) and covariance (draw, d, d) of one component over all users."""
    means = population.mean[:, :, component]
    factor = population.factor[:, min(component, population.factor.shape[1] - 1)]
    refuse_matrices(len(means), means.shape[2])
    away = means - means.mean(axis=1, keepdims=True)
    between = away.swapaxes(1, 2) @ away / means.shape[1]
    return means.mean(axis=1), between + factor @ factor.swapaxes(1, 2)


def refuse_matrices(draws: int, d: int) -> None:
    """Refuse matrices (draw, d, d) that this machine's memory cannot hold."""
    needed = 8 * draws * d**2
    if needed > memory():
        raise ModelError(
            f"diagnose: covariances of the weights of {d:,} features take {needed / 1e9:,.0f} GB "
            f"of memory, and this machine has {memory() / 1e9:,.0f} GB; describe the items by "
            "attributes, with items= in Comparisons.from_items, or ask for posterior.leaderboard() "
            "and posterior.preference()"
        )


class _Covariance:
    """The covariance of the weights, as `ChoiceShares` asks for it."""

    def __init__(self, covariance: FloatArray) -> None:
        self.covariance = covariance

    def spread(self, variance: FloatArray) -> FloatArray:
        """Return the covariance itself: there are no regressors."""
        return self.covariance


def _expected(
    query: Query,
    choices: ChoiceDistribution,
    mean: FloatArray,
    covariance: FloatArray,
    share: FloatArray,
) -> FloatArray:
    """(n,) mean over draws of share (draw,) times the probability of the rows."""
    draws, d = mean.shape
    shares = ChoiceShares.of(choices, query, draws)
    factor = shares.factor(_Covariance(covariance), covariance)
    found = np.empty(len(query))
    for part in shares.blocks(max(1, _BLOCK // (draws * d))):
        difference = query.difference[part]
        centre = mean @ difference.T
        variance = ((difference @ covariance) * difference).sum(axis=2).clip(0.0)
        chance = shares.chosen(part, centre, variance, factor)
        found[part] = share @ chance / draws
    return found


def _of_users(posterior: Posterior, query: Query) -> FloatArray:
    """(n,) averages over users drawn from the population, or over the fitted ones."""
    comparisons = posterior.comparisons
    held = comparisons.n_users * comparisons.n_features
    most = int(np.clip(_VALUES // held, _FEWEST_DRAWS, _MOST_DRAWS))
    draws = thin(posterior.draws, most)
    population = posterior.model.population(draws, comparisons)
    if population is None:
        every = thin(posterior.weights_draws(), most).to_dataset(name="weights")
        weights = stacked(every, "weights", "user", "feature")
    else:
        # Of everybody in the data, where covariates or contexts set users apart.
        alike = population.mean.shape[1] == 1 and population.scores is None
        users = _DRAWN if alike else comparisons.n_users
        weights = population.draw(users, np.random.default_rng(posterior.seed))
    weights = weights[:, evenly_spaced(weights.shape[1], _MOST_USERS)]
    choices = choices_of_pairs(posterior, draws)
    found = np.empty(len(query))
    task, n, start = query.task, len(query), 0
    step = max(1, _BLOCK // weights[..., 0].size)
    while start < n:
        stop = min(start + step, n)
        if task is not None:
            stop = int(np.searchsorted(task, task[stop - 1], side="right"))
        rows = slice(start, stop)
        eta = np.einsum("nd,sud->snu", query.difference[rows], weights, optimize=True)
        found[rows] = _chances(query, rows, eta, choices).mean(axis=(0, 2))
        start = stop
    return found


def _chances(query: Query, rows: slice, eta: FloatArray, choices: ChoiceDistribution) -> FloatArray:
    """(draw, row, user) probabilities at log-odds; of a set those of its alternatives."""
    if query.task is not None and (query.sizes[rows] > 2).any():
        chance = softmax_of_sets(eta, query.task[rows])
        return lapsed_sets(chance, query.sizes[rows], choices)
    return np.asarray(choices.preferred(eta.T).T)
