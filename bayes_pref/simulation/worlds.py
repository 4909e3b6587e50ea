"""Worlds whose truth is known: who wants what, who is shown what, and what was chosen.

User i has an exposure s_i and writes prompts with contexts

    x_in = sqrt(intraclass) s_i + sqrt(1 - intraclass) * overlap * e_in,   s_i, e_in ~ Normal(0, I),

and `confounding` is the correlation of s_i with the user's weights: the case C -> X and C -> R of
Kobalczyk & van der Schaar (2025, arXiv 2506.05967). For a comparison with differences d shown in
context x, p_do = E sigmoid(d . w) over all users, and p_obs = E[sigmoid(d . w) | x] over the users
who are shown such an x. Ties follow Davidson (1970, J. Am. Stat. Assoc. 65).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from bayes_pref.data import Comparisons
from bayes_pref.data.features import Features
from bayes_pref.data.table import FloatArray, IntArray, shown
from bayes_pref.errors import DataError
from bayes_pref.simulation.population import draw_population
from bayes_pref.simulation.world import Truth, World

__all__ = ["Truth", "World", "assistant_world", "simulate"]


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
    seed: int = 0,
) -> World:
    """Simulate users, what they are shown and what they choose, and keep the truth.

    Every part of a world has its own random stream: turning one knob leaves the others' draws.

    Parameters
    ----------
    users
        Number of users.
    comparisons
        Mean number per user, or the exact number for each user, shape (users,).
    unequal
        Coefficient of variation of the users' numbers of comparisons: a gamma, at least one each,
        unrelated to preferences. 0: everyone makes the same number.
    features, contexts
        How many, or their names. Differences of features are standard normal. Contexts may be 0.
    covariates
        How many, or their names: standard normal but for centring, unrelated to exposure. They
        explain a quarter of the variance that exposure leaves of the weights.
    mean
        Population mean of the weights, log-odds per unit: one number or one per feature,
        interactions last. None: Normal(0, 1), and Normal(0, 0.5) for interactions.
    heterogeneity
        Sd of the users' weights around `mean`: one number or one per feature.
    correlation
        Of the part of the weights that neither exposure nor covariates explain: one number for
        all pairs of features, or a matrix (features, features).
    factors, factor_sd
        Number of directions of unit length, at right angles, along which users differ besides, and
        the sd of their positions on each: log-odds per unit along it.
    confounding
        0 to 1: correlation of each weight with its user's exposure.
    intraclass
        0 to 1: share of the contexts' variance that lies between users (where overlap is 1).
    overlap
        0 to 1: scales the spread of contexts within users; at 0 a user always sees the same one.
    interactions
        Whether every feature-by-context product is a feature, too.
    aliased
        Number of features, the last ones, whose differences copy those of the first ones.
    ties, lapses
        0 to 1: expected share of ties, and of choices made by tossing a coin (never a tie).
    position
        Log-odds that being shown on the left adds to a choice.
    seed
        Any integer from 0.

    Returns
    -------
    World

    Raises
    ------
    DataError
        If a knob is out of range; the message names it.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=50, features=["length", "warmth"], confounding=0.6, seed=1)
    >>> len(world.comparisons)
    750
    >>> list(world.truth.comparisons)
    ['probability', 'p_do', 'p_obs', 'shift', 'kind']
    """
    shares = {"confounding": confounding, "intraclass": intraclass, "overlap": overlap}
    for knob, share in (shares | {"ties": ties, "lapses": lapses}).items():
        _check(knob, share, upper=1)
    _check("position", position, lower=-np.inf)
    _check("users", users, lower=1, whole=True)
    _check("seed", seed, whole=True)
    coding, traits = _names(features, contexts, covariates, interactions)
    k, q = len(coding.attributes), len(coding.contexts)
    _check("factors", factors, upper=len(coding.names), whole=True)
    _check("factor_sd", factor_sd)
    _check("aliased", aliased, upper=k // 2, whole=True)
    if (confounding or interactions) and not q:
        knob = f"confounding={confounding}" if confounding else "interactions=True"
        raise DataError(f"{knob} needs at least one context, got contexts={contexts!r}")

    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(9)]
    counts = _counts(users, comparisons, unequal, streams[0])
    population = draw_population(
        (k, len(coding.names), q, len(traits)),
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
    positions = streams[8].standard_normal((users, factors))
    weights = population.weights(exposure, covariate, positions, streams[4])

    user, within = np.repeat(np.arange(users), counts), (1 - intraclass) * overlap**2
    context = np.sqrt(intraclass) * exposure[user]
    context += np.sqrt(within) * streams[5].standard_normal(context.shape)
    difference = streams[6].standard_normal((len(user), k))
    difference[:, k - aliased :] = difference[:, :aliased]
    design = coding.expand(difference, context)
    log_odds = np.einsum("nf,nf->n", design, weights[user])
    choice, kind, nu = _answers(log_odds + position, ties, lapses, streams[7])

    labels = _labels(users)
    factor_names = [f"factor_{number + 1}" for number in range(factors)]
    people = pd.DataFrame(covariate, labels, traits) if traits else None
    frame = pd.DataFrame(difference, columns=coding.attributes)
    frame[list(coding.contexts)] = context
    frame.insert(0, "user", labels[user])
    frame.insert(1, "choice", choice if ties else choice.astype(np.int64))
    data = _comparisons(frame, coding, people)
    p_do, p_obs = population.preferred(design, context, intraclass, within)
    rows = pd.DataFrame({"probability": expit(log_odds), "p_do": p_do, "p_obs": p_obs})
    rows = rows.assign(shift=p_obs - p_do, kind=kind).loc[data.rows]
    truth = Truth(
        weights=pd.DataFrame(weights, labels, coding.names),
        mu=pd.Series(population.mu, coding.names, name="mu"),
        tau=pd.Series(np.sqrt(population.covariance.diagonal()), coding.names, name="tau"),
        covariance=pd.DataFrame(population.covariance, coding.names, coding.names),
        B=pd.DataFrame(population.effects, coding.names, traits),
        coupling=pd.DataFrame(population.coupling, coding.names, coding.contexts),
        exposure=pd.DataFrame(exposure, labels, coding.contexts),
        comparisons=rows,
        nu=nu,
        position=float(position),
        V=pd.DataFrame(population.loadings, coding.names, factor_names),
        factors=pd.DataFrame(positions, labels, factor_names),
    )
    return World(data, frame, people, truth)


def assistant_world(*, seed: int = 0) -> World:
    """Simulate people who write prompts to an assistant and judge pairs of its answers.

    Those who write technical prompts also want other answers: what misleads a model that ignores
    who is asking. 120 users make 18 comparisons each on average.

    Parameters
    ----------
    seed
        Any integer from 0.

    Returns
    -------
    World

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
    """Read the raw table as a user would: what cannot be read must not be simulated."""
    return Comparisons.from_frame(
        frame,
        user="user",
        choice="choice",
        difference=coding.attributes,
        context=coding.contexts,
        interactions=coding.interactions or None,
        covariates=covariates,
    )


