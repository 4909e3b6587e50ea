"""Average effects of attributes, corrected by residuals as shares are.

The average marginal component effect of a level against a baseline is a mean over tasks, over who
sees them not at all:
    E p_do(task, focal alternative with the level) - E p_do(the same with the baseline).
With p_do(beta) the corrected share of `robust_correction`, the effect moves by the mean of
    p_do(beta) - p_do(0) with the level, minus that with the baseline,
and its variance grows by g' C g, with C the covariance of beta and g the mean of its derivatives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from bayes_pref.data import Comparisons, Ranking
from bayes_pref.diagnostics.confounding.exposure_distribution import draw_exposure
from bayes_pref.diagnostics.confounding.shifts import PopulationDraws
from bayes_pref.diagnostics.query import NEW_USER, Query
from bayes_pref.diagnostics.robust.model_shares import ModelShares
from bayes_pref.diagnostics.robust.robust_correction import corrected, jacobian
from bayes_pref.diagnostics.robust.robust_shares import RobustShares, quadratic
from bayes_pref.diagnostics.task_sets import from_the_others, one_row_a_task
from bayes_pref.draws import thin
from bayes_pref.errors import DataError, ModelError
from bayes_pref.posterior.attributes import attributes_of
from bayes_pref.posterior.products import filled, require_values
from bayes_pref.posterior.replacements import Replacement, chosen_attributes, contrasts
from bayes_pref.posterior.task_distribution import Over, Tasks, tasks_over
from bayes_pref.types import FloatArray, IntArray

_TASKS = 400  # over which the correction is averaged
_DRAWS = 40  # of the population, for the means of shares


def robust_effects(
    shares: RobustShares,
    over: Over = "observed",
    *,
    attributes: Sequence[str] | str | None = None,
    baseline: Mapping[str, Any] | None = None,
    values: Mapping[str, tuple[Any, Any]] | None = None,
    interval: float = 0.9,
) -> pd.DataFrame:
    """Estimate average marginal component effects beside the model's.

    Parameters
    ----------
    shares
        The posterior and its residuals.
    over, attributes, baseline, values, interval
        As for `Posterior.amce`; `over` cannot be None.

    Returns
    -------
    frame: `attribute`, `level`, `baseline`; `mean` and `sd` of the model, `robust`, `lower`,
        `upper`

    Raises
    ------
    ModelError
        If answers are graded or may be ties.
    """
    posterior, comparisons = shares.posterior, shares.posterior.comparisons
    if shares.population.choices.n_outcomes > 2:
        raise ModelError(
            "report: robust effects are of choices between two and among several, and these "
            "answers are graded or may be ties; posterior.amce() has the model's"
        )
    if over is None:
        raise DataError("over is None", "name a distribution, such as 'observed'")
    drawn = posterior.amce_draws(over, attributes=attributes, baseline=baseline, values=values)
    rng, known = np.random.default_rng(0), attributes_of(comparisons)
    tasks = tasks_over(over, comparisons, _TASKS, rng)
    made = contrasts(chosen_attributes(attributes, known), known, tasks, baseline, values)
    tasks = tasks.take(rng.permutation(len(tasks))[:_TASKS])
    moved = [_moved(shares, tasks, each) for each in made]
    change = np.concatenate([one for one, _ in moved])
    slope = np.concatenate([one for _, one in moved])
    model = drawn.to_numpy().reshape(-1, drawn.sizes["effect"])
    mean, sd = model.mean(axis=0), model.std(axis=0)
    spread = np.sqrt(sd**2 + quadratic(slope, shares.correction.shrunk.covariance))
    away = float(ndtri(0.5 + interval / 2.0))
    keys = {
        name: pd.Series(drawn[name].to_numpy(), dtype=object)
        for name in ("attribute", "level", "baseline")
    }
    return pd.DataFrame(keys).assign(
        mean=mean,
        sd=sd,
        robust=mean + change,
        lower=mean + change - away * spread,
        upper=mean + change + away * spread,
    )


def _moved(shares: RobustShares, tasks: Tasks, each: Replacement) -> tuple[FloatArray, FloatArray]:
    """How far the effects of an attribute move (e,), and the derivatives of that (e, c)."""
    posterior, comparisons = shares.posterior, shares.posterior.comparisons
    query, focal = replaced_sets(comparisons, tasks, each)
    thinned = replace(posterior, draws=thin(posterior.draws, _DRAWS))
    population = PopulationDraws.read(thinned, 2 * _DRAWS)
    exposure = draw_exposure(
        one_row_a_task(comparisons),
        len(population.mu),
        np.random.default_rng(0),
        curved="H" in posterior.draws,
    )
    unit = posterior.model.choice_model(comparisons).log_odds_per_unit
    model = ModelShares.at(population, exposure, query, unit)
    columns = shares.columns(query, model) * shares.directions.of_pairs
    found = corrected(model.p_do, columns @ shares.correction.shrunk.mean, query)
    slope = jacobian(found, columns, query)[focal]
    change, count = (found - model.p_do)[focal], len(each.labels)
    change, slope = (
        part.reshape(-1, count, *part.shape[1:]).mean(axis=0) for part in (change, slope)
    )
    others = each.others
    return change[others] - change[each.baseline], slope[others] - slope[each.baseline]


def replaced_sets(
    comparisons: Comparisons, tasks: Tasks, each: Replacement
) -> tuple[Query, IntArray]:
    """Tasks in which each alternative in turn is given each value in turn.

    Returns
    -------
    query, focal: the comparisons, and the rows of the alternatives that were given a value; the
        values of one alternative stand side by side
    """
    count, inside = len(each.labels), np.flatnonzero(~tasks.outside)
    start = np.searchsorted(tasks.task, np.arange(len(tasks) + 1))
    size = np.diff(start)
    of = np.repeat(inside, count)  # the focal alternative of each copy of a task
    task = tasks.task[of]
    first = np.cumsum(size[task]) - size[task]
    copy = np.repeat(np.arange(len(of)), size[task])
    source = np.arange(len(copy)) - first[copy] + start[task][copy]
    focal = first + of - start[task]
    profile = tasks.profiles[source].copy()
    given = np.tile(each.features, (len(inside), 1))
    at = np.ix_(focal, each.attribute.places)
    profile[at] = profile[at] + given if each.relative else given
    require_values(comparisons.features, tasks)
    profile[focal] = filled(comparisons.features, attributes_of(comparisons), profile[focal])
    context, features = tasks.context[task], comparisons.features
    nobody = np.full(len(copy), NEW_USER, dtype=np.int64)
    if isinstance(comparisons.outcome, Ranking):
        middle = np.add.reduceat(profile, first) / size[task][:, None]
        shown = features.expand(from_the_others(profile - middle[copy], copy), context[copy])
        labels = pd.Index(copy)
        query = Query(shown, context[copy], nobody, labels, labels, copy, pd.Index(source))
        return query, focal
    other = 2 * first - focal + 1  # the two are first and first + 1
    shown = features.expand(profile[focal] - profile[other], context)
    labels = pd.RangeIndex(len(of))
    return Query(shown, context, nobody[: len(of)], labels, labels), np.arange(len(of))
