"""Choices between two with normal noise: P(left) = Phi(eta).

Thurstone (1927, Psychol. Rev. 34), case V; Mosteller (1951, Psychometrika 16). Rewards are in units
of the sd of the noise of a difference. Position bias and lapses are those of `effects`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from bayes_pref.data import Outcome, PairedChoice
from bayes_pref.models.choice.choice_model import ChoiceModel
from bayes_pref.models.choice.effects import (
    LAPSE_SHAPE,
    POSITION_SD,
    lapsed,
    lapsed_mean,
    sample_lapse,
    sample_position,
    shifted,
)
from bayes_pref.models.choice.kernel_form import CELLS, KernelForm
from bayes_pref.models.choice.links import LOG_ODDS_PER_UNIT, log_cdf, mean_cdf
from bayes_pref.types import FloatArray

Tensor = torch.Tensor


@dataclass(frozen=True, kw_only=True)
class Probit(ChoiceModel):
    """Choices with normal noise: P(left) = Phi(eta), with no ties.

    Parameters
    ----------
    lapse
        Whether some answers have nothing to do with the rewards: with probability `lapse`, left
        and right are equally likely.
    position
        Whether there is a position bias: `position` ~ Normal(0, 1) is added to eta.

    Raises
    ------
    ModelError
        If a setting is neither True nor False.

    Examples
    --------
    >>> import numpy as np
    >>> Probit().at().preferred(np.array([[1.0]])).round(3)
    array([[0.841]])
    """

    lapse: bool = False
    position: bool = False

    @property
    def beyond_logistic(self) -> str | None:
        """The probit link, and a lapse rate where there is one."""
        return "the probit link" + " and a lapse rate" * self.lapse

    @property
    def log_odds_per_unit(self) -> float:
        """Log-odds that a unit of eta is worth between equals: 4 phi(0) = 1.596."""
        return LOG_ODDS_PER_UNIT["probit"]

    @property
    def position_sd(self) -> float | None:
        """Prior sd of the position bias, in units of eta; None in a model without."""
        return POSITION_SD if self.position else None

    def unsupported(self, outcome: Outcome) -> str | None:
        """Say why the model cannot describe an outcome; None if it can."""
        if not isinstance(outcome, PairedChoice):
            return f"Probit is for choices between two, and these are {outcome.name}"
        if outcome.ties:
            return (
                "the probit link has no ties; read them as graded answers of three levels, "
                "levels=[0, 0.5, 1]"
            )
        return None

    def variables(self, outcome: Outcome) -> dict[str, tuple[str, ...]]:
        """Return the parameters and the named dimensions of each."""
        has = {"position": self.position, "lapse": self.lapse}
        return {name: () for name, present in has.items() if present}

    def sample(self, outcome: Outcome) -> dict[str, Tensor]:
        """Sample the parameters as sites of a Pyro model."""
        found = sample_position() if self.position else {}
        return found | sample_lapse() if self.lapse else found

    def mean_preferred(
        self, mean: FloatArray, variance: FloatArray, parameters: Mapping[str, FloatArray]
    ) -> FloatArray | None:
        """Return the mean of P(left) over Gaussian eta."""
        mean = mean + parameters.get("position", 0.0)
        return lapsed_mean(mean_cdf(mean, variance, "probit"), parameters, 1 / 2)

    def kernel_form(self, outcome: Outcome) -> KernelForm | None:
        """Return the model as `Gibbs` reads it."""
        return KernelForm(
            family=CELLS,
            n_outcomes=2,
            probit=True,
            lapse=LAPSE_SHAPE if self.lapse else None,
            position=self.position_sd,
        )

    def log_outcomes(self, eta: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Log probability of right and of left: (2, ...)."""
        eta = shifted(eta, parameters)
        found = torch.stack([log_cdf(-eta, "probit"), log_cdf(eta, "probit")])
        return lapsed(found, parameters)
