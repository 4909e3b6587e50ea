"""What a posterior says of choices: their probabilities, their log likelihood, and new ones.

The only place in this package that knows the law from log-odds to choices.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayes_pref.data import Comparisons
from bayes_pref.errors import DataError, ModelError
from bayes_pref.models.choice.likelihood import Law, log_likelihood
from bayes_pref.models.choice.plackett_luce import log_stages
from bayes_pref.posterior import Posterior

Array = NDArray[np.float64]


def of_user(law: Law, eta: Array, comparisons: Comparisons, rows: slice, part: slice) -> Array:
    """Log probability of all of a user's choices, (sample, point).

    Parameters
    ----------
    law
        At all samples.
    eta
        (sample, point, row): log-odds of the user's rows at some of the samples.
    comparisons, rows
        The data, and which of its rows are the user's.
    part
        Which samples they are.
    """
    choice = comparisons.choice[rows]
    if comparisons.stage is not None:
        stage = comparisons.stage[rows]
        return np.asarray(log_stages(eta, stage - stage[0]).sum(axis=-1))
    if law.plain:
        return np.asarray(log_likelihood(eta, choice).sum(axis=-1))
    names = ("position", "tie", "cutpoints", "lapse")
    given = {name: getattr(law, name) for name in names}
    some_law = replace(law, **{k: v[..., part] for k, v in given.items() if v is not None})
    # Laws have the row first and the sample last.
    return np.asarray(some_law.log_likelihood(eta.transpose(2, 1, 0), choice).sum(axis=0).T)


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
