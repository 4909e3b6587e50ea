"""Users that the fit has never met: as a refit would have them, for every model that takes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_pref as bp

pytestmark = pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")
ENGINE = bp.Gibbs(draws=1000, warmup=500, progress=False)


def parts(comparisons: bp.Comparisons, known: int) -> tuple[bp.Comparisons, bp.Comparisons]:
    """The first users, and the others."""
    users = comparisons.users
    return comparisons[users[:known]], comparisons[users[known:]]


def differences(
    model: bp.HierarchicalReward | bp.LowRankReward | bp.MixtureReward,
    comparisons: bp.Comparisons,
    known: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Means of new users' weights against a refit, in its sds, and the ratios of sds."""
    fitted, new = parts(comparisons, known)
    added = bp.add_users(bp.fit(model, fitted, ENGINE, seed=0), new, draws=2000)
    refitted = bp.fit(model, comparisons, ENGINE, seed=1)
    a, b = (posterior.draws["weights"].sel(user=list(new.users)) for posterior in (added, refitted))
    over = ("chain", "draw")
    sd = b.std(over).to_numpy()
    away = (a.mean(over).to_numpy() - b.mean(over).to_numpy()) / sd
    return away, a.std(over).to_numpy() / sd


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "world"),
    [
        (bp.HierarchicalReward(), {"covariates": 1}),
        pytest.param(bp.HierarchicalReward(covariance="full"), {}, marks=pytest.mark.long),
        (bp.HierarchicalReward(exposure=True), {"confounding": 0.6}),
        (bp.HierarchicalReward(exposure="flexible"), {"confounding": 0.6, "covariates": 1}),
        pytest.param(bp.HierarchicalReward(), {"ties": 0.3}, marks=pytest.mark.long),
        pytest.param(bp.HierarchicalReward(), {"alternatives": 4}, marks=pytest.mark.long),
        pytest.param(bp.HierarchicalReward(link="probit", lapse=True), {}, marks=pytest.mark.long),
    ],
    ids=["covariates", "full", "exposure", "flexible", "ties", "tasks", "probit with lapses"],
)
def test_new_users_are_as_in_a_refit(model: bp.HierarchicalReward, world: dict[str, float]) -> None:
    """Few new users move the population little: means within 0.1 sd, sds within 5 %."""
    comparisons = bp.simulate(users=200, comparisons=8, features=3, seed=4, **world).comparisons
    away, ratio = differences(model, comparisons, 190)
    assert np.sqrt((away**2).mean()) < 0.1
    assert ratio.mean() == pytest.approx(1.0, abs=0.05)


def test_the_draws_depend_on_the_seed_alone_and_say_what_they_hold() -> None:
    """Fitted users stay as they were; everything else is a posterior like any other."""
    comparisons = bp.simulate(users=90, comparisons=5, features=2, seed=0).comparisons
    fitted, new = parts(comparisons, 15)  # more new users than a block holds
    posterior = bp.fit(bp.HierarchicalReward(), fitted, ENGINE, seed=0)
    added, again = (bp.add_users(posterior, new, draws=400, seed=3) for _ in range(2))
    assert added.draws.equals(again.draws)
    assert not added.draws.equals(bp.add_users(posterior, new, draws=400, seed=4).draws)
    assert dict(added.draws.sizes) | {"chain": 4, "draw": 100, "user": 90} == dict(
        added.draws.sizes
    )
    old = added.draws["weights"].sel(user=list(fitted.users))
    assert np.array_equal(old, posterior.draws["weights"][:, ::10])
    report = bp.diagnose(added, assessments=["preference", "identifiability"], progress=False)
    assert len(report.comparisons) == len(comparisons)
    assert bp.loo(added).pointwise is not None


