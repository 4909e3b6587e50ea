"""The law of rankings: each stage a choice of the best of those that are left.

With eta_j the reward of the chosen item minus that of the j-th other one of the stage,

    P(stage) = 1 / (1 + sum_j exp(-eta_j)),

the multinomial logit of Luce (1959); a ranking is the product of its stages (Plackett 1975, J. R.
Stat. Soc. C 24). Breaking a ranking into pairs instead would count the same answer several times,
and give errors that are too small.

As data, a stage is 1 in all of its rows. A replication in which the j-th other item is chosen
instead is 0 in row j, so that log P(y) = sum_j (y_j - 1) eta_j - log(1 + sum_j exp(-eta_j)).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyro.distributions as dist
import torch
from numpy.typing import NDArray
from torch.distributions import constraints

from bayes_pref.errors import ModelError

Array = NDArray[np.float64]


def ranking_law(stage: NDArray[np.int64]) -> Callable[[torch.Tensor], Any]:
    """Return what gives the distribution of the rows of stages at log-odds (..., n)."""
    table, there = _by_stage(stage)

    def law(eta: torch.Tensor) -> Stagewise:
        if eta.shape[-1] != len(stage):
            raise ModelError(
                "rankings cannot be fitted in mini-batches of users; leave batch= out of SVI"
            )
        return Stagewise(eta, torch.tensor(table), torch.tensor(there))

    return law


def log_stages(eta: Array, stage: NDArray[np.int64]) -> Array:
    """Log probability of stages, (..., stage), at log-odds (..., row).

    Examples
    --------
    >>> best_of_three = np.array([0, 0])
    >>> np.exp(log_stages(np.zeros(2), best_of_three)).round(3)
    array([0.333])
    """
    table, there = _by_stage(stage)
    against = np.where(there, -eta[..., table], -np.inf)
    top = np.maximum(against.max(axis=-1), 0.0)
    total = np.exp(-top) + np.exp(against - top[..., None]).sum(axis=-1)
    return np.asarray(-(top + np.log(total)))


class Stagewise(dist.TorchDistribution):  # type: ignore[misc]
    """Choices of stages: the log probability of each stage stands in the first of its rows.

    Parameters
    ----------
    eta
        (..., n) chosen minus other.
    table, there
        (s, most) rows of each stage, and where there is one.

    Examples
    --------
    >>> law = ranking_law(np.array([0, 0, 1]))(torch.zeros(3))
    >>> law.log_prob(torch.ones(3)).exp()
    tensor([0.3333, 1.0000, 0.5000])
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012  as torch's distributions have it
    support = constraints.boolean

    def __init__(self, eta: torch.Tensor, table: torch.Tensor, there: torch.Tensor) -> None:
        self.eta, self.table, self.there = eta, table, there
        super().__init__(eta.shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Stagewise:
        """Return the same law for a larger batch."""
        return Stagewise(self.eta.expand(batch_shape), self.table, self.there)

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        """Log probability of each stage in its first row, 0 in the others."""
        floor = -torch.finfo(self.eta.dtype).max
        against = torch.where(self.there, -self.eta[..., self.table], floor)
        top = against.amax(-1).clamp(min=0.0).detach()
        total = torch.exp(-top) + torch.exp(against - top[..., None]).sum(-1)
        stage = -(top + torch.log(total))
        first = torch.zeros(self.eta.shape[-1], dtype=torch.long)
        first[self.table[:, 0]] = torch.arange(len(self.table))
        starts = torch.zeros(self.eta.shape[-1], dtype=torch.bool)
        starts[self.table[:, 0]] = True
        return torch.where(starts, stage[..., first], 0.0) + (value - 1.0) * self.eta

    def sample(self, sample_shape: Any = ()) -> torch.Tensor:
        """Draw stages: 0 in the row of what is chosen instead, 1 elsewhere."""
        with torch.no_grad():
            eta = self.eta.expand(self._extended_shape(torch.Size(sample_shape)))
            against = torch.where(self.there, -eta[..., self.table], -torch.inf)
            scores = torch.cat([torch.zeros_like(against[..., :1]), against], dim=-1)
            law = torch.distributions.Categorical(logits=scores)
            instead = law.sample()[..., None] - 1  # type: ignore[no-untyped-call]
            lost = (instead == torch.arange(self.table.shape[1])) & self.there
            value = torch.ones_like(eta)
            value[..., self.table[self.there]] = 1.0 - lost[..., self.there].to(eta)
            return value


def _by_stage(stage: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Rows (s, most) of each stage, padded by its first row, and where there is one."""
    first = np.flatnonzero(np.diff(stage, prepend=-1))
    counts = np.diff(np.append(first, len(stage)))
    nth = np.arange(counts.max(initial=1))
    there = nth < counts[:, None]
    return np.where(there, first[:, None] + nth, first[:, None]), there
