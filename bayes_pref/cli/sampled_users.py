"""Draws of some users' weights, for commands that need them of a fit that holds a summary."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.errors import DataWarning
from bayes_pref.messages import callers_level
from bayes_pref.posterior import Posterior


def with_draws(posterior: Posterior, sample: int, named: Any = ()) -> Posterior:
    """Return the posterior of some users with draws of their weights, if it holds a summary.

    Parameters
    ----------
    posterior
        Any; one that holds draws of all users is returned as it is.
    sample
        How many users.
    named
        Labels of users who have to be among them; others are left out.
    """
    if posterior.users is None:
        return posterior
    found, users = drawn(posterior, sample, named), posterior.comparisons.n_users
    if found.comparisons.n_users < users:
        warnings.warn(
            f"the fit keeps a summary of {users:,} users: what follows is about "
            f"{found.comparisons.n_users:,} of them, named or drawn at random (--sample)",
            DataWarning,
            stacklevel=callers_level(),
        )
    return found


def drawn(posterior: Posterior, sample: int, named: Any = ()) -> Posterior:
    """Return the posterior of some users, as `with_draws`, whatever it holds."""
    from bayes_pref.inference.users.drawn_users import draw_users

    users = posterior.comparisons.users
    first = users.get_indexer(pd.Index(named).unique())
    first = first[first >= 0]
    others = np.setdiff1d(np.arange(len(users)), first)
    count = min(len(others), max(0, sample - len(first)))
    more = np.random.default_rng(0).choice(others, count, replace=False)
    return draw_users(posterior, list(users.take(np.sort(np.concatenate([first, more])))))


def named_users(frame: pd.DataFrame | None, posterior: Posterior) -> Any:
    """Return the users that a table names, if it does."""
    name = posterior.comparisons.user_name
    return () if frame is None or name not in frame else frame[name].dropna()
