"""Graded answers: the cumulative model of McCullagh (1980, J. R. Stat. Soc. B 42).

    P(level <= k) = F(c_k - eta),  c_1 < ... < c_(K - 1)
    P(level | equals) ~ Dirichlet(1, ..., 1),   c_k = F^-1(P(level <= k | equals))

F is the logistic or the normal distribution function. Cutpoints have no default: before the data,
every way to divide the answers between equals among the levels is equally likely. They need not be
symmetric, so that they hold a position bias already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyro
import pyro.distributions as dist
import torch

from bayes_pref import settings
from bayes_pref.data import GradedChoice, Outcome
from bayes_pref.models.choice.choice_model import ChoiceModel
from bayes_pref.models.choice.effects import LAPSE_SHAPE, lapsed, lapsed_mean, sample_lapse
from bayes_pref.models.choice.kernel_form import CELLS, KernelForm
from bayes_pref.models.choice.links import (
    LINKS,
    LOG_ODDS_PER_UNIT,
    Link,
    cutpoints,
    log_cells,
    mean_cdf,
)
from bayes_pref.types import FloatArray

Tensor = torch.Tensor


@dataclass(frozen=True, kw_only=True)
class Ordinal(ChoiceModel):
    """Graded answers on ordered levels: P(level <= k) = F(c_k - eta).

    Parameters
    ----------
    link
        "logit": F is the logistic distribution function; "probit": the normal one.
    lapse
        Whether some answers have nothing to do with the rewards: with probability `lapse`, every
        level is equally likely.

    Raises
    ------
    ModelError
        If a setting is none of these.

    Examples
    --------
    >>> import numpy as np
    >>> levels = Ordinal().at(cutpoints=np.array([[-1.0], [1.0]]))
    >>> levels.probabilities(np.zeros((1, 1))).round(3).ravel()
    array([0.269, 0.462, 0.269])
    """

    link: Link = "logit"
    lapse: bool = False

    def __post_init__(self) -> None:
        """Validate the settings."""
        super().__post_init__()
        settings.check(self, link=settings.one_of(*LINKS))

    @property
    def beyond_logistic(self) -> str | None:
        """Graded answers, the probit link and a lapse rate, where there are any."""
        probit = " and the probit link" * (self.link == "probit")
        return "graded answers" + probit + " and a lapse rate" * self.lapse

    @property
    def log_odds_per_unit(self) -> float:
        """Log-odds that a unit of eta is worth between equals: 1, or 1.596 with the probit."""
        return LOG_ODDS_PER_UNIT[self.link]

    @property
    def reads_sides(self) -> str:
        """The cutpoints, which need not be symmetric."""
        return "the cutpoints of graded answers"

    def unsupported(self, outcome: Outcome) -> str | None:
        """Say why the model cannot describe an outcome; None if it can."""
        if isinstance(outcome, GradedChoice):
            return None
        return (
            f"Ordinal is for graded answers, and these are {outcome.name}; read the data with "
            "levels="
        )

    def variables(self, outcome: Outcome) -> dict[str, tuple[str, ...]]:
        """Return the parameters and the named dimensions of each."""
        return {"cutpoints": ("cutpoint",)} | ({"lapse": ()} if self.lapse else {})

    def sample(self, outcome: Outcome) -> dict[str, Tensor]:
        """Sample the parameters as sites of a Pyro model."""
        even = torch.ones(len(outcome.boundaries) + 1, dtype=torch.float64)
        between_equals = pyro.sample("level_shares", dist.Dirichlet(even))
        made = cutpoints(between_equals, self.link)
        found = {"cutpoints": pyro.deterministic("cutpoints", made, event_dim=1)}
        return found | sample_lapse() if self.lapse else found

    def kernel_form(self, outcome: Outcome) -> KernelForm | None:
        """Return the model as `Gibbs` reads it."""
        return KernelForm(
            family=CELLS,
            n_outcomes=len(outcome.boundaries) + 1,
            probit=self.link == "probit",
            lapse=LAPSE_SHAPE if self.lapse else None,
            cutpoints=True,
        )

    def log_outcomes(self, eta: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Log probability of every level, "right is much better" first: (level, ...)."""
        cuts = parameters["cutpoints"]
        gaps = (None,) * (eta.ndim + 1 - cuts.ndim)
        return lapsed(log_cells(cuts[(..., *gaps)] - eta, self.link), parameters)

    def mean_preferred(
        self, mean: FloatArray, variance: FloatArray, parameters: Mapping[str, FloatArray]
    ) -> FloatArray | None:
        """Return the mean of P(left is found better) over Gaussian eta: one cutpoint says it."""
        cuts = parameters["cutpoints"]
        levels = len(cuts) + 1
        mean = mean - cuts[(levels + 1) // 2 - 1]
        return lapsed_mean(mean_cdf(mean, variance, self.link), parameters, levels // 2 / levels)
