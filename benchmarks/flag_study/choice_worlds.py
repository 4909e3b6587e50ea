"""The base world and its nulls for every choice model, with p_do and p_obs of each of its rows.

Choice tasks, rankings and best-worst are those of `bp.simulate`: sets of four, as many as there are
pairs in the base world. Ties, grades and the probit are its pairs, with answers drawn again from
the textbook's formulas and both probabilities by Gauss-Hermite quadrature over users' rewards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm

import bayes_pref as bp
from bayes_pref.data import GradedChoice
from bayes_pref.diagnostics.task_sets import shown_sets
from flag_study.truth import Array, Population, standard_normal
from flag_study.worlds import CONTEXT, INTRACLASS, Confounded, Setting

TASKS: dict[str, dict[str, Any]] = {
    "tasks": {"alternatives": 4},
    "best_worst": {"alternatives": 4, "best_worst": True},
    "rankings": {"alternatives": 4, "rankings": True},
}
PROBIT = 1.6  # log-odds that a unit of a probit is worth
CUTPOINTS = np.array([-1.8, -0.6, 0.6, 1.8])
TIE = -0.2  # about 23 % of ties
_NODES, _MASSES = np.polynomial.hermite_e.hermegauss(80)


@dataclass(frozen=True)
class Answers:
    """How rewards become answers.

    Attributes
    ----------
    chances
        Reward in log-odds (...) -> probability of each outcome, from right to left (outcome, ...).
    preferred
        Of these outcomes, the first in favour of left.
    """

    chances: Callable[[Array], Array]
    preferred: int


def _with_ties(eta: Array) -> Array:
    scores = np.exp(np.stack([-eta / 2, np.full_like(eta, TIE), eta / 2]))
    return np.asarray(scores / scores.sum(axis=0))


def _graded(eta: Array) -> Array:
    below = [np.zeros_like(eta), *(expit(cut - eta) for cut in CUTPOINTS), np.ones_like(eta)]
    return np.diff(np.stack(below), axis=0)


def _probit(eta: Array) -> Array:
    return np.stack([norm.cdf(-eta / PROBIT), norm.cdf(eta / PROBIT)])


PAIRS = {
    "ties": Answers(_with_ties, 2),
    "graded": Answers(_graded, 3),
    "probit": Answers(_probit, 1),
}
CHOICES = (*TASKS, *PAIRS)
MODELS = {"probit": bp.HierarchicalReward(link="probit")}


def made(seed: int, choice: str, **knobs: Any) -> Confounded:
    """Return the base world, with some knobs turned, of a choice model."""
    base = {"users": 200, "comparisons": 15, "features": 4, "contexts": [CONTEXT]}
    base |= {"confounding": 0.5, "intraclass": INTRACLASS} | knobs
    world = bp.simulate(**base, **TASKS.get(choice, {}), seed=seed)
    if choice in TASKS:
        comparisons, (p_do, p_obs) = world.comparisons, _of_sets(world)
    else:
        comparisons = _answered(world, PAIRS[choice], np.random.default_rng([seed, 6]))
        p_do, p_obs = _of_pairs(world, PAIRS[choice], base["intraclass"])
    truth, coupling = world.truth, world.truth.coupling[CONTEXT].to_numpy()
    k = len(world.comparisons.features.attributes)
    effect = truth.mu.to_numpy()[k:] if base.get("interactions") else np.zeros(k)
    own = truth.covariance.to_numpy() - np.outer(coupling, coupling)
    return Confounded(
        comparisons,
        p_do,
        p_obs,
        effect,
        coupling[:k],
        Population(mu=truth.mu.to_numpy(), coupling=coupling, own=own, shown=_unused),
        truth.weights.to_numpy(),
        truth.exposure[CONTEXT].to_numpy(),
    )


def _unused(context: Array, exposure: Array) -> Array:
    return standard_normal(context - exposure)


def _of_sets(world: bp.World) -> tuple[Array, Array]:
    """p_do and p_obs of every alternative, in the order of a report."""
    sets = shown_sets(world.comparisons)
    rows = world.truth.comparisons.loc[pd.MultiIndex.from_arrays([sets.tasks, sets.alternatives])]
    return rows["p_do"].to_numpy(), rows["p_obs"].to_numpy()


def _answered(world: bp.World, answers: Answers, rng: np.random.Generator) -> bp.Comparisons:
    """Return the pairs with answers drawn again."""
    comparisons = world.comparisons
    weights = world.truth.weights.loc[comparisons.users].to_numpy()[comparisons.user]
    chances = answers.chances((comparisons.difference * weights).sum(axis=1))
    steps = len(chances) - 1
    reached = np.cumsum(chances[:-1], axis=0)
    choice = (rng.random(len(comparisons)) > reached).sum(axis=0) / steps
    outcome = GradedChoice(steps + 1) if steps > 2 else comparisons.outcome
    return replace(comparisons, choice=choice, outcome=outcome)


def _of_pairs(world: bp.World, answers: Answers, intraclass: float) -> tuple[Array, Array]:
    """p_do and p_obs: rewards are normal, over all users and over those who see the context."""
    comparisons, truth = world.comparisons, world.truth
    difference, covariance = comparisons.difference, truth.covariance.to_numpy()
    centre = difference @ truth.mu.to_numpy()
    variance = ((difference @ covariance) * difference).sum(axis=1)
    slope = difference @ truth.coupling[CONTEXT].to_numpy()
    # Exposure given a context x is Normal(sqrt(intraclass) x, 1 - intraclass).
    moved = slope * np.sqrt(intraclass) * comparisons.context[:, 0]
    known = slope**2 * intraclass

    def preferred(mean: Array, var: Array) -> Array:
        eta = mean[:, None] + np.sqrt(var)[:, None] * _NODES
        return answers.chances(eta)[answers.preferred :].sum(axis=0) @ _MASSES / _MASSES.sum()

    return preferred(centre, variance), preferred(centre + moved, variance - known)


_WORLDS: dict[str, tuple[dict[str, Any], str]] = {
    "base": ({}, "confounded"),
    "null: randomised": ({"intraclass": 0.0}, "null"),
    "null: unrelated": ({"confounding": 0.0}, "null"),
    "null: context effect": ({"confounding": 0.0, "interactions": True}, "null"),
}
CHOICE_WORLDS = {
    f"{choice}, {name}": Setting(partial(made, choice=choice, **knobs), name, kind)
    for choice in CHOICES
    for name, (knobs, kind) in _WORLDS.items()
}


def choice_of(world: str) -> str:
    """Return the choice model of a world by its name.

    Examples
    --------
    >>> choice_of("ties, null: unrelated")
    'ties'
    """
    return world.partition(",")[0]
