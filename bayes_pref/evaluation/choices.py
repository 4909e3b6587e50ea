"""What evaluations require of posteriors and data."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_pref.data import Comparisons
from bayes_pref.errors import ModelError
from bayes_pref.models.base import RewardModel
from bayes_pref.models.population import Population
from bayes_pref.posterior import Posterior


def expect_posterior(value: object, argument: str = "posterior") -> Posterior:
    """Refuse what is not a posterior."""
    if not isinstance(value, Posterior):
        raise ModelError(
            f"{argument}: got {type(value).__name__} but expected a Posterior, as bp.fit returns it"
        )
    return value


def expect_population(
    model: RewardModel, draws: xr.Dataset, comparisons: Comparisons, instead: str
) -> Population:
    """Distribution of each user's weights at the draws; refuses a model that has none.

    Parameters
    ----------
    instead
        What to do where the model has none, for the message.
    """
    population = model.population(draws, comparisons)
    if population is None:
        raise ModelError(
            f"{type(model).__name__} does not say how users' weights are distributed in the "
            f"population; {instead}"
        )
    return population


def same_choices(one: Comparisons, other: Comparisons) -> bool:
    """Whether two sets of comparisons are the same choices of the same users, in the same order."""
    return (
        len(one) == len(other)
        and one.users.equals(other.users)
        and one.rows.equals(other.rows)
        and np.array_equal(one.user, other.user)
        and np.array_equal(one.choice, other.choice)
    )
