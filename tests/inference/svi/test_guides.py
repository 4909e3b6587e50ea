"""The guide "auto", piece by piece, against what is known exactly."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import small_comparisons
from variational import SALES, SHOP, distance, quiet, read, shops, svi

import bayes_pref as bp
from bayes_pref.inference.pyro_tools.trace import double_precision
from bayes_pref.inference.svi.hierarchical_guide import Candidates, PerUserGuide, _positive
from bayes_pref.inference.svi.user_model import Prior
from bayes_pref.seeding import seeded


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

    with seeded(0), double_precision():
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
    with seeded(0), double_precision(), pyro.get_param_store().scope():
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
    with seeded(0), double_precision(), pyro.get_param_store().scope(), torch.no_grad():
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


def test_curvature_is_that_of_each_user_s_own_rows() -> None:
    def model(difference: torch.Tensor, user: torch.Tensor, choice: torch.Tensor) -> None:
        spread = pyro.sample("spread", dist.HalfNormal(1.0))
        with pyro.plate("user", 3):
            weights = pyro.sample("w", dist.Normal(torch.zeros(2), spread).to_event(1))
        eta = (difference * weights[user]).sum(-1)
        with pyro.plate("row", len(choice)):
            pyro.sample("choice", dist.Bernoulli(logits=eta), obs=choice)

    with seeded(0), double_precision():
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


def test_items_rewards_are_as_wide_as_those_of_gibbs_without_their_level() -> None:
    rng = np.random.default_rng(0)
    left = rng.integers(0, 5, 400)
    right = (left + rng.integers(1, 5, 400)) % 5
    worth = np.array([1.0, 0.5, 0.0, -0.5, -1.0])
    won = rng.random(400) < 1 / (1 + np.exp(worth[right] - worth[left]))
    names = np.array(list("abcde"))
    votes = {"user": np.arange(400) // 20, "left": names[left], "right": names[right], "won": won}
    comparisons = bp.Comparisons.from_items(
        pd.DataFrame(votes).astype({"won": int}),
        user="user",
        left="left",
        right="right",
        choice="won",
    )
    found = quiet(svi(), bp.PooledReward(), comparisons)
    exact = quiet(bp.Gibbs(progress=False), bp.PooledReward(), comparisons)
    sds = [each.draws["mu"].std(("chain", "draw")) for each in (found, exact)]
    np.testing.assert_allclose(*sds, rtol=0.15)  # 1,000 draws: 2 % each
    assert not any("level" in each.message for each in found.findings)
