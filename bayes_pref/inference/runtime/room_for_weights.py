"""Whether the memory holds a weight of every item for every user."""

from __future__ import annotations

import os

from bayes_pref.data import Comparisons
from bayes_pref.errors import ModelError
from bayes_pref.models.spec import PopulationSpec

_STATES = 4  # arrays of users' weights that a chain works with
_METRICS = 3  # matrices of a chain for its moves of the population
_ELSEWHERE = 16 * 10**9  # bytes, where the system does not say how large its memory is


def refuse_weights(
    name: str, spec: PopulationSpec, comparisons: Comparisons, chains: int, kept: int
) -> None:
    """Refuse rewards of single items for single users that this machine's memory cannot hold.

    Parameters
    ----------
    name
        Of the model.
    spec
        How users differ.
    comparisons
        The data.
    chains
        Number of chains.
    kept
        Number of draws that are kept of every user, of all chains.

    Raises
    ------
    ModelError
        Says how much would be needed, and what to do instead.
    """
    if spec.pooled or not comparisons.features.indicators:
        return
    users, d = comparisons.n_users, comparisons.n_features
    population = (kept + _METRICS * chains) * d**2 if spec.covariance == "full" else 0
    needed = 8 * ((kept + _STATES * chains) * users * d + population)
    needed += 8 * _METRICS * chains * (2 * d) ** 2
    there = memory()
    if needed > there:
        raise ModelError(
            f"{name}: rewards of {len(comparisons.features.items):,} items for each of {users:,} "
            f"user{'s' * (users > 1)} take {needed / 1e9:,.0f} GB of memory, and this machine has "
            f"{there / 1e9:,.0f} GB; describe the items by attributes, with items= in "
            "Comparisons.from_items, or give all users the same rewards with bp.PooledReward()"
        )


def memory() -> int:
    """Bytes of memory that this machine has."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return _ELSEWHERE
