"""Held-out rows a block at a time: what a posterior says of each, in every draw."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons
from bayes_pref.models.choice import ChoiceDistribution
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.predictions import log_odds
from bayes_pref.posterior.queries import POPULATION
from bayes_pref.types import FloatArray, IntArray


def predicted_rows(
    posterior: Posterior, held_out: Comparisons
) -> Iterator[tuple[IntArray, ChoiceDistribution, FloatArray]]:
    """Yield places of rows, the distribution of their choices and their log-odds (row, sample).

    Of users whom the posterior does not know they are those of new users. Rows of a task are in one
    block, and each row is in one.
    """
    codes = posterior.comparisons.users.get_indexer(held_out.users)[held_out.user]
    task = held_out.outcome.tasks(len(held_out))
    for which, users in ((codes >= 0, None), (codes < 0, POPULATION)):
        # In the order of the posterior's users, as `log_odds` requires.
        order = np.flatnonzero(which)[np.argsort(codes[which], kind="stable")]
        if not order.size:
            continue
        weights, choices = posterior.weights_draws(users), posterior.choices_of(users)
        user, together = codes[order].clip(0), pd.factorize(task[order])[0]
        # A loop over blocks of rows: the log-odds of all would be as large as the posterior.
        for part, eta in log_odds(weights, user, held_out.difference[order], together):
            yield order[part], choices.of_users(user[part]), eta
