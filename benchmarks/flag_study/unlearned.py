"""Worlds in which it is known what the data never say, and worlds whose choices separate.

What no choices of these people about these pairs would tell of a new pair is its part in the
directions that hardly differ in them: where even choices at even odds, each of which carries a
quarter of the square of its difference, leave more than half to a reference prior of 1 log-odds
(features scaled by the root mean square of their differences). The length of that part is the sd
that stays. A pair is unidentifiable where that is at least 0.5, twice what the flag asks for, and
exceeds the sd of the rest of the pair, which more choices would lessen; identifiable where it is 0;
and not scored in between.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

import bayes_pref as bp
from flag_study.truth import Array

PRIORS = (0.3, 1.0, 3.0, 10.0)  # sds of the population's mean weights
LARGE = 0.5
_INFORMATION = 0.25  # of the square of a difference: p (1 - p) at even odds
_USERS, _EACH, _NEW = 60, 15, 300


@dataclass(frozen=True)
class Unlearned:
    """Comparisons, and new pairs of which some ask for what they never say.

    Attributes
    ----------
    comparisons
        What is fitted.
    candidates
        New pairs.
    """

    comparisons: bp.Comparisons
    candidates: bp.Comparisons

    @property
    def unknown(self) -> Array:
        """(n,) sd of each candidate that stays whatever is chosen, log-odds."""
        return self._parts()[0]

    @property
    def unidentifiable(self) -> Array:
        """(n,) whether what stays is large, and larger than what is only not yet learned."""
        stays, learned = self._parts()
        return (stays >= LARGE) & (stays > learned)

    def _parts(self) -> tuple[Array, Array]:
        """Sd of each candidate that stays, and of the rest of it after choices by these people."""
        scale = np.sqrt(np.mean(self.comparisons.difference**2, axis=0))
        scale[scale == 0] = 1.0
        shown, pair = self.comparisons.difference / scale, self.candidates.difference / scale
        _, size, rows = np.linalg.svd(shown, full_matrices=False)
        known = _INFORMATION * size**2 > 1.0
        along = pair @ rows[known].T
        stays = np.linalg.norm(pair - along @ rows[known], axis=1)
        # People who differ, and odds that are not even, leave a quarter of the information.
        variance = 1 / (1 + _INFORMATION * size[known] ** 2 / 4)
        return np.where(stays < 1e-9, 0.0, stays), np.sqrt(along**2 @ variance)


def identified(seed: int) -> Unlearned:
    """Return a world that says something of every pair."""
    world = _simulate(seed)
    return Unlearned(world.comparisons, _read(_new(seed)))


def few(seed: int) -> Unlearned:
    """Return a world of 50 users x 5 comparisons that says something of every pair."""
    world = _simulate(seed, users=50, comparisons=5)
    return Unlearned(world.comparisons, _read(_new(seed)))


def collinear(seed: int) -> Unlearned:
    """Return a world in which two of four attributes never differ from one another."""
    world = _simulate(seed, aliased=1)
    return Unlearned(world.comparisons, _read(_new(seed)))


def nearly_collinear(seed: int) -> Unlearned:
    """Return a world in which two of four attributes correlate by 0.999."""
    frame = _simulate(seed, aliased=1).frame
    frame["feature_4"] += 0.045 * np.random.default_rng([seed, 5]).standard_normal(len(frame))
    return Unlearned(_read(frame), _read(_new(seed)))


def never_varies(seed: int) -> Unlearned:
    """Return a world in which one of four attributes is the same on both sides of every pair."""
    frame = _simulate(seed, features=3).frame.assign(feature_4=0.0)
    return Unlearned(_read(frame), _read(_new(seed)))


def one_context(seed: int) -> Unlearned:
    """Return a world seen in one context only, and pairs in others."""
    frame = _simulate(seed, contexts=1).frame.assign(context_1=1.0)
    new = _new(seed)
    new["context_1"] = np.random.default_rng([seed, 2]).standard_normal(len(new))
    return Unlearned(_read(frame, interactions=True), _read(new, interactions=True))


def disconnected(seed: int, items: int = 10) -> Unlearned:
    """Return votes between items of two groups that nobody ever compared with one another."""
    rng = np.random.default_rng([seed, 3])
    value = rng.standard_normal(items)

    def votes(within: bool) -> pd.DataFrame:
        n = _USERS * _EACH if within else _NEW
        group = rng.integers(2, size=n)
        left = rng.integers(items // 2, size=n)
        right = (left + rng.integers(1, items // 2, size=n)) % (items // 2)
        across = np.zeros(n, dtype=int) if within else rng.integers(2, size=n)
        left, right = 2 * left + group, 2 * right + (group + across) % 2
        chosen = rng.random(n) < 1 / (1 + np.exp(value[right] - value[left]))
        users = np.arange(n) % _USERS
        return pd.DataFrame(
            {"user": users, "left": left, "right": right, "choice": chosen.astype(int)}
        )

    shown, asked = votes(within=True), votes(within=False)
    # All items in one table, so that both have the same features in the same order.
    table = pd.DataFrame(np.eye(items), columns=[f"item_{number}" for number in range(items)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)
        first, second = (
            bp.Comparisons.from_items(
                part, table, user="user", left="left", right="right", choice="choice"
            )
            for part in (shown, asked)
        )
    return Unlearned(first, second)


WORLDS: dict[str, Callable[[int], Unlearned]] = {
    "identified": identified,
    "identified, few": few,
    "collinear": collinear,
    "nearly collinear": nearly_collinear,
    "disconnected": disconnected,
    "one context": one_context,
    "never varies": never_varies,
}


def separated(seed: int, kind: str) -> tuple[bp.Comparisons, bool]:
    """Return a data set, and whether some weights explain every choice in it.

    Parameters
    ----------
    seed
        Any integer from 0.
    kind
        "complete": all choose by the same weights; "quasi": in one attribute, mostly 0, the same
        side always wins; "near": complete, but for the clearest choice; "overlapping": users who
        differ; "tiny": 6 choices, which may go either way.
    """
    rng = np.random.default_rng([seed, 4])
    users, each = (3, 2) if kind == "tiny" else (20, 10)
    frame = _simulate(seed, users=users, comparisons=each, features=2).frame
    difference = frame[["feature_1", "feature_2"]].to_numpy()
    margin = difference @ rng.standard_normal(2)
    if kind in ("complete", "near"):
        frame["choice"] = (margin > 0).astype(int)
    if kind == "near":
        clearest = int(np.abs(margin).argmax())
        frame.loc[clearest, "choice"] = 1 - frame.loc[clearest, "choice"]
    if kind == "quasi":
        frame["feature_3"] = rng.choice([-1.0, 0.0, 1.0], len(frame), p=[0.1, 0.8, 0.1])
        wins = frame["feature_3"] != 0
        frame.loc[wins, "choice"] = (frame.loc[wins, "feature_3"] > 0).astype(int)
    return _read(frame), kind == "quasi" or _half_plane(difference, frame["choice"].to_numpy())


SEPARATIONS = ("complete", "quasi", "near", "overlapping", "tiny")


def _half_plane(difference: Array, choice: Array) -> bool:
    """Whether the chosen differences (n, 2) lie in one half of the plane: exact, by angle."""
    chosen = difference * (2 * choice - 1)[:, None]
    angle = np.sort(np.arctan2(chosen[:, 1], chosen[:, 0]))
    gaps = np.diff(angle, append=angle[0] + 2 * np.pi)
    return bool(gaps.max() >= np.pi)


def _simulate(seed: int, **knobs: int) -> bp.World:
    base = {"users": _USERS, "comparisons": _EACH, "features": 4, "contexts": 0}
    return bp.simulate(**(base | knobs), seed=seed)


def _new(seed: int) -> pd.DataFrame:
    """Differences of new pairs in four attributes; their choices are not used."""
    rng = np.random.default_rng([seed, 1])
    values = rng.standard_normal((_NEW, 4))
    frame = pd.DataFrame(values, columns=[f"feature_{number}" for number in range(1, 5)])
    return frame.assign(user="u001", choice=1)


def _read(frame: pd.DataFrame, *, interactions: bool = False) -> bp.Comparisons:
    context = ["context_1"] if "context_1" in frame else []
    features = [name for name in frame.columns if str(name).startswith("feature_")]
    with warnings.catch_warnings():
        # Features that never vary and users with one comparison are the point of some worlds.
        warnings.simplefilter("ignore", bp.DataWarning)
        return bp.Comparisons.from_frame(
            frame,
            user="user",
            choice="choice",
            difference=features,
            context=context,
            interactions="all" if interactions else None,
        )
