"""Preferences: each comparison's reward difference to its own user.

Of a set it is the reward of the alternative minus the mean of the others.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_pref.diagnostics.assessment import Assessed, Assessment, Settings
from bayes_pref.diagnostics.query import Query
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.estimates import BLOCK_VALUES, describe
from bayes_pref.posterior.predictions import log_odds
from bayes_pref.types import FloatArray


class PreferenceAssessment(Assessment):
    """The reward difference of every comparison to its user.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> report = bp.diagnose(posterior, assessments=["preference"])
    >>> list(report.comparisons)
    ['row', 'user', 'mean', 'sd', 'lower', 'upper', 'verdict', 'sentence']
    """

    name = "preference"
    columns = ("mean", "sd", "lower", "upper")

    def unsupported(self, posterior: Posterior) -> str | None:
        """Return None: every posterior has reward differences."""
        return None

    def run(self, posterior: Posterior, query: Query, settings: Settings) -> Assessed:
        """Describe the reward differences, and what was learned about each user.

        Returns
        -------
        Assessed; as evidence, where users differ, `p_left` (probability that the difference is
        positive) and `p_small` (that it is within the threshold of a small difference)
        """
        small = settings.thresholds.small_difference
        found = describe_differences(posterior, query, settings.interval, small=small)
        personal = "weights" in posterior.draws
        note = (
            f"{type(posterior.model).__name__} gives all users the same weights, so the verdicts "
            "prefers, indifferent and undecided, which are about a user, cannot be given; fit "
            "bp.HierarchicalReward() for them."
        )
        learned = np.append(learned_shares(posterior), 0.0)[query.user]  # the last: new users
        return Assessed(
            columns=found[list(self.columns)],
            evidence=found[["p_left", "p_small"]] if personal else None,
            users=pd.Series(learned).groupby(query.labels, sort=False).first().to_frame("learned"),
            notes=() if personal else (note,),
        )


def describe_differences(
    posterior: Posterior, query: Query, interval: float, *, small: float
) -> pd.DataFrame:
    """Describe d . w of every comparison to its own user, or to a new user, in log-odds.

    Parameters
    ----------
    posterior
        Posterior of the users' weights.
    query
        n comparisons.
    interval
        Probability inside the central credible interval.
    small
        Absolute difference that is too small to matter, log-odds.

    Returns
    -------
    frame: n rows; `mean`, `sd`, `lower`, `upper`, `p_left` and `p_small`

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> from bayes_pref.diagnostics.query import read_query
    >>> describe_differences(posterior, read_query(posterior), 0.9, small=0.2).shape
    (300, 6)
    """
    unit = posterior.model.choice_model(posterior.comparisons).log_odds_per_unit
    order = np.argsort(query.user, kind="stable")  # new users, with code -1, come first
    new = int(np.count_nonzero(query.is_new))
    parts = []
    if new:
        weights = posterior.weights_draws("population").isel(user=0)
        drawn = weights.transpose("feature", "chain", "draw").to_numpy()
        drawn = drawn.reshape(len(drawn), -1)
        step = max(1, BLOCK_VALUES // drawn.shape[1])
        # A loop over blocks of rows: all at once would be as large as the posterior.
        for start in range(0, new, step):
            rows = order[start : min(start + step, new)]
            parts.append(_describe(unit * (query.difference[rows] @ drawn), interval, small))
    if new < len(query):
        rows = order[new:]
        weights = posterior.model.user_weights(posterior.draws)
        blocks = log_odds(weights, query.user[rows], query.difference[rows])
        parts += [_describe(unit * eta, interval, small) for _, eta in blocks]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return pd.DataFrame(found, index=order).sort_index()


def learned_shares(posterior: Posterior) -> FloatArray:
    """Share of the variance of a new user's weights that each user's answers remove, (u,).

    1 - Var(w_ik | data) / Var(w_new,k | data), averaged over the features: 0 where nothing was
    learned about a user beyond the population, 1 where everything was.
    """
    new = posterior.weights_draws("population").isel(user=0).var(("chain", "draw"))
    own = posterior.model.user_weights(posterior.draws).var(("chain", "draw"))
    before = new.transpose("feature").to_numpy()
    after = own.transpose("user", "feature").to_numpy()
    share = np.divide(after, before, out=np.ones_like(after), where=before > 0)
    return np.asarray((1.0 - share).clip(0.0, 1.0).mean(axis=1))


def _describe(eta: FloatArray, interval: float, small: float) -> dict[str, FloatArray]:
    chances = {
        "p_left": (eta > 0.0).mean(axis=1),
        "p_small": (np.abs(eta) < small).mean(axis=1),
    }
    return describe(eta, interval) | chances