def _answers(
    log_odds: FloatArray, ties: float, lapses: float, rng: np.random.Generator
) -> tuple[FloatArray, NDArray[np.str_], float]:
    """Choices, how each came about, and the tie parameter that gives the share asked for."""
    if ties and ties + lapses >= 1:
        raise DataError(f"ties + lapses must be below 1, got {ties} + {lapses}")
    lapse, tie, left = rng.random((3, len(log_odds)))
    # P(tie) = nu / (nu + 2 cosh(log_odds / 2)), as a sigmoid, which cannot overflow.
    barrier, log_nu = np.logaddexp(log_odds / 2, -log_odds / 2), -np.inf
    if ties:
        share = ties / (1 - lapses)
        low, high = logit(share) + np.log(2) - 1e-6, logit(share) + barrier.max() + 1e-6
        log_nu = brentq(lambda value: float(expit(value - barrier).mean()) - share, low, high)
    lapsed, tied = lapse < lapses, tie < expit(log_nu - barrier)
    choice = np.where(tied, 0.5, left < expit(log_odds))
    choice = np.where(lapsed, left < 0.5, choice)
    return choice, np.select([lapsed, tied], ["lapse", "tie"], "choice"), float(np.exp(log_nu))


def _counts(
    users: int, comparisons: ArrayLike, unequal: float, rng: np.random.Generator
) -> IntArray:
    """(users,) numbers of comparisons."""
    _check("unequal", unequal)
    given = np.asarray(comparisons)
    if given.dtype.kind not in "iu" or given.shape not in {(), (users,)} or given.min() < 1:
        raise DataError(
            f"comparisons must be an integer of at least 1, or one for each of the {users} users, "
            f"got {shown(given.tolist())}"
        )
    if not unequal:
        return np.broadcast_to(given.astype(np.int64), (users,))
    if given.ndim or given == 1:
        raise DataError(
            f"unequal={unequal} needs comparisons to be one mean of at least 2, "
            f"got {shown(given.tolist())}"
        )
    # One each, and a gamma for the rest, rounded at random so that the mean stays what was asked.
    rest, sd = float(given) - 1, unequal * float(given)
    more = rng.gamma((rest / sd) ** 2, sd**2 / rest, users) + rng.random(users)
    return 1 + np.floor(more).astype(np.int64)


def _names(
    features: int | Sequence[str],
    contexts: int | Sequence[str],
    covariates: int | Sequence[str],
    interactions: object,
) -> tuple[Features, tuple[str, ...]]:
    """Features by name, and the covariates' names."""
    if not isinstance(interactions, bool | np.bool_):
        raise DataError(f"interactions must be True or False, got {shown(interactions)}")
    named: list[tuple[str, ...]] = []
    for knob, given in {"feature": features, "context": contexts, "covariate": covariates}.items():
        if not isinstance(given, Iterable):
            _check(f"{knob}s", given, lower=knob == "feature", whole=True)
            named.append(tuple(f"{knob}_{number + 1}" for number in range(given)))
        elif isinstance(given, str) or not all(isinstance(name, str) for name in given):
            raise DataError(f"{knob}s must be an integer or a list of names, got {shown(given)}")
        else:
            named.append(tuple(given))
    taken = ["user", "choice", *named[0], *named[1], *named[2]]
    doubled = [name for name in taken if taken.count(name) > 1]
    if doubled:
        raise DataError(f"two columns would be named {doubled[0]!r}; give each its own name")
    pairs = tuple((feature, context) for feature in named[0] for context in named[1])
    return Features(named[0], named[1], pairs if interactions else ()), named[2]


def _labels(users: int) -> pd.Index[str]:
    """u001, u002, ...: as wide as the last one needs."""
    numbers = np.arange(1, users + 1).astype(str)
    return pd.Index(np.char.add("u", np.char.zfill(numbers, max(3, len(str(users))))), name="user")


def _check(
    knob: str, value: float, *, lower: float = 0, upper: float = np.inf, whole: bool = False
) -> None:
    kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    number = isinstance(value, kinds) and not isinstance(value, bool)
    if not number or not lower <= value <= upper or abs(value) == np.inf:
        span = f"of at least {lower:g}" if upper == np.inf else f"from {lower:g} to {upper:g}"
        span = "that is finite" if lower == -np.inf else span
        what = "an integer" if whole else "a number"
        raise DataError(f"{knob} must be {what} {span}, got {shown(value)}")
