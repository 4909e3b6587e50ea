"""Each pair's reward difference to its own user, from the draws of a posterior."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_pref.data.table import FloatArray
from bayes_pref.diagnostics.query import UNASKED, Pairs
from bayes_pref.diagnostics.verdicts import SMALL_DIFFERENCE
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.estimates import BLOCK_VALUES, describe
from bayes_pref.posterior.predictions import log_odds


def describe_differences(posterior: Posterior, pairs: Pairs, interval: float) -> pd.DataFrame:
    """Describe d . w of every pair's own user, in log-odds; of a new user where it is unknown.

    Parameters
    ----------
    posterior
        Whose users the pairs' codes belong to.
    pairs
        n of them.
    interval
        Probability inside the central credible interval.

    Returns
    -------
    frame: n rows; `mean`, `sd`, `lower`, `upper`, `p_left` (probability that the difference is
        positive) and `p_small` (that it is within `SMALL_DIFFERENCE` of zero)

    Examples
    --------
    >>> import bayes_pref as bp
    >>> from bayes_pref.diagnostics.query import read_pairs
    >>> world = bp.simulate(users=5, seed=0)
    >>> posterior = bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> describe_differences(posterior, read_pairs(posterior), 0.9).shape
    (75, 6)
    """
    order = np.argsort(pairs.user, kind="stable")
    new = int(np.count_nonzero(pairs.user == UNASKED))
    parts = []
    if new:
        weights = posterior.weights_draws("population").isel(user=0)
        drawn = weights.transpose("feature", "chain", "draw").to_numpy()
        drawn = drawn.reshape(len(drawn), -1)
        step = max(1, BLOCK_VALUES // drawn.shape[1])
        # A loop over blocks of rows: all at once would be as large as the posterior.
        for start in range(0, new, step):
            rows = order[start : min(start + step, new)]
            parts.append(_describe(pairs.difference[rows] @ drawn, interval))
    if new < len(pairs):
        rows = order[new:]
        weights = posterior.model.user_weights(posterior.draws)
        blocks = log_odds(weights, pairs.user[rows], pairs.difference[rows])
        parts += [_describe(eta, interval) for _, eta in blocks]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return pd.DataFrame(found, index=order).sort_index()


def learned_shares(posterior: Posterior) -> FloatArray:
    """Share of what a new user's weights could be that each user's answers have ruled out, (u,).

    1 - Var(w_ik | data) / Var(w_new,k | data), averaged over the features: 0 where nothing was
    learned of a user beyond what holds for anyone, 1 where everything was.
    """
    new = posterior.weights_draws("population").isel(user=0).var(("chain", "draw"))
    own = posterior.model.user_weights(posterior.draws).var(("chain", "draw"))
    anyone = new.transpose("feature").to_numpy()
    known = own.transpose("user", "feature").to_numpy()
    share = np.divide(known, anyone, out=np.ones_like(known), where=anyone > 0)
    return np.asarray((1.0 - share).clip(0.0, 1.0).mean(axis=1))


def _describe(eta: FloatArray, interval: float) -> dict[str, NDArray[np.float64]]:
    chances = {
        "p_left": (eta > 0.0).mean(axis=1),
        "p_small": (np.abs(eta) < SMALL_DIFFERENCE).mean(axis=1),
    }
    return describe(eta, interval) | chances
