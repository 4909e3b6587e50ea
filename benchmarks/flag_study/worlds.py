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
from flag_study.truth import (
    HEAVY,
    Array,
    Population,
    standard_normal,
    standard_t,
    two_normals,
)

INTRACLASS = 0.5  # of the contexts in every world but the one where they are randomised
CONTEXT = "context_1"
_LINE = np.linspace(-8.0, 8.0, 2001)  # of one exposure, for integrals
MOST = 29  # comparisons of a user, where their number depends on exposure
PLAIN, LAPSE = bp.HierarchicalReward(), bp.HierarchicalReward(lapse=True)


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
    model
        What the analyst fits.
    """

    make: Callable[[int], Confounded]
    what: str
    kind: str = "confounded"
    model: bp.HierarchicalReward = PLAIN


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
    return replace(whole, comparisons=_read(frame, whole.comparisons, interactions=False))


def lapsing(seed: int, lapses: float, **knobs: Any) -> Confounded:
    """Return a world where some answers toss a coin, and so do p_do and p_obs."""
    world = simulated(seed, lapses=lapses, **knobs)
    population = replace(world.population, lapses=lapses)
    p_do, p_obs = (population.with_lapses(p) for p in (world.p_do, world.p_obs))
    return replace(world, p_do=p_do, p_obs=p_obs, population=population)


def unequal_counts(seed: int, fewest: int = 1, most: int = MOST, **knobs: Any) -> Confounded:
    """Return a world in which exposure decides how many comparisons a user makes."""
    world, rng = (
        _simulate(seed, comparisons=most, **knobs),
        np.random.default_rng([seed, 1]),
    )
    exposure = world.truth.exposure[CONTEXT].loc[world.frame["user"]].to_numpy()
    first = world.frame.groupby("user").cumcount().to_numpy() < fewest
    kept = first | (rng.random(len(exposure)) < _keenness(exposure))

    def visits(exposure: Array) -> Array:
        return fewest + (most - fewest) * _keenness(exposure)

    return _altered(world, world.frame[kept], rng, visits=visits)


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


def corner(seed: int, **knobs: Any) -> Confounded:
    """Return a world of two contexts where only users who are shown much of both differ."""
    world, rng = _simulate(seed, contexts=2, **knobs), np.random.default_rng([seed, 7])
    # Each half has the mean 1 / 2 and this mean square: E expit(3 s)^2.
    square = 0.5 - np.trapezoid(
        expit(3 * _LINE) * expit(-3 * _LINE) * standard_normal(_LINE), _LINE
    )

    def response(exposure: Array) -> Array:
        return np.asarray((expit(3 * exposure).prod(axis=0) - 0.25) / np.sqrt(square**2 - 0.0625))

    return _altered(world, world.frame, rng, response=response, density=two_normals)


def varied_attributes(seed: int, **knobs: Any) -> Confounded:
    """Return a world where attributes differ more between the sides in high contexts."""
    world, rng = _simulate(seed, **knobs), np.random.default_rng([seed, 8])
    names = list(world.comparisons.features.attributes)
    stretch = np.exp(world.frame[CONTEXT].to_numpy() / 2)
    frame = world.frame.assign(**world.frame[names].mul(stretch, axis=0))
    return _altered(world, frame, rng)


def _simulate(seed: int, **knobs: Any) -> bp.World:
    base = {"users": 200, "comparisons": 15, "features": 4, "contexts": [CONTEXT]}
    base |= {"confounding": 0.5, "intraclass": INTRACLASS}
    return bp.simulate(**(base | knobs), seed=seed)


def _population(world: bp.World) -> Population:
    """Return what `bp.simulate` draws users from; of two contexts, with one response to both."""
    coupling = world.truth.coupling.to_numpy()
    several = coupling.shape[1] > 1
    size = np.sign(coupling[:, 0]) * np.linalg.norm(coupling, axis=1)
    return Population(
        mu=world.truth.mu.to_numpy(),
        coupling=size if several else coupling[:, 0],
        own=world.truth.covariance.to_numpy() - coupling @ coupling.T,
        shown=_located(two_normals if several else standard_normal),
        contexts=coupling.shape[1],
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
    k, truth = len(world.comparisons.features.attributes), world.truth
    single = truth.coupling.shape[1] == 1 and world.comparisons.features.interactions
    effect = truth.mu.to_numpy()[k:] if single else np.zeros(k)
    return effect, truth.coupling[CONTEXT].to_numpy()[:k]


def _altered(
    world: bp.World,
    frame: pd.DataFrame,
    rng: np.random.Generator,
    *,
    exposure: Array | None = None,
    stretch: Array | float = 1.0,
    **law: Any,
) -> Confounded:
    """Draw the choices of a world again, and compute p_do and p_obs.

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
    known = truth.exposure.to_numpy()
    own = truth.weights.to_numpy() - population.mu - known @ truth.coupling.to_numpy().T
    exposure = known.T.squeeze() if exposure is None else exposure
    weights = population.mu + np.outer(population.response(exposure), population.coupling)
    weights += own * np.reshape(stretch, (-1, 1))
    comparisons = _read(frame, world.comparisons, bool(world.comparisons.features.interactions))
    users = truth.weights.index.get_indexer(comparisons.users)[comparisons.user]
    left = expit((comparisons.difference * weights[users]).sum(axis=1))
    choice = (rng.random(len(left)) < left).astype(np.float64)
    comparisons = replace(comparisons, choice=choice)
    context = comparisons.context.T.squeeze()
    p_do, p_obs = population.preferred(comparisons.difference, context)
    return Confounded(comparisons, p_do, p_obs, *_effects(world), population, weights, exposure)


def _read(frame: pd.DataFrame, like: bp.Comparisons, interactions: bool) -> bp.Comparisons:
    """Read a raw table again, with or without interactions."""
    with warnings.catch_warnings():
        # Where counts are unequal, some users make a single comparison: as they should.
        warnings.simplefilter("ignore", bp.DataWarning)
        return bp.Comparisons.from_frame(
            frame,
            user="user",
            choice="choice",
            difference=like.features.attributes,
            context=like.features.contexts,
            interactions="all" if interactions else None,
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
    "three contexts": Setting(partial(simulated, contexts=3), "three contexts"),
    "binary effects": Setting(
        partial(binary_context, interactions=True),
        "two kinds of prompts, with effects of their own",
    ),
    "very unequal": Setting(
        partial(unequal_counts, fewest=2, most=80, interactions=True),
        "2 to 80 comparisons a user, depending on exposure, and modelled context effects",
    ),
    "varied attributes": Setting(
        varied_attributes, "attributes differ more where contexts are high"
    ),
    "lapses, 10 %": Setting(
        partial(lapsing, lapses=0.1), "label noise with a lapse in the model", model=LAPSE
    ),
    "lapses, 20 %": Setting(
        partial(lapsing, lapses=0.2), "twice as many lapses, in the model", model=LAPSE
    ),
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
    "null: three contexts": Setting(
        partial(simulated, contexts=3, confounding=0.0),
        "preferences depend on none of three exposures",
        "null",
    ),
    "null: binary effects": Setting(
        partial(binary_context, interactions=True, confounding=0.0),
        "two kinds of prompts, with effects of their own, and nothing else",
        "null",
    ),
    "blind: squared": Setting(squared_exposure, "preferences follow exposure squared"),
    "blind: corner": Setting(corner, "users who are shown much of two contexts differ"),
    "blind: left out": Setting(left_out, "a real context effect that is not modelled", "blind"),
}
