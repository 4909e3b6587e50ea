"""Variational inference against Gibbs, and each of its parts against what is known exactly."""

from __future__ import annotations

import _thread
import itertools
import json
import math
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyro
import pyro.distributions as dist
import pyro.poutine as poutine
import pytest
import torch
from cases import MODELS, small_comparisons

import bayes_pref as bp
from bayes_pref.inference.candidates import Candidates
from bayes_pref.inference.optimise import ClippedAdam, Progress
from bayes_pref.inference.pseudo_data import Conditional, draw_given_pseudo_data
from bayes_pref.inference.svi import SVI
from bayes_pref.models.base import seeded
from bayes_pref.plot_elbo import elbo


def quiet(engine: bp.Engine, model: bp.RewardModel, comparisons: bp.Comparisons) -> bp.Posterior:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return bp.fit(model, comparisons, engine, seed=11)


def svi(**settings: Any) -> SVI:
    return SVI(**({"progress": False, "draws": 1000} | settings))


def short(**settings: Any) -> SVI:
    return svi(**({"draws": 20, "steps": 20, "window": 5} | settings))


def distance(posterior: bp.Posterior, exact: bp.Posterior, name: str) -> tuple[float, float, float]:
    """Largest distance of means in exact sds, smallest and largest ratio of sds."""
    a, b = posterior.draws[name], exact.draws[name]
    dims = ("chain", "draw")
    z = np.abs((a.mean(dims) - b.mean(dims)) / b.std(dims)).to_numpy()
    ratio = (a.std(dims) / b.std(dims)).to_numpy()
    return float(z.max()), float(ratio.min()), float(ratio.max())


@pytest.fixture(scope="module")
def world() -> bp.Comparisons:
    return bp.simulate(users=30, comparisons=20, features=3, seed=0).comparisons


@pytest.fixture(scope="module")
def exact(world: bp.Comparisons) -> bp.Posterior:
    return quiet(bp.Gibbs(draws=2000, progress=False), bp.HierarchicalReward(), world)


# The floors of the design: means within 0.3 sd, sds within 0.8 to 1.25. The Monte Carlo error of
# 1,000 independent draws is 0.03 sd and 2 % beside that.
@pytest.mark.slow
@pytest.mark.parametrize("batch", [None, 10])
def test_the_guide_auto_agrees_with_gibbs(
    world: bp.Comparisons, exact: bp.Posterior, batch: int | None
) -> None:
    posterior = quiet(svi(batch=batch), bp.HierarchicalReward(), world)
    for name in ("mu", "tau"):
        far, low, high = distance(posterior, exact, name)
        assert far < 0.3, (name, far)
        assert low > 0.8, (name, low)
        assert high < 1.25, (name, high)
    far, low, high = distance(posterior, exact, "weights")
    assert far < 0.3
    assert low > 0.8
    assert high < 1.25
    # A Gaussian log tau has thinner tails than the truth, so 0.7 is not promised; from 1 on the
    # weights have no mean.
    assert posterior.engine["pareto_k"] < 1.0
    assert posterior.engine["complete"]
    assert {finding.statistic for finding in posterior.findings} <= {"guide", "pareto_k"}


@pytest.mark.slow
def test_the_guide_auto_agrees_with_gibbs_on_hundreds_of_users(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "bank_choices.csv")
    reference = json.loads((shared_data / "bank_reference.json").read_text())
    comparisons = bp.Comparisons.from_frame(
        table, user="id", choice="choice", difference=reference["features"]
    )
    model = bp.HierarchicalReward(scale="raw")
    gibbs = quiet(bp.Gibbs(draws=2000, progress=False), model, comparisons)
    posterior = quiet(svi(), model, comparisons)
    for name in ("mu", "tau"):
        far, low, high = distance(posterior, gibbs, name)
        # 0.3, 0.8 and 1.25, and three Monte Carlo errors of 1,000 draws: 0.03 sd, and 2 % of an sd.
        assert far < 0.3 + 3 * 0.03, (name, far)
        assert low > 0.8 - 3 * 0.02, (name, low)
        assert high < 1.25 + 3 * 0.03, (name, high)
    # A plain Gaussian for every user is what must fail.
    plain = quiet(svi(candidates=1), model, comparisons)
    assert distance(plain, gibbs, "tau")[0] > 1.0


@pytest.mark.slow
def test_mean_field_is_too_narrow_and_is_caught(world: bp.Comparisons, exact: bp.Posterior) -> None:
    with pytest.warns(bp.ConvergenceWarning) as caught:
        posterior = bp.fit(bp.HierarchicalReward(), world, svi(guide="mean_field"))
    assert any("'mean_field' cannot represent correlations" in str(each.message) for each in caught)
    for name in ("mu", "tau"):
        assert distance(posterior, exact, name)[1] < 0.8
    assert {"guide", "pareto_k"} <= {finding.statistic for finding in posterior.findings}


