"""Users who differ along a few factors: density, convention for rotations, recovery."""

from __future__ import annotations

import warnings

import numpy as np
import pyro.poutine as poutine
import pytest
import torch
import xarray as xr
from cases import small_comparisons
from scipy.linalg import subspace_angles
from scipy.special import expit
from scipy.stats import halfnorm, norm, ortho_group

import bayes_pref as bp


def quiet(model: bp.RewardModel, comparisons: bp.Comparisons, **settings: int) -> bp.Posterior:
    engine = bp.Gibbs(progress=False, **settings)
    with warnings.catch_warnings():  # short chains, whose results are judged here
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return bp.fit(model, comparisons, engine, seed=1)


@pytest.mark.parametrize("diagonal", [True, False])
def test_the_density_with_covariates_is_the_formula(diagonal: bool) -> None:
    comparisons = small_comparisons(covariates=True)
    rng = np.random.default_rng(0)
    mu, loadings, effect = rng.normal(size=2), rng.normal(size=(2, 2)), rng.normal(size=(2, 1)) / 10
    noise, z, u = rng.uniform(0.2, 1, 2), rng.normal(size=(10, 2)), rng.normal(size=(10, 2))
    units, age = comparisons.feature_scale, comparisons.covariates[:, 0]
    weights = mu + np.outer(age - age.mean(), effect[:, 0]) + z @ loadings.T
    sites = {"mu": mu, "V": loadings, "B": effect, "z": z}
    expected = norm.logpdf(z).sum()
    if diagonal:
        weights += noise * u
        sites |= {"noise": noise, "u": u}
        expected += norm.logpdf(u).sum() + halfnorm.logpdf(noise, 0, 0.4 / units).sum()
    eta = (comparisons.difference * weights[comparisons.user]).sum(axis=1)
    expected += (
        norm.logpdf(mu, 0, 2 / units).sum()
        + norm.logpdf(loadings, 0, 0.8 / np.sqrt(2) / units[:, None]).sum()
        + norm.logpdf(effect[:, 0], 0, 0.9 / units / age.std()).sum()
        + np.log(np.where(comparisons.choice == 1, expit(eta), expit(-eta))).sum()
    )
    model = bp.LowRankReward(rank=2, diagonal=diagonal, spread_sd=0.8, noise_sd=0.4, effect_sd=0.9)
    given = {name: torch.as_tensor(value) for name, value in sites.items()}
    trace = poutine.trace(poutine.condition(model, data=given)).get_trace(comparisons)
    assert float(trace.log_prob_sum()) == pytest.approx(expected, rel=1e-10)
    tau = np.sqrt((loadings**2).sum(axis=1) + diagonal * noise**2)
    np.testing.assert_allclose(trace.nodes["tau"]["value"], tau)
    np.testing.assert_allclose(trace.nodes["weights"]["value"], weights)


def drawn(rank: int = 3) -> dict[str, np.ndarray]:
    """Draws of V (features in very different units) and z around a truth, rotated at random."""
    rng = np.random.default_rng(2)
    centre = rng.normal(size=(2, rank)) / [[1.0], [3.0]]
    loadings = centre + 0.2 * rng.normal(size=(2, 50, 2, rank)) / [[1.0], [3.0]]
    z = rng.normal(size=(10, rank)) + 0.2 * rng.normal(size=(2, 50, 10, rank))
    return {"V": loadings, "z": z}


@pytest.mark.parametrize("rank", [1, 2])
def test_settled_draws_do_not_depend_on_how_each_was_rotated(rank: int) -> None:
    model, comparisons, values = bp.LowRankReward(rank=rank), small_comparisons(), drawn(rank)
    if rank == 1:
        turns = np.random.default_rng(0).choice([-1.0, 1.0], size=(2, 50, 1, 1))
    else:
        turns = ortho_group(rank, seed=0).rvs(100).reshape(2, 50, rank, rank)
    turned = {name: each @ turns for name, each in values.items()}
    one, other = (model.align(each, comparisons) for each in (values, turned))
    for name in ("V", "z"):
        np.testing.assert_allclose(one[name], other[name], atol=1e-6)
    assert np.abs(values["V"] - turned["V"]).max() > 0.1
    # Weights are what they were, and so is all that `identified` names.
    for before, after in ((values, one), (turned, other)):
        np.testing.assert_allclose(
            before["z"] @ np.swapaxes(before["V"], 2, 3), after["z"] @ np.swapaxes(after["V"], 2, 3)
        )


def test_settled_tastes_are_at_right_angles_longest_first_and_point_up() -> None:
    comparisons = small_comparisons()
    values = bp.LowRankReward(rank=2).align(drawn(2), comparisons)
    mean = (values["V"] * comparisons.feature_scale[:, None]).mean(axis=(0, 1))
    gram = mean.T @ mean
    assert abs(gram[0, 1]) < 1e-9 * gram[0, 0]
    assert gram[0, 0] >= gram[1, 1]
    assert (mean[np.abs(mean).argmax(axis=0), [0, 1]] > 0).all()
    # Draws are near each other: as near as they were made, before anybody rotated them.
    assert values["V"].std(axis=(0, 1)).max() < 0.3


