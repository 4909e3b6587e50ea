"""A log that may be biased, beside pairs that were assigned at random."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import bayes_pref as bp
from bayes_pref.models.observational_bias import rows_with_bias

ENGINE = bp.Gibbs(draws=400, warmup=300, chains=2, cores=1, progress=False)
MODEL = bp.HierarchicalReward(observational_bias=True)
BIAS = [1.5, 0.0]

pytestmark = pytest.mark.filterwarnings("ignore::bayes_pref.errors.ConvergenceWarning")  # short


def fitted(
    observational_bias: list[float], seed: int = 0, engine: bp.Gibbs = ENGINE
) -> tuple[bp.simulation.World, bp.Posterior]:
    world = bp.simulate(
        users=100,
        features=2,
        contexts=1,
        randomised=0.2,
        observational_bias=observational_bias,
        seed=seed,
    )
    return world, bp.fit(MODEL, world.comparisons, engine, seed=seed)


@pytest.fixture(scope="module")
def adversarial() -> tuple[bp.simulation.World, bp.Posterior]:
    return fitted(BIAS)


def mean(posterior: bp.Posterior, site: str) -> xr.DataArray:
    return posterior.draws[site].mean(("chain", "draw"))


def sd(posterior: bp.Posterior, site: str) -> xr.DataArray:
    return posterior.draws[site].std(("chain", "draw"))


def test_the_bias_is_found_where_it_is(
    adversarial: tuple[bp.simulation.World, bp.Posterior],
) -> None:
    world, posterior = adversarial
    off = (mean(posterior, "observational_bias") - BIAS) / sd(posterior, "observational_bias")
    wrong = (mean(posterior, "mu") - world.truth.mu.to_numpy()) / sd(posterior, "mu")
    assert np.abs(off).max() < 3.5
    assert np.abs(wrong).max() < 3.5
    first, second = mean(posterior, "bias_scale").to_numpy()
    assert first > 3 * second


def test_a_model_that_believes_the_log_is_off(
    adversarial: tuple[bp.simulation.World, bp.Posterior],
) -> None:
    world, _ = adversarial
    posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, ENGINE)
    wrong = (mean(posterior, "mu") - world.truth.mu.to_numpy()) / sd(posterior, "mu")
    assert abs(float(wrong[0])) > 5.0


@pytest.mark.slow
def test_an_honest_log_counts_nearly_in_full() -> None:
    """Sds are 0.82 and 0.88 times those of its randomised rows alone, and known to 2 %."""
    engine = replace(ENGINE, draws=2000)
    world, posterior = fitted([0.0, 0.0], engine=engine)
    alone = world.comparisons.take(world.comparisons.randomised)
    few = bp.fit(bp.HierarchicalReward(), alone, engine)
    all_rows = bp.fit(bp.HierarchicalReward(), world.comparisons, engine)
    narrow, middle, wide = (sd(each, "mu") for each in (all_rows, posterior, few))
    assert (middle < 0.95 * wide).all()
    assert (narrow < middle * 1.1).all()


def test_rows_have_the_bias_and_rewards_do_not(
    adversarial: tuple[bp.simulation.World, bp.Posterior],
) -> None:
    world, posterior = adversarial
    comparisons = world.comparisons
    weights, rows = rows_with_bias(posterior.weights_draws(), posterior.draws, comparisons)
    eta = np.einsum("cduf,nf->cdun", weights.isel(user=[0]).to_numpy(), rows[:15])[:, :, 0]
    assert comparisons.randomised is not None
    logged = ~comparisons.randomised[:15]
    own = posterior.weights_draws().isel(user=0).to_numpy()
    plain = np.einsum("cdf,nf->cdn", own, comparisons.difference[:15])
    assert np.allclose(eta[..., ~logged], plain[..., ~logged])
    bias = posterior.draws["user_observational_bias"].isel(user=0).to_numpy()
    added = np.einsum("cdf,nf->cdn", bias, comparisons.difference[:15])
    assert np.allclose((eta - plain)[..., logged], added[..., logged])


def test_predictions_of_the_log_are_those_of_the_log(
    adversarial: tuple[bp.simulation.World, bp.Posterior],
) -> None:
    world, posterior = adversarial
    believing = bp.fit(bp.HierarchicalReward(), world.comparisons, ENGINE)
    assert bp.loo(posterior).elpd > bp.loo(believing).elpd + 10
    with pytest.raises(bp.ModelError, match="comparison"):
        bp.loo(posterior, by="user")


@pytest.mark.parametrize(
    ("share", "found"), [(0.0, "none of these comparisons"), (1.0, "all of these comparisons")]
)
def test_without_both_kinds_of_rows_there_is_nothing_to_compare(share: float, found: str) -> None:
    comparisons = bp.simulate(users=10, comparisons=5, seed=0).comparisons
    if share:
        comparisons = replace(comparisons, randomised=np.ones(len(comparisons), dtype=bool))
    with pytest.raises(bp.ModelError, match=found):
        bp.fit(MODEL, comparisons)


def test_weights_of_one_sign_are_refused() -> None:
    with pytest.raises(bp.ModelError, match="constraints"):
        bp.HierarchicalReward(observational_bias=True, constraints={"feature_1": "negative"})


def test_settings_name_the_bias_only_where_there_is_one() -> None:
    assert "bias_sd" not in bp.HierarchicalReward().settings()
    assert MODEL.settings()["bias_sd"] == 0.25


def test_chains_do_not_depend_on_the_number_of_cores() -> None:
    comparisons = bp.simulate(users=12, comparisons=6, randomised=0.5, seed=0).comparisons
    short = bp.Gibbs(draws=20, warmup=10, chains=2, cores=1, progress=False)
    one = bp.fit(MODEL, comparisons, short, seed=3)
    two = bp.fit(MODEL, comparisons, replace(short, cores=2), seed=3)
    assert one.draws.equals(two.draws)


@pytest.mark.long
@pytest.mark.parametrize("observational_bias", [[0.0, 0.0], [1.5, 0.0]])
def test_gibbs_and_nuts_agree(observational_bias: list[float]) -> None:
    """Within five Monte Carlo errors, for the means of what describes the population."""
    world = bp.simulate(
        users=60,
        features=2,
        contexts=1,
        confounding=0.4,
        randomised=0.3,
        observational_bias=observational_bias,
        seed=1,
    )
    model = bp.HierarchicalReward(observational_bias=True, exposure=True, position=True)
    gibbs = bp.fit(model, world.comparisons, bp.Gibbs(draws=4000, progress=False), seed=1)
    nuts = bp.fit(model, world.comparisons, bp.NUTS(draws=1500, progress=False), seed=1)
    ours, theirs = gibbs.summary(), nuts.summary()
    error = np.sqrt(ours["sd"] ** 2 / ours["ess_bulk"] + theirs["sd"] ** 2 / theirs["ess_bulk"])
    assert (np.abs(ours["mean"] - theirs["mean"]) < 5 * error).all()
    assert (np.abs(np.log(ours["sd"] / theirs["sd"])) < 0.25)[
        ~ours.index.str.contains("scale")
    ].all()
