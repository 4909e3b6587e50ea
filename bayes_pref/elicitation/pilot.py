"""Studies simulated from a posterior: a pilot says what people are like, and what they are shown.

A draw of the population is the truth of a study. Its users are those of the pilot drawn anew, with
weights of their own that the population has for what they are shown, and each of their comparisons
is one of the pilot user's, drawn with replacement.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from bayes_pref.data import Comparisons
from bayes_pref.errors import ModelError
from bayes_pref.models import RewardModel
from bayes_pref.models.choice.task_choices import draw_rows
from bayes_pref.models.population import Population
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray, IntArray


def population_of_users(
    model: RewardModel, draws: xr.Dataset, comparisons: Comparisons
) -> Population:
    """Return the distribution of users' weights.

    Raises
    ------
    ModelError
        If the model gives none, or weights of one sign.
    """
    found = model.population(draws, comparisons)
    if found is None or found.signs is not None:
        what = "weights of one sign" if found is not None else "no distribution of users' weights"
        raise ModelError(f"{type(model).__name__} has {what}, of which the power is not computed")
    return found


def mean_weights(population: Population) -> FloatArray:
    """(sample, feature) mean weights of the population, over the fitted users."""
    share = np.exp(population.log_share)[..., None]
    return np.asarray((share * population.mean).sum(axis=2).mean(axis=1))


def study(
    posterior: Posterior, users: int, tasks: int, rng: np.random.Generator
) -> tuple[Comparisons, FloatArray, FloatArray]:
    """Simulate a study of new users like those of a posterior.

    Parameters
    ----------
    posterior
        The pilot, of choices between two.
    users, tasks
        Number of users, and of comparisons that each of them makes.
    rng
        Source of random numbers.

    Returns
    -------
    comparisons, mean, weights: the answers, and the truth: (feature,) mean weights, and (user,
        feature)

    Raises
    ------
    ModelError
        If the model has no distribution of users' weights, or choices are among several.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> data, _, weights = study(posterior, 30, 5, np.random.default_rng(0))
    >>> len(data), weights.shape
    (150, (30, 4))
    """
    pilot = posterior.comparisons
    if not pilot.outcome.rowwise:
        raise ModelError(
            "design: power from a posterior is about choices between two; of tasks with several "
            "alternatives, describe the design as arguments of bp.simulate"
        )
    sizes = posterior.draws.sizes
    draw = {dim: [int(rng.integers(sizes[dim]))] for dim in ("chain", "draw")}
    truth = posterior.draws.isel(draw)
    population = population_of_users(posterior.model, truth, pilot)
    picked = np.sort(rng.integers(pilot.n_users, size=users))
    copy = _number_among_equals(picked)
    # A loop over copies of a user, few of each: a draw gives every fitted user one set of weights.
    drawn = np.stack(
        [population.draw(pilot.n_users, rng)[0] for _ in range(int(copy.max()) + 1)], axis=0
    )
    weights = drawn[copy, picked]
    within = (rng.random((users, tasks)) * pilot.counts[picked][:, None]).astype(np.int64)
    rows = (pilot.offsets[picked][:, None] + within).ravel()
    user = np.repeat(np.arange(users), tasks)
    eta = np.einsum("nf,nf->n", pilot.difference[rows], weights[user])[:, None]
    outcome = pilot.outcome.take(rows)
    choices = posterior.model.choice_distribution(truth, pilot).of_users(picked[user])
    choice = draw_rows(choices, eta, outcome, rng)[:, 0]
    comparisons = replace(
        pilot,
        difference=pilot.difference[rows],
        choice=choice.astype(np.float64),
        user=user,
        users=pd.Index([f"user {number + 1}" for number in range(users)]),
        context=pilot.context[rows],
        covariates=pilot.covariates[picked],
        rows=pd.RangeIndex(len(rows)),
        outcome=outcome,
        right=None if pilot.right is None else pilot.right[rows],
        survey_weights=None if pilot.survey_weights is None else pilot.survey_weights[picked],
        randomised=None if pilot.randomised is None else pilot.randomised[rows],
    )
    return comparisons, mean_weights(population)[0], weights


def _number_among_equals(values: IntArray) -> IntArray:
    """(n,) how many of the sorted values before each are equal to it."""
    return np.asarray(np.arange(len(values)) - np.searchsorted(values, values))
