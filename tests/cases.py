"""The models and engines that every generic test runs on, and small data to run them with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

import bayes_pref as bp

MODELS: dict[str, bp.RewardModel] = {
    "pooled": bp.PooledReward(),
    "diagonal": bp.HierarchicalReward(),
    "diagonal, raw scale": bp.HierarchicalReward(scale="raw"),
    "full": bp.HierarchicalReward(covariance="full"),
    "diagonal, exposure": bp.HierarchicalReward(exposure=True),
    "diagonal, flexible": bp.HierarchicalReward(exposure="flexible"),
    "full, exposure": bp.HierarchicalReward(covariance="full", exposure=True),
    "full, strong prior": bp.HierarchicalReward(
        covariance="full", concentration=5.0, spread_sd=0.3
    ),
    "diagonal, position": bp.HierarchicalReward(position=True),
    "full, position": bp.HierarchicalReward(covariance="full", position=True),
    "one factor": bp.LowRankReward(rank=1),
    "one factor, position": bp.LowRankReward(rank=1, position=True),
    "two factors, no noise": bp.LowRankReward(rank=2, diagonal=False),
    "mixture": bp.MixtureReward(components=2),
    # Raw: priors of contexts must not depend on the contexts where these are simulated, too.
    "mixture, exposure": bp.MixtureReward(components=2, exposure=True, scale="raw"),
    "shared cause": bp.SharedCauseReward(scale="raw"),
    "shared cause, full": bp.SharedCauseReward(covariance="full", scale="raw", effect_sd=0.1),
}

# Weights of one sign.
_NEGATIVE: dict[str, Any] = {"polite": "negative"}
SIGNED: dict[str, bp.RewardModel] = {
    "pooled, negative": bp.PooledReward(constraints=_NEGATIVE),
    "diagonal, negative": bp.HierarchicalReward(constraints=_NEGATIVE),
    "full, exposure, both signs": bp.HierarchicalReward(
        covariance="full", exposure=True, constraints=_NEGATIVE | {"brief": "positive"}
    ),
}

# Other settings of samplers that are calibrated under another name.
VARIANTS = {
    *("diagonal, raw scale", "full, strong prior", "full, exposure", "full, position"),
    "diagonal, flexible",
    *("one factor, position", "shared cause, full"),
}

# Whose sampler takes longest, and variants: compared and calibrated by make test-long. Every
# time, their sweeps are tried on the prior and their gradients against autograd's.
LONG = {
    *("mixture", "mixture, exposure", "shared cause", "shared cause, full"),
    *("two factors, no noise", "one factor, position", "full, exposure", "full, position"),
    *("diagonal, position", "diagonal, exposure", "diagonal, flexible"),
    *("full", "full, strong prior", "full, covariates", "diagonal, raw scale"),
}


class Entry(NamedTuple):
    """An engine whose draws are compared with every other's.

    `error` is what an approximate engine is allowed beside Monte Carlo error, in posterior sds of
    a mean and as a share of an sd; an exact engine is allowed none. `models` are those it is
    tried on, None for all that it accepts.
    """

    engine: bp.Engine
    error: float = 0.0
    models: tuple[str, ...] | None = None


ENGINES: dict[str, Entry] = {
    "Gibbs": Entry(bp.Gibbs(draws=8000, warmup=1000, chains=2, progress=False)),
    "NUTS": Entry(bp.NUTS(draws=1500, warmup=500, chains=2, progress=False)),
    # The centred funnel needs small steps, or NUTS is biased where tau is near zero.
    "NUTS, centred": Entry(
        bp.NUTS(
            draws=2000, warmup=500, chains=2, progress=False, non_centred=False, target_accept=0.99
        ),
        models=("diagonal",),
    ),
    "NUTS of Pyro": Entry(  # slow: a reference on two models
        bp.NUTS(draws=400, warmup=300, chains=1, progress=False, kernel="pyro"),
        models=("pooled", "diagonal"),
    ),
}


def small_comparisons(
    *, users: int = 10, each: int = 6, covariates: bool = False, seed: int = 3
) -> bp.Comparisons:
    """Comparisons of a few users over two features in very different units, and a context."""
    rng = np.random.default_rng(seed)
    weights = (rng.normal(size=(users, 2)) * 0.8 + [1.0, -0.5]) / [1.0, 3.0]
    user = np.repeat(np.arange(users), each)
    difference = rng.normal(size=(users * each, 2)) * [1.0, 3.0]
    eta = (difference * weights[user]).sum(axis=1)
    frame = pd.DataFrame(difference, columns=["brief", "polite"]).assign(
        person=[f"u{code}" for code in user],
        choice=(rng.random(user.size) < 1 / (1 + np.exp(-eta))).astype(int),
    )
    # From a generator of their own: all else is as it would be without contexts.
    shown = np.random.default_rng([seed, 1])
    context = shown.normal(size=users)[user] + shown.normal(size=user.size)
    frame["hard"] = context
    ages = pd.DataFrame(
        {"age": rng.normal(40, 10, users)},
        index=pd.Index([f"u{code}" for code in range(users)], name="person"),
    )
    return bp.Comparisons.from_frame(
        frame,
        user="person",
        choice="choice",
        difference=["brief", "polite"],
        context=["hard"],
        covariates=ages if covariates else None,
    )


def shortest(names: Iterable[str], *, short: str) -> list[Any]:
    """Cases of a slow test, of which all but one are among the longest tests."""
    return [name if name == short else pytest.param(name, marks=pytest.mark.long) for name in names]
