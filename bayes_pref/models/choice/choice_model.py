"""The choice model: how reward differences become choices.

With eta the reward of left minus the reward of right, a choice model gives the probability of every
outcome of a row. It is part of a `RewardModel`, which gives eta.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import torch
import xarray as xr

from bayes_pref import settings
from bayes_pref.data import Outcome
from bayes_pref.errors import DataError
from bayes_pref.models.choice.choice_distribution import ChoiceDistribution
from bayes_pref.models.choice.kernel_form import KernelForm
from bayes_pref.models.choice.outcome_distribution import OutcomeDistribution
from bayes_pref.types import FloatArray

Tensor = torch.Tensor


@dataclass(frozen=True, kw_only=True)
class ChoiceModel(settings.CheckedKeywords, ABC):
    """Base of the choice models: frozen settings, with parameters to learn or none.

    A new one defines `unsupported` and `log_outcomes`, and `variables` and `sample` where it has
    parameters. Models that hold it can then be fitted by `NUTS` and `SVI`.

    Attributes
    ----------
    log_odds
        Whether eta is the log-odds of left against right. Without parameters, the probability of
        left is then exactly 1 / (1 + exp(-eta)).

    Examples
    --------
    >>> import bayes_pref as bp
    >>> bp.HierarchicalReward(choice=bp.Logit(lapse=True)).choice
    Logit(ties=None, lapse=True, position=False)
    """

    log_odds: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Validate the settings: what is True or False by default must be one of these."""
        switches = [each.name for each in fields(self) if isinstance(each.default, bool)]
        settings.check(self, **dict.fromkeys(switches, settings.boolean))

    @property
    def beyond_logistic(self) -> str | None:
        """What makes the choices other than logistic in the rewards and the position bias.

        None where P(left) = 1 / (1 + exp(-(eta + position))), which is what `Gibbs` needs.
        """
        return f"the choice model {type(self).__name__}"

    @property
    def is_logistic(self) -> bool:
        """Whether P(left) = 1 / (1 + exp(-(eta + position)))."""
        return self.beyond_logistic is None

    @property
    def log_odds_per_unit(self) -> float:
        """Log-odds that a unit of eta is worth between equals, as diagnoses state rewards.

        1 where eta is log-odds. Elsewhere a small difference has to change the probability of left
        as much: 4 times the slope of P(left) at eta = 0.
        """
        return 1.0

    @property
    def position_sd(self) -> float | None:
        """Prior sd of the position bias, log-odds; None in a model without."""
        return None

    @property
    def reads_sides(self) -> str | None:
        """What depends on which side is left, beside the sign of eta; None: nothing does."""
        return None if self.position_sd is None else "a position bias"

    def resolve(self, outcome: Outcome) -> ChoiceModel:
        """Return the choice model with what its settings leave to the data decided."""
        return self

    @abstractmethod
    def unsupported(self, outcome: Outcome) -> str | None:
        """Say why the model cannot describe an outcome; None if it can."""

    def variables(self, outcome: Outcome) -> dict[str, tuple[str, ...]]:
        """Return the parameters and the named dimensions of each."""
        return {}

    def sample(self, outcome: Outcome) -> dict[str, Tensor]:
        """Sample the parameters as sites of a Pyro model."""
        return {}

    @abstractmethod
    def log_outcomes(self, eta: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Log probability of every outcome, from right to left: (outcome, ...).

        Parameters
        ----------
        eta
            (...): reward of left minus reward of right.
        parameters
            By name. A scalar broadcasts against eta; of a vector, its own dimension comes first.
        """

    def likelihood(self, outcome: Outcome) -> Callable[[Tensor], Any]:
        """Sample the parameters, and return the Pyro distribution of choices as a function of eta.

        Called within a Pyro model, once and outside of plates.
        """
        return self._given(self.sample(outcome))

    def _given(self, parameters: Mapping[str, Tensor]) -> Callable[[Tensor], Any]:
        return lambda eta: OutcomeDistribution(self.log_outcomes(eta, parameters))

    def mean_preferred(
        self, mean: FloatArray, variance: FloatArray, parameters: Mapping[str, FloatArray]
    ) -> FloatArray | None:
        """Return the mean of P(left preferred) over Gaussian eta, where there is a fast formula.

        None: it is integrated numerically from `log_outcomes`.

        Parameters
        ----------
        mean, variance
            (..., sample) of eta.
        parameters
            (..., sample) by name.
        """
        return None

    def at(self, **parameters: FloatArray) -> ChoiceDistribution:
        """Return the distribution of choices at draws (..., sample) of the parameters."""
        logistic = self.log_odds and not parameters
        return ChoiceDistribution(
            self.log_outcomes, parameters, logistic, mean_preferred=self.mean_preferred
        )

    def distribution(self, draws: xr.Dataset, outcome: Outcome) -> ChoiceDistribution:
        """Return the distribution of choices at posterior draws, chains one after the other."""

        def stacked(name: str) -> FloatArray:
            values = draws[name].transpose(..., "chain", "draw").to_numpy()
            return np.asarray(values.reshape(*values.shape[:-2], -1))

        return self.at(**{name: stacked(name) for name in self.variables(outcome)})

    def kernel_form(self, outcome: Outcome) -> KernelForm | None:
        """Return the model as `Gibbs` reads it where it is not logistic; None: it cannot."""
        return None

    def joint_log_likelihood(
        self,
        distribution: ChoiceDistribution,
        eta: FloatArray,
        choice: FloatArray,
        outcome: Outcome,
    ) -> FloatArray:
        """Log probability of all of these choices together, (sample, point).

        Parameters
        ----------
        distribution
            Of this model, at the samples.
        eta
            (sample, point, row)
        choice, outcome
            (row,) choices, and the outcome of these rows.
        """
        # The distribution has the row first and the sample last.
        rows = distribution.log_likelihood(eta.transpose(2, 1, 0), choice)
        return np.asarray(rows.sum(axis=0).T)

    def settings(self) -> dict[str, Any]:
        """Return the name and the settings that are not the default, ready for JSON.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> bp.Logit(lapse=True).settings()
        {'choice_model': 'Logit', 'lapse': True}
        """
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        changed = {each.name for each in fields(self) if values[each.name] != each.default}
        own = {name: value for name, value in values.items() if name in changed}
        return {"choice_model": type(self).__name__, **own}

    @staticmethod
    def from_settings(described: Mapping[str, Any]) -> ChoiceModel:
        """Build a choice model from what `settings` returned.

        Raises
        ------
        DataError
            If the name or a setting is unknown.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> bp.ChoiceModel.from_settings({"choice_model": "Probit", "position": True})
        Probit(lapse=False, position=True)
        """
        known = {final.__name__: final for final in _final(ChoiceModel)}
        name = described.get("choice_model")
        if name not in known:
            raise DataError(
                f"unknown choice model {name!r}; known are {', '.join(sorted(known))}: import the "
                "module that defines it first"
            )
        rest = {key: value for key, value in described.items() if key != "choice_model"}
        try:
            model: ChoiceModel = known[name](**rest)
        except TypeError as err:
            raise DataError(f"{name} has settings that are unknown: {err}") from err
        return model


def _final(base: type) -> list[type]:
    """Classes without subclasses that derive from a base."""
    children: list[type] = base.__subclasses__()
    return [final for child in children for final in (_final(child) or [child])]
