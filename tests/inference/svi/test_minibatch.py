"""Mini-batches of users give unbiased estimates."""

from __future__ import annotations

import itertools

import numpy as np
import pyro
import pyro.poutine as poutine
import pytest
import torch
from cases import MODELS, small_comparisons
from variational import distance, quiet, short, svi

import bayes_pref as bp
from bayes_pref.inference.pyro_tools.trace import double_precision
from bayes_pref.inference.svi.guides import build, latent_sites
from bayes_pref.inference.svi.hierarchical_guide import PerUserGuide
from bayes_pref.inference.svi.minibatch import ChosenIndices
from bayes_pref.models.design import Batch
from bayes_pref.seeding import seeded


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


def guide_for(
    model: bp.RewardModel, comparisons: bp.Comparisons, batch: int | None
) -> PerUserGuide:
    with torch.no_grad():
        nodes = poutine.trace(model).get_trace(comparisons).nodes
    latent = {name: node for name, node in nodes.items() if node["type"] == "sample"}
    family = build("auto", model, (comparisons,), {}, latent, candidates=16, rank=1, batch=batch)
    guide = family.loss.__self__
    assert isinstance(guide, PerUserGuide)
    return guide


@pytest.mark.parametrize("name", ["full", "one factor", "diagonal, position"])
def test_parts_of_the_users_weigh_a_draw_as_all_users_at_once_do(name: str) -> None:
    comparisons = small_comparisons(users=7, each=6, covariates=True)
    model = MODELS[name]
    with seeded(3), double_precision(), pyro.get_param_store().scope(), torch.no_grad():
        whole = guide_for(model, comparisons, None)
        drawn = whole._draw_population()
        noise = torch.randn(16, *whole.shift.shape)
        exact = whole._candidates(drawn, noise, 0).log_evidence()
    with seeded(3), double_precision(), pyro.get_param_store().scope(), torch.no_grad():
        some = guide_for(model, comparisons, 3)
        assert [len(part) for part in some.parts] == [3, 2, 2]
        found = []
        for part, users in enumerate(some.parts):
            with some._only(part):
                found.append(some._candidates(drawn, noise[:, users], part))
        total = sum(each.log_evidence() / each.scale for each in found)
        torch.testing.assert_close(total, exact, rtol=1e-10, atol=0)
        # The wrong partner: parts of different sizes, each as good as another.
        wrong = torch.stack([each.log_evidence() for each in found]).mean()
        assert abs(float(wrong - exact)) > 1e-4
        sites, _ = some.draw()
        assert [len(sites[site]) for site in some.model.shapes] == [7] * len(some.model.shapes)


def test_rows_of_the_same_users_are_gathered_once() -> None:
    comparisons = small_comparisons()
    first = Batch.of(comparisons, torch.tensor([3, 1]))
    assert Batch.of(comparisons, torch.tensor([3, 1])) is first
    other = Batch.of(comparisons, torch.tensor([1, 3]))
    assert other is not first
    np.testing.assert_array_equal(other.choice[6:], first.choice[:6])


@pytest.mark.slow
@pytest.mark.long
def test_of_many_users_the_population_is_as_wide_as_that_of_gibbs() -> None:
    # Posterior sds are a hundredth of the prior's here, far below where a fixed start would leave.
    comparisons = bp.simulate(
        users=4000, comparisons=10, features=3, contexts=0, seed=0
    ).comparisons
    model = bp.HierarchicalReward()
    found = quiet(svi(batch=200, draws=200), model, comparisons)
    blocks = bp.Gibbs(users="summary", until="converged", chains=2, progress=False)
    exact = quiet(blocks, model, comparisons)
    for name in ("mu", "tau"):
        far, low, high = distance(found, exact, name)
        # The floors of the design, and Monte Carlo errors: 200 draws, 0.07 sds and 5 %.
        assert far < 0.3 + 3 * 0.07, (name, far)
        assert low > 0.7, (name, low)
        assert high < 1.4, (name, high)
