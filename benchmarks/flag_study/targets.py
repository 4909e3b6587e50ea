"""What a good implementation reaches: the figures that the flags are held to.

The design states them for 20 to 24 replications of a prototype. A target counts as met if the
measured mean is not further out than two standard errors.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flag_study import unlearned, worlds
from flag_study.choice_worlds import CHOICE_WORLDS
from flag_study.metrics import Target
from flag_study.replicate import SEPARATION

_CLAIMED = {name: world.kind for name, world in worlds.WORLDS.items() if world.kind != "blind"}
_DETECTED = dict.fromkeys(
    ["collinear", "nearly collinear", "disconnected", "one context"], 0.99
) | {"never varies": 0.8}


def all_targets() -> list[Target]:
    """Return the targets of every world, in the order of the table."""
    targets = [
        Target("base", "auroc", least=0.97),
        Target("base", "sensitivity", least=0.7),
        Target("base", "shift rmse", most=0.016),
        Target("weak", "auroc", least=0.95),
        Target("moderate", "sensitivity", least=0.7),
        Target("small", "auroc", least=0.85),
        Target("counts", "auroc", least=0.95),
        Target("interactions", "p_do rmse", most=0.025),
        Target("three contexts", "auroc", least=0.93),
        Target("blind: squared", "auroc", least=0.85),
        Target("blind: corner", "auroc", least=0.85),
    ]
    for name, kind in _CLAIMED.items():
        least = 0.85 if name == "blind: squared" else 0.83
        targets.append(Target(name, "coverage", least=least, most=0.96))
        targets.append(Target(name, "false flags", most=0.01))
        if kind == "null":
            targets.append(Target(name, "any flag", most=0.05))
    for name in unlearned.WORLDS:
        for prior in unlearned.PRIORS:
            if name in _DETECTED:
                targets.append(Target(name, f"detected, prior {prior:g}", least=_DETECTED[name]))
            targets.append(Target(name, f"false flags, prior {prior:g}", most=0.01))
    for kind in unlearned.SEPARATIONS:
        targets.append(Target(SEPARATION, f"detected: {kind}", least=1.0))
        targets.append(Target(SEPARATION, f"false alarms: {kind}", most=0.0))
    order = [*worlds.WORLDS, *unlearned.WORLDS, SEPARATION]
    return sorted(targets, key=lambda target: order.index(target.world))


def choice_targets(choice: str) -> list[Target]:
    """Return the targets of the base world and its nulls for a choice model: those of pairs."""
    pairs = [target for target in all_targets() if f"{choice}, {target.world}" in CHOICE_WORLDS]
    return [replace(target, world=f"{choice}, {target.world}") for target in pairs]


# Replications of each world where little time is allowed.
QUICK = {
    "base": 4,
    "small": 8,
    "counts": 3,
    "interactions": 3,
    "null: unrelated": 4,
    "null: context effect": 3,
    "identified": 1,
    "collinear": 1,
    "nearly collinear": 1,
    "disconnected": 1,
    "one context": 1,
    "never varies": 1,
    SEPARATION: 3,
}
# How much figures differ between data sets, as measured (sd, rounded up); those of a flag in any
# comparison are binomial at its bound of 5 %.
_SPREAD = {
    "auroc": 0.02,
    "sensitivity": 0.1,
    "shift rmse": 0.006,
    "coverage": 0.13,
    "false flags": 0.017,
    "p_do rmse": 0.01,
    "any flag": 0.22,
}
_SPREADS = {("small", "auroc"): 0.05}


def quick_targets() -> list[Target]:
    """Return what a few replications are held to: three standard errors beyond the targets.

    The errors come from the spreads above, since that of four data sets is hardly known from the
    four. What has no spread is held to the target itself.
    """
    found = []
    for target in all_targets():
        if target.world in QUICK:
            spread = _SPREADS.get((target.world, target.figure), _SPREAD.get(target.figure, 0.0))
            slack = 3 * spread / np.sqrt(QUICK[target.world])
            bounds = {"least": target.least - slack, "most": target.most + slack}
            found.append(replace(target, **bounds, allowed=0.0))
    return found
