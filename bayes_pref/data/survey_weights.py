"""Survey weights: how many people of the population each user stands for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.errors import DataError
from bayes_pref.messages import shown
from bayes_pref.types import FloatArray


def check_survey_weights(weights: FloatArray, users: pd.Index[Any]) -> None:
    """Refuse weights (u,) that are missing, infinite or negative; names the user.

    Examples
    --------
    >>> check_survey_weights(np.array([1.0, -2.0]), pd.Index(["ann", "bob"]))
    Traceback (most recent call last):
    bayes_pref.errors.DataError: survey_weights: user 'bob' has -2.0; expected how many people a
    user stands for, 0 or more
    """
    bad = ~(np.isfinite(weights) & (weights >= 0.0))
    if bad.any():
        user = int(np.argmax(bad))
        raise DataError(
            f"survey_weights: user {shown(users[user])} has {shown(weights[user])}",
            "expected how many people a user stands for, 0 or more",
        )


def shares(weights: FloatArray) -> FloatArray:
    """(u,) weights divided by their sum.

    Raises
    ------
    DataError
        If all of them are 0.

    Examples
    --------
    >>> shares(np.array([1.0, 3.0]))
    array([0.25, 0.75])
    """
    largest = weights.max()
    if not largest > 0.0:
        raise DataError(
            "all of these users have the survey weight 0, so that they stand for nobody",
            "select other users",
        )
    return np.asarray((weights / largest) / (weights / largest).sum())  # no sum overflows


def described_weights(weights: FloatArray) -> str:
    """Give the range of weights, and how many users of equal weights are as precise (Kish 1965).

    Examples
    --------
    >>> described_weights(np.array([1.0, 1.0, 2.0]))
    '1 to 2, in averages as precise as 2.7 users of equal weights'
    """
    span = f"{weights.min():.3g} to {weights.max():.3g}"
    if not weights.any():
        return span
    effective = 1.0 / np.square(shares(weights)).sum()
    return f"{span}, in averages as precise as {effective:,.1f} users of equal weights"
