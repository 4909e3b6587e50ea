"""Optimiser: Adam with gradient clipping, step decay on plateau, and a stopping rule.

The ELBO is averaged over windows of steps. It is on a plateau when two windows in a row, or four of
mini-batches, exceed the best window by no more than their Monte Carlo error. The learning rate is
then reduced; at the last rate, the run ends. Parameters are averaged over the steps at the last
rate, which removes most of the remaining noise (Polyak & Juditsky 1992; Dhaka et al. 2020).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyro
import torch

_RATES = 4
_CUT = 0.3
PATIENCE = 2
# Windows of mini-batches differ in their users, too, so that one that is best is so by chance.
PATIENCE_OF_BATCHES = 4
_MEMORY = 0.98  # of the running norm of gradients
_BETAS, _EPSILON = (0.9, 0.99), 1e-8  # of Adam


class ClippedAdam(pyro.optim.PyroOptim):  # type: ignore[misc]
    """Adam with gradients clipped to a multiple of the running mean of their norm.

    Parameters
    ----------
    rate
        First learning rate.
    clip
        Largest norm of all gradients jointly, over its running mean.
    """

    def __init__(self, rate: float, clip: float) -> None:
        super().__init__(torch.optim.Adam, {"lr": rate, "betas": _BETAS})
        self.clip = clip
        self.usual: float | None = None
        self._moments: dict[torch.Tensor, _Moments] = {}

    def __call__(self, params: Iterable[torch.Tensor], *args: Any, **kwargs: Any) -> None:
        """Take one step."""
        # SVI hands over a set, whose order, and with it the norm's last digit, is arbitrary.
        store = pyro.get_param_store()
        moved = [each for each in sorted(params, key=store.param_name) if each.grad is not None]
        gradients = [each.grad for each in moved if each.grad is not None]
        if not gradients:
            return
        norm = float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients))))
        usual = norm if self.usual is None else self.usual
        if norm > self.clip * usual:
            torch._foreach_mul_(gradients, self.clip * usual / norm)
            norm = self.clip * usual
        self.usual = _MEMORY * usual + (1 - _MEMORY) * norm
        self._move(moved, gradients)

    def _move(self, moved: list[torch.Tensor], gradients: list[torch.Tensor]) -> None:
        """Update all parameters at once: an optimiser for each takes longer than the gradients."""
        moments = [self._moments.setdefault(each, _Moments.of(each)) for each in moved]
        means, squares = [each.mean for each in moments], [each.square for each in moments]
        first, second = _BETAS
        with torch.no_grad():
            torch._foreach_lerp_(means, gradients, 1 - first)
            torch._foreach_mul_(squares, second)
            torch._foreach_addcmul_(squares, gradients, gradients, 1 - second)
            # A parameter may appear later than others, so each has its own count of steps.
            for each in moments:
                each.steps += 1
            roots = torch._foreach_sqrt(squares)
            torch._foreach_div_(roots, [(1 - second**each.steps) ** 0.5 for each in moments])
            torch._foreach_add_(roots, _EPSILON)
            rate = self.pt_optim_args["lr"]
            sizes = [-rate / (1 - first**each.steps) for each in moments]
            torch._foreach_addcdiv_(moved, means, roots, sizes)

    def set_rate(self, rate: float) -> None:
        """Change the learning rate of all parameters, also of those yet to appear."""
        self.pt_optim_args["lr"] = rate


@dataclass(eq=False)
class _Moments:
    """Running means of a parameter's gradients and of their squares."""

    mean: torch.Tensor
    square: torch.Tensor
    steps: int = 0

    @classmethod
    def of(cls, parameter: torch.Tensor) -> _Moments:
        """Return those of a parameter without any step."""
        return cls(torch.zeros_like(parameter.data), torch.zeros_like(parameter.data))


class Progress:
    """Course of the ELBO, the learning rate that follows from it, and the stopping rule.

    Parameters
    ----------
    rate
        First learning rate.
    window
        Steps in a window.
    patience
        Windows in a row that do not exceed the best, on a plateau.
    """

    def __init__(self, rate: float, window: int, patience: int = PATIENCE) -> None:
        self.rate = rate
        self.window = window
        self.patience = patience
        self.cuts: list[int] = []
        self.history: list[float] = []
        self.done = False
        self._values: list[float] = []
        self._best: tuple[float, float] | None = None
        self._waited = 0
        self._steps = 0

    @property
    def last_rate(self) -> bool:
        """Whether the learning rate is the last one."""
        return len(self.cuts) == _RATES - 1

    def record(self, elbo: float) -> bool:
        """Record the ELBO of one step; returns whether the learning rate has changed."""
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
        if self._waited < self.patience:
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
        """Include the current parameters."""
        self.count += 1
        for name, value in pyro.get_param_store().named_parameters():
            mean = self.means.setdefault(name, torch.zeros_like(value.data))
            mean += (value.data - mean) / self.count

    def apply(self) -> None:
        """Replace the parameters that have a mean by it."""
        for name, value in pyro.get_param_store().named_parameters():
            if name in self.means:
                value.data.copy_(self.means[name])
