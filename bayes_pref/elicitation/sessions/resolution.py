"""The stopping rule: which shares are known well enough, by the posterior as it is now.

A share p of all users who would prefer one side is resolved when, with m its posterior mean,

    P(|p - m| <= resolved | all answers so far) >= certainty,

with both numbers from `Thresholds`. Posterior probabilities do not depend on why one stopped. If
the prior and the model are right, and at whatever time tau one stops, as long as tau was decided by
the answers so far, those that are resolved then are wrong with a posterior probability of at most
1 - certainty each. So the expected share of wrong ones among those resolved at tau is at most that,

    E[wrong at tau / resolved at tau] <= 1 - certainty      (0 / 0 = 0),

which is the mean of a posterior expectation (Edwards, Lindman & Savage 1963). It does not hold of a
tau that looks ahead, such as the worst moment in hindsight; and a share that is resolved now may
cease to be when more answers come.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_pref.diagnostics.confounding.choice_shares import choices_of_pairs
from bayes_pref.diagnostics.thresholds import Thresholds
from bayes_pref.draws import thin
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.estimates import average_chances
from bayes_pref.types import FloatArray

_VALUES = 2e7  # probabilities computed at most
_FEWEST, _MOST = 250, 2000  # draws


def shares_of_users(posterior: Posterior, difference: FloatArray) -> FloatArray:
    """Draws of the shares of all fitted users who would prefer left, (row, sample)."""
    rows, users = len(difference), posterior.comparisons.n_users
    most = int(np.clip(_VALUES / (rows * users), _FEWEST, _MOST))
    weights = posterior.weights_draws()
    draws = thin(posterior.draws, most)
    choices = choices_of_pairs(posterior, draws)
    shares = posterior.comparisons.user_shares
    chance = average_chances(thin(weights, most), difference, choices, shares)
    return np.asarray(chance[(len(chance) + 1) // 2 :].sum(axis=0))


def resolution(draws: FloatArray, thresholds: Thresholds, interval: float = 0.9) -> pd.DataFrame:
    """Describe shares and say which are resolved.

    Parameters
    ----------
    draws
        (row, sample) of shares.
    thresholds
        Of which `resolved` and `certainty` are used.
    interval
        Probability inside the central interval.

    Returns
    -------
    frame: `p_do`, `sd`, `lower`, `upper`, `p_within` (probability of being within
    `thresholds.resolved` of `p_do`), `resolved`

    Examples
    --------
    >>> from bayes_pref.diagnostics.thresholds import DEFAULT_THRESHOLDS
    >>> draws = 0.7 + np.array([[0.01], [0.1]]) * np.random.default_rng(0).normal(size=(2, 1000))
    >>> resolution(draws, DEFAULT_THRESHOLDS)["resolved"].tolist()
    [True, False]
    """
    mean = draws.mean(axis=1)
    tail = (1.0 - interval) / 2
    lower, upper = np.quantile(draws, [tail, 1.0 - tail], axis=1)
    within = (np.abs(draws - mean[:, None]) <= thresholds.resolved).mean(axis=1)
    return pd.DataFrame(
        {
            "p_do": mean,
            "sd": draws.std(axis=1),
            "lower": lower,
            "upper": upper,
            "p_within": within,
            "resolved": within >= thresholds.certainty,
        }
    )
