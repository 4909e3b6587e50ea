"""Worlds in which it is known which comparisons are confounded: simulated, and then altered.

Every world starts from `bp.simulate`. Where that has no knob, the users' weights, their contexts
or the number of their comparisons are changed, the choices drawn again, and p_do and p_obs
computed by quadrature (`truth.py`).
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit

import bayes_pref as bp
from flag_study.truth import HEAVY, Array, Population, standard_normal, standard_t

INTRACLASS = 0.5  # of the contexts in every world but the one where they are randomised
CONTEXT = "context_1"
MOST = 29  # comparisons of a user, where their number depends on exposure


@dataclass(frozen=True)
class Confounded:
    """Comparisons, and which of them are confounded.

    Attributes
    ----------
    comparisons
        As an analyst would have them.
    p_do, p_obs
        (n,) each, in the comparisons' order: of all users, and of those shown such a context.
    context_effect
        (k,) true mean effect of the context on the weight of each attribute, log-odds.
    coupling
        (k,) true G of the attributes, log-odds per sd of exposure.
    population
        What p_do and p_obs are computed from.
    weights, exposure
        (u, d) and (u,): of the users who were drawn from it, in any order.
    """

    comparisons: bp.Comparisons
    p_do: Array
    p_obs: Array
    context_effect: Array
    coupling: Array
    population: Population
    weights: Array
    exposure: Array

    @property
    def shift(self) -> Array:
        """(n,) true delta."""
        return self.p_obs - self.p_do


@dataclass(frozen=True)
class Setting:
    """A world by name.

    Attributes
    ----------
    make
        Seed -> the world.
    what
        One line for the table.
    kind
        "confounded"; "null": nothing is confounded; "blind": a known blind spot, for which no
        claim is made, and which the calibration figure leaves out.
    """

    make: Callable[[int], Confounded]
    what: str
    kind: str = "confounded"


def seed_of(name: str, replication: int) -> int:
    """Return a seed of its own for each world and replication."""
    return 1000 * (zlib.crc32(name.encode()) % 100_000) + replication


def simulated(seed: int, **knobs: Any) -> Confounded:
    """Return a world that `bp.simulate` has knobs for."""
    world = _simulate(seed, **knobs)
    rows, intraclass = world.truth.comparisons, knobs.get("intraclass", INTRACLASS)
    return Confounded(
        world.comparisons,
        rows["p_do"].to_numpy(),
        rows["p_obs"].to_numpy(),
        *_effects(world),
        replace(_population(world), shown=_located(standard_normal, intraclass)),
        world.truth.weights.to_numpy(),
        world.truth.exposure[CONTEXT].to_numpy(),
    )


def left_out(seed: int, **knobs: Any) -> Confounded:
    """Return a world with a context effect and no confounding, whose analyst leaves it out."""
    whole = simulated(seed, confounding=0.0, interactions=True, **knobs)
    frame = whole.comparisons.to_frame()
    return replace(whole, comparisons=_read(frame, whole.comparisons))


def unequal_counts(seed: int, **knobs: Any) -> Confounded:
    """Return a world in which exposure decides how many comparisons a user makes, 1 to 29."""
    world, rng = (
        _simulate(seed, comparisons=MOST, **knobs),
        np.random.default_rng([seed, 1]),
    )
    exposure = world.truth.exposure[CONTEXT].loc[world.frame["user"]].to_numpy()
    first = ~world.frame["user"].duplicated().to_numpy()  # everyone makes one at least
    kept = first | (rng.random(len(exposure)) < _keenness(exposure))
    return _altered(world, world.frame[kept], rng, visits=lambda s: 1 + (MOST - 1) * _keenness(s))


def _keenness(exposure: Array) -> Array:
    return np.asarray(expit(1.2 * exposure))


def binary_context(seed: int, **knobs: Any) -> Confounded:
    """Return a world whose context is one of two kinds: prompts that are technical, or are not."""
    world, rng = _simulate(seed, **knobs), np.random.default_rng([seed, 2])
    frame = world.frame.assign(**{CONTEXT: (world.frame[CONTEXT] > 0).astype(float)})

    def shown(context: Array, exposure: Array) -> Array:
        one = stats.norm.cdf(np.sqrt(INTRACLASS / (1 - INTRACLASS)) * exposure)
        return np.where(context > 0.5, one, 1 - one)

    return _altered(world, frame, rng, shown=shown)


def heavy_users(seed: int, **knobs: Any) -> Confounded:
    """Return a world where what users want beyond exposure is t with 3 degrees of freedom."""
    world, rng = _simulate(seed, **knobs), np.random.default_rng([seed, 3])
    stretch = np.sqrt((HEAVY - 2) / rng.chisquare(HEAVY, len(world.truth.weights)))
    return _altered(world, world.frame, rng, stretch=stretch, heavy=True)


def heavy_contexts(seed: int, **knobs: Any) -> Confounded:
    """Return a world where exposures and contexts are t with 3 degrees of freedom."""
    world, rng = _simulate(seed, **knobs), np.random.default_rng([seed, 4])
    unit = np.sqrt(HEAVY / (HEAVY - 2))
    exposure = rng.standard_t(HEAVY, len(world.truth.weights)) / unit
    within = rng.standard_t(HEAVY, len(world.frame)) / unit
    users = world.truth.exposure.index.get_indexer(world.frame["user"])
    context = np.sqrt(INTRACLASS) * exposure[users] + np.sqrt(1 - INTRACLASS) * within
    return _altered(
        world,
        world.frame.assign(**{CONTEXT: context}),
        rng,
        exposure=exposure,
        density=standard_t,
        shown=_located(standard_t),
    )


def squared_exposure(seed: int, **knobs: Any) -> Confounded:
    """Return a world where preferences depend on the square of exposure, and not on its sign."""
    world, rng = _simulate(seed, **knobs), np.random.default_rng([seed, 5])
    return _altered(world, world.frame, rng, response=lambda s: (s**2 - 1) / np.sqrt(2))


def _simulate(seed: int, **knobs: Any) -> bp.World:
    base = {"users": 200, "comparisons": 15, "features": 4, "contexts": [CONTEXT]}
    base |= {"confounding": 0.5, "intraclass": INTRACLASS}
    return bp.simulate(**(base | knobs), seed=seed)


def _population(world: bp.World) -> Population:
    """Return what `bp.simulate` draws users from."""
    coupling = world.truth.coupling[CONTEXT].to_numpy()
    own = world.truth.covariance.to_numpy() - np.outer(coupling, coupling)
    return Population(
        mu=world.truth.mu.to_numpy(),
        coupling=coupling,
        own=own,
        shown=_located(standard_normal),
    )


def _located(
    density: Callable[[Array], Array], intraclass: float = INTRACLASS
) -> Callable[[Array, Array], Array]:
    """Density of x = sqrt(intraclass) s + sqrt(1 - intraclass) e given s, with e ~ density."""

    def shown(context: Array, exposure: Array) -> Array:
        return density((context - np.sqrt(intraclass) * exposure) / np.sqrt(1 - intraclass))

    return shown


def _effects(world: bp.World) -> tuple[Array, Array]:
    """Return the true effects of context and of exposure on each attribute's weight."""
    features, truth = world.comparisons.features, world.truth
    effect = np.zeros(len(features.attributes))
    if features.interactions:
        effect = truth.mu.to_numpy()[len(effect) :]
    return effect, truth.coupling[CONTEXT].to_numpy()[: len(effect)]


