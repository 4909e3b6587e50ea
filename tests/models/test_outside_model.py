"""A model from outside the package, made of public names: fitted, asked, assessed and saved."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
import xarray as xr
from cases import small_comparisons

import bayes_pref as bp


@dataclass(frozen=True, kw_only=True)
class OneSpreadReward(bp.RewardModel):
    """Users who differ by the same sd in every scaled feature, which no spec says."""

    spread_sd: float = 1.0

    def __call__(self, comparisons: bp.Comparisons) -> None:
        units = torch.tensor(comparisons.feature_scale)
        mu = pyro.sample("mu", dist.Normal(0.0 * units, self.mean_sd / units).to_event(1))
        tau = pyro.sample("tau", dist.HalfNormal(torch.tensor(self.spread_sd).double()))
        likelihood = self.choice_likelihood(comparisons)
        with pyro.plate("user", comparisons.n_users):
            weights = pyro.sample("weights", dist.Normal(mu, tau / units).to_event(1))
        rows = weights[torch.tensor(comparisons.user)]
        eta = (torch.tensor(comparisons.difference) * rows).sum(-1)
        with pyro.plate("comparison", len(comparisons)):
            pyro.sample("choice", likelihood(eta), obs=torch.tensor(comparisons.choice))

    def variables(self, comparisons: bp.Comparisons) -> dict[str, tuple[str, ...]]:
        own = {"mu": ("feature",), "tau": (), "weights": ("user", "feature")}
        return own | self.choice_variables(comparisons)

    def new_user_weights(
        self, draws: xr.Dataset, comparisons: bp.Comparisons, rng: np.random.Generator
    ) -> xr.DataArray:
        mu = draws["mu"].transpose("chain", "draw", "feature")
        noise = xr.DataArray(rng.standard_normal(mu.shape), mu.coords, mu.dims)
        return mu + draws["tau"] * noise / comparisons.feature_scale


@dataclass(frozen=True, kw_only=True)
class HalfReward(bp.RewardModel):
    """Gaussian users like those of `HierarchicalReward`, with a spec and nothing else."""

    spread_sd: float = 0.5

    def spec(self, comparisons: bp.Comparisons) -> bp.PopulationSpec:
        units = comparisons.feature_scale
        return bp.PopulationSpec(self.mean_sd / units, self.spread_sd / units, "diagonal")

    def __call__(self, comparisons: bp.Comparisons) -> None:
        bp.HierarchicalReward(mean_sd=self.mean_sd, spread_sd=self.spread_sd)(comparisons)


@pytest.fixture(scope="module")
def posterior() -> bp.Posterior:
    pytest.importorskip("nutpie")  # no old version of everything else goes with it
    engine = bp.NUTS(draws=300, warmup=300, chains=2, progress=False)
    with warnings.catch_warnings():  # short chains, whose results are judged here
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return bp.fit(OneSpreadReward(), small_comparisons(users=12, each=12), engine, seed=1)


def test_a_model_without_a_spec_is_fitted_and_answers(posterior: bp.Posterior) -> None:
    comparisons = posterior.comparisons
    assert list(posterior.draws) == ["mu", "tau", "weights"]
    assert posterior.weights(["u1"]).shape == (2, 6)
    new = posterior.weights_draws("population").std().item()
    assert 0 < new < 10
    left = posterior.preference(comparisons.to_frame()[["brief", "polite"]], users="population")
    assert left["mean"].between(0, 1).all()
    assert posterior.model.prior_predictive(comparisons, draws=5)["weights"].shape[1] == 5


def test_what_needs_a_spec_says_so(posterior: bp.Posterior) -> None:
    with pytest.raises(bp.ModelError, match="OneSpreadReward does not say how"):
        bp.loo(posterior, by="user")
    with pytest.raises(bp.ModelError, match="OneSpreadReward has no mixture components"):
        posterior.membership()
    with pytest.raises(bp.ModelError, match="users a PopulationSpec describes"):
        bp.Gibbs().prepare(posterior.model, posterior.comparisons)
    with pytest.raises(bp.ModelError, match="has no spec of its population: define spec, or var"):
        bp.RewardModel.variables(posterior.model, posterior.comparisons)


def test_its_posterior_survives_saving(posterior: bp.Posterior, tmp_path: Path) -> None:
    posterior.save(tmp_path / "outside.nc")
    assert bp.Posterior.load(tmp_path / "outside.nc").model == posterior.model


def test_its_settings_are_validated() -> None:
    with pytest.raises(bp.ModelError, match=r"OneSpreadReward\(spread_sd=-1.0\): expected a pos"):
        OneSpreadReward(spread_sd=-1.0)


def test_its_counterpart_with_exposure_keeps_priors_and_choice_model() -> None:
    comparisons = small_comparisons()
    model = OneSpreadReward(mean_sd=1.5, scale="raw", position=True)
    assert model.with_exposure(comparisons) == bp.HierarchicalReward(
        exposure=True, mean_sd=1.5, scale="raw", position=True
    )


def test_a_spec_is_all_that_gibbs_and_diagnostics_need() -> None:
    comparisons = small_comparisons(users=12, each=12)
    engine = bp.Gibbs(draws=200, warmup=100, chains=2, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        ours = bp.fit(HalfReward(), comparisons, engine, seed=2)
        theirs = bp.fit(bp.HierarchicalReward(spread_sd=0.5), comparisons, engine, seed=2)
        wrong = bp.fit(bp.HierarchicalReward(), comparisons, engine, seed=2)
        assert ours.draws.equals(theirs.draws)
        assert not ours.draws.equals(wrong.draws)
        assert bp.loo(ours, by="user").elpd == bp.loo(theirs, by="user").elpd
    assert ours.weights("population").equals(theirs.weights("population"))