@pytest.mark.slow
def test_a_covariance_and_covariates_agree_with_gibbs() -> None:
    comparisons = small_comparisons(users=30, each=10, covariates=True)
    model = bp.HierarchicalReward(covariance="full")
    posterior = quiet(svi(), model, comparisons)
    reference = quiet(bp.Gibbs(draws=4000, progress=False), model, comparisons)
    for name in ("mu", "B", "tau"):
        far, low, high = distance(posterior, reference, name)
        assert far < 0.3, (name, far)
        assert low > 0.8, (name, low)
        assert high < 1.25, (name, high)


def test_a_pooled_model_agrees_with_gibbs() -> None:
    comparisons = small_comparisons(users=20)
    posterior = quiet(svi(), bp.PooledReward(), comparisons)
    reference = quiet(bp.Gibbs(draws=2000, progress=False), bp.PooledReward(), comparisons)
    far, low, high = distance(posterior, reference, "mu")
    assert far < 0.2
    assert low > 0.85
    assert high < 1.15


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("guide", ["auto", "mean_field", "low_rank"])
def test_every_model_runs_with_every_guide(name: str, guide: str) -> None:
    posterior = quiet(short(guide=guide), MODELS[name], small_comparisons())
    for variable in posterior.draws.data_vars.values():
        assert np.isfinite(variable.to_numpy()).all()
    assert posterior.draws.sizes["chain"] == 1
    assert posterior.engine["guide"] == guide


@pytest.mark.parametrize("name", ["pooled", "diagonal", "full"])
@pytest.mark.parametrize("guide", ["auto", "mean_field"])
def test_mini_batches_run_with_every_model(name: str, guide: str) -> None:
    comparisons = small_comparisons(covariates=True)
    posterior = quiet(short(guide=guide, batch=3), MODELS[name], comparisons)
    for variable in posterior.draws.data_vars.values():
        assert np.isfinite(variable.to_numpy()).all()
    assert posterior.engine["batch"] == 3


@pytest.mark.parametrize("covariates", [False, True])
@pytest.mark.parametrize("name", ["pooled", "diagonal", "full"])
def test_mini_batches_are_unbiased(name: str, covariates: bool) -> None:
    rng = np.random.default_rng(0)
    whole = small_comparisons(users=5, each=6, covariates=covariates)
    keep = np.flatnonzero(rng.random(len(whole)) < 0.6)
    comparisons = whole.take(keep)
    assert len(set(comparisons.counts)) > 1  # else a wrong weight of the rows would not show
    model = MODELS[name]
    with seeded(1):
        trace = poutine.trace(model).get_trace(comparisons)
    values = {
        site: node["value"]
        for site, node in trace.nodes.items()
        if site in ("mu", "tau", "B", "correlation_factor", "weights")
    }

    def log_joint(users: np.ndarray | None) -> float:
        chosen = dict(values)
        if users is not None and "weights" in values:
            chosen["weights"] = values["weights"][users]
        found = poutine.trace(poutine.condition(model, data=chosen)).get_trace(
            comparisons, users=users
        )
        return float(found.log_prob_sum())

    subsets = [np.array(some) for some in itertools.combinations(range(comparisons.n_users), 2)]
    mean = np.mean([log_joint(some) for some in subsets])
    assert mean == pytest.approx(log_joint(None), rel=1e-10)

    # The wrong partner: rows weighed by rows over rows drawn.
    def ratio(users: np.ndarray) -> float:
        rows = comparisons.counts[users].sum()
        right = comparisons.n_users / len(users)
        likelihood = float(
            poutine.trace(
                poutine.condition(
                    model,
                    data=values
                    | ({"weights": values["weights"][users]} if "weights" in values else {}),
                )
            )
            .get_trace(comparisons, users=users)
            .log_prob_sum(lambda site, _: site == "choice")
        )
        return log_joint(users) + likelihood * (len(comparisons) / rows / right - 1)

    assert np.mean([ratio(some) for some in subsets]) != pytest.approx(mean, rel=1e-4)


def conditional(*, triangular: bool) -> tuple[Conditional, torch.Tensor, torch.Tensor]:
    with seeded(3):
        loc = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
        noise = torch.randn(4, 4, dtype=torch.float64)
        full = (0.3 * noise).tril(-1) + torch.diag(0.5 + torch.rand(4, dtype=torch.float64))
        scale = (full if triangular else full.diagonal().clone()).requires_grad_()
        loadings = torch.randn(3, 4, 4, dtype=torch.float64)
        data = torch.randn(3, 4, dtype=torch.float64)
    return Conditional(loc, scale, triangular), loadings, data


