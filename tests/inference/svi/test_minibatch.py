"""Mini-batches of users give unbiased estimates."""

from __future__ import annotations

import itertools

import numpy as np
import pyro.poutine as poutine
import pytest
import torch
from cases import MODELS, small_comparisons
from variational import quiet, short

import bayes_pref as bp
from bayes_pref.inference.svi.guides import latent_sites
from bayes_pref.inference.svi.minibatch import ChosenIndices
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
