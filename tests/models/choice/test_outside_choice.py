"""A choice model that is defined outside of the package, with the Cauchy distribution as link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import small_comparisons
from choice_cases import graded
from scipy.special import logsumexp
from scipy.stats import cauchy, norm

import bayes_pref as bp
from bayes_pref.data import Outcome, PairedChoice


@dataclass(frozen=True, kw_only=True)
class Cauchit(bp.ChoiceModel):
    """P(left) = F(eta + shift) with the Cauchy distribution function F, which forgives outliers."""

    shift: bool = False

    def unsupported(self, outcome: Outcome) -> str | None:
        two = isinstance(outcome, PairedChoice) and not outcome.ties
        return None if two else f"Cauchit has no {outcome.name}"

    def variables(self, outcome: Outcome) -> dict[str, tuple[str, ...]]:
        return {"shift": ()} if self.shift else {}

    def sample(self, outcome: Outcome) -> dict[str, torch.Tensor]:
        zero = torch.tensor(0.0, dtype=torch.float64)
        return {"shift": pyro.sample("shift", dist.Normal(zero, 1.0))} if self.shift else {}

    def log_outcomes(
        self, eta: torch.Tensor, parameters: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        angle = torch.atan(eta + parameters.get("shift", 0.0)) / torch.pi
        return torch.log(torch.stack([0.5 - angle, 0.5 + angle]))


def fitted(model: bp.RewardModel, data: bp.Comparisons) -> bp.Posterior:
    pytest.importorskip("nutpie")  # no old version of everything else goes with it
    engine = bp.NUTS(draws=300, warmup=300, chains=2, progress=False)
    return bp.fit(model, data, engine, seed=1)


@pytest.fixture(scope="module")
def posterior() -> bp.Posterior:
    data = small_comparisons(users=8, each=12)
    return fitted(bp.HierarchicalReward(choice=Cauchit(shift=True)), data)


@pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")
def test_what_is_asked_of_a_posterior_follows_it(posterior: bp.Posterior, tmp_path: Path) -> None:
    assert list(posterior.draws) == ["mu", "tau", "shift", "weights"]
    data = posterior.comparisons
    weights = posterior.weights_draws().stack(sample=("chain", "draw"))
    eta = np.einsum(
        "nf,nfs->ns",
        data.difference,
        weights.transpose("user", "feature", "sample").to_numpy()[data.user],
    )
    shift = posterior.draws["shift"].to_numpy().ravel()
    chance = np.where(data.choice[:, None] == 1, 1, -1) * (eta + shift)
    found = posterior.idata["log_likelihood"]["choice"].to_numpy().reshape(len(shift), -1)
    np.testing.assert_allclose(found.T, cauchy.logcdf(chance), rtol=1e-8)
    assert np.isfinite(bp.loo(posterior, by="user").elpd)
    posterior.save(tmp_path / "cauchit.nc")
    again = bp.Posterior.load(tmp_path / "cauchit.nc")
    assert again.model == posterior.model


def test_derivatives_come_by_themselves() -> None:
    eta = np.array([[-30.0], [-1.0], [0.0], [2.0]])
    value, gradient, curvature = Cauchit().at().derivatives(eta, np.ones(4))
    density = cauchy.pdf(eta) / cauchy.cdf(eta)
    np.testing.assert_allclose(value, cauchy.logcdf(eta), rtol=1e-12)
    np.testing.assert_allclose(gradient, density, rtol=1e-12)
    slope = -2 * eta / (1 + eta**2) * density
    np.testing.assert_allclose(curvature, slope - density**2, rtol=1e-9, atol=1e-15)


@pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")
def test_draws_are_those_of_its_likelihood_and_not_of_the_logistic() -> None:
    """Against draws from the prior, weighed by the likelihood as SciPy has it."""
    data = small_comparisons(users=6, each=10)
    found = fitted(bp.PooledReward(choice=Cauchit()), data).draws["mu"]
    rng = np.random.default_rng(0)
    mu = rng.normal(0, 2, (200_000, 2)) / data.feature_scale
    sign = 2 * data.choice - 1
    means = {}
    for name, log_cdf in {"cauchit": cauchy.logcdf, "probit": norm.logcdf}.items():
        weight = log_cdf(sign * (mu @ data.difference.T)).sum(axis=1)
        weight = np.exp(weight - logsumexp(weight))
        means[name] = weight @ mu
        sd = np.sqrt(weight @ (mu - means[name]) ** 2)
        # 600 draws, of which at least 150 are effective, and thousands of weighed ones.
        close = np.abs(found.mean(("chain", "draw")) - means[name]) < 4 * sd / np.sqrt(150)
        assert close.all() == (name == "cauchit")


def test_engines_refuse_what_they_cannot_know_and_verdicts_do_not(posterior: bp.Posterior) -> None:
    data = small_comparisons()
    model = bp.PooledReward(choice=Cauchit())
    with pytest.raises(bp.ModelError, match=r"Gibbs .* and not the choice model Cauchit"):
        bp.fit(model, data, bp.Gibbs())
    rows = bp.diagnose(posterior, assessments=["preference", "identifiability"]).comparisons
    assert rows[["mean", "prior_share", "reference_sd"]].notna().all(axis=None)
    with pytest.raises(bp.ModelError, match="Cauchit has no graded answers"):
        bp.fit(model, graded(data))
