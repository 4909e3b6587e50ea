"""Chains in which some users answer at random: found where there are any, and resumed."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import small_comparisons

import bayes_pref as bp
from bayes_pref.inference.gibbs.choice_problem import ChoiceProblem
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.samplers.general_sampler import GeneralChain, GeneralSampler
from bayes_pref.models.choice.kernel_form import PLAIN

USERS = 30


def with_coins(at_random: int) -> bp.Comparisons:
    """Comparisons of which those of the first users are answered by a coin."""
    data = bp.simulate(users=USERS, comparisons=100, contexts=0, seed=1).comparisons
    coin = np.random.default_rng(2).integers(0, 2, len(data))
    frame = data.to_frame()
    frame[data.choice_name] = np.where(data.user < at_random, coin, data.choice)
    return bp.Comparisons.from_frame(
        frame,
        user=data.user_name,
        choice=data.choice_name,
        difference=list(data.feature_names),
    )


@pytest.mark.slow
@pytest.mark.parametrize("at_random", [4, 0])
def test_people_who_toss_a_coin_are_found_and_nobody_else(at_random: int) -> None:
    engine = bp.Gibbs(draws=300, warmup=300, chains=2, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)  # short chains
        posterior = bp.fit(bp.HierarchicalReward(reliability=True), with_coins(at_random), engine)
    found = posterior.reliability()["mean"].to_numpy()
    assert (found[:at_random] > 0.5).all()
    assert (found[at_random:] < 0.5).all()
    share = posterior.draws["careless_share"].to_numpy()
    assert np.quantile(share, 0.01) < at_random / USERS + 0.02 < np.quantile(share, 0.999) + 0.02


def chain_of(data: bp.Comparisons, seed: int) -> GeneralChain:
    spec = bp.HierarchicalReward(reliability=True).spec(data)
    problem = ChoiceProblem.read(spec, data, PLAIN)
    shapes = (20, problem.n_columns), (20, *problem.weights_shape), (20, 2)
    store = Store(*(np.empty(shape) for shape in shapes))
    return GeneralChain(problem, 20, 1, np.random.default_rng(seed), store)


def test_a_chain_goes_on_from_where_it_was_saved() -> None:
    data = with_coins(8)
    first, second = chain_of(data, 3), chain_of(data, 4)
    for _ in range(30):
        first.advance()
    state = {k: np.copy(v) if isinstance(v, np.ndarray) else v for k, v in first.state().items()}
    assert 0 < state["careless"].sum() < USERS
    for _ in range(10):
        first.advance()
    second.restore(state)
    for _ in range(10):
        second.advance()
    for name in ("theta", "v", "zeta"):
        np.testing.assert_array_equal(first.arrays()[name], second.arrays()[name])
    np.testing.assert_array_equal(first.store.weights[10:], second.store.weights[10:])


@pytest.mark.long
@pytest.mark.parametrize("wrong", [False, True])
def test_who_answers_at_random_is_calibrated(wrong: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated from the Pyro model and drawn by Gibbs; the wrong one takes answers for surer."""
    data = small_comparisons(users=12, each=12)
    if wrong:
        right = GeneralSampler.problem

        def more_careless(*given: Any) -> ChoiceProblem:
            return replace(right(*given), careless=(6.0, 6.0))

        monkeypatch.setattr(GeneralSampler, "problem", more_careless)
    engine = bp.Gibbs(draws=200, warmup=300, thin=5, chains=1, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        model = bp.HierarchicalReward(reliability=True)
        found = bp.sbc(model, data, engine, replications=60, seed=5, progress=False)
    assert {"careless_share", "careless[u0]"} <= set(found.ranks.columns)
    assert found.passed(1e-3) == (not wrong), found.summary()
