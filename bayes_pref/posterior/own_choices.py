"""The distribution of the answers of some users, known or new, who may answer at random."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from bayes_pref.models.choice import ChoiceDistribution
from bayes_pref.types import IntArray


def of_new_user(
    choices: ChoiceDistribution, draws: xr.Dataset, rng: np.random.Generator
) -> ChoiceDistribution:
    """Return the distribution of a new user's answers: in each draw they are random or not.

    Parameters
    ----------
    choices
        Distribution of the answers of known users at the draws.
    draws
        With the share of users who answer at random, if any do.
    rng
        Source of random numbers.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> share = xr.Dataset({"careless_share": (("chain", "draw"), np.ones((1, 3)))})
    >>> known = replace(bp.Logit().at(), careless=np.zeros((2, 3)))
    >>> of_new_user(known, share, np.random.default_rng(0)).careless
    array([[1., 1., 1.]])
    """
    if choices.careless is None:
        return choices
    share = draws["careless_share"].transpose("chain", "draw").to_numpy().ravel()
    return replace(choices, careless=(rng.random((1, share.size)) < share).astype(np.float64))


def of_known_and_new(
    known: ChoiceDistribution, new: ChoiceDistribution, positions: IntArray
) -> ChoiceDistribution:
    """Return the distribution for the distinct users of rows in order, new ones (-1) first.

    Parameters
    ----------
    known, new
        Distributions of the answers of all known users, and of a new one.
    positions
        (n,) codes of the rows' users among those known.
    """
    if known.careless is None or new.careless is None:
        return known
    codes = np.unique(positions)
    parts = [new.careless] * bool((codes < 0).any()) + [known.careless[codes[codes >= 0]]]
    return replace(known, careless=np.concatenate(parts))