def _altered(
    world: bp.World,
    frame: pd.DataFrame,
    rng: np.random.Generator,
    *,
    exposure: Array | None = None,
    stretch: Array | float = 1.0,
    **law: Any,
) -> Confounded:
    """Draw the choices of a world without interactions again, and compute p_do and p_obs.

    Parameters
    ----------
    world
        Whose users these are.
    frame
        What replaces its raw table.
    rng
        Where the choices come from.
    exposure, stretch
        (u,) each: what replaces the users' exposure, and what multiplies the rest of their weights.
    law
        What `Population` has to know of all this.
    """
    truth, population = world.truth, replace(_population(world), **law)
    known = truth.exposure[CONTEXT].to_numpy()
    own = truth.weights.to_numpy() - population.mu - np.outer(known, population.coupling)
    exposure = known if exposure is None else exposure
    response = population.response(exposure)
    weights = population.mu + np.outer(response, population.coupling)
    weights += own * np.reshape(stretch, (-1, 1))
    users = truth.weights.index.get_indexer(frame["user"])
    attributes = frame[list(world.comparisons.features.attributes)].to_numpy()
    left = expit((attributes * weights[users]).sum(axis=1))
    frame = frame.assign(choice=(rng.random(len(frame)) < left).astype(np.int64))
    comparisons = _read(frame, world.comparisons)
    p_do, p_obs = population.preferred(comparisons.difference, comparisons.context[:, 0])
    return Confounded(comparisons, p_do, p_obs, *_effects(world), population, weights, exposure)


def _read(frame: pd.DataFrame, like: bp.Comparisons) -> bp.Comparisons:
    """Read a raw table again, without interactions."""
    with warnings.catch_warnings():
        # Where counts are unequal, some users make a single comparison: as they should.
        warnings.simplefilter("ignore", bp.DataWarning)
        return bp.Comparisons.from_frame(
            frame,
            user="user",
            choice="choice",
            difference=like.features.attributes,
            context=[CONTEXT],
        )


WORLDS = {
    "base": Setting(simulated, "200 users x 15 comparisons, 4 attributes, 1 context"),
    "weak": Setting(partial(simulated, confounding=0.25), "half of the coupling"),
    "moderate": Setting(partial(simulated, confounding=0.6), "1.2 times the coupling"),
    "strong": Setting(partial(simulated, confounding=0.8), "1.6 times the coupling"),
    "small": Setting(partial(simulated, users=50, comparisons=5), "50 users x 5 comparisons"),
    "counts": Setting(unequal_counts, "1 to 29 comparisons a user, depending on exposure"),
    "interactions": Setting(
        partial(simulated, interactions=True), "the context has effects of its own, modelled"
    ),
    "heavy users": Setting(heavy_users, "users' tails are t with 3 degrees of freedom"),
    "heavy contexts": Setting(heavy_contexts, "exposures and contexts are t_3"),
    "binary context": Setting(binary_context, "two kinds of prompts"),
    "label noise": Setting(partial(simulated, lapses=0.1), "one choice in ten tosses a coin"),
    "null: randomised": Setting(
        partial(simulated, intraclass=0.0), "contexts do not depend on users", "null"
    ),
    "null: unrelated": Setting(
        partial(simulated, confounding=0.0), "preferences do not depend on exposure", "null"
    ),
    "null: context effect": Setting(
        partial(simulated, confounding=0.0, interactions=True),
        "a real context effect, modelled",
        "null",
    ),
    "null: counts": Setting(
        partial(unequal_counts, confounding=0.0),
        "exposure decides how many comparisons a user makes, and nothing else",
        "null",
    ),
    "blind: squared": Setting(squared_exposure, "preferences follow exposure squared", "blind"),
    "blind: left out": Setting(left_out, "a real context effect that is not modelled", "blind"),
}
