"""Simulated answers: choices with ties and lapses.

Ties follow Davidson (1970, J. Am. Stat. Assoc. 65): at log-odds eta,
P(tie) = nu / (nu + 2 cosh(eta / 2)).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from bayes_pref.errors import DataError
from bayes_pref.types import FloatArray


class Answers(NamedTuple):
    """Simulated answers.

    Attributes
    ----------
    choice
        (n,) 1 left, 0 right, 0.5 a tie.
    kind
        (n,) how each came about: "choice", "tie" or "lapse".
    nu
        Davidson's tie parameter; 0 without ties.
    """

    choice: FloatArray
    kind: NDArray[Any]
    nu: float


def draw_answers(
    log_odds: FloatArray, ties: float, lapses: float, rng: np.random.Generator
) -> Answers:
    """Draw an answer to every comparison.

    Parameters
    ----------
    log_odds
        (n,) log-odds that left is chosen, where the answer is neither a tie nor a lapse.
    ties, lapses
        Expected shares, 0 to 1.
    rng
        Source of randomness.

    Returns
    -------
    answers: with the tie parameter that gives the expected share of ties

    Raises
    ------
    DataError
        If the shares leave no room for choices.

    Examples
    --------
    >>> draw_answers(np.zeros(4), 0.0, 0.0, np.random.default_rng(0)).choice
    array([0., 0., 1., 1.])
    """
    if ties and ties + lapses >= 1:
        raise DataError(f"ties + lapses must be below 1, got {ties} + {lapses}")
    lapse, tie, left = rng.random((3, len(log_odds)))
    # P(tie) as a sigmoid, which does not overflow.
    barrier, log_nu = np.logaddexp(log_odds / 2, -log_odds / 2), -np.inf
    if ties:
        share = ties / (1 - lapses)
        low, high = logit(share) + np.log(2) - 1e-6, logit(share) + barrier.max() + 1e-6
        log_nu = brentq(lambda value: float(expit(value - barrier).mean()) - share, low, high)
    lapsed, tied = lapse < lapses, tie < expit(log_nu - barrier)
    choice = np.where(tied, 0.5, left < expit(log_odds))
    choice = np.where(lapsed, left < 0.5, choice)
    kind = np.select([lapsed, tied], ["lapse", "tie"], "choice")
    return Answers(choice, kind, float(np.exp(log_nu)))
