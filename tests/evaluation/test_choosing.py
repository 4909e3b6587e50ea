"""Leaving out users picks the model of the family that simulated the data, and no richer one."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import bayes_pref as bp

FAMILY: dict[str, bp.RewardModel] = {
    "pooled": bp.PooledReward(),
    "hierarchical": bp.HierarchicalReward(),
    "rank 2": bp.LowRankReward(rank=2),
    "mixture": bp.MixtureReward(components=3),
}
CLEAR = 2.0  # standard errors of a difference of elpd


def left_out(comparisons: bp.Comparisons, *names: str) -> dict[str, bp.LeaveOneOut]:
    """What leaving out users finds of models by name."""
    engine = bp.Gibbs(draws=200, thin=3, warmup=300, chains=2, progress=False)
    with warnings.catch_warnings():  # chains long enough to predict, not for the slowest sds
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return {
            name: bp.loo(bp.fit(FAMILY[name], comparisons, engine, seed=0), by="user")
            for name in names
        }


def errors_ahead(found: dict[str, bp.LeaveOneOut], one: str, other: str) -> float:
    """By how many standard errors of the difference one model is above another."""
    table = bp.compare({name: found[name] for name in (one, other)}, by="user")
    behind = table.iloc[1]
    ahead = -behind["difference"] / behind["difference_se"]
    return float(ahead if table.index[0] == one else -ahead)


def components_apart() -> bp.Comparisons:
    """150 users of three components, each with little spread, 20 comparisons each."""
    rng = np.random.default_rng(0)
    mu = np.array([[2.0, -1.5, 0.5, 1.0], [-1.5, 2.0, 1.0, 0.0], [0.0, 0.5, -2.0, -2.0]])
    user = np.repeat(np.arange(150), 20)
    weights = mu[rng.integers(3, size=150)] + 0.2 * rng.standard_normal((150, 4))
    difference = rng.standard_normal((user.size, 4))
    chance = expit((difference * weights[user]).sum(axis=1))
    names = ["a", "b", "c", "d"]
    frame = pd.DataFrame(difference, columns=names).assign(
        who=user, left=(rng.random(user.size) < chance).astype(int)
    )
    return bp.Comparisons.from_frame(frame, user="who", choice="left", difference=names)


@pytest.mark.long
@pytest.mark.slow
def test_two_factors_are_preferred_where_there_are_two() -> None:
    sizes = {"users": 150, "comparisons": 20, "features": 6, "contexts": 0}
    made = bp.simulate(**sizes, heterogeneity=0.3, factors=2, seed=0).comparisons
    found = left_out(made, "pooled", "hierarchical", "rank 2")
    for other in ("pooled", "hierarchical"):
        assert errors_ahead(found, "rank 2", other) > CLEAR, other


@pytest.mark.long
@pytest.mark.slow
def test_components_are_preferred_where_they_lie_apart() -> None:
    found = left_out(components_apart(), "pooled", "hierarchical", "mixture")
    for other in ("pooled", "hierarchical"):
        assert errors_ahead(found, "mixture", other) > CLEAR, other


@pytest.mark.long
@pytest.mark.slow
def test_neither_is_preferred_where_everyone_differs_in_each_feature_by_itself() -> None:
    sizes = {"users": 150, "comparisons": 20, "features": 4, "contexts": 0}
    made = bp.simulate(**sizes, heterogeneity=0.8, seed=0).comparisons
    found = left_out(made, "pooled", "hierarchical", "rank 2", "mixture")
    for richer in ("rank 2", "mixture"):
        assert errors_ahead(found, richer, "hierarchical") < CLEAR, richer
    # It is not that nothing is ever told apart here: that users differ is.
    assert errors_ahead(found, "hierarchical", "pooled") > CLEAR
