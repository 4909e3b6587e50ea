"""Rankings: each stage is a choice of the best of those that are left.

With eta_j the reward of the item chosen minus that of the j-th other one of the stage,

    P(stage) = 1 / (1 + sum_j exp(-eta_j)),

the multinomial logit model of Luce (1959); a ranking is the product of its stages (Plackett 1975,
J. R. Stat. Soc. C 24). Breaking rankings into pairs would count the same answer several times and
give standard errors that are too small.

As data, a stage is 1 in all of its rows, and 0 in row j where a replication chooses the j-th other
item; see `stage_choices`. Lapses are those of `effects`: with probability `lapse` a stage is
answered at random, whatever was chosen in the others of its task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyro.distributions as dist
import torch
from torch.distributions import constraints

from bayes_pref.data import Outcome, Ranking
from bayes_pref.errors import ModelError
from bayes_pref.logistic_normal import expected_choice
from bayes_pref.models.choice.choice_distribution import ChoiceDistribution
from bayes_pref.models.choice.choice_model import ChoiceModel
from bayes_pref.models.choice.effects import LAPSE_SHAPE, lapsed, lapsed_mean, sample_lapse
from bayes_pref.models.choice.kernel_form import STAGES, KernelForm
from bayes_pref.models.choice.links import log_cdf
from bayes_pref.models.choice.stage_choices import log_stages, stage_starts
from bayes_pref.types import FloatArray, IntArray, Mask

Tensor = torch.Tensor


@dataclass(frozen=True, kw_only=True)
class PlackettLuce(ChoiceModel):
    """Rankings and best-of-k choices; between two items, choices are logistic.

    Parameters
    ----------
    lapse
        Whether some answers have nothing to do with the rewards: with probability `lapse`, every
        alternative that a stage offers is equally likely.

    Raises
    ------
    ModelError
        If `lapse` is neither True nor False.

    Examples
    --------
    >>> PlackettLuce().unsupported(Ranking([0, 0])) is None
    True
    """

    lapse: bool = False

    log_odds: ClassVar[bool] = True

    @property
    def beyond_logistic(self) -> str | None:
        """Rankings, and a lapse rate where there is one."""
        return "rankings" + " and a lapse rate" * self.lapse

    def unsupported(self, outcome: Outcome) -> str | None:
        """Say why the model cannot describe an outcome; None if it can."""
        if isinstance(outcome, Ranking):
            return None
        return f"PlackettLuce is for rankings, and these are {outcome.name}"

    def variables(self, outcome: Outcome) -> dict[str, tuple[str, ...]]:
        """Return the parameters and the named dimensions of each."""
        return {"lapse": ()} if self.lapse else {}

    def sample(self, outcome: Outcome) -> dict[str, Tensor]:
        """Sample the parameters as sites of a Pyro model."""
        return sample_lapse() if self.lapse else {}

    def kernel_form(self, outcome: Outcome) -> KernelForm | None:
        """Return the model as `Gibbs` reads it."""
        return KernelForm(family=STAGES, n_outcomes=2, lapse=LAPSE_SHAPE if self.lapse else None)

    def log_outcomes(self, eta: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Log probability of right and of left where there are only these two: (2, ...)."""
        return lapsed(torch.stack([log_cdf(-eta, "logit"), log_cdf(eta, "logit")]), parameters)

    def mean_preferred(
        self, mean: FloatArray, variance: FloatArray, parameters: Mapping[str, FloatArray]
    ) -> FloatArray | None:
        """Return the mean of P(left) over Gaussian eta where there are only these two."""
        return lapsed_mean(expected_choice(mean, variance), parameters, 1 / 2)

    def likelihood(self, outcome: Outcome) -> Callable[[Tensor], Any]:
        """Return the Pyro distribution of the rows of the stages as a function of eta (..., n)."""
        return stage_likelihood(_stage(outcome), self.sample(outcome).get("lapse"))

    def joint_log_likelihood(
        self,
        distribution: ChoiceDistribution,
        eta: FloatArray,
        choice: FloatArray,
        outcome: Outcome,
    ) -> FloatArray:
        """Log probability of all stages together, (sample, point), at eta (sample, point, row)."""
        by_row = np.moveaxis(eta, -1, 0)
        lapse = distribution.parameters.get("lapse")
        each = None if lapse is None else lapse[:, None]
        return np.asarray(log_stages(by_row, _stage(outcome), choice, each).sum(axis=0))


