"""Chains that start at draws of a posterior, and weights of draws."""

from __future__ import annotations

import numpy as np
import pytest

import bayes_pref as bp
from bayes_pref.elicitation.sessions.draw_weights import Weighed
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


def test_a_run_without_warmup_begins_where_the_last_one_ended() -> None:
    """Its first draws are near the last ones, which an overdispersed start is far from."""
    world = bp.simulate(users=30, comparisons=40, features=2, seed=0)
    last = bp.fit(bp.HierarchicalReward(), world.comparisons, bp.Gibbs(progress=False), seed=0)
    short = bp.Gibbs(draws=4, warmup=0, progress=False)
    sd = last.draws["weights"].std(("chain", "draw"))

    def away(start: bp.Posterior | None) -> float:
        found = bp.fit(last.model, world.comparisons, short, seed=1, start=start)
        gap = found.draws["weights"].isel(draw=0) - last.draws["weights"].mean(("chain", "draw"))
        return float(np.sqrt(((gap / sd) ** 2).mean()))

    assert away(last) < 1.2  # a draw of the posterior is 1 away from its mean
    assert away(None) > 1.5


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
