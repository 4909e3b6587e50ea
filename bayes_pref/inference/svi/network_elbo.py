"""The ELBO of `RepresentationReward` and its mean-field guide as an explicit formula.

Pyro traces the model and the guide at every step, which takes longer than the arithmetic of a small
network. With logistic choices the formula is short. It uses the same parameters, in Pyro's store,
and the same random numbers in the same order, so that training gives Pyro's result up to rounding.

Hidden units are tanh(a) = 2 sigmoid(2 a) - 1, because torch's sigmoid takes a quarter of the time
of its tanh; in a difference of two z the constant cancels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import pyro
import torch
from torch.nn import functional

from bayes_pref.data import Comparisons
from bayes_pref.models.base import RewardModel
from bayes_pref.models.representation import RepresentationReward

Tensor = torch.Tensor

_LOG_ROOT = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True, eq=False)
class NetworkElbo:
    """Gradients of the ELBO for parameters in Pyro's store.

    Attributes
    ----------
    model
        Its settings.
    sides
        (n, p) of the left and of the right, scaled.
    groups, user, choice
        (n,) each.
    """

    model: RepresentationReward
    sides: tuple[Tensor, ...]
    groups: Tensor
    user: Tensor
    choice: Tensor

    def step(self, optimiser: pyro.optim.PyroOptim) -> float:
        """Take a step with one draw of the guide; returns minus the ELBO, as Pyro's SVI does."""
        store = pyro.get_param_store()
        parameters = {name: store[name] for name in list(store)}
        loss = -self.elbo(parameters)
        loss.backward()  # type: ignore[no-untyped-call]
        moved = {value.unconstrained() for value in parameters.values()}
        optimiser(moved)
        for each in moved:
            each.grad = None
        return float(loss.detach())

    def elbo(self, parameters: dict[str, Tensor]) -> Tensor:
        """Estimate the ELBO by one draw of the guide; `parameters` are those of Pyro's store."""
        model = self.model
        inner, bias, outer = (parameters[f"network.{name}"] for name in ("inner", "bias", "outer"))
        noise, total = self._guide(parameters, "mu_decentered")
        total = total + _standard(noise)
        heads = model.mean_sd * noise
        total = total + _prior(inner, model.network_sd) + _prior(outer, model.network_sd)
        if model.heads == "user":
            log_tau, entropy = self._guide(parameters, "tau")
            tau = log_tau.exp()
            # The half-normal density of tau, and that of the guide on its logarithm.
            half_normal = _standard(tau / model.spread_sd)
            half_normal = half_normal + tau.numel() * math.log(2 / model.spread_sd)
            noise, more = self._guide(parameters, "weights_decentered")
            total = total + entropy + half_normal + log_tau.sum() + more + _standard(noise)
            heads = (heads + tau * noise).index_select(0, self.user)
        # One side after the other: gradients of parts of one tensor are padded with zeros.
        bias, inner, outer_twice = 2 * bias, 2 * inner.T, 2 * outer.T
        left, right = (torch.sigmoid(torch.addmm(bias, side, inner)) for side in self.sides)
        if model.balance:
            middle = -outer.sum(1)
            left, right = (torch.addmm(middle, hidden, outer_twice) for hidden in (left, right))
            total = total - self._adversary(left, parameters) - self._adversary(right, parameters)
            difference = left - right
        else:
            difference = (left - right) @ outer_twice
        eta = (difference * heads).sum(-1) if model.heads == "user" else difference @ heads
        return total - functional.binary_cross_entropy_with_logits(
            eta, self.choice, reduction="sum"
        )

    @staticmethod
    def _guide(parameters: dict[str, Tensor], site: str) -> tuple[Tensor, Tensor]:
        """Draw a site, unconstrained, and minus the log density of the draw."""
        location = parameters[f"AutoNormal.locs.{site}"]
        scale = parameters[f"AutoNormal.scales.{site}"]
        noise = torch.normal(torch.zeros_like(location), torch.ones_like(location))
        return location + scale * noise, scale.log().sum() - _standard(noise)

    def _adversary(self, z: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """Loss of the classifier of groups from z of one side; its gradient in z is reversed."""
        balance = self.model.balance
        reversed_ = (1.0 + balance) * z.detach() - balance * z
        inner, bias, outer = (
            parameters[f"adversary.{name}"] for name in ("inner", "bias", "outer")
        )
        hidden = torch.sigmoid(torch.addmm(2 * bias, reversed_, 2 * inner.T))
        logits = torch.addmm(-outer.sum(1), hidden, 2 * outer.T)
        return functional.cross_entropy(logits, self.groups, reduction="sum")


def network_elbo(model: RewardModel, comparisons: Comparisons) -> NetworkElbo | None:
    """Return the explicit ELBO of all comparisons, or None where there is no formula for it.

    Parameters
    ----------
    model, comparisons
        What is trained. There is a formula for `RepresentationReward` with choices that are
        logistic in the rewards alone.
    """
    inputs = model.network_inputs(comparisons)
    if inputs is None:
        return None
    choice_model = model.choice_model(comparisons)
    if not choice_model.is_logistic or choice_model.position_sd is not None:
        return None
    return NetworkElbo(
        cast(RepresentationReward, model),
        inputs.sides,
        inputs.groups,
        torch.as_tensor(np.array(comparisons.user, dtype=np.int64)),
        torch.as_tensor(np.array(comparisons.choice, dtype=np.float64)),
    )


def _standard(values: Tensor) -> Tensor:
    """Log density of independent standard normals."""
    return -0.5 * values.square().sum() - values.numel() * _LOG_ROOT


def _prior(weights: Tensor, network_sd: float) -> Tensor:
    """Log density of a layer's weights (outputs, inputs)."""
    sd = network_sd / weights.shape[1] ** 0.5
    return _standard(weights / sd) - weights.numel() * math.log(sd)
