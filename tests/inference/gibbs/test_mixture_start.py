"""Chains of a mixture start near the likeliest clustering of users, apart from each other."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

import bayes_pref as bp
from bayes_pref.inference.gibbs.mixture_marginal import MixtureMarginal
from bayes_pref.inference.gibbs.mixture_start import Start, likely_start
from bayes_pref.inference.gibbs.samplers.mixture_sampler import MixtureProblem


def few_of_a_kind(seed: int) -> tuple[MixtureMarginal, np.ndarray]:
    """Users of three components, of which one is a tenth; each user's component."""
    rng = np.random.default_rng(seed)
    mu = np.array([[2.0, 0.0, -1.0, -1.0], [-2.0, 1.0, 1.0, 0.0], [0.0, -2.0, 0.0, 2.0]])
    component = rng.choice(3, 150, p=[0.5, 0.4, 0.1])
    weights = mu[component] + 0.3 * rng.standard_normal((150, 4))
    rows = [
        (user, f"i{a}", f"i{b}", int(rng.random() < 1 / (1 + np.exp(own[b] - own[a]))))
        for user, own in enumerate(weights)
        for a, b in list(combinations(range(4), 2)) * 3
    ]
    votes = pd.DataFrame(rows, columns=["user", "a", "b", "choice"])
    comparisons = bp.Comparisons.from_items(
        votes, user="user", choice="choice", left="a", right="b"
    )
    model = bp.MixtureReward(components=3)
    spec = model.spec(comparisons)
    assert spec is not None
    mixture = MixtureProblem(spec, comparisons)
    return MixtureMarginal(mixture.problem, mixture.concentration), component


def starts(seed: int) -> tuple[list[Start], np.ndarray]:
    marginal, component = few_of_a_kind(seed)
    nothing = np.zeros((len(component), 0))
    found = [likely_start(marginal, nothing, np.random.default_rng(k)) for k in range(10)]
    return found, component


def test_a_component_of_few_users_is_found_by_every_chain() -> None:
    for seed in range(3):
        found, component = starts(seed)
        for start in found:
            rare = start.component == np.argmin(start.share)
            both = (rare & (component == 2)).sum()
            assert both >= 0.8 * rare.sum()
            assert both >= 0.8 * (component == 2).sum()


def test_starts_are_apart() -> None:
    found, _ = starts(0)
    assert len({start.tau.tobytes() for start in found}) == len(found)
