"""Answers, and what a model expects of each user's from the answers of all other users.

With h_i the covariates and exposures of user i,
    m_n = P(answer n | pair, h_i) = E F(d_n . w),   w ~ Normal(mu + slopes h_i, Sigma),
averaged over draws of the population that have importance weights 1 / p(answers of i | population)
(Pareto-smoothed; Vehtari et al. 2024): draws given the answers of everybody but i. So is the model
cross-fitted over users without a further fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bayes_pref.data import Comparisons, Ranking
from bayes_pref.diagnostics.confounding.choice_shares import ChoiceShares
from bayes_pref.diagnostics.confounding.shifts import PopulationDraws
from bayes_pref.diagnostics.query import Query, read_query
from bayes_pref.draws import stacked, thin
from bayes_pref.evaluation.choices import expect_population
from bayes_pref.evaluation.integrated_likelihood import user_log_likelihood
from bayes_pref.models.regressors import centred_covariates, curved_exposures, exposures
from bayes_pref.posterior import Posterior, arviz_bridge
from bayes_pref.types import FloatArray, IntArray

_DRAWS = 200  # of the population: enough for means
_BLOCK = 2**20  # values held at once
_UNRELIABLE = 0.7  # Pareto k


@dataclass(frozen=True, eq=False)
class ExpectedAnswers:
    """Answers and what is expected of them.

    Attributes
    ----------
    query
        What was asked: pairs, or sets with a row an alternative.
    made
        (n,) 1 where left, or the alternative, was chosen, else 0.
    expected
        (n,) what was expected of it.
    user
        (n,) nondecreasing codes of the users.
    unreliable
        Number of users without whom the draws say too little: Pareto k above 0.7.
    """

    query: Query
    made: FloatArray
    expected: FloatArray
    user: IntArray
    unreliable: int


def expected_answers(posterior: Posterior) -> ExpectedAnswers:
    """Return the answers that a posterior was fitted to, and what it expects of new users.

    Of rankings and of the best and the worst, only the first choice of the best counts.

    Parameters
    ----------
    posterior
        Posterior of a model with exposure.
    """
    comparisons = posterior.comparisons
    thinned = replace(posterior, draws=thin(posterior.draws, _DRAWS))
    population = PopulationDraws.read(thinned, 2 * _DRAWS)
    query, made = _asked(posterior)
    weight, bad = _without_user(thinned)
    h = regressors(comparisons, curved="H" in posterior.draws)
    shares = ChoiceShares.of(population.choices, query, len(population.mu))
    factor = shares.factor(population, np.zeros((1, h.shape[1], h.shape[1])))
    position: FloatArray | float = 0.0
    if "position" in thinned.draws and query.task is None:
        position = stacked(thinned.draws, "position")[:, None]
    expected = np.empty(len(query))
    for part in shares.blocks(_BLOCK // len(population.mu)):
        difference, user = query.difference[part], query.user[part]
        centre = population.mu @ difference.T + position
        centre += np.einsum("nd,sdk,nk->sn", difference, population.slopes, h[user], optimize=True)
        chance = shares.chosen(part, centre, population.own(difference), factor)
        expected[part] = (weight[user].T * chance).sum(axis=0)
    return ExpectedAnswers(query, made, expected, query.user, bad)


def regressors(comparisons: Comparisons, *, curved: bool) -> FloatArray:
    """(u, k) covariates, exposures and, if asked for, squares and products, as in the model."""
    parts = [centred_covariates(comparisons), exposures(comparisons)]
    return np.hstack([*parts, *([curved_exposures(comparisons).columns] if curved else [])])


def _without_user(posterior: Posterior) -> tuple[FloatArray, int]:
    """Weights (user, sample) of draws given the answers of all other users; how many are bad."""
    model, draws, comparisons = posterior.model, posterior.draws, posterior.comparisons
    population = expect_population(model, draws, comparisons, "fit bp.HierarchicalReward()")
    found = user_log_likelihood(model, population, draws, comparisons)
    logs, k = arviz_bridge.smoothed(-found)
    return np.exp(logs), int((k > _UNRELIABLE).sum())


def _asked(posterior: Posterior) -> tuple[Query, FloatArray]:
    """What was asked, and (n,) what was chosen; without tasks that name the worst first."""
    comparisons = posterior.comparisons
    query, outcome = read_query(posterior), comparisons.outcome
    if not isinstance(outcome, Ranking):
        return query, (comparisons.choice > 0.5).astype(np.float64)
    assert query.task is not None  # as sets are read
    assert outcome.worst is not None  # as validated
    assert outcome.task is not None
    first = np.flatnonzero(np.diff(outcome.task, prepend=-1))  # stage of each task
    start = np.searchsorted(query.task, np.arange(len(first)))  # the alternative in every row of it
    rows = np.flatnonzero(np.isin(outcome.stage, first))
    fell = rows[comparisons.choice[rows] == 0.0]  # a replicated choice of another one
    place = np.searchsorted(outcome.stage, outcome.stage[fell])
    task = outcome.task_of_rows[fell]
    chosen = start.copy()
    chosen[task] += 1 + fell - place
    made = np.zeros(len(query))
    made[chosen] = 1.0
    best = ~outcome.worst[first]
    kept = best[query.task]
    if kept.all():
        return query, made
    code = np.cumsum(best)[query.task[kept]] - 1
    assert query.alternatives is not None
    return (
        replace(
            query,
            difference=query.difference[kept],
            context=query.context[kept],
            user=query.user[kept],
            labels=query.labels[kept],
            rows=query.rows[kept],
            task=code,
            alternatives=query.alternatives[kept],
        ),
        made[kept],
    )
