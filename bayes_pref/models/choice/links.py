"""Links: the distribution functions F that turn log-odds, or their probit, into probabilities.

Logit is the model of Bradley & Terry (1952, Biometrika 39) and Luce (1959); probit is case V of
Thurstone (1927, Psychol. Rev. 34).
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np
import torch
from scipy.special import ndtr

from bayes_pref.logistic_normal import expected_choice
from bayes_pref.types import FloatArray

Tensor = torch.Tensor
Link: TypeAlias = Literal["logit", "probit"]
LINKS = ("logit", "probit")
# Log-odds that a unit of eta is worth between equals, where a small difference changes the
# probability as much as so many log-odds do: 4 phi(0) = 1.596 for the probit.
LOG_ODDS_PER_UNIT = {"logit": 1.0, "probit": 4.0 / math.sqrt(2.0 * math.pi)}


def log_cdf(x: Tensor, link: Link) -> Tensor:
    """Log F(x), exact in both tails.

    Examples
    --------
    >>> log_cdf(torch.zeros(1), "probit").exp()
    tensor([0.5000])
    """
    if link == "probit":
        # As torch.special.log_ndtr, which torch.vmap runs one by one, with a warning.
        y = x / -math.sqrt(2.0)
        tail = torch.log(torch.special.erfcx(y.clamp(min=0.5)) / 2) - y**2
        return torch.where(y > 0.5, tail, torch.log1p(-torch.erfc(-y.clamp(max=0.5)) / 2))
    return torch.nn.functional.logsigmoid(x)


def log_cells(x: Tensor, link: Link) -> Tensor:
    """Log of F(x_1), F(x_2) - F(x_1), ..., 1 - F(x_(K - 1)), for x (K - 1, ...), increasing."""
    low, high = x[:-1], x[1:]
    if link == "probit":
        # Both in the lower tail, where differences of small numbers are exact.
        upper = low > 0
        low, high = torch.where(upper, -high, low), torch.where(upper, -low, high)
        top = log_cdf(high, link)
        between = top + torch.log(-torch.expm1(log_cdf(low, link) - top))
    else:
        # F(b) - F(a) = F(b) F(-a) (1 - exp(a - b))
        between = log_cdf(high, link) + log_cdf(-low, link) + torch.log(-torch.expm1(low - high))
    return torch.cat([log_cdf(x[:1], link), between, log_cdf(-x[-1:], link)])


def cutpoints(shares: Tensor, link: Link) -> Tensor:
    """F^-1 of the cumulative shares (..., K): (..., K - 1)."""
    below = shares.cumsum(-1)[..., :-1]
    above = shares.flip(-1).cumsum(-1).flip(-1)[..., 1:]
    if link == "logit":
        return below.log() - above.log()
    # The smaller tail is the exact one.
    low = torch.special.ndtri(torch.minimum(below, above))
    return torch.where(below < above, low, -low)


def mean_cdf(mean: FloatArray, variance: FloatArray, link: Link) -> FloatArray:
    """E F(x) over x ~ Normal(mean, variance): of the probit, Phi(mean / sqrt(1 + variance)).

    Examples
    --------
    >>> mean_cdf(np.array([1.0]), np.array([3.0]), "probit").round(3)
    array([0.691])
    """
    if link == "probit":
        return np.asarray(ndtr(mean / np.sqrt(1.0 + variance)))
    return expected_choice(mean, variance)
