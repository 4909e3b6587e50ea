"""Chains that start at draws of a posterior, and weights of draws."""

from __future__ import annotations

import numpy as np
import pytest

import bayes_pref as bp
from bayes_pref.elicitation.sessions.draw_weights import Weighed
from bayes_pref.inference.gibbs.chain import HierarchicalChain
from bayes_pref.inference.gibbs.gibbs import GibbsProgram
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.problem import Problem

pytestmark = pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
@pytest.mark.parametrize("exposure", [False, True])
def test_a_draw_is_put_back_on_the_scale_of_the_sampler(covariance: str, exposure: bool) -> None:
    """What `raw` makes of theta and weights, `scaled` undoes."""
    world = bp.simulate(users=10, comparisons=6, features=3, confounding=0.5, seed=1)
    model = bp.HierarchicalReward(covariance=covariance, exposure=exposure)
    spec = model.spec(world.comparisons)
    assert spec is not None
    problem = Problem.build(spec, world.comparisons)
    theta, weights = problem.start(np.random.default_rng(0))
    theta += 0.1 * np.random.default_rng(1).uniform(size=theta.shape)
    sites = problem.raw(theta[None, None], weights[None, None].copy())
    back = problem.scaled({name: values[0, 0] for name, values in sites.items()})
    np.testing.assert_allclose(back[0], theta)
    np.testing.assert_allclose(back[1], weights)


def test_every_chain_starts_at_the_last_draw_of_one() -> None:
    """More chains than there were begin at the same draws."""
    world = bp.simulate(users=8, comparisons=6, features=2, seed=0)
    engine = bp.Gibbs(draws=20, warmup=5, chains=2, progress=False)
    last = bp.fit(bp.HierarchicalReward(), world.comparisons, engine, seed=0)
    program = bp.Gibbs(chains=3).prepare(last.model, world.comparisons).starting_at(last.draws)
    assert isinstance(program, GibbsProgram)
    assert program.starts is not None
    for index, start in enumerate(program.starts):
        no = np.zeros((4, 1))
        store = Store(theta=no, weights=no[:, :, None], stats=no)
        chain = program.sampler.chain(program.problem, 5, 1, np.random.default_rng(0), store)
        assert isinstance(chain, HierarchicalChain)
        assert chain.start_at(start)
        drawn = last.draws["weights"].isel(chain=index % 2, draw=-1).to_numpy()
        np.testing.assert_allclose(chain.weights / world.comparisons.feature_scale, drawn)
        psi = (world.comparisons.difference * drawn[world.comparisons.user]).sum(axis=1)
        np.testing.assert_allclose(chain.psi, (2 * world.comparisons.choice - 1) * psi)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"model": bp.HierarchicalReward(exposure=True)}, "posterior of another model"),
        ({"users": 4}, "posterior of other users"),
        ({"features": 3}, "posterior of other features"),
        ({"start": 1}, "start: got int but expected a Posterior"),
    ],
)
def test_a_start_of_something_else_is_refused(changed: dict[str, object], match: str) -> None:
    """One sentence each."""
    world = bp.simulate(users=6, comparisons=5, features=2, seed=0)
    engine = bp.Gibbs(draws=10, warmup=5, chains=2, progress=False)
    last = bp.fit(bp.HierarchicalReward(), world.comparisons, engine)
    other = bp.simulate(
        users=int(str(changed.get("users", 6))),
        comparisons=5,
        features=int(str(changed.get("features", 2))),
        seed=0,
    )
    model = changed.get("model", last.model)
    with pytest.raises(bp.ModelError, match=match):
        bp.fit(model, other.comparisons, engine, start=changed.get("start", last))  # type: ignore[call-overload]


def test_weights_are_trusted_until_they_rest_on_few_draws() -> None:
    """Log weights of a small and of a large spread."""
    draws = np.random.default_rng(0).normal(size=4000)
    small, large = Weighed.of(0.5 * draws), Weighed.of(3.0 * draws)
    assert small.trusted
    assert not large.trusted
    # exp(s z) over standard normal z leaves 1 / exp(s^2) of the draws.
    assert small.effective == pytest.approx(4000 * np.exp(-0.25), rel=0.1)
