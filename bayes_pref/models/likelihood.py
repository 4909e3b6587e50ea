"""From a reward difference to a choice: the logistic law of Bradley & Terry (1952) and Luce (1959).

P(left preferred) = sigmoid(eta), eta the reward of left minus the reward of right in log-odds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyro.distributions as dist
import torch
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float64]


def choice_distribution(eta: torch.Tensor) -> Any:
    """Distribution of the choice (1 = left preferred) at log-odds `eta` (..., n)."""
    return dist.Bernoulli(logits=eta)


def probability(eta: Array) -> Array:
    """Probability that left is preferred at log-odds `eta`, any shape.

    Examples
    --------
    >>> from bayes_pref.models.likelihood import probability
    >>> import numpy as np
    >>> probability(np.array([0.0, 2.0])).round(3)
    array([0.5  , 0.881])
    """
    return np.asarray(expit(eta))


def log_likelihood(eta: Array, choice: Array) -> Array:
    """Log probability of `choice` (1 = left, 0 = right) at log-odds `eta`; shapes broadcast.

    Examples
    --------
    >>> from bayes_pref.models.likelihood import log_likelihood
    >>> import numpy as np
    >>> log_likelihood(np.array([0.0, 2.0]), np.array([1.0, 0.0])).round(3)
    array([-0.693, -2.127])
    """
    return np.asarray(-np.logaddexp(0.0, (1.0 - 2.0 * choice) * eta))