def stage_likelihood(
    stage: IntArray, lapse: Tensor | None = None
) -> Callable[[Tensor], StageDistribution]:
    """Return the distribution of the rows of stages as a function of eta (..., n)."""
    table, there = _by_stage(stage)

    def likelihood(eta: Tensor) -> StageDistribution:
        if eta.shape[-1] != len(stage):
            raise ModelError(
                "rankings cannot be fitted in mini-batches of users; leave batch= out of SVI"
            )
        return StageDistribution(eta, torch.tensor(table), torch.tensor(there), lapse)

    return likelihood


class StageDistribution(dist.TorchDistribution):  # type: ignore[misc]
    """Choices of stages: the log probability of each stage stands in the first of its rows.

    Parameters
    ----------
    eta
        (..., n) reward of the item chosen minus that of the other.
    table, there
        (s, most) rows of each stage, and where there is one.
    lapse
        Probability that a stage is answered at random; None: there are no lapses.

    Examples
    --------
    >>> stages = stage_likelihood(np.array([0, 0, 1]))(torch.zeros(3))
    >>> stages.log_prob(torch.ones(3)).exp()
    tensor([0.3333, 1.0000, 0.5000])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.boolean

    def __init__(
        self, eta: Tensor, table: Tensor, there: Tensor, lapse: Tensor | None = None
    ) -> None:
        self.eta, self.table, self.there, self.lapse = eta, table, there, lapse
        super().__init__(eta.shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> StageDistribution:
        """Return the same distribution for a larger batch."""
        return StageDistribution(self.eta.expand(batch_shape), self.table, self.there, self.lapse)

    def log_prob(self, value: Tensor) -> Tensor:
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
        instead = (value - 1.0) * self.eta
        if self.lapse is None:
            return torch.where(starts, stage[..., first], 0.0) + instead
        meant = stage + torch.where(self.there, instead[..., self.table], 0.0).sum(-1)
        even = 1.0 / (1.0 + self.there.to(self.eta).sum(-1))
        mixed = torch.log((1.0 - self.lapse) * meant.exp() + self.lapse * even)
        return torch.where(starts, mixed[..., first], 0.0)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw stages: 0 in the row of what is chosen instead, 1 elsewhere."""
        with torch.no_grad():
            eta = self.eta.expand(self._extended_shape(torch.Size(sample_shape)))
            rewards = eta[..., self.table]
            if self.lapse is not None:
                random = torch.rand(rewards.shape[:-1], dtype=eta.dtype) < self.lapse
                rewards = torch.where(random[..., None], 0.0, rewards)
            against = torch.where(self.there, -rewards, -torch.inf)
            scores = torch.cat([torch.zeros_like(against[..., :1]), against], dim=-1)
            chosen = torch.distributions.Categorical(logits=scores)
            instead = chosen.sample()[..., None] - 1  # type: ignore[no-untyped-call]
            lost = (instead == torch.arange(self.table.shape[1])) & self.there
            value = torch.ones_like(eta)
            value[..., self.table[self.there]] = 1.0 - lost[..., self.there].to(eta)
            return value


def _stage(outcome: Outcome) -> IntArray:
    if not isinstance(outcome, Ranking):
        raise ModelError(f"PlackettLuce is for rankings, and these are {outcome.name}")
    return outcome.stage


def _by_stage(stage: IntArray) -> tuple[IntArray, Mask]:
    """Rows (s, most) of each stage, padded by its first row, and where there is one."""
    first = stage_starts(stage)
    counts = np.diff(np.append(first, len(stage)))
    nth = np.arange(counts.max(initial=1))
    there = nth < counts[:, None]
    return np.where(there, first[:, None] + nth, first[:, None]), there