@pytest.mark.parametrize("triangular", [False, True])
def test_draws_given_pseudo_data_have_the_density_and_the_gradients_of_their_formula(
    triangular: bool,
) -> None:
    prior, loadings, data = conditional(triangular=triangular)
    S = prior.scale if triangular else torch.diag(prior.scale)
    precision = torch.linalg.inv(S @ S.mT) + loadings @ loadings.mT
    shift = torch.linalg.solve(S @ S.mT, prior.loc.mT).mT + (loadings @ data[..., None])[..., 0]
    mean = torch.linalg.solve(precision, shift[..., None])[..., 0]
    with seeded(5):
        draw, density = draw_given_pseudo_data(prior, loadings, data, torch.Size([3]))
    with seeded(5):
        noise = [torch.randn(3, 4, dtype=torch.float64) for _ in range(2)]
    M = S.mT @ loadings
    residual = data - (loadings.mT @ prior.loc[..., None])[..., 0]
    right = (M @ (residual + noise[1])[..., None])[..., 0] + noise[0]
    eye = torch.eye(4, dtype=torch.float64)
    x = torch.linalg.solve(eye + M @ M.mT, right[..., None])[..., 0]
    expected = prior.loc + (S @ x[..., None])[..., 0]
    expected_density = dist.MultivariateNormal(mean, precision_matrix=precision).log_prob(expected)
    # 4 x 4 matrices of condition about 100: 1e-10 leaves four digits to rounding.
    torch.testing.assert_close(draw, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(density, expected_density, rtol=1e-10, atol=1e-10)
    for value, formula in ((draw.square(), expected.square()), (density, expected_density)):
        inputs = (prior.loc, prior.scale)
        got = torch.autograd.grad(value.sum(), inputs, retain_graph=True)
        wanted = torch.autograd.grad(formula.sum(), inputs, retain_graph=True)
        for one, other in zip(got, wanted, strict=True):
            triangle = torch.ones_like(other).tril() if triangular and other.dim() == 2 else 1.0
            triangle = triangle if other.shape == (4, 4) else 1.0
            torch.testing.assert_close(one * triangle, other * triangle, rtol=1e-8, atol=1e-8)


def test_candidates_estimate_the_evidence_better_than_a_plain_bound() -> None:
    # w ~ Normal(0, 1), proposals Normal(0.4, 1), no likelihood: the evidence is exactly 1.
    rng = np.random.default_rng(0)
    w = rng.normal(0.4, 1, size=(20_000, 8, 1))
    log_weight = torch.tensor(-0.5 * w**2 + 0.5 * (w - 0.4) ** 2)
    zero = torch.zeros((), dtype=torch.float64)
    kinds: dict[str, list[float]] = {"plain": [], "bound": [], "debiased": []}
    for each in log_weight:
        found = Candidates({}, {}, zero, each, 1.0)
        kinds["plain"].append(float(each[0, 0]))
        kinds["bound"].append(float(found.log_evidence()))
        kinds["debiased"].append(float(found.objective()))
    means = {name: np.mean(values) for name, values in kinds.items()}
    error = np.std(kinds["debiased"]) / math.sqrt(len(log_weight))
    assert means["plain"] == pytest.approx(-0.08, abs=4.5 * 0.4 / math.sqrt(len(log_weight)))
    assert means["plain"] < means["bound"] - 4.5 * error
    assert means["bound"] < -4.5 * error  # the bias that is to be taken off can be seen
    assert abs(means["debiased"]) < abs(means["bound"]) / 3


def test_the_rate_falls_while_the_elbo_stands_still_and_the_run_then_ends() -> None:
    rng = np.random.default_rng(0)
    progress = Progress(0.1, 20)
    for step in range(200):
        progress.record(step + rng.normal())
    assert not progress.cuts
    assert len(progress.history) == 10
    for _ in range(2000):
        if not progress.done:
            progress.record(200 + rng.normal())
    assert progress.done
    assert len(progress.cuts) == 3
    assert progress.rate == pytest.approx(0.1 * 0.3**3)


def test_a_gradient_out_of_the_usual_is_clipped() -> None:
    with pyro.get_param_store().scope():
        pyro.param("x", torch.zeros(1, dtype=torch.float64))
        x = pyro.get_param_store().get_param("x").unconstrained()
        optimiser = ClippedAdam(0.1, 10.0)
        x.grad = torch.ones_like(x)
        optimiser([x])
        x.grad = 1e6 * torch.ones_like(x)
        optimiser([x])
        assert float(x.grad) == pytest.approx(10.0)


def test_a_run_that_is_too_short_says_so() -> None:
    posterior = quiet(short(), bp.HierarchicalReward(), small_comparisons())
    assert any("had not settled after 20 steps" in each.message for each in posterior.findings)


def test_the_seed_decides_and_nothing_global_is_left_changed() -> None:
    comparisons = small_comparisons()
    with pyro.get_param_store().scope():
        pyro.param("mine", torch.tensor(1.0))
        before = pyro.get_param_store().get_state()
        one, two = (quiet(short(), bp.HierarchicalReward(), comparisons) for _ in range(2))
        after = pyro.get_param_store().get_state()
        assert list(after["params"]) == list(before["params"]) == ["mine"]
    assert one.draws.identical(two.draws)
    other = bp.HierarchicalReward()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        three = bp.fit(other, comparisons, short(), seed=12)
    assert not one.draws.identical(three.draws)


def own_guide(_: bp.Comparisons) -> None:
    loc = pyro.param("loc", torch.zeros(2, dtype=torch.float64))
    scale = pyro.param(
        "scale", torch.full((2,), 0.1, dtype=torch.float64), constraint=dist.constraints.positive
    )
    pyro.sample("mu", dist.Normal(loc, scale).to_event(1))


def test_a_guide_of_the_users_own_is_used_and_must_have_every_site() -> None:
    comparisons = small_comparisons(users=20)
    posterior = quiet(svi(guide=own_guide), bp.PooledReward(scale="raw"), comparisons)
    reference = quiet(bp.Gibbs(progress=False), bp.PooledReward(scale="raw"), comparisons)
    assert posterior.engine["guide"] == "own_guide"
    assert distance(posterior, reference, "mu")[0] < 0.3
    with pytest.raises(bp.ModelError, match=r"the guide has no site 'tau'"):
        bp.fit(bp.HierarchicalReward(), comparisons, svi(guide=own_guide))


def test_an_interrupt_keeps_the_guide_and_says_so() -> None:
    endless = svi(steps=10**9, window=10**8, draws=20)
    timer = threading.Timer(2.0, _thread.interrupt_main)
    timer.start()
    with pytest.warns(bp.ConvergenceWarning) as caught:
        posterior = bp.fit(bp.HierarchicalReward(), small_comparisons(), endless)
    timer.join()
    steps = posterior.engine["steps_done"]
    assert any(f"interrupted after {steps:,} steps" in str(each.message) for each in caught)
    assert posterior.engine["complete"] is False
    assert posterior.draws.sizes["draw"] == 20
    assert posterior.engine["steps_done"] > 0


def test_the_history_is_saved_and_drawn(tmp_path: Any) -> None:
    posterior = quiet(short(), bp.HierarchicalReward(), small_comparisons())
    assert len(posterior.engine["elbo"]) == 4
    posterior.save(tmp_path / "fit.nc")
    again = bp.Posterior.load(tmp_path / "fit.nc")
    assert again.engine == posterior.engine
    line = elbo(again).get_lines()[0]
    np.testing.assert_array_equal(line.get_xdata(), [5, 10, 15, 20])
    np.testing.assert_array_equal(line.get_ydata(), posterior.engine["elbo"])
    gibbs = quiet(
        bp.Gibbs(draws=20, warmup=20, progress=False), bp.PooledReward(), small_comparisons()
    )
    with pytest.raises(bp.ModelError, match="Gibbs recorded none"):
        elbo(gibbs)


def test_bad_settings_are_refused() -> None:
    for settings, match in (
        ({"guide": "laplace"}, r"SVI\(guide='laplace'\): expected 'auto'"),
        ({"steps": 0}, r"SVI\(steps=0\): expected a whole number"),
        ({"batch": 1.5}, r"SVI\(batch=1.5\)"),
        ({"learning_rate": -1.0}, r"SVI\(learning_rate=-1.0\): expected a positive number"),
        ({"chains": 2}, r"there is one chain and no warm-up"),
        ({"candidates": 0}, r"SVI\(candidates=0\)"),
    ):
        with pytest.raises(bp.ModelError, match=match):
            SVI(**settings)  # type: ignore[arg-type]
    comparisons = small_comparisons()
    with pytest.raises(bp.ModelError, match=r"more than the 10 users"):
        bp.fit(bp.HierarchicalReward(), comparisons, svi(batch=11))
    with pytest.raises(bp.ModelError, match=r"low_rank' ties all users together"):
        bp.fit(bp.HierarchicalReward(), comparisons, svi(batch=5, guide="low_rank"))
