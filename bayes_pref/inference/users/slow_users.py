"""Users whose weights move slowly in a fit that keeps a summary: drawn anew, given the population.

Where somebody's likelihood is far from normal, a chain's move of that user's weights is refused
often, and their mean is noisy although the population's is not. Given the population a user's
weights depend on that user's answers alone, so that `draw_users` can draw them independently.
"""

from __future__ import annotations

import numpy as np

from bayes_pref.convergence.checks import ESS
from bayes_pref.inference.users.conditional_weights import unsupported_model
from bayes_pref.inference.users.drawn_users import draw_users
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray, IntArray

_SHARE = 0.25  # of the draws, that a user's are worth at least
_MOST = 0.25  # of all users: where more seem slow, it is the chains that have not converged
_MOST_USERS = 5000  # that are drawn anew: the slowest
_AT_A_TIME = 250  # users whose draws are in memory


def slow_users(effective: FloatArray, draws: int) -> IntArray:
    """Places of the users whose means are not worth enough draws.

    Examples
    --------
    >>> import numpy as np
    >>> slow_users(np.array([800.0, 160.0, 250.0]), 800).tolist()
    [1]
    """
    return np.flatnonzero(effective < min(ESS, _SHARE * draws))


def with_slow_users_anew(posterior: Posterior, effective: FloatArray, seed: int) -> Posterior:
    """Draw the weights of slow users anew, and replace their mean and sd, in place.

    Users whose draws are kept whole, whose convergence is judged, stay as they are; so do all after
    a run that was interrupted, and where more than a quarter of all seem slow. Of more than 5,000
    slow users the slowest are drawn.

    Parameters
    ----------
    posterior
        With a summary of users' weights.
    effective
        (n_users,) as `bayes_pref.convergence.statistics.effective_draws` returns it.
    seed
        Random seed.
    """
    summary = posterior.users
    assert summary is not None  # or there would be no effective draws
    users = posterior.comparisons.users
    if not posterior.run.complete or unsupported_model(posterior) is not None:
        return posterior
    kept = users.get_indexer(summary.kept.indexes["user"])
    places = np.setdiff1d(slow_users(effective, summary.count), kept)
    if len(places) > _MOST * len(users):
        return posterior
    places = places[np.argsort(effective[places], kind="stable")[:_MOST_USERS]]
    for first in range(0, len(places), _AT_A_TIME):
        own = places[first : first + _AT_A_TIME]
        labels = list(users.take(own))
        drawn = draw_users(posterior, labels, draws=summary.count, seed=seed).draws["weights"]
        samples = drawn.transpose("user", "feature", "chain", "draw").to_numpy()
        samples = samples.reshape(*samples.shape[:2], -1)
        summary.mean.to_numpy()[own] = samples.mean(axis=2)
        summary.sd.to_numpy()[own] = samples.std(axis=2, ddof=1)
    return posterior
