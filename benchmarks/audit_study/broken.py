"""Worlds that break one assumption, at three strengths, and worlds that break none.

All start from `bp.simulate`: its users and their weights are kept, and what breaks the assumption
is put into what they are shown or what they answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

import bayes_pref as bp

Array = NDArray[np.float64]

USERS, TASKS = 200, 15
FEATURES = ["length", "detail", "warmth"]


@dataclass(frozen=True)
class Broken:
    """One way to break an assumption.

    Attributes
    ----------
    name
        In words.
    assumption
        The one that is broken.
    strengths
        From weak to strong, in the unit that `unit` says.
    make
        (seed, strength) -> comparisons.
    """

    name: str
    assumption: str
    unit: str
    strengths: tuple[float, float, float]
    make: Callable[[int, float], bp.Comparisons]


class Study:
    """200 users and their 15 pairs each, whose parts can be changed before they are answered."""

    def __init__(self, seed: int, **knobs: Any) -> None:
        knobs = {"users": USERS, "comparisons": TASKS, "features": FEATURES, **knobs}
        self.world = bp.simulate(seed=seed, **knobs)
        self.rng = np.random.default_rng([seed, 77])
        frame, weights = self.world.frame, self.world.truth.weights
        self.user = pd.factorize(frame["user"])[0]
        self.labels = frame["user"]
        self.weights = weights.loc[frame["user"].unique(), FEATURES].to_numpy()
        self.difference = frame[FEATURES].to_numpy(copy=True)
        names = [name for name in frame if name.startswith("context")]
        self.context = frame[names].to_numpy(copy=True)
        self.place = frame.groupby("user").cumcount().to_numpy()
        self.covariates = self.world.covariates

        # Of both sides, independent of their difference.
        self.mean = self.rng.standard_normal(self.difference.shape) * 0.5

    @property
    def reward(self) -> Array:
        """(n,) log-odds of left."""
        return np.asarray((self.difference * self.weights[self.user]).sum(axis=1))

    def drawn(self, eta: Array) -> Array:
        """Answers (n,) at log-odds."""
        return (self.rng.random(len(eta)) < expit(eta)).astype(float)

    def read(self, choice: Array, right: Array | None = None) -> bp.Comparisons:
        """Return comparisons, as an analyst would have them."""
        names = [f"context_{k + 1}" for k in range(self.context.shape[1])]
        frame = pd.DataFrame(self.context, columns=names).assign(
            user=self.labels.to_numpy(), choice=choice
        )
        roles: dict[str, Any] = {"user": "user", "choice": "choice", "context": names}
        if self.covariates is not None:
            roles["covariates"] = self.covariates
        if right is None:
            frame[FEATURES] = self.difference
            return bp.Comparisons.from_frame(frame, difference=FEATURES, **roles)
        sides = {"left": right + self.difference, "right": right}
        for side, values in sides.items():
            frame[[f"{side}_{name}" for name in FEATURES]] = values
            roles[side] = [f"{side}_{name}" for name in FEATURES]
        return bp.Comparisons.from_frame(frame, features=FEATURES, **roles)


def _leaning(seed: int, strength: float) -> bp.Comparisons:
    study = Study(seed)
    return study.read(study.drawn(study.reward + strength))


def _unbalanced(seed: int, strength: float) -> bp.Comparisons:
    study = Study(seed)
    study.difference[:, 0] += strength
    return study.read(study.drawn(study.reward))


def _carried(seed: int, strength: float) -> bp.Comparisons:
    """The side that was chosen before is chosen again without a look."""
    study = Study(seed)
    choice = study.drawn(study.reward)
    again = (study.rng.random(len(choice)) < strength) & (study.place > 0)
    for row in np.flatnonzero(again):  # one after the other, since each copies the one before
        choice[row] = choice[row - 1]
    return study.read(choice)


def _drifting(seed: int, strength: float) -> bp.Comparisons:
    """The weight of one attribute changes by so many log-odds over the session."""
    study = Study(seed)
    time = study.place / (TASKS - 1) - 0.5
    return study.read(study.drawn(study.reward + strength * time * study.difference[:, 0]))


def _lapsing(seed: int, strength: float) -> bp.Comparisons:
    """A third of the tasks are repeated with sides exchanged, and answers are tossed coins."""
    study = Study(seed)
    first, again = study.place < TASKS // 3, study.place >= TASKS - TASKS // 3
    study.difference[again] = -study.difference[first]
    study.context[again] = study.context[first]
    lapse = study.rng.random(len(first)) < strength
    return study.read(study.drawn(np.where(lapse, 0.0, study.reward)))


def _by_covariates(seed: int, strength: float) -> bp.Comparisons:
    """A covariate of users has this correlation with what they are shown on average."""
    study = Study(seed, covariates=2, intraclass=0.0)
    known = study.covariates.iloc[:, 0].reindex(study.labels).to_numpy()
    rest = study.world.truth.exposure.iloc[:, 0].reindex(study.labels).to_numpy()
    shown = strength * known + np.sqrt(1.0 - strength**2) * rest
    study.context[:, 0] = np.sqrt(0.5) * (shown + study.context[:, 0])
    return study.read(study.drawn(study.reward))


def _by_preferences(seed: int, strength: float) -> bp.Comparisons:
    return Study(seed, confounding=strength).world.comparisons


def _by_answers(seed: int, strength: float) -> bp.Comparisons:
    """The next context leans to what was chosen: more of it after more of the first attribute."""
    study = Study(seed, intraclass=0.0)
    choice = study.drawn(study.reward)
    chosen = np.sign(choice - 0.5) * np.sign(study.difference[:, 0])
    before = np.where(study.place > 0, np.roll(chosen, 1), 0.0)
    study.context[:, 0] = strength * before + np.sqrt(1 - strength**2) * study.context[:, 0]
    return study.read(choice)


def _separated(seed: int, strength: float) -> bp.Comparisons:
    """Half of the users ask about one of two topics with this probability, the rest the other."""
    study = Study(seed)
    kind = study.rng.permutation(np.arange(USERS) % 2)
    own = study.rng.random(len(study.user)) < strength
    study.context = np.where(own, kind[study.user], 1 - kind[study.user])[:, None].astype(float)
    return study.read(study.drawn(study.reward))


def _context_left_out(seed: int, strength: float) -> bp.Comparisons:
    study = Study(seed)
    effect = strength * study.context[:, 0] * study.difference[:, 0]
    return study.read(study.drawn(study.reward + effect))


def _square_left_out(seed: int, strength: float) -> bp.Comparisons:
    """The reward falls with the square of an attribute, of which both sides are known."""
    study = Study(seed)
    right = study.mean - 0.5 * study.difference
    left = right + study.difference
    effect = -strength * (left[:, 0] ** 2 - right[:, 0] ** 2)
    return study.read(study.drawn(study.reward + effect), right)


def _going_together(seed: int, strength: float) -> bp.Comparisons:
    """Differences of two attributes have this correlation."""
    study = Study(seed)
    first, second = study.difference[:, 0], study.difference[:, 1]
    study.difference[:, 1] = strength * first + np.sqrt(1.0 - strength**2) * second
    return study.read(study.drawn(study.reward))


def _corner(seed: int, strength: float) -> bp.Comparisons:
    """Tasks on one topic with long texts are left out, this share of them."""
    study = Study(seed, comparisons=2 * TASKS)
    study.context = (study.context > 0).astype(float)
    long = study.mean[:, 0] > 0
    barred = long & (study.context[:, 0] > 0) & (study.rng.random(len(long)) < strength)
    choice = study.drawn(study.reward)
    return study.read(choice, study.mean - 0.5 * study.difference).take(np.flatnonzero(~barred))


_CONSISTENCY, _UNCONFOUNDED = "consistency", "unconfoundedness"
BROKEN = (
    Broken("position bias", _CONSISTENCY, "log-odds of left", (0.1, 0.2, 0.4), _leaning),
    Broken("unbalanced sides", _CONSISTENCY, "sd of an attribute", (0.05, 0.1, 0.2), _unbalanced),
    Broken("carry-over", _CONSISTENCY, "share of copied sides", (0.05, 0.15, 0.3), _carried),
    Broken("drift", _CONSISTENCY, "log-odds over a session", (0.5, 1.0, 2.0), _drifting),
    Broken("lapses", _CONSISTENCY, "share of tossed coins", (0.3, 0.5, 0.8), _lapsing),
    Broken("by covariates", _UNCONFOUNDED, "correlation", (0.2, 0.4, 0.7), _by_covariates),
    Broken("by preferences", _UNCONFOUNDED, "correlation", (0.3, 0.5, 0.8), _by_preferences),
    Broken("by answers", _UNCONFOUNDED, "correlation", (0.1, 0.2, 0.4), _by_answers),
    Broken("topics of one's own", "positivity (overlap)", "rho", (0.9, 0.97, 1.0), _separated),
    Broken(
        "context left out", "latent sufficiency", "log-odds", (0.1, 0.3, 0.6), _context_left_out
    ),
    Broken("square left out", "latent sufficiency", "log-odds", (0.1, 0.2, 0.4), _square_left_out),
    Broken("going together", "latent positivity", "correlation", (0.9, 0.97, 1.0), _going_together),
    Broken("empty corner", "latent positivity", "share missing", (0.8, 0.95, 1.0), _corner),
)

# Worlds that break nothing, and differ in all else.
NULLS: dict[str, dict[str, Any]] = {
    "base": {"covariates": 2},
    "randomised": {"covariates": 2, "intraclass": 0.0},
    "interactions": {"covariates": 1, "interactions": True, "heterogeneity": 1.2},
    "unequal counts": {"covariates": 2, "unequal": 0.6, "contexts": 2},
    "ties and lapses": {"covariates": 1, "ties": 0.2, "lapses": 0.1, "intraclass": 0.2},
    "correlated weights": {"covariates": 1, "correlation": 0.5, "features": 6},
    "choices among 3": {"covariates": 1, "alternatives": 3},
    "rankings of 4": {"covariates": 1, "alternatives": 4, "rankings": True},
}


def null(name: str, seed: int) -> bp.Comparisons:
    """Comparisons of a world that breaks nothing."""
    return bp.simulate(users=USERS, comparisons=TASKS, seed=seed, **NULLS[name]).comparisons
