"""The Pyro distribution of choices with given probabilities."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pyro.distributions as dist
import torch
from torch.distributions import constraints

Tensor = torch.Tensor


class OutcomeDistribution(dist.TorchDistribution):  # type: ignore[misc]
    """Choices k / (K - 1) with log probabilities (K, ...), from right to left.

    Parameters
    ----------
    log_probabilities
        (K, ...) of the outcomes, which come first.

    Examples
    --------
    >>> choices = OutcomeDistribution(torch.tensor([[0.2], [0.3], [0.5]]).log())
    >>> choices.log_prob(torch.tensor([0.5])).exp()
    tensor([0.3000])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.unit_interval

    def __init__(self, log_probabilities: Tensor, validate_args: bool | None = None) -> None:
        self.log_probabilities = log_probabilities
        super().__init__(log_probabilities.shape[1:], validate_args=validate_args)

    @property
    def _steps(self) -> int:
        return len(self.log_probabilities) - 1

    def expand(self, batch_shape: Any, _instance: Any = None) -> OutcomeDistribution:
        """Return the same distribution for a larger batch."""
        return OutcomeDistribution(self._widened(batch_shape), False)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw choices."""
        with torch.no_grad():
            logits = self.log_probabilities.movedim(0, -1)
            drawn = torch.distributions.Categorical(logits=logits)
            places: Tensor = drawn.sample(torch.Size(sample_shape))  # type: ignore[no-untyped-call]
            return places.to(self.log_probabilities) / self._steps

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability of choices."""
        places = torch.round(value * self._steps).long()
        shape = np.broadcast_shapes(places.shape, self.batch_shape)
        found: Tensor = self._widened(shape).gather(0, places.expand(shape)[None])[0]
        return found

    def _widened(self, batch_shape: Any) -> Tensor:
        """Log probabilities (K, *batch_shape); the outcomes come first, so gaps follow them."""
        count, *batch = self.log_probabilities.shape
        gaps = (1,) * (len(batch_shape) - len(batch))
        return self.log_probabilities.reshape(count, *gaps, *batch).expand(count, *batch_shape)
