"""Gibbs and NUTS agree on every choice model, and other data are noticed."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache

import pytest
import xarray as xr
from choice_cases import choice_comparisons
from monte_carlo import agree
from set_data import chosen_sets
from stage_cases import stage_comparisons

import bayes_pref as bp

# Every time, sweeps of these choice models are tried on the prior, and NUTS on weighed draws.
pytestmark = pytest.mark.long

MODELS = {
    "tasks": bp.HierarchicalReward(),
    "tasks, lapse": bp.HierarchicalReward(lapse=True),
    "tasks, reliability": bp.HierarchicalReward(reliability=True),
    "reliability": bp.HierarchicalReward(reliability=True, covariance="full"),
    "reliability, pooled": bp.PooledReward(reliability=True, position=True),
    "best-worst": bp.HierarchicalReward(),
    "ranking, full": bp.HierarchicalReward(covariance="full"),
    "ties": bp.HierarchicalReward(position=True),
    "probit": bp.HierarchicalReward(link="probit"),
    "graded": bp.HierarchicalReward(),
    "lapse": bp.HierarchicalReward(lapse=True),
}
GIBBS = bp.Gibbs(draws=4000, warmup=500, chains=2, progress=False)
NUTS = bp.NUTS(draws=1500, warmup=500, chains=2, progress=False)


def case(name: str) -> tuple[bp.RewardModel, bp.Comparisons]:
    """Return a model and data of its own."""
    if name.startswith("tasks"):
        return MODELS[name], stage_comparisons()
    if name == "best-worst":
        return MODELS[name], chosen_sets(users=6, each=4, size=4, worst=True)
    if name == "ranking, full":
        return MODELS[name], chosen_sets(users=6, each=4, size=4, places=2)
    return MODELS[name], choice_comparisons(name)


def draws(model: bp.RewardModel, comparisons: bp.Comparisons, engine: bp.Engine) -> xr.Dataset:
    """Labelled draws; their convergence is not judged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return bp.fit(model, comparisons, engine, seed=11 if engine is GIBBS else 12).draws


@cache
def reference(name: str) -> xr.Dataset:
    """Draws of a case by NUTS, once in each process."""
    return draws(*case(name), NUTS)


@pytest.mark.parametrize("name", MODELS)
def test_gibbs_and_nuts_draw_from_the_same_posterior(name: str) -> None:
    assert agree(draws(*case(name), GIBBS), reference(name))


@pytest.mark.parametrize("name", MODELS)
def test_data_with_one_attribute_stretched_are_found_out(name: str) -> None:
    model, comparisons = case(name)
    stretched = replace(comparisons, difference=comparisons.difference * [1.3, 1.0])
    assert not agree(draws(model, stretched, GIBBS), reference(name))
