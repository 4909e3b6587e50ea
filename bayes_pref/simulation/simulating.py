"""Simulation of users, the contexts they see, their comparisons and their choices.

User i has an exposure s_i and writes prompts with contexts

    x_in = sqrt(intraclass) s_i + sqrt(1 - intraclass) * overlap * e_in,   s_i, e_in ~ Normal(0, I).

`confounding` is the correlation of s_i with the user's weights, the case C -> X and C -> R of
Kobalczyk & van der Schaar (2025, arXiv 2506.05967). For a comparison with differences d in
context x, p_do = E sigmoid(d . w) over all users, and p_obs = E[sigmoid(d . w) | x] over the users
who see such an x. Ties follow Davidson (1970, J. Am. Stat. Assoc. 65).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import expit, softmax

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.data.features import Features
from bayes_pref.errors import DataError
from bayes_pref.simulation.answers import draw_answers
from bayes_pref.simulation.choice_tasks import (
    TaskDesign,
    draw_alternatives,
    draw_task_answers,
    read_tasks,
)
from bayes_pref.simulation.columns import RANDOMISED, named_columns, user_labels
from bayes_pref.simulation.counts import draw_counts
from bayes_pref.simulation.true_population import (
    TruePopulation,
    draw_true_population,
    per_feature,
)
from bayes_pref.simulation.world import Truth, World
from bayes_pref.types import FloatArray, IntArray, Mask

_RENAMED = {"tastes": "factors=", "taste_sd": "factor_sd="}

__all__ = ["Truth", "World", "assistant_world", "simulate"]


@settings.keywords(_RENAMED)
def simulate(
    *,
    users: int = 200,
    comparisons: int | Sequence[int] | IntArray = 15,
    unequal: float = 0.0,
    features: int | Sequence[str] = 4,
    contexts: int | Sequence[str] = 1,
    covariates: int | Sequence[str] = 0,
    mean: ArrayLike | None = None,
    heterogeneity: ArrayLike = 0.7,
    correlation: ArrayLike = 0.0,
    factors: int = 0,
    factor_sd: float = 1.5,
    confounding: float = 0.0,
    intraclass: float = 0.5,
    overlap: float = 1.0,
    interactions: bool = False,
    aliased: int = 0,
    ties: float = 0.0,
    lapses: float = 0.0,
    position: float = 0.0,
    alternatives: int = 2,
    none: bool = False,
    best_worst: bool = False,
    rankings: bool | int = False,
    categories: Mapping[str, Sequence[Any]] | None = None,
    randomised: float = 0.0,
    observational_bias: ArrayLike = 0.0,
    seed: int = 0,
) -> World:
    """Simulate comparisons of users, and keep the true parameters.

    Choices are between two unless `alternatives`, `none`, `best_worst`, `rankings` or `categories`
    ask for choice tasks; `ties` and `position` are for choices between two without these.

    Every part of a world has its own random stream: a change of one argument leaves the draws of
    the others as they are.

    Parameters
    ----------
    users
        Number of users.
    comparisons
        Mean number per user, or the exact number for each user, shape (users,).
    unequal
        Coefficient of variation of the users' numbers of comparisons. They are gamma distributed,
        at least one each, and independent of preferences. 0: every user makes the same number.
    features, contexts
        How many, or their names. Differences of features are standard normal. `contexts` may be 0.
    covariates
        How many, or their names. They are standard normal, centred, and independent of exposure.
        They explain a quarter of the variance of the weights that exposure does not explain.
    mean
        Population mean of the weights, log-odds per unit: one number or one per feature,
        interactions last. None: drawn from Normal(0, 1), interactions from Normal(0, 0.5).
    heterogeneity
        Standard deviation of the users' weights around `mean`: one number or one per feature.
    correlation
        Correlation of the part of the weights that neither exposure nor covariates explain: one
        number for all pairs of features, or a matrix (features, features).
    factors, factor_sd
        Number of orthogonal directions of unit length along which users differ in addition, and
        the standard deviation of their scores on each, log-odds per unit along the direction.
    confounding
        Correlation of each weight with its user's exposure, 0 to 1.
    intraclass
        Share of the variance of contexts that lies between users (where `overlap` is 1), 0 to 1.
    overlap
        Factor on the spread of contexts within users, 0 to 1; at 0 a user always sees the same one.
    interactions
        Whether every feature-by-context product is a feature, too.
    aliased
        Number of features, the last ones, whose differences copy those of the first ones.
    ties, lapses
        Expected share of ties, and of choices made by tossing a coin (never a tie), 0 to 1.
    position
        Position bias: log-odds in favour of the left side.
    alternatives
        Number of alternatives that a task shows. Differences of their numbers are standard normal.
    none
        Whether a task has an outside option, too, whose reward is the weight of ``none``.
    best_worst
        Whether the best and the worst are named instead of a choice.
    rankings
        Whether alternatives are ranked: True, or how many of the first places are.
    categories
        Levels of further attributes, by name, as in ``{"brand": ["A", "B", "C"]}``: balanced over
        the alternatives, and effect coded, with the first level as the baseline.
    randomised
        Share of the comparisons or tasks whose contexts are drawn whoever the user is, 0 to 1; the
        comparisons mark them. (Differences are drawn so in all of them.)
    observational_bias
        What the answers to the others have on top of the weights, log-odds per unit: one number or
        one per feature, interactions last.
    seed
        Random seed, a whole number of at least 0.

    Returns
    -------
    world: the comparisons and the true parameters

    Raises
    ------
    DataError
        If an argument is out of range.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=50, features=["length", "warmth"], confounding=0.6, seed=1)
    >>> len(world.comparisons)
    750
    >>> list(world.truth.comparisons)
    ['probability', 'p_do', 'p_obs', 'shift', 'kind']
    >>> levels = {"brand": ["A", "B", "C"]}
    >>> bp.simulate(features=["price"], categories=levels, alternatives=3, none=True).comparisons
    Comparisons: 9,000 comparisons by 200 users (45 each)
      4 features: price, brand[B], brand[C], none
      context: context_1
      choices: 3,000, each of the best of those that are left
    """
    asked = TaskDesign(alternatives, none, best_worst, rankings, categories or {})
    if not asked.pairs and (ties or position):
        unsuited = f"ties={ties}" if ties else f"position={position}"
        raise DataError(f"{unsuited} is for choices between two", "leave it out of choice tasks")
    shares = {"confounding": confounding, "intraclass": intraclass, "overlap": overlap}
    shares |= {"ties": ties, "lapses": lapses, "randomised": randomised}
    for name, share in shares.items():
        settings.argument(name, share, settings.number(0, 1))
    settings.argument("position", position, settings.number())
    users = settings.argument("users", users, settings.whole(1))
    seed = settings.seed(seed, error=DataError)
    coding, numbers, traits = named_columns(features, contexts, covariates, interactions, asked)
    k, q = len(numbers), len(coding.contexts)
    factors = settings.argument("factors", factors, settings.whole(0, len(coding.names)))
    settings.argument("factor_sd", factor_sd, settings.number(0))
    aliased = settings.argument("aliased", aliased, settings.whole(0, k // 2))
    if (confounding or interactions) and not q:
        cause = f"confounding={confounding}" if confounding else "interactions=True"
        raise DataError(f"{cause} needs at least one context, got contexts={contexts!r}")

    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(11)]
    counts = draw_counts(users, comparisons, unequal, streams[0])
    population = draw_true_population(
        (len(coding.attributes), len(coding.names), q, len(traits)),
        mean=mean,
        heterogeneity=heterogeneity,
        correlation=correlation,
        confounding=confounding,
        factors=factors,
        factor_sd=factor_sd,
        rng=streams[1],
    )
    exposure = streams[2].standard_normal((users, q))
    covariate = streams[3].standard_normal((users, len(traits)))
    covariate -= covariate.mean(axis=0)
    scores = streams[8].standard_normal((users, factors))
    weights = population.weights(exposure, covariate, scores, streams[4])

    user, within = np.repeat(np.arange(users), counts), (1 - intraclass) * overlap**2
    context = np.sqrt(intraclass) * exposure[user]
    context += np.sqrt(within) * streams[5].standard_normal(context.shape)
    assigned = _assigned(randomised, len(user), streams[10])
    other = exposure[streams[10].integers(users, size=len(user))]
    context[assigned] += np.sqrt(intraclass) * (other - exposure[user])[assigned]
    bias = per_feature("observational_bias", observational_bias, len(coding.names))
    answering = weights[user] + ~assigned[:, None] * bias
    labels = user_labels(users)
    people = pd.DataFrame(covariate, labels, traits) if traits else None
    shown = pd.DataFrame(context, columns=list(coding.contexts))
    shown.insert(0, "user", labels[user])
    if randomised:
        shown.insert(1, RANDOMISED, assigned)
    seen = Seen(shown, context, answering, (intraclass, within))
    biased = replace(population, mu=population.mu + bias)
    if asked.pairs:
        chances = (ties, lapses, position)
        made = _pairs(coding, people, seen, (population, biased), chances, aliased, streams[6:8])
    else:
        made = _tasks(
            asked, numbers, coding, people, seen, (population, biased), lapses, aliased, streams
        )
    data, frame, rows, nu = made
    names, factor_names = coding.names, [f"factor_{number + 1}" for number in range(factors)]
    truth = Truth(
        weights=pd.DataFrame(weights, labels, names),
        mu=pd.Series(population.mu, names, name="mu"),
        tau=pd.Series(np.sqrt(population.covariance.diagonal()), names, name="tau"),
        covariance=pd.DataFrame(population.covariance, names, names),
        B=pd.DataFrame(population.effects, names, traits),
        coupling=pd.DataFrame(population.coupling, names, coding.contexts),
        exposure=pd.DataFrame(exposure, labels, coding.contexts),
        comparisons=rows,
        nu=nu,
        V=pd.DataFrame(population.loadings, names, factor_names),
        scores=pd.DataFrame(scores, labels, factor_names),
        position=float(position),
    )
    return World(data, frame, people, truth)


class Seen(NamedTuple):
    """Users, contexts and weights of n comparisons or tasks.

    Attributes
    ----------
    people
        One row each: the user and the contexts.
    context, weights
        (n, q) and (n, d), of the log with its bias.
    between, within
        Variance of contexts between users and within a user.
    """

    people: pd.DataFrame
    context: FloatArray
    weights: FloatArray
    variances: tuple[float, float]


def _pairs(
    coding: Features,
    covariates: pd.DataFrame | None,
    seen: Seen,
    populations: tuple[TruePopulation, TruePopulation],
    chances: tuple[float, float, float],
    aliased: int,
    rngs: Sequence[np.random.Generator],
) -> tuple[Comparisons, pd.DataFrame, pd.DataFrame, float]:
    """Comparisons of two, the raw table, the truth of every row, and the tie parameter."""
    k, (ties, lapses, position) = len(coding.attributes), chances
    difference = rngs[0].standard_normal((len(seen.people), k))
    difference[:, k - aliased :] = difference[:, :aliased]
    design = coding.expand(difference, seen.context)
    log_odds = np.einsum("nf,nf->n", design, seen.weights)
    answers = draw_answers(log_odds + position, ties, lapses, rngs[1])
    frame = pd.DataFrame(difference, columns=coding.attributes)
    frame[list(coding.contexts)] = seen.context
    own = [name for name in seen.people if name not in coding.contexts]
    for place, name in enumerate(own):
        frame.insert(place, name, seen.people[name])
    frame.insert(len(own), "choice", answers.choice if ties else answers.choice.astype(np.int64))
    data = _comparisons(frame, coding, covariates)
    of_users, of_log = (
        each.preferred(design, seen.context, *seen.variances) for each in populations
    )
    p_do, p_obs = of_users[0], of_log[1]
    rows = pd.DataFrame({"probability": expit(log_odds), "p_do": p_do, "p_obs": p_obs})
    rows = rows.assign(shift=p_obs - p_do, kind=answers.kind).loc[data.rows]
    return data, frame, rows, answers.nu


def _tasks(
    asked: TaskDesign,
    numbers: Sequence[str],
    coding: Features,
    covariates: pd.DataFrame | None,
    seen: Seen,
    populations: tuple[TruePopulation, TruePopulation],
    lapses: float,
    aliased: int,
    streams: Sequence[np.random.Generator],
) -> tuple[Comparisons, pd.DataFrame, pd.DataFrame, float]:
    """Choice tasks, the raw table, the truth of every alternative, and no ties."""
    tasks, count = len(seen.people), asked.shown
    alternatives = draw_alternatives(asked, numbers, tasks, aliased, (streams[6], streams[9]))
    context = np.repeat(seen.context, count, axis=0)
    design = coding.expand(alternatives.attributes.reshape(tasks * count, -1), context)
    design = design.reshape(tasks, count, -1)
    reward = np.einsum("nkf,nf->nk", design, seen.weights)
    answers = draw_task_answers(reward, lapses, streams[7])
    data, frame = read_tasks(asked, alternatives, answers, seen.people, coding, covariates)
    of_users, of_log = (each.shares(design, seen.context, *seen.variances) for each in populations)
    p_do, p_obs = of_users[0], of_log[1]
    each = {"probability": softmax(reward, axis=1), "p_do": p_do, "p_obs": p_obs}
    index = pd.MultiIndex.from_frame(frame[["task", "alternative"]])
    rows = pd.DataFrame({name: value.ravel() for name, value in each.items()}, index)
    kind = np.repeat(np.where(answers.lapsed, "lapse", "choice"), count)
    rows = rows.assign(shift=rows["p_obs"] - rows["p_do"], kind=kind)
    if data.outcome.rowwise:  # a set of two is a comparison, whose first alternative is left
        rows = rows.iloc[::2].droplevel("alternative")
    return data, frame, rows, 0.0


def assistant_world(*, seed: int = 0) -> World:
    """Simulate users who write prompts to an assistant and compare pairs of its responses.

    Preferences are confounded with the prompts: users who write technical prompts prefer other
    responses than the population. 120 users make 18 comparisons each on average.

    Parameters
    ----------
    seed
        Random seed, a whole number of at least 0.

    Returns
    -------
    world

    Examples
    --------
    >>> from bayes_pref.simulation import assistant_world
    >>> world = assistant_world(seed=0)
    >>> world.comparisons.feature_names[:5]
    ('length', 'detail', 'warmth', 'hedging', 'length:technical')
    """
    return simulate(
        users=120,
        comparisons=18,
        unequal=0.4,
        features=["length", "detail", "warmth", "hedging"],
        contexts=["technical"],
        mean=[-0.4, 0.9, 0.6, -0.7, 0.2, 0.5, -0.4, -0.2],
        heterogeneity=[0.7, 0.7, 0.7, 0.7, 0.3, 0.3, 0.3, 0.3],
        confounding=0.6,
        interactions=True,
        seed=seed,
    )


def _comparisons(
    frame: pd.DataFrame, coding: Features, covariates: pd.DataFrame | None
) -> Comparisons:
    """Read the raw table as a user would, so that only valid comparisons are simulated."""
    return Comparisons.from_frame(
        frame,
        user="user",
        choice="choice",
        difference=coding.attributes,
        context=coding.contexts,
        interactions=coding.interactions or None,
        covariates=covariates,
        randomised=RANDOMISED if RANDOMISED in frame else None,
    )


def _assigned(share: float, rows: int, rng: np.random.Generator) -> Mask:
    """(n,) which rows are assigned at random: this share of them, and at least one if any."""
    found = np.zeros(rows, dtype=bool)
    count = max(1, round(share * rows)) if share else 0
    found[rng.permutation(rows)[:count]] = True
    return found