def test_weights_of_fitted_users_are_where_their_regressors_put_them() -> None:
    """Regressors are centred, scaled and made orthogonal anew: squares of exposures, too."""
    world = bp.simulate(
        users=60, comparisons=6, features=2, covariates=1, confounding=0.6, seed=2
    ).comparisons
    fitted, new = parts(world, 30)
    model = bp.HierarchicalReward(exposure="flexible")
    posterior = bp.fit(model, fitted, ENGINE, seed=0)
    added = bp.add_users(posterior, new, draws=200)

    def means(found: bp.Posterior) -> np.ndarray:
        spec = model.spec(found.comparisons)
        assert spec is not None
        draws = found.draws.isel(chain=[0], draw=[0])
        total = draws["mu"].to_numpy()[0, 0][None]
        for term, values in spec.known:
            total = total + values @ draws[term.name].to_numpy()[0, 0].T
        return total[:30]

    np.testing.assert_allclose(means(added), means(posterior), atol=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
def test_new_users_join_a_summary_with_their_draws(weighted: bool, tmp_path: Path) -> None:
    """As they would join the draws of all users, whose mean is then the one over all of them."""
    made = bp.simulate(users=60, comparisons=12, features=3, covariates=1, seed=4).comparisons
    if weighted:
        shares = np.random.default_rng(0).uniform(0.5, 2.0, 60)
        made = replace(made, survey_weights=shares / shares.mean())
    known, new = parts(made, 50)
    everybody = list(known.users)
    engine = bp.Gibbs(
        users="summary", keep_users=everybody, warmup=40, draws=200, chains=2, progress=False
    )
    summary = bp.fit(bp.HierarchicalReward(), known, engine, seed=2)
    whole = replace(summary, users=None)  # the same posterior, as one that kept all draws
    assert summary.users is not None
    whole = replace(whole, draws=summary.draws.assign(weights=summary.users.kept))
    found, expected = (bp.add_users(each, new, draws=100, seed=1) for each in (summary, whole))
    assert found.users is not None
    assert found.draws.sizes["draw"] == 50
    assert list(found.users.kept["user"].to_numpy()) == list(made.users)
    np.testing.assert_allclose(found.draws["mu"], expected.draws["mu"], rtol=1e-12)
    old = expected.draws["weights"].sel(user=everybody)
    np.testing.assert_array_equal(found.users.kept.sel(user=everybody), old)
    # Of draws given the same population: 30 means apart by the Monte Carlo error of 100 draws.
    labels = list(new.users)
    mine, other = found.users.kept.sel(user=labels), expected.draws["weights"].sel(user=labels)
    away = mine.mean(("chain", "draw")) - other.mean(("chain", "draw"))
    assert float(abs(away / other.std(("chain", "draw"))).max()) < 4.5 * np.sqrt(2.0 / 100)
    average = (found.users.kept * xr.DataArray(made.user_shares, dims="user")).sum("user")
    np.testing.assert_allclose(found.users.average, average, rtol=1e-10)
    assert len(found.weights()) == 60 * 3
    frame = pd.DataFrame({name: [1.0] for name in made.feature_names})
    assert found.reward(frame, labels)["mean"].notna().all()
    found.save(tmp_path / "found.nc")
    again = bp.Posterior.load(tmp_path / "found.nc")
    assert again.weights().equals(found.weights())


def test_without_informative_answers_the_population_comes_back() -> None:
    """A user whose pairs do not differ is a user of whom nothing is known."""
    comparisons = bp.simulate(users=60, comparisons=6, features=2, seed=0).comparisons
    fitted, new = parts(comparisons, 59)
    silent = replace(new, difference=np.zeros_like(new.difference))
    posterior = bp.fit(bp.HierarchicalReward(), fitted, ENGINE, seed=0)
    drawn = bp.add_users(posterior, silent, draws=4000).draws["weights"].isel(user=-1)
    mu, tau = (posterior.draws[name].mean(("chain", "draw")) for name in ("mu", "tau"))
    np.testing.assert_allclose(drawn.mean(("chain", "draw")), mu, atol=0.08)
    expected = np.sqrt((posterior.draws["tau"] ** 2).mean(("chain", "draw")))
    np.testing.assert_allclose(drawn.std(("chain", "draw")), expected, rtol=0.1)
    assert tau.shape == (2,)


def test_who_cannot_be_added_is_said() -> None:
    """One sentence each."""
    world = bp.simulate(users=30, comparisons=5, features=2, covariates=1, seed=0)
    fitted, new = parts(world.comparisons, 25)
    posterior = bp.fit(bp.HierarchicalReward(), fitted, ENGINE, seed=0)
    with pytest.raises(bp.DataError, match="user 'u001' was fitted already, and 24 more"):
        bp.add_users(posterior, world.comparisons)
    bare = replace(new, covariates=np.zeros((5, 0)), covariate_names=())
    with pytest.raises(bp.DataError, match="no covariate"):
        bp.add_users(posterior, bare)
    tasks = bp.simulate(users=5, alternatives=3, features=2, covariates=1, seed=9).comparisons
    renamed = replace(tasks, users=tasks.users + " new")
    with pytest.raises(bp.DataError, match="ask new users in the same way"):
        bp.add_users(posterior, renamed)
    with pytest.raises(bp.DataError, match="draws must be"):
        bp.add_users(posterior, new, draws=0)
    with pytest.raises(bp.ModelError, match=r"expected bp\.Comparisons"):
        bp.add_users(posterior, world.frame)  # type: ignore[arg-type]
