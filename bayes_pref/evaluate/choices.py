"""What a posterior says of choices: their probabilities, their log likelihood, and new ones.

The only place in this package that knows the law from log-odds to choices.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayes_pref.data import Comparisons
from bayes_pref.errors import DataError, ModelError
from bayes_pref.models.likelihood import log_likelihood, probability
from bayes_pref.models.plackett_luce import log_stages
from bayes_pref.posterior import Posterior

Array = NDArray[np.float64]


class Choices:
    """The law of choices of a posterior at its draws.

    Parameters
    ----------
    posterior
        Whose law.
    draws
        Its draws, or some of them; log-odds have these draws, chains one after the other.
    """

    def __init__(self, posterior: Posterior, draws: xr.Dataset | None = None) -> None:
        self.draws = posterior.draws if draws is None else draws

    def left(self, eta: Array) -> Array:
        """Probability that left is preferred, at log-odds (row, sample)."""
        return probability(eta)

    def log_likelihood(self, eta: Array, choice: Array) -> Array:
        """Log probability of choices (row,), at log-odds (row, sample): (row, sample)."""
        return log_likelihood(eta, choice[:, None])

    def of_user(self, eta: Array, comparisons: Comparisons, rows: slice, part: slice) -> Array:
        """Log probability of a user's choices, at log-odds (sample, point, row) of some samples."""
        choice = comparisons.choice[rows]
        if comparisons.stage is not None:
            return np.asarray(log_stages(eta, comparisons.stage[rows]).sum(axis=-1))
        return np.asarray(log_likelihood(eta, choice).sum(axis=-1))

    def replicate(self, eta: Array, rng: np.random.Generator) -> Array:
        """Choices drawn at log-odds (row, sample)."""
        return (rng.random(eta.shape) < probability(eta)).astype(np.float64)


def expect_posterior(value: object, argument: str = "posterior") -> Posterior:
    """Refuse what is not a posterior."""
    if not isinstance(value, Posterior):
        raise ModelError(
            f"{argument}: got {type(value).__name__} but expected a Posterior, as bp.fit returns it"
        )
    return value


def refuse_rankings(comparisons: Comparisons, what: str, instead: str) -> None:
    """Refuse what has a meaning for choices between two only."""
    if comparisons.stage is not None:
        raise DataError(f"{what} is for choices between two, and these are rankings; {instead}")


def some(draws: xr.Dataset, most: int) -> xr.Dataset:
    """At most so many draws (more where chains do not divide), evenly spaced in each chain."""
    each = -(-most // draws.sizes["chain"])
    size = draws.sizes["draw"]
    count = min(size, each)
    return draws.isel(draw=np.arange(count) * size // count)


def same_choices(one: Comparisons, other: Comparisons) -> bool:
    """Whether two sets of comparisons are the same choices of the same users, in the same order."""
    return (
        len(one) == len(other)
        and one.users.equals(other.users)
        and one.rows.equals(other.rows)
        and np.array_equal(one.user, other.user)
        and np.array_equal(one.choice, other.choice)
    )
