"""Variational inference against Gibbs, and each of its parts against what is known exactly."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pyro.poutine as poutine
import pytest
import torch
from cases import MODELS, small_comparisons

import bayes_pref as bp
from bayes_pref.inference.nuts.density import double_precision
from bayes_pref.inference.svi.guides import latent_sites
from bayes_pref.inference.svi.hierarchical_guide import Candidates, PerUserGuide, _positive
from bayes_pref.inference.svi.minibatch import ChosenIndices
from bayes_pref.inference.svi.optimizer import ClippedAdam, Progress
from bayes_pref.inference.svi.user_model import Prior, UserModel, read_users
from bayes_pref.seeding import seeded


def quiet(engine: bp.Engine, model: bp.RewardModel, comparisons: bp.Comparisons) -> bp.Posterior:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return bp.fit(model, comparisons, engine, seed=11)


def svi(**settings: Any) -> bp.SVI:
    return bp.SVI(**({"progress": False, "draws": 1000} | settings))


def short(**settings: Any) -> bp.SVI:
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
    assert posterior.run.pareto_k < 1.0
    assert posterior.run.complete
    assert {finding.statistic for finding in posterior.findings} <= {"guide", "pareto_k"}


@pytest.mark.slow
def test_mean_field_is_too_narrow_and_is_caught(world: bp.Comparisons, exact: bp.Posterior) -> None:
    with pytest.warns(bp.ConvergenceWarning) as caught:
        posterior = bp.fit(bp.HierarchicalReward(), world, svi(guide="mean_field"))
    assert any("'mean_field' cannot represent correlations" in str(each.message) for each in caught)
    for name in ("mu", "tau"):
        assert distance(posterior, exact, name)[1] < 0.8
    assert {"guide", "pareto_k"} <= {finding.statistic for finding in posterior.findings}


@pytest.mark.slow
@pytest.mark.long
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
    assert posterior.run.settings["guide"] == guide


@pytest.mark.parametrize("name", ["diagonal", "full"])
@pytest.mark.parametrize("guide", ["auto", "mean_field"])
def test_mini_batches_run_with_every_model(name: str, guide: str) -> None:
    comparisons = small_comparisons(covariates=True)
    posterior = quiet(short(guide=guide, batch=3), MODELS[name], comparisons)
    for variable in posterior.draws.data_vars.values():
        assert np.isfinite(variable.to_numpy()).all()
    assert posterior.run.settings["batch"] == 3


def test_a_batch_of_everyone_is_no_batch() -> None:
    comparisons = small_comparisons()
    whole, batch = (
        quiet(short(batch=batch), bp.HierarchicalReward(), comparisons) for batch in (None, 10)
    )
    assert whole.draws.identical(batch.draws)


@pytest.mark.parametrize("covariates", [False, True])
@pytest.mark.parametrize("name", ["diagonal", "full"])
def test_mini_batches_are_unbiased(name: str, covariates: bool) -> None:
    rng = np.random.default_rng(0)
    whole = small_comparisons(users=5, each=6, covariates=covariates)
    comparisons = whole.take(np.flatnonzero(rng.random(len(whole)) < 0.6))
    assert len(set(comparisons.counts)) > 1  # else a wrong scale of the rows would not show
    model = MODELS[name]
    with seeded(1):
        trace = poutine.trace(model).get_trace(comparisons)
    values = {site: node["value"] for site, node in latent_sites(trace.nodes).items()}

    def log_joint(users: np.ndarray, row_scale: float = 1.0) -> float:
        codes = torch.from_numpy(users)
        chosen = values | {"weights": values["weights"][codes]}
        with ChosenIndices("user", codes):
            found = poutine.trace(poutine.condition(model, data=chosen)).get_trace(comparisons)
        rows = float(found.log_prob_sum(lambda site, _: site == "choice"))
        return float(found.log_prob_sum()) + (row_scale - 1) * rows

    total = log_joint(np.arange(5))
    subsets = [np.array(some) for some in itertools.combinations(range(5), 2)]
    assert np.mean([log_joint(some) for some in subsets]) == pytest.approx(total, rel=1e-10)
    # The wrong partner: rows scaled by all rows over rows drawn, as a plate of rows would.
    wrong = [
        log_joint(some, len(comparisons) / comparisons.counts[some].sum() / (5 / 2))
        for some in subsets
    ]
    assert np.mean(wrong) != pytest.approx(total, rel=1e-4)


def shops(sales: torch.Tensor, shop: torch.Tensor) -> None:
    """Normal all through, so that everything is known exactly; rows in any order."""
    mean = pyro.sample("mean", dist.Normal(0.0, 5.0))
    with pyro.plate("shop", 6):
        true = pyro.sample("true", dist.Normal(mean, 1.0))
    with pyro.plate("sale", len(sales)):
        pyro.sample("sales", dist.Normal(true[shop], 2.0), obs=sales)


SHOP = torch.tensor([0, 5, 3, 3, 1, 4, 0, 2, 5, 5, 0])
SALES = torch.tensor([3.0, 1.0, 2.0, 4.0, 2.5, 3.5, -1.0, 0.0, 2.0, 5.0, 1.0], dtype=torch.float64)


def read(model: Any, *args: Any) -> UserModel | None:
    with torch.no_grad():
        trace = poutine.trace(model).get_trace(*args)
    return read_users(model, args, {}, latent_sites(trace.nodes))


def test_which_rows_are_whose_is_found_for_any_model() -> None:
    def both(sales: torch.Tensor, shop: torch.Tensor) -> None:
        mean = pyro.sample("mean", dist.Normal(0.0, 5.0))
        with pyro.plate("shop", 6):
            true = pyro.sample("true", dist.Normal(mean, 1.0))
        with pyro.plate("sale", len(sales)):
            rival = true[shop] - true[(shop + 1) % 6]
            pyro.sample("sales", dist.Normal(rival, 2.0), obs=sales)

    def chained(sales: torch.Tensor, shop: torch.Tensor) -> None:
        mean = pyro.sample("mean", dist.Normal(0.0, 5.0))
        with pyro.plate("shop", 6):
            true = pyro.sample("true", dist.Normal(mean, 1.0))
            shown = pyro.sample("shown", dist.Normal(true, 1.0))
        with pyro.plate("sale", len(sales)):
            pyro.sample("sales", dist.Normal(shown[shop], 2.0), obs=sales)

    def unbatched(sales: torch.Tensor, shop: torch.Tensor) -> None:
        mean = pyro.sample("mean", dist.Normal(0.0, 5.0))
        with pyro.plate("shop", 6):
            true = pyro.sample("true", dist.Normal(mean, 1.0))
        for k, at in enumerate(shop):
            width = 2.0 if true[at] < 100 else 1.0  # torch cannot batch a branch
            pyro.sample(f"sale_{k}", dist.Normal(true[at], width), obs=sales[k])

    with double_precision(), seeded(0):
        by_loop = read(unbatched, SALES, SHOP)
        assert by_loop is not None
        at = {"mean": torch.tensor(1.0)}
        assert by_loop.owners(at, by_loop.prior(at)).tolist() == SHOP.tolist()
        model = read(shops, SALES, SHOP)
        assert model is not None
        prior = model.prior({"mean": torch.tensor(1.0)})
        owner = model.owners({"mean": torch.tensor(1.0)}, prior)
        assert owner is not None
        assert owner.tolist() == SHOP.tolist()
        assert read(both, SALES, SHOP) is None
        assert read(chained, SALES, SHOP) is None


def shop_guide() -> PerUserGuide:
    model = read(shops, SALES, SHOP)
    assert model is not None
    return PerUserGuide(model, 50)


def test_candidates_of_a_normal_model_weigh_the_same_and_give_its_exact_evidence() -> None:
    with double_precision(), seeded(0), pyro.get_param_store().scope():
        guide = shop_guide()
        count = torch.bincount(SHOP, minlength=6)
        total = torch.zeros(6).index_add(0, SHOP, SALES)
        guide.precision = count[:, None, None] / 4.0
        guide.shift = total[:, None] / 4.0
        guide.trust = 1.0  # no wider than what is exact here
        found = guide._candidates()
        assert float(found.log_weight.std(0).max().detach()) < 1e-10
        mean = found.population["mean"]
        member = (SHOP[:, None] == SHOP).double()
        covariance = member + 4.0 * torch.eye(len(SALES))
        exact = dist.MultivariateNormal(mean.expand(len(SALES)), covariance).log_prob(SALES)
        # Population's part is prior minus guide; what is left is the choices' evidence.
        found_evidence = found.log_evidence() - found.log_population
        assert float((found_evidence - exact).detach()) == pytest.approx(0.0, abs=1e-9)
        # The evidence's slope in the population's mean is exact too.
        slope = [
            torch.autograd.grad(each, mean, retain_graph=True)[0]
            for each in (found_evidence, exact)
        ]
        assert float(slope[0]) == pytest.approx(float(slope[1]), rel=1e-9)
        guide.shift = guide.shift + 1.0  # the wrong partner
        assert float(guide._candidates().log_weight.std(0).max().detach()) > 0.1


def test_users_moments_are_learned() -> None:
    with double_precision(), seeded(0), pyro.get_param_store().scope(), torch.no_grad():
        guide = shop_guide()
        for _ in range(100):
            guide._learn(guide._candidates())
        count = torch.bincount(SHOP, minlength=6)
        total = torch.zeros(6).index_add(0, SHOP, SALES)
        prior = guide.model.prior(guide.population.median())
        precision = 1 + count / 4.0
        mean = (prior.loc[:, 0] + total / 4.0) / precision
        learned = 1 + guide.precision[:, 0, 0]
        # The last looks weigh 110^-0.7 = 0.037 each: 50 candidates of each of about 54 looks
        # estimate a variance to sqrt(2 / 2,700) = 2.7 %, and a mean to 0.02 sds; four of these.
        np.testing.assert_allclose(learned, precision, rtol=4 * 0.027)
        assert float((1 / precision - 1).abs().max()) > 4 * 0.027  # where they start would not do
        found = (guide.shift[:, 0] + prior.loc[:, 0]) / learned
        np.testing.assert_allclose(found, mean, atol=4 * 0.02)


def test_candidates_estimate_the_evidence_better_than_a_plain_bound() -> None:
    # w ~ Normal(0, 1), proposals Normal(0.4, 1), no likelihood: the evidence is exactly 1.
    rng = np.random.default_rng(0)
    w = rng.normal(0.4, 1, size=(20_000, 8, 1))
    log_weight = torch.tensor(-0.5 * w**2 + 0.5 * (w - 0.4) ** 2)
    zero = torch.zeros((), dtype=torch.float64)
    prior = Prior(zero, zero, zero, zero)
    kinds: dict[str, list[float]] = {"plain": [], "bound": [], "debiased": []}
    for each in log_weight:
        found = Candidates({}, each, prior, zero, each, 1.0)
        kinds["plain"].append(float(each[0, 0]))
        kinds["bound"].append(float(found.log_evidence()))
        kinds["debiased"].append(float(found.objective()))
    means = {name: np.mean(values) for name, values in kinds.items()}
    error = np.std(kinds["debiased"]) / math.sqrt(len(log_weight))
    assert means["plain"] == pytest.approx(-0.08, abs=4.5 * 0.4 / math.sqrt(len(log_weight)))
    assert means["plain"] < means["bound"] - 4.5 * error
    assert means["bound"] < -4.5 * error  # the bias that is to be taken off can be seen
    assert abs(means["debiased"]) < abs(means["bound"]) / 3


@pytest.mark.slow
@pytest.mark.parametrize("guide", ["auto", "mean_field", "low_rank"])
def test_a_normal_model_of_ones_own_agrees_with_its_exact_posterior(guide: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        found = svi(guide=guide).sample(shops, SALES, SHOP, seed=2)
    assert found.draws["true"].dims == ("chain", "draw", "shop")
    member = (SHOP[:, None] == SHOP).double()
    covariance = (member + 4.0 * torch.eye(len(SALES))).numpy()
    precision = np.linalg.inv(covariance).sum() + 1 / 25
    mean = (np.linalg.inv(covariance) @ SALES.numpy()).sum() / precision
    draws = found.draws["mean"].to_numpy()[0]
    # Monte Carlo errors of 1,000 independent draws: 0.03 sd of a mean, 2 % of an sd.
    close = abs(draws.mean() - mean) * math.sqrt(precision) < 0.2
    ratio = draws.std() * math.sqrt(precision)
    if guide == "auto":  # contains the posterior
        assert close
        assert 0.9 < ratio < 1.1
        assert found.run.pareto_k < 0.7
        assert not found.findings
    else:
        assert {"guide"} <= {finding.statistic for finding in found.findings}
    if guide == "mean_field":
        assert ratio < 0.9


def test_what_svi_cannot_do_is_refused_by_name() -> None:
    def discrete() -> None:
        pyro.sample("kind", dist.Bernoulli(0.5))

    def subsampled(sales: torch.Tensor) -> None:
        mean = pyro.sample("mean", dist.Normal(0.0, 1.0))
        with pyro.plate("sale", len(sales), subsample_size=2) as which:
            pyro.sample("sales", dist.Normal(mean, 1.0), obs=sales[which])

    with pytest.raises(bp.ModelError, match=r"site 'kind' is discrete"):
        svi().sample(discrete)
    with pytest.raises(bp.ModelError, match=r"plate 'sale' takes a random subsample"):
        svi().sample(subsampled, SALES)
    with pytest.raises(bp.ModelError, match=r"needs one plate .* has none"):
        bp.fit(bp.PooledReward(), small_comparisons(), svi(batch=2))


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


def test_all_parameters_at_once_move_as_by_an_adam_each() -> None:
    rng = np.random.default_rng(0)
    with pyro.get_param_store().scope():
        for name, shape in (("x", (3,)), ("y", (2, 2)), ("late", (1,))):
            pyro.param(name, torch.zeros(shape, dtype=torch.float64))
        store = pyro.get_param_store()
        ours = {name: store.get_param(name).unconstrained() for name in store}
        theirs = {name: value.detach().clone().requires_grad_() for name, value in ours.items()}
        optimiser = ClippedAdam(0.1, 1e9)
        each = {
            name: torch.optim.Adam([value], lr=0.1, betas=(0.9, 0.99))
            for name, value in theirs.items()
        }
        for step in range(10):
            names = [name for name in ours if name != "late" or step > 4]
            for name in names:
                gradient = torch.tensor(rng.normal(size=ours[name].shape))
                ours[name].grad, theirs[name].grad = gradient.clone(), gradient
                each[name].step()
            optimiser([ours[name] for name in names])
            if step == 6:
                optimiser.set_rate(0.03)
                for adam in each.values():
                    adam.param_groups[0]["lr"] = 0.03
        for name, value in ours.items():
            torch.testing.assert_close(value.detach(), theirs[name].detach(), rtol=1e-12, atol=0)


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
    assert posterior.run.settings["guide"] == "own_guide"
    assert distance(posterior, reference, "mu")[0] < 0.3
    with pytest.raises(bp.ModelError, match=r"the guide has no site 'tau'"):
        bp.fit(bp.HierarchicalReward(), comparisons, svi(guide=own_guide))


@pytest.mark.parametrize(("step", "draw"), [(30, 0), (0, 12)])
def test_an_interrupt_keeps_what_there_is_and_says_so(
    monkeypatch: pytest.MonkeyPatch, step: int, draw: int
) -> None:
    def interrupting(function: Any, at: int) -> Any:
        calls = itertools.count(1)

        def wrapped(*args: Any) -> Any:
            if next(calls) == at:
                raise KeyboardInterrupt
            return function(*args)

        return wrapped

    if step:
        monkeypatch.setattr(Progress, "record", interrupting(Progress.record, step))
    else:
        monkeypatch.setattr(PerUserGuide, "draw", interrupting(PerUserGuide.draw, draw))
    with pytest.warns(bp.ConvergenceWarning) as caught:
        posterior = bp.fit(bp.HierarchicalReward(), small_comparisons(), short(steps=40))
    steps = step or 40
    assert any(f"interrupted after {steps} steps" in str(each.message) for each in caught)
    assert posterior.run.complete is False
    assert posterior.run.elbo.steps == steps
    assert posterior.draws.sizes["draw"] == (20 if step else draw - 1)


def test_the_history_is_saved_and_drawn(tmp_path: Any) -> None:
    posterior = quiet(short(), bp.HierarchicalReward(), small_comparisons())
    assert len(posterior.run.elbo.history) == 4
    posterior.save(tmp_path / "fit.nc")
    again = bp.Posterior.load(tmp_path / "fit.nc")
    assert again.run == posterior.run
    line = bp.plots.elbo(again).get_lines()[0]
    np.testing.assert_array_equal(line.get_xdata(), [5, 10, 15, 20])
    np.testing.assert_array_equal(line.get_ydata(), posterior.run.elbo.history)
    gibbs = quiet(
        bp.Gibbs(draws=20, warmup=20, progress=False), bp.PooledReward(), small_comparisons()
    )
    with pytest.raises(bp.ModelError, match="Gibbs recorded none"):
        bp.plots.elbo(gibbs)


def test_bad_settings_are_refused() -> None:
    for settings, match in (
        ({"guide": "laplace"}, r"SVI\(guide='laplace'\): expected 'auto'"),
        ({"steps": 0}, r"SVI\(steps=0\): expected a whole number"),
        ({"batch": 1.5}, r"SVI\(batch=1.5\)"),
        ({"learning_rate": -1.0}, r"SVI\(learning_rate=-1.0\): expected a positive number"),
        ({"chains": 2}, r"there is one chain and no warm-up"),
        ({"candidates": 1}, r"SVI\(candidates=1\): expected a whole number of at least 8"),
    ):
        with pytest.raises(bp.ModelError, match=match):
            bp.SVI(**settings)  # type: ignore[arg-type]
    comparisons = small_comparisons()
    with pytest.raises(bp.ModelError, match=r"batch=11 is more than the 10 of plate 'user'"):
        bp.fit(bp.HierarchicalReward(), comparisons, svi(batch=11))
    with pytest.raises(bp.ModelError, match=r"low_rank' ties all users together"):
        bp.fit(bp.HierarchicalReward(), comparisons, svi(batch=5, guide="low_rank"))


def test_curvature_is_that_of_each_user_s_own_rows() -> None:
    def model(difference: torch.Tensor, user: torch.Tensor, choice: torch.Tensor) -> None:
        spread = pyro.sample("spread", dist.HalfNormal(1.0))
        with pyro.plate("user", 3):
            weights = pyro.sample("w", dist.Normal(torch.zeros(2), spread).to_event(1))
        eta = (difference * weights[user]).sum(-1)
        with pyro.plate("row", len(choice)):
            pyro.sample("choice", dist.Bernoulli(logits=eta), obs=choice)

    with double_precision(), seeded(0):
        difference, user = torch.randn(9, 2), torch.arange(9) % 3
        choice = (torch.rand(9) < 0.5).double()
        users = read(model, difference, user, choice)
        assert users is not None
        values = torch.randn(4, 3, 2)
        slope, hessian = users.curvature({"spread": torch.tensor(1.0)}, values)
        left = torch.sigmoid((difference * values[:, user]).sum(-1))
        for at in range(3):
            rows = user == at
            d, p = difference[rows], left[:, rows]
            torch.testing.assert_close(slope[:, at], (choice[rows] - p) @ d)
            expected = -torch.einsum("cn,ni,nj->cij", p * (1 - p), d, d)
            torch.testing.assert_close(hessian[:, at], expected)


def test_what_is_not_positive_is_made_so_and_the_rest_is_left() -> None:
    good, bad = torch.tensor([[2.0, 1.0], [1.0, 2.0]]), torch.tensor([[1.0, 2.0], [2.0, 1.0]])
    found = _positive(torch.stack([good, bad, torch.zeros(2, 2)]).double())
    torch.testing.assert_close(found[0], good.double())
    torch.testing.assert_close(found[1], torch.full((2, 2), 1.5, dtype=torch.float64))
    assert not found[2].any()
