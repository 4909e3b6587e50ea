"""Climbing a noisy ELBO: clipped Adam, a rate that falls as the ELBO stops rising, and an end.

The ELBO is averaged over windows of steps. A rate is settled when two windows in a row rise by no
more than their Monte Carlo error above the window before; the rate is then cut, and at the last
rate the run ends. Parameters are averaged over the steps at the last rate, which removes most of
the noise that is left (Polyak & Juditsky 1992; Dhaka et al. 2020).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyro
import torch

_RATES = 4
_CUT = 0.3
_PATIENCE = 2
_MEMORY = 0.98  # of the running norm of gradients


class ClippedAdam(pyro.optim.PyroOptim):  # type: ignore[misc]
    """Adam whose gradients are cut to a multiple of their usual norm.

    Parameters
    ----------
    rate
        First learning rate.
    clip
        Largest norm of all gradients together, in units of its running mean.
    """

    def __init__(self, rate: float, clip: float) -> None:
        super().__init__(torch.optim.Adam, {"lr": rate, "betas": (0.9, 0.99)})
        self.clip = clip
        self.usual: float | None = None

    def __call__(self, params: Iterable[torch.Tensor], *args: Any, **kwargs: Any) -> None:
        """Take one step."""
        # SVI hands over a set, whose order, and with it the norm's last digit, is arbitrary.
        store = pyro.get_param_store()
        params = sorted(params, key=store.param_name)
        gradients = [each.grad for each in params if each.grad is not None]
        if gradients:
            norm = float(torch.linalg.vector_norm(torch.stack([each.norm() for each in gradients])))
            usual = norm if self.usual is None else self.usual
            if norm > self.clip * usual:
                for gradient in gradients:
                    gradient.mul_(self.clip * usual / norm)
                norm = self.clip * usual
            self.usual = _MEMORY * usual + (1 - _MEMORY) * norm
        super().__call__(params, *args, **kwargs)

    def set_rate(self, rate: float) -> None:
        """Change the learning rate of every parameter, the ones not yet seen included."""
        self.pt_optim_args["lr"] = rate
        for optimiser in self.optim_objs.values():
            for group in optimiser.param_groups:
                group["lr"] = rate


class Progress:
    """Watches the ELBO: what it was, at which rate we are, and whether we are done.

    Parameters
    ----------
    rate
        First learning rate.
    window
        Steps that are averaged.
    """

    def __init__(self, rate: float, window: int) -> None:
        self.rate = rate
        self.window = window
        self.cuts: list[int] = []
        self.history: list[float] = []
        self.done = False
        self._values: list[float] = []
        self._best: tuple[float, float] | None = None
        self._waited = 0
        self._steps = 0

    @property
    def last_rate(self) -> bool:
        """Whether this rate is the last one."""
        return len(self.cuts) == _RATES - 1

    def record(self, elbo: float) -> bool:
        """Take note of one step; returns whether the rate has changed."""
        self._steps += 1
        self._values.append(elbo)
        if len(self._values) < self.window:
            return False
        mean, variance = np.mean(self._values), np.var(self._values) / self.window
        self.history.append(float(mean))
        self._values = []
        if self._best is not None and mean - self._best[0] <= np.sqrt(variance + self._best[1]):
            self._waited += 1
        else:
            self._waited = 0
            self._best = (float(mean), float(variance))
        if self._waited < _PATIENCE:
            return False
        self._waited, self._best = 0, None
        if self.last_rate:
            self.done = True
            return False
        self.rate *= _CUT
        self.cuts.append(self._steps)
        return True


class Average:
    """Running mean of all parameters in Pyro's store."""

    def __init__(self) -> None:
        self.count = 0
        self.means: dict[str, torch.Tensor] = {}

    def add(self) -> None:
        """Include the parameters as they are now."""
        self.count += 1
        for name, value in pyro.get_param_store().named_parameters():
            mean = self.means.setdefault(name, torch.zeros_like(value.data))
            mean += (value.data - mean) / self.count

    def apply(self) -> None:
        """Put the means in the parameters' place; without any, leave them."""
        for name, value in pyro.get_param_store().named_parameters():
            if name in self.means:
                value.data.copy_(self.means[name])
