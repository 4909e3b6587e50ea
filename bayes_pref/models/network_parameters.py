"""The network of a learned representation and its adversary, as parameters of a Pyro model."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch

Tensor = torch.Tensor
Layers = tuple[Tensor, Tensor, Tensor]  # U, a and V


def network_parameters(inputs: int, hidden: int, size: int, sd: float) -> Layers:
    """Declare U (hidden, inputs), a (hidden,) and V (size, hidden).

    U and V have normal priors with sd `sd` over the root of their number of inputs.
    """
    shapes = {"inner": (hidden, inputs), "outer": (size, hidden)}
    found = {}
    for name, shape in shapes.items():
        prior_sd = sd / shape[1] ** 0.5
        found[name] = _parameter(f"network.{name}", shape, prior_sd)
        pyro.factor(f"prior.{name}", dist.Normal(0.0, prior_sd).log_prob(found[name]).sum())
    return found["inner"], _parameter("network.bias", (hidden,), 0.0), found["outer"]


def represent(network: Layers, inputs: Tensor) -> Tensor:
    """Compute z (n, size) = V tanh(U s + a) of inputs s (n, inputs)."""
    inner, bias, outer = network
    return torch.tanh(inputs @ inner.T + bias) @ outer.T


def add_adversary(
    z: Tensor, group: Tensor, *, groups: int, hidden: int, balance: float, scale: float
) -> None:
    """Add a classifier of the user's group by z, whose gradient reaches z reversed.

    Parameters
    ----------
    z, group
        (n, size) features and (n,) codes of the groups.
    groups
        Number of groups.
    hidden
        Number of hidden units.
    balance
        Factor of the reversed gradient.
    scale
        Weight of each row: number of all users over the number in the mini-batch.
    """
    size = z.shape[-1]
    reversed_ = (1.0 + balance) * z.detach() - balance * z
    inner = _parameter("adversary.inner", (hidden, size), size**-0.5)
    bias = _parameter("adversary.bias", (hidden,), 0.0)
    outer = _parameter("adversary.outer", (groups, hidden), hidden**-0.5)
    logits = torch.tanh(reversed_ @ inner.T + bias) @ outer.T
    found = torch.log_softmax(logits, -1)[torch.arange(len(z)), group]
    pyro.factor("adversary", scale * found.sum())


def _parameter(name: str, shape: tuple[int, ...], sd: float) -> Tensor:
    found: Tensor = pyro.param(name, lambda: sd * torch.randn(shape, dtype=torch.float64))
    return found
