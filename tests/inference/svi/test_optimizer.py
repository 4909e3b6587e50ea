"""The optimiser: its steps, its clipping and its stopping rule."""

from __future__ import annotations

import numpy as np
import pyro
import pytest
import torch

from bayes_pref.inference.svi.optimizer import ClippedAdam, Progress


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
