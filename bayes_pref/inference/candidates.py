"""Many candidates for every user at each draw of the population, weighed against each other.

Whatever Gaussian stands for a user, the bound that it gives on the evidence is loose by a little,
and by more the more users differ: summed over hundreds of users the slack pulls the population's
spread towards zero by whole posterior sds. Importance weights among K candidates tighten it by K
(Burda, Grosse & Salakhutdinov 2016), and the bias of order 1 / K that remains is known and taken
off (Nowozin 2018). Draws resampled by the same weights follow users' posteriors, which are skewed,
more closely than any Gaussian.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

Tensor = torch.Tensor


@dataclass(frozen=True)
class Candidates:
    """One draw of the population and K candidates for every user.

    Attributes
    ----------
    population
        Site -> value.
    users
        Site -> (K, users, ...).
    log_population
        (): log density of the population's sites under the model minus that under the guide.
    log_weight
        (K, users): the same for users' sites and their choices; None: the model has no users.
    scale
        Users in all over users looked at.
    """

    population: dict[str, Tensor]
    users: dict[str, Tensor]
    log_population: Tensor
    log_weight: Tensor | None
    scale: float

    def log_evidence(self) -> Tensor:
        """Log of an unbiased estimate of the population's marginal weight, ()."""
        if self.log_weight is None:
            return self.log_population
        each = self.log_weight.logsumexp(0) - math.log(self.log_weight.shape[0])
        return self.log_population + self.scale * each.sum()

    def objective(self) -> Tensor:
        """Estimate of the evidence to climb, (): the ELBO, with K > 1 freed of its bias."""
        found = self.log_evidence()
        count = 0 if self.log_weight is None else self.log_weight.shape[0]
        if self.log_weight is None or count < 2:
            return found
        # E log mean r = log E r - Var(r) / (2 K E(r)^2) + O(1 / K^2), from the weights' shares.
        excess = (self.log_weight.softmax(0) ** 2).sum(0) - 1 / count
        return found + self.scale * 0.5 * count / (count - 1) * excess.sum()

    def resampled(self) -> dict[str, Tensor]:
        """Draw one candidate for every user by weight: site -> value."""
        if self.log_weight is None:
            return self.population
        gumbel = -torch.empty_like(self.log_weight).exponential_().log()
        chosen = (self.log_weight + gumbel).argmax(0)
        everyone = torch.arange(len(chosen))
        return self.population | {
            name: values[chosen, everyone] for name, values in self.users.items()
        }
