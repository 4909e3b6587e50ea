"""Answers of a user to the same pair of items: how many are alike, and how many should be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayes_pref.data import Comparisons
from bayes_pref.data.same_pairs import same_pairs
from bayes_pref.models.choice import ChoiceDistribution
from bayes_pref.posterior.predictions import log_odds
from bayes_pref.types import FloatArray, IntArray


def repeats(
    weights: xr.DataArray,
    choices: ChoiceDistribution,
    comparisons: Comparisons,
    difference: FloatArray | None = None,
) -> pd.DataFrame:
    """Compare each user's answers to the same pair, whichever item was on the left.

    Parameters
    ----------
    weights, choices
        Weights (chain, draw, user, feature), and the distribution of choices at the same draws.
    comparisons
        Pairs, with or without ties or grades.
    difference
        (n, feature) that the weights are of; None: those of the comparisons.

    Returns
    -------
    frame: one row a user, in the order of the data; `repeats`, the number of pairs of answers to
        the same pair; `alike`, the share of these in which both answers are the same, and
        `alike_expected`, that share in new answers at these draws; NaN where nothing was repeated

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> found = repeats(
    ...     posterior.weights_draws(), posterior.choice_distribution, posterior.comparisons
    ... )
    >>> int(found["repeats"].sum())
    0
    """
    rows, pair, turned = same_pairs(comparisons)
    key = comparisons.user[rows] * (int(pair.max(initial=0)) + 1) + pair
    code, size = np.unique(key, return_inverse=True, return_counts=True)[1:]
    often = np.flatnonzero(size[code] > 1)
    often = often[np.argsort(code[often], kind="stable")]  # users stay in order
    rows, turned = rows[often], turned[often]
    count, alike, expected = np.zeros((3, comparisons.n_users))
    difference = comparisons.difference if difference is None else difference
    if len(rows):
        same = np.unique(code[often], return_inverse=True)[1].ravel()
        user, choice = comparisons.user[rows], comparisons.choice[rows]
        choice = np.where(turned, comparisons.outcome.mirrored(choice), choice)
        outcomes = np.arange(choices.n_outcomes)[:, None]
        given = (outcomes == np.rint(choice * (choices.n_outcomes - 1))).astype(np.float64)
        blocks = log_odds(weights, user, difference[rows], same)
        for part, eta in blocks:  # of rows; those of the same pair stay together
            starts = np.flatnonzero(np.diff(same[part], prepend=-1))
            chances = choices.of_users(user[part]).probabilities(eta)
            chances = np.where(turned[part][:, None], chances[::-1], chances)
            owners = user[part][starts]
            np.add.at(count, owners, agreeing(np.ones((1, len(eta), 1)), starts))
            np.add.at(alike, owners, agreeing(given[:, part, None], starts))
            np.add.at(expected, owners, agreeing(chances, starts))
    counted = np.where(count > 0, count, np.nan)
    return pd.DataFrame(
        {
            "repeats": count.astype(np.int64),
            "alike": alike / counted,
            "alike_expected": expected / counted,
        }
    )


def agreeing(chances: FloatArray, starts: IntArray) -> FloatArray:
    """Expected number of pairs of answers that are the same, in each group, (group,).

    Parameters
    ----------
    chances
        (outcome, answer, sample) probabilities; answers are independent at a sample.
    starts
        (group,) first answer of each.

    Examples
    --------
    >>> coins = np.full((2, 3, 1), 0.5)  # three answers, in one group
    >>> agreeing(coins, np.array([0]))
    array([1.5])
    """
    total = np.add.reduceat(chances, starts, axis=1)
    both = total**2 - np.add.reduceat(chances**2, starts, axis=1)
    return np.asarray(0.5 * both.sum(axis=0).mean(axis=-1))
