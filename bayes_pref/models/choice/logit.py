"""Logistic choices between two, with ties.

    P(left) = 1 / (1 + exp(-eta))                                           without ties
    P(left) : P(tie) : P(right) = exp(eta / 2) : nu : exp(-eta / 2)         with ties

The first is the model of Bradley & Terry (1952, Biometrika 39) and Luce (1959). Ties are those of
Davidson (1970, J. Am. Stat. Assoc. 65): between equals P(tie) = nu / (nu + 2), and left's share of
what is decided is 1 / (1 + exp(-eta)). The prior is

    tie = log nu ~ Normal(-1, 1.5)

so that P(tie) between equals has the median 16 %, and is 1 to 79 % with probability 0.95. Position
bias and lapses are those of `effects`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pyro
import pyro.distributions as dist
import torch

from bayes_pref import settings
from bayes_pref.data import Outcome, PairedChoice
from bayes_pref.logistic_normal import expected_choice, expected_win
from bayes_pref.models.choice.choice_model import ChoiceModel
from bayes_pref.models.choice.effects import (
    LAPSE_SHAPE,
    POSITION_SD,
    double,
    lapsed,
    lapsed_mean,
    sample_lapse,
    sample_position,
    shifted,
)
from bayes_pref.models.choice.kernel_form import CELLS, TIES, KernelForm
from bayes_pref.models.choice.links import log_cdf
from bayes_pref.types import FloatArray

Tensor = torch.Tensor

TIE_MEAN, TIE_SD = -1.0, 1.5


@dataclass(frozen=True, kw_only=True)
class Logit(ChoiceModel):
    """Logistic choices: P(left) = 1 / (1 + exp(-eta)).

    Parameters
    ----------
    ties
        Whether there are ties, by Davidson's model. None: if the data have any.
    lapse
        Whether some answers have nothing to do with the rewards: with probability `lapse`, every
        outcome is equally likely.
    position
        Whether there is a position bias: `position` ~ Normal(0, 1) is added to eta.

    Raises
    ------
    ModelError
        If a setting is none of these.

    Examples
    --------
    >>> import numpy as np
    >>> Logit(ties=True).at(tie=np.zeros(1)).probabilities(np.zeros((1, 1))).round(3).ravel()
    array([0.333, 0.333, 0.333])
    """

    ties: bool | None = None
    lapse: bool = False
    position: bool = False

    log_odds: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Validate the settings."""
        super().__post_init__()
        settings.check(self, ties=settings.optional(settings.boolean))

    @property
    def beyond_logistic(self) -> str | None:
        """Ties, a lapse rate, both, or None."""
        found = ["ties"] * bool(self.ties) + ["a lapse rate"] * self.lapse
        return " and ".join(found) or None

    @property
    def position_sd(self) -> float | None:
        """Prior sd of the position bias, log-odds; None in a model without."""
        return POSITION_SD if self.position else None

    def resolve(self, outcome: Outcome) -> Logit:
        """Return the model with ties where the data can have any and nothing else was asked for."""
        if self.ties is not None or not isinstance(outcome, PairedChoice):
            return self
        return replace(self, ties=outcome.ties)

    def unsupported(self, outcome: Outcome) -> str | None:
        """Say why the model cannot describe an outcome; None if it can."""
        if not isinstance(outcome, PairedChoice):
            return f"Logit is for choices between two, and these are {outcome.name}"
        if outcome.ties and self.ties is False:
            return (
                "there are no ties in this model; leave ties out of its settings, or those rows "
                "out of the data, for example comparisons.take(comparisons.choice != 0.5)"
            )
        return None

    def variables(self, outcome: Outcome) -> dict[str, tuple[str, ...]]:
        """Return the parameters and the named dimensions of each."""
        model = self.resolve(outcome)
        has = {"position": model.position, "tie": bool(model.ties), "lapse": model.lapse}
        return {name: () for name, present in has.items() if present}

    def sample(self, outcome: Outcome) -> dict[str, Tensor]:
        """Sample the parameters as sites of a Pyro model."""
        names = self.variables(outcome)
        found = sample_position() if "position" in names else {}
        if "tie" in names:
            found["tie"] = pyro.sample("tie", dist.Normal(double(TIE_MEAN), TIE_SD))
        return found | sample_lapse() if "lapse" in names else found

    def log_outcomes(self, eta: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Log probability of right, of a tie where there are ties, and of left: (outcome, ...)."""
        eta = shifted(eta, parameters)
        if "tie" in parameters:
            scores = torch.stack([-eta / 2, parameters["tie"].expand_as(eta), eta / 2])
            # Not log_softmax: compiled together with what follows, it gave wrong gradients.
            found = scores - scores.logsumexp(0)
        else:
            found = torch.stack([log_cdf(-eta, "logit"), log_cdf(eta, "logit")])
        return lapsed(found, parameters)

    def mean_preferred(
        self, mean: FloatArray, variance: FloatArray, parameters: Mapping[str, FloatArray]
    ) -> FloatArray | None:
        """Return the mean of P(left) over Gaussian eta."""
        mean = mean + parameters.get("position", 0.0)
        if "tie" not in parameters:
            return lapsed_mean(expected_choice(mean, variance), parameters, 1 / 2)
        return lapsed_mean(expected_win(mean, variance, parameters["tie"]), parameters, 1 / 3)

    def kernel_form(self, outcome: Outcome) -> KernelForm | None:
        """Return the model as `Gibbs` reads it where it is not logistic."""
        tied = bool(self.resolve(outcome).ties)
        return KernelForm(
            family=TIES if tied else CELLS,
            n_outcomes=3 if tied else 2,
            tie=(TIE_MEAN, TIE_SD) if tied else None,
            lapse=LAPSE_SHAPE if self.lapse else None,
            position=self.position_sd,
        )

    def likelihood(self, outcome: Outcome) -> Callable[[Tensor], Any]:
        """Sample the parameters, and return the Pyro distribution of choices given eta."""
        parameters = self.sample(outcome)
        if parameters.keys() <= {"position"}:
            shift = parameters.get("position", 0.0)
            return lambda eta: dist.Bernoulli(logits=eta + shift)
        return self._given(parameters)
