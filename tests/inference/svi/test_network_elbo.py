"""Training by the ELBO that is written out goes the way of Pyro's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
import pyro
import pytest
import torch
from pyro import infer

import bayes_pref as bp
from bayes_pref.inference.pyro_tools.trace import double_precision, sample_nodes
from bayes_pref.inference.svi.guides import Family, build
from bayes_pref.inference.svi.network_elbo import network_elbo
from bayes_pref.seeding import seeded

MODELS = {
    "heads": bp.RepresentationReward(size=3, hidden=5, mean_sd=0.7, spread_sd=0.4, network_sd=0.6),
    "adversary": bp.RepresentationReward(size=3, hidden=5, balance=0.8, mean_sd=0.7),
    "joined": bp.RepresentationReward(size=2, hidden=4, heads="joined"),
    "joined, adversary": bp.RepresentationReward(size=2, hidden=4, heads="joined", balance=1.0),
    "groups": bp.RepresentationReward(size=2, hidden=4, balance=1.0, group="expert"),
}


@pytest.fixture(scope="module")
def comparisons() -> bp.Comparisons:
    rng = np.random.default_rng(0)
    n, names = 60, ["a", "b"]
    frame = pd.DataFrame(rng.normal(size=(n, 4)), columns=["left_a", "left_b", *names])
    frame = frame.assign(x=rng.normal(size=n), who=rng.permutation(np.arange(n) % 5))
    frame = frame.assign(won=rng.integers(2, size=n))
    users = pd.DataFrame({"who": np.arange(5), "expert": np.arange(5) % 2})
    return bp.Comparisons.from_frame(
        frame,
        user="who",
        choice="won",
        left=["left_a", "left_b"],
        right=names,
        features=names,
        context=["x"],
        covariates=users,
    )


@contextmanager
def family(model: bp.RepresentationReward, comparisons: bp.Comparisons) -> Iterator[Family]:
    """Hold the guide and the parameters that SVI trains, as it makes them."""
    args = (comparisons,)
    with seeded(0), pyro.get_param_store().scope():
        with torch.no_grad():
            nodes = sample_nodes(model, args, {})
        with double_precision():
            yield build("mean_field", model, args, {}, nodes, candidates=8, rank=1)


def gradients() -> dict[str, torch.Tensor]:
    """Take the gradient of every parameter, and leave none behind."""
    found = {}
    for name, value in pyro.get_param_store().named_parameters():
        found[name] = value.grad.clone()
        value.grad = None
    return found


@pytest.mark.parametrize("name", list(MODELS))
def test_value_and_gradients_are_those_of_pyro(name: str, comparisons: bp.Comparisons) -> None:
    model = MODELS[name]
    written = network_elbo(model, comparisons)
    assert written is not None
    with family(model, comparisons) as made:
        for seed in range(3):  # draws of the guide
            torch.manual_seed(seed)
            expected = made.loss.loss_and_grads(made.model, made.guide, comparisons)
            theirs = gradients()
            torch.manual_seed(seed)
            store = pyro.get_param_store()
            loss = -written.elbo({each: store[each] for each in store})
            loss.backward()
            ours = gradients()
            # Sums of a few hundred terms in another order.
            assert float(loss.detach()) == pytest.approx(expected, rel=1e-12)
            assert ours.keys() == theirs.keys()
            for each, value in theirs.items():
                torch.testing.assert_close(ours[each], value, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", ["heads", "joined, adversary"])
def test_steps_are_those_of_pyro(name: str, comparisons: bp.Comparisons) -> None:
    from bayes_pref.inference.svi.optimizer import ClippedAdam

    model, ends = MODELS[name], []
    written = network_elbo(model, comparisons)
    assert written is not None
    for direct in (False, True):
        with family(model, comparisons) as made:
            torch.manual_seed(1)
            optimiser = ClippedAdam(0.03, 10.0)
            svi = infer.SVI(made.model, made.guide, optimiser, made.loss)
            for _ in range(20):
                if direct:
                    written.step(optimiser)
                else:
                    svi.step(comparisons)
            ends.append(pyro.get_param_store()["network.inner"].detach().clone())
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-9, atol=1e-10)


def test_other_choices_and_other_models_are_left_to_pyro(comparisons: bp.Comparisons) -> None:
    plain = MODELS["heads"]
    for other in (
        replace(plain, lapse=True),
        replace(plain, position=True),
        replace(plain, link="probit"),
        replace(plain, ties=True),
    ):
        assert network_elbo(other, comparisons) is None
    assert network_elbo(bp.HierarchicalReward(), comparisons) is None
