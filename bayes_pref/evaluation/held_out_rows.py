"""Held-out rows a block at a time: what a posterior says of each, in every draw.

Where a posterior holds no draws of users' weights, those of some users at a time are drawn and
forgotten again, so that memory does not grow with the number of users.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons
from bayes_pref.inference.users.drawn_users import draw_users
from bayes_pref.models.choice import ChoiceDistribution
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.predictions import log_odds
from bayes_pref.posterior.queries import POPULATION, Users
from bayes_pref.progress import tqdm
from bayes_pref.types import FloatArray, IntArray

_MOST_VALUES = 2**24  # of weights that are drawn at a time
_MOST_SAMPLES = 1000  # of each weight

PredictedRows: TypeAlias = Iterator[tuple[IntArray, ChoiceDistribution, FloatArray]]


def predicted_rows(posterior: Posterior, held_out: Comparisons) -> PredictedRows:
    """Yield places of rows, the distribution of their choices and their log-odds (row, sample).

    Of users whom the posterior does not know they are those of new users. Rows of a task are in one
    block, and each row is in one.
    """
    users = posterior.comparisons.users
    codes = users.get_indexer(held_out.users)[held_out.user]
    # In the order of the posterior's users, as `log_odds` requires.
    known = np.argsort(codes, kind="stable")[np.count_nonzero(codes < 0) :]
    if posterior.users is None:
        yield from _blocks(posterior, None, held_out, known, codes[known])
    else:
        some = np.unique(codes[known])
        size = max(1, _MOST_VALUES // (_MOST_SAMPLES * held_out.n_features))
        starts = range(0, len(some), size)
        bar = tqdm(starts, desc="drawing users", unit="block", disable=len(starts) < 2)
        for number, start in enumerate(bar):  # a loop over blocks of users: memory
            own = some[start : start + size]
            first, end = np.searchsorted(codes[known], [own[0], own[-1] + 1])
            rows = known[first:end]
            drawn = draw_users(posterior, list(users.take(own)), seed=number)
            places = np.searchsorted(own, codes[rows])
            yield from _blocks(drawn, None, held_out, rows, places)
    new = np.flatnonzero(codes < 0)
    yield from _blocks(posterior, POPULATION, held_out, new, np.zeros_like(new))


def _blocks(
    posterior: Posterior, users: Users, held_out: Comparisons, rows: IntArray, places: IntArray
) -> PredictedRows:
    """Yield rows (n,) of users who are at some places (n,) among those of the posterior."""
    if not len(rows):
        return
    weights, choices = posterior.weights_draws(users), posterior.choices_of(users)
    together = pd.factorize(held_out.outcome.tasks(len(held_out))[rows])[0]
    # A loop over blocks of rows: the log-odds of all would be as large as the posterior.
    for part, eta in log_odds(weights, places, held_out.difference[rows], together):
        yield rows[part], choices.of_users(places[part]), eta
