"""Items' rewards are reported without the common level that no comparison informs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayes_pref as bp
from bayes_pref.inference.gibbs.gibbs import GibbsProgram
from bayes_pref.inference.gibbs.samplers.general_sampler import GeneralSampler

ENGINE = bp.Gibbs(draws=40, warmup=40, chains=2, progress=False)


def votes(*, context: bool = False) -> bp.Comparisons:
    rng = np.random.default_rng(0)
    left = rng.integers(0, 4, 120)
    frame = pd.DataFrame(
        {
            "judge": np.repeat(np.arange(12), 10),
            "left": np.array(list("abcd"))[left],
            "right": np.array(list("abcd"))[(left + rng.integers(1, 4, 120)) % 4],
            "won": rng.integers(0, 2, 120),
            "late": rng.standard_normal(120),
        }
    )
    more = {"context": ["late"], "interactions": "all"} if context else {}
    return bp.Comparisons.from_items(
        frame, user="judge", left="left", right="right", choice="won", **more
    )


@pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")
@pytest.mark.parametrize("context", [False, True])
def test_rewards_sum_to_zero_and_their_differences_are_those_of_the_sampler(context: bool) -> None:
    data, model = votes(context=context), bp.HierarchicalReward()
    drawn = ENGINE.prepare(model, data).run(0).sites
    draws = bp.fit(model, data, ENGINE, seed=0).draws
    for name in ("mu", "weights"):
        reported = draws[name].transpose("chain", "draw", ..., "feature").to_numpy()
        for group in (slice(0, 4), slice(4, 8)) if context else (slice(0, 4),):
            np.testing.assert_allclose(reported[..., group].sum(axis=-1), 0.0, atol=1e-12)
            np.testing.assert_allclose(
                np.diff(reported[..., group]), np.diff(drawn[name][..., group]), atol=1e-9
            )
    np.testing.assert_array_equal(draws["tau"], drawn["tau"])


@pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")
def test_a_new_user_has_no_level_either() -> None:
    posterior = bp.fit(bp.HierarchicalReward(), votes(), ENGINE, seed=0)
    rng = np.random.default_rng(0)
    drawn = posterior.model.new_user_weights(posterior.draws, posterior.comparisons, rng)
    np.testing.assert_allclose(drawn.sum("feature"), 0.0, atol=1e-12)
    assert drawn.std() > 0.1


def test_correlated_rewards_of_few_items_are_for_the_sampler_that_mixes_along_the_level() -> None:
    program = ENGINE.prepare(bp.HierarchicalReward(covariance="full"), votes())
    assert isinstance(program, GibbsProgram)
    assert isinstance(program.sampler, GeneralSampler)
    attributes = bp.simulate(users=5, seed=0).comparisons
    program = ENGINE.prepare(bp.HierarchicalReward(covariance="full"), attributes)
    assert isinstance(program, GibbsProgram)
    assert not isinstance(program.sampler, GeneralSampler)
