"""Effects that several choice models share: position bias and lapses.

    position ~ Normal(0, 1)     log-odds in favour of what is shown on the left
    lapse ~ Beta(1, 19)         5 % of answers on average, less than 15 % with probability 0.95

Position bias adds to eta (Davidson & Beaver 1977, Biometrics 33). With a lapse rate, some answers
have nothing to do with the rewards, and every outcome is then equally likely:

    P = (1 - lapse) P + lapse / (number of outcomes).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyro
import pyro.distributions as dist
import torch

from bayes_pref.types import FloatArray

Tensor = torch.Tensor

POSITION_SD = 1.0
LAPSE_SHAPE = (1.0, 19.0)
CARELESS_SHAPE = (1.0, 9.0)  # of the share of users who answer everything at random


def double(value: float) -> Tensor:
    """Return a scalar tensor of double precision."""
    return torch.tensor(value, dtype=torch.float64)


def sample_position() -> dict[str, Tensor]:
    """Sample the site `position`."""
    return {"position": pyro.sample("position", dist.Normal(double(0.0), POSITION_SD))}


def sample_lapse() -> dict[str, Tensor]:
    """Sample the site `lapse`."""
    return {"lapse": pyro.sample("lapse", dist.Beta(*map(double, LAPSE_SHAPE)))}


def shifted(eta: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """Add the position bias, where there is one, to eta."""
    return eta + parameters["position"] if "position" in parameters else eta


def lapsed(log_probabilities: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """Mix log probabilities (outcome, ...) with lapses, where there are any."""
    if "lapse" not in parameters:
        return log_probabilities
    lapse = parameters["lapse"]
    return torch.log((1.0 - lapse) * log_probabilities.exp() + lapse / len(log_probabilities))


def lapsed_mean(
    chance: FloatArray, parameters: Mapping[str, FloatArray], share: float
) -> FloatArray:
    """Mix the probability (..., sample) of some outcomes, this share of all, with lapses."""
    if "lapse" not in parameters:
        return chance
    return np.asarray((1.0 - parameters["lapse"]) * chance + parameters["lapse"] * share)
