"""From a reward difference to a choice: the laws of choices, and the probabilities they give.

With eta the reward of left minus the reward of right, `position` added to it where there is one,
and F the logistic function (Bradley & Terry 1952; Luce 1959) or, with the probit link, the normal
distribution function (Thurstone 1927; Mosteller 1951):

    two outcomes    P(left) = F(eta)
    ties            P(left) : P(tie) : P(right) = exp(eta / 2) : nu : exp(-eta / 2)
    K levels        P(level <= k) = F(c_k - eta),  c_1 < ... < c_(K - 1)

Ties are Davidson's (1970, J. Am. Stat. Assoc. 65), logit only: nu, whose logarithm is the site
`tie`, gives P(tie) = nu / (nu + 2) between equals, and F(eta) is left's share of what is decided.
Levels are the cumulative model of McCullagh (1980, J. R. Stat. Soc. B 42), whose cutpoints need not
be symmetric. The left-hand effect is that of Davidson & Beaver (1977, Biometrics 33). With a lapse
rate, somebody who does not look answers at random, every outcome being as likely:

    P = (1 - lapse) P + lapse / (number of outcomes).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float64]
Tensor = torch.Tensor
Link: TypeAlias = Literal["logit", "probit"]


def log_outcomes(
    eta: Tensor,
    link: Link,
    *,
    position: Tensor | None = None,
    tie: Tensor | None = None,
    cutpoints: Tensor | None = None,
    lapse: Tensor | None = None,
) -> Tensor:
    """Log probability of every outcome, from right to left: (outcome, ...).

    Parameters
    ----------
    eta
        (...): reward of left minus reward of right.
    link
        The law F.
    position, tie, lapse
        Of a shape that broadcasts against `eta`; None where there is no such effect.
    cutpoints
        (K - 1, ...), rising.

    Examples
    --------
    >>> zero, nu = torch.zeros(1), torch.tensor(1.0)
    >>> log_outcomes(zero, "logit", tie=nu.log()).exp().ravel()
    tensor([0.3333, 0.3333, 0.3333])
    """
    if position is not None:
        eta = eta + position
    if cutpoints is not None:
        gaps = (None,) * (eta.ndim + 1 - cutpoints.ndim)
        found = _log_levels(cutpoints[(..., *gaps)] - eta, link)
    elif tie is not None:
        scores = torch.stack([-eta / 2, tie.expand_as(eta), eta / 2])
        # Not log_softmax: compiled together with what follows, it gave wrong gradients.
        found = scores - scores.logsumexp(0)
    else:
        found = torch.stack([_log_f(-eta, link), _log_f(eta, link)])
    if lapse is not None:
        return torch.log((1.0 - lapse) * found.exp() + lapse / len(found))
    return found


def _log_f(x: Tensor, link: Link) -> Tensor:
    if link == "probit":
        # As torch.special.log_ndtr, which torch.vmap runs one by one, with a warning.
        y = x / -math.sqrt(2.0)
        tail = torch.log(torch.special.erfcx(y.clamp(min=0.5)) / 2) - y**2
        return torch.where(y > 0.5, tail, torch.log1p(-torch.erfc(-y.clamp(max=0.5)) / 2))
    return torch.nn.functional.logsigmoid(x)


def _log_levels(x: Tensor, link: Link) -> Tensor:
    """Log of F(x_1), F(x_2) - F(x_1), ..., 1 - F(x_(K - 1)), for x (K - 1, ...), rising."""
    low, high = x[:-1], x[1:]
    if link == "probit":
        # Both in the lower tail, where differences of small numbers are exact.
        upper = low > 0
        low, high = torch.where(upper, -high, low), torch.where(upper, -low, high)
        top = _log_f(high, link)
        between = top + torch.log(-torch.expm1(_log_f(low, link) - top))
    else:
        # F(b) - F(a) = F(b) F(-a) (1 - exp(a - b))
        between = _log_f(high, link) + _log_f(-low, link) + torch.log(-torch.expm1(low - high))
    return torch.cat([_log_f(x[:1], link), between, _log_f(-x[-1:], link)])


@dataclass(frozen=True, eq=False)
class Law:
    """The law of choices at draws of its parameters; the sample is the last axis throughout.

    Attributes
    ----------
    link
        "logit" or "probit".
    position, tie, lapse
        (sample,) or None; `tie` is the logarithm of Davidson's nu.
    cutpoints
        (K - 1, sample) or None.

    Examples
    --------
    >>> eta = np.array([[0.0], [2.0]])  # two pairs, one sample
    >>> Law().preferred(eta).round(3).ravel()
    array([0.5  , 0.881])
    >>> Law(tie=np.zeros(1)).tied(eta).round(3).ravel()
    array([0.333, 0.245])
    """

    link: Link = "logit"
    position: Array | None = None
    tie: Array | None = None
    cutpoints: Array | None = None
    lapse: Array | None = None

    @property
    def outcomes(self) -> int:
        """How many answers there are: 2, 3 with ties, or the number of levels."""
        if self.cutpoints is not None:
            return len(self.cutpoints) + 1
        return 2 if self.tie is None else 3

    @property
    def plain(self) -> bool:
        """Whether it is P(left) = sigmoid(eta) and no more."""
        extras = (self.position, self.tie, self.cutpoints, self.lapse)
        return self.link == "logit" and all(extra is None for extra in extras)

    def probabilities(self, eta: Array) -> Array:
        """Probability of every outcome, from right to left: (outcome, ..., sample)."""
        if self.plain:
            left = probability(eta)
            return np.stack([1.0 - left, left])
        return np.exp(self._log(eta))

    def preferred(self, eta: Array) -> Array:
        """Probability that left is chosen, or with levels that it is found better: like `eta`."""
        if self.plain:
            return probability(eta)
        return np.asarray(self.probabilities(eta)[(self.outcomes + 1) // 2 :].sum(axis=0))

    def tied(self, eta: Array) -> Array | None:
        """Probability of a tie, or of the middle one of an odd number of levels; else None."""
        if self.outcomes % 2 == 0:
            return None
        return np.asarray(self.probabilities(eta)[self.outcomes // 2])

    def advantage(self, eta: Array) -> Array:
        """P(preferred) - P(the other preferred), over both ways to place the two: like `eta`."""
        if self.plain:
            return 2.0 * probability(eta) - 1.0
        half = self.outcomes // 2
        there, back = self.probabilities(eta), self.probabilities(-eta)
        difference = there[-half:].sum(axis=0) - there[:half].sum(axis=0)
        difference -= back[-half:].sum(axis=0) - back[:half].sum(axis=0)
        return np.asarray(difference / 2)

    def log_likelihood(self, eta: Array, choice: Array) -> Array:
        """Log probability of the choices made.

        Parameters
        ----------
        eta
            (row, sample)
        choice
            (row,): 1 left, 0 right, 0.5 a tie; k / (K - 1) for level k.
        """
        if self.plain:
            return log_likelihood(eta, choice[:, None])
        made = np.rint(choice * (self.outcomes - 1)).astype(np.intp)
        return np.asarray(self._log(eta)[made, np.arange(len(made))])

    def draw(self, eta: Array, rng: np.random.Generator) -> Array:
        """Draw choices: like `eta`, in the values of `Comparisons.choice`."""
        below = rng.random(eta.shape)
        if self.plain:
            return (below < probability(eta)).astype(np.float64)
        # From the left, so that the same random numbers give the same answers as above.
        reached = np.cumsum(self.probabilities(eta)[:0:-1], axis=0)
        steps = self.outcomes - 1
        return np.asarray((steps - (below >= reached).sum(axis=0)) / steps)

    def _log(self, eta: Array) -> Array:
        names = ("position", "tie", "cutpoints", "lapse")
        given = {name: getattr(self, name) for name in names}
        made = {k: torch.tensor(value) for k, value in given.items() if value is not None}
        if "cutpoints" in made:  # (K - 1, ..., sample)
            gaps = (1,) * (eta.ndim - 1)
            made["cutpoints"] = made["cutpoints"].reshape(self.outcomes - 1, *gaps, -1)
        with torch.no_grad():
            found = log_outcomes(torch.tensor(eta), self.link, **made)
        return np.asarray(found.numpy())


def probability(eta: Array) -> Array:
    """Probability that left is preferred at log-odds `eta`, any shape, where no law says more.

    Examples
    --------
    >>> from bayes_pref.models.choice.likelihood import probability
    >>> import numpy as np
    >>> probability(np.array([0.0, 2.0])).round(3)
    array([0.5  , 0.881])
    """
    return np.asarray(expit(eta))


def log_likelihood(eta: Array, choice: Array) -> Array:
    """Log probability of `choice` (1 = left, 0 = right) at log-odds `eta`; shapes broadcast.

    Examples
    --------
    >>> from bayes_pref.models.choice.likelihood import log_likelihood
    >>> import numpy as np
    >>> log_likelihood(np.array([0.0, 2.0]), np.array([1.0, 0.0])).round(3)
    array([-0.693, -2.127])
    """
    return np.asarray(-np.logaddexp(0.0, (1.0 - 2.0 * choice) * eta))