def test_what_is_invariant_says_all_but_the_rotation() -> None:
    dims = ("chain", "draw")
    values = {name: each[..., :2] for name, each in drawn(2).items()}
    draws = xr.Dataset(
        {
            "V": ((*dims, "feature", "factor"), values["V"]),
            "z": ((*dims, "user", "factor"), values["z"]),
        }
    )
    found = bp.LowRankReward(rank=2).identified(draws)
    assert set(found) == {"shared", "shared_covariance"}
    expected = np.einsum("cdfr,cdgr->cdfg", values["V"], values["V"])
    np.testing.assert_allclose(found["shared_covariance"], expected)
    np.testing.assert_allclose(found["shared"], values["z"] @ np.swapaxes(values["V"], 2, 3))
    assert set(bp.LowRankReward(diagonal=False).identified(draws)) == {"shared_covariance"}


def test_the_posterior_answers_in_named_tastes_and_its_parts_fit_together() -> None:
    world = bp.simulate(users=30, features=3, covariates=1, factors=1, heterogeneity=0.3, seed=0)
    settings = {"draws": 100, "warmup": 100, "chains": 2}
    posterior = quiet(bp.LowRankReward(rank=2), world.comparisons, **settings)
    draws = posterior.draws
    assert draws["factor"].to_numpy().tolist() == ["factor_1", "factor_2"]
    assert draws["V"].dims == ("chain", "draw", "feature", "factor")
    np.testing.assert_allclose(
        draws["tau"] ** 2, (draws["V"] ** 2).sum("factor") + draws["noise"] ** 2
    )
    assert "V[feature_1, factor_1]" in posterior.summary().index
    assert posterior.idata.log_likelihood["choice"].shape == (2, 100, len(world.comparisons))
    again = quiet(bp.LowRankReward(rank=2), world.comparisons, cores=1, **settings)
    assert again.draws.identical(draws)
    bare = quiet(bp.LowRankReward(rank=1, diagonal=False), world.comparisons, **settings).draws
    covariate = world.comparisons.covariates - world.comparisons.covariates.mean(axis=0)
    rebuilt = np.einsum("cdfr,cdur->cduf", bare["V"], bare["z"])
    rebuilt += bare["mu"].to_numpy()[:, :, None]
    rebuilt += np.einsum("cdfp,up->cduf", bare["B"], covariate)
    np.testing.assert_allclose(bare["weights"], rebuilt, atol=1e-10)


def test_a_new_user_has_the_spread_of_the_population() -> None:
    size, loadings = 20_000, np.array([[1.0, 0.5], [0.0, -1.0]])
    dims = ("chain", "draw", "feature")
    draws = xr.Dataset(
        {
            "mu": (dims, np.broadcast_to([1.0, -1.0], (1, size, 2))),
            "V": ((*dims, "factor"), np.broadcast_to(loadings, (1, size, 2, 2))),
            "noise": (dims, np.broadcast_to([0.5, 0.2], (1, size, 2))),
        }
    )
    model = bp.LowRankReward(rank=2)
    new = model.new_user_weights(draws, small_comparisons(), np.random.default_rng(0)).to_numpy()[0]
    expected = loadings @ loadings.T + np.diag([0.25, 0.04])
    # Standard error of a sample covariance of Gaussians: sqrt((s_ii s_jj + s_ij^2) / n).
    error = np.sqrt((np.outer(expected.diagonal(), expected.diagonal()) + expected**2) / size)
    assert (np.abs(np.cov(new.T) - expected) < 4.5 * error).all()
    assert (np.abs(new.mean(axis=0) - [1, -1]) < 4.5 * np.sqrt(expected.diagonal() / size)).all()


@pytest.mark.parametrize("rank", [0, -1, 1.5, True, "2"])
def test_a_rank_that_is_no_count_is_refused(rank: object) -> None:
    with pytest.raises(bp.ModelError, match=r"rank=.*\): expected a whole number of at least 1"):
        bp.LowRankReward(rank=rank)  # type: ignore[arg-type]


def test_what_the_data_cannot_carry_is_refused_in_one_sentence() -> None:
    comparisons = small_comparisons()
    with pytest.raises(bp.ModelError, match=r"rank=3\): these comparisons have 2 features"):
        bp.fit(bp.LowRankReward(rank=3), comparisons)
    with pytest.raises(bp.ModelError, match=r"at least two users.*'u3'.*PooledReward"):
        bp.fit(bp.LowRankReward(rank=1), comparisons["u3"])
    with pytest.raises(bp.ModelError, match=r"diagonal=1\): expected True or False"):
        bp.LowRankReward(diagonal=1)  # type: ignore[arg-type]


def angle(seed: int, fitted_to: int | None = None) -> float:
    """Largest principal angle, degrees, of true factors and those found (in another world)."""
    shape = {"users": 300, "comparisons": 30, "features": 8, "contexts": 0}
    world, other = (
        bp.simulate(**shape, heterogeneity=0.0, factors=2, factor_sd=1.5, seed=each)
        for each in (seed, seed if fitted_to is None else fitted_to)
    )
    posterior = quiet(bp.LowRankReward(), other.comparisons, draws=100, warmup=150, chains=1)
    found = posterior.draws["V"].mean(("chain", "draw")).to_numpy()
    return float(np.degrees(subspace_angles(found, world.truth.V.to_numpy()).max()))


@pytest.mark.slow
@pytest.mark.long  # sweeps of factors are tried on the prior, and draws against NUTS, every time
def test_two_tastes_are_found() -> None:
    angles = [angle(seed) for seed in range(10)]
    assert sum(each < 15.0 for each in angles) >= 9, angles
    # Between two planes in eight dimensions that have nothing to do with each other it is large.
    assert angle(0, fitted_to=1) > 40.0
