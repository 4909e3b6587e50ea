"""Names of simulated features, contexts and covariates, and labels of users."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from bayes_pref import settings
from bayes_pref.data.features import Features
from bayes_pref.errors import DataError
from bayes_pref.messages import shown
from bayes_pref.simulation.choice_tasks import COLUMNS, TaskDesign

RANDOMISED = "randomised"  # column that marks what is assigned at random


def named_columns(
    features: int | Sequence[str],
    contexts: int | Sequence[str],
    covariates: int | Sequence[str],
    interactions: object,
    design: TaskDesign | None = None,
) -> tuple[Features, tuple[str, ...], tuple[str, ...]]:
    """Name the columns of a simulated table.

    Parameters
    ----------
    features, contexts, covariates
        How many, or their names.
    interactions
        Whether all feature-by-context products are features, too.
    design
        What a task shows; None: two alternatives.

    Returns
    -------
    features, numbers, covariates: the features, and names of the attributes that are numbers and
        of the covariates

    Raises
    ------
    DataError
        If an argument is neither a number nor a list of names, or a name is taken.

    Examples
    --------
    >>> named_columns(1, ["hard"], 0, True)[0].names
    ('feature_1', 'feature_1:hard')
    """
    products = settings.argument("interactions", interactions, settings.boolean)
    design = design or TaskDesign()
    numbers = _names("feature", features, least=0 if design.categories else 1)
    of_contexts = _names("context", contexts)
    of_covariates = _names("covariate", covariates)
    taken = [
        "user",
        "choice",
        RANDOMISED,
        *numbers,
        *design.codings(),
        *of_contexts,
        *of_covariates,
    ]
    taken += [] if design.pairs else COLUMNS
    doubled = [name for name in taken if taken.count(name) > 1]
    if doubled:
        raise DataError(f"two columns would be named {doubled[0]!r}", "give each its own name")
    return design.features(numbers, of_contexts, products), numbers, of_covariates


def user_labels(users: int) -> pd.Index[str]:
    """Labels u001, u002, ..., with as many digits as the last one needs.

    Examples
    --------
    >>> user_labels(2).tolist()
    ['u001', 'u002']
    """
    numbers = np.arange(1, users + 1).astype(str)
    return pd.Index(np.char.add("u", np.char.zfill(numbers, max(3, len(str(users))))), name="user")


def _names(role: str, given: int | Sequence[str], *, least: int = 0) -> tuple[str, ...]:
    if not isinstance(given, Iterable):
        count = settings.argument(f"{role}s", given, settings.whole(least))
        return tuple(f"{role}_{number + 1}" for number in range(count))
    if isinstance(given, str) or not all(isinstance(name, str) for name in given):
        raise DataError(f"{role}s must be a whole number or a list of names, got {shown(given)}")
    return tuple(given)
