"""Where a Gibbs chain writes its draws, and how a sweep is kept."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bayes_pref.inference.gibbs.kernels.jit import compiled_part
from bayes_pref.types import FloatArray

NEVER = -(2**62)  # counted from here, no sweep comes to be kept


class Store(NamedTuple):
    """Where a chain writes its draws, on scaled features.

    Attributes
    ----------
    theta, weights
        (draw, n_parameters) and (draw, n_users, n_features); in a model with factors the users'
        scores come before their weights.
    stats
        (draw, 2): acceptance of the Hamiltonian move, log density.
    """

    theta: FloatArray
    weights: FloatArray
    stats: FloatArray


def nowhere(n_parameters: int, n_users: int, n_features: int) -> Store:
    """Return a store without room, for sweeps of which none is kept."""
    return Store(np.empty((0, n_parameters)), np.empty((0, n_users, n_features)), np.empty((0, 2)))


@compiled_part
def keep(
    store: Any,
    sweep: int,
    thin: int,
    theta: FloatArray,
    weights: FloatArray,
    acceptance: float,
    density: float,
) -> None:
    """Write the state into the store if the sweep is one to keep.

    Parameters
    ----------
    sweep
        Number of this sweep after warm-up, from 1; not positive during warm-up.
    thin
        Thinning interval.
    """
    if sweep <= 0 or sweep % thin:
        return
    draw = sweep // thin - 1
    for k in range(theta.size):
        store.theta[draw, k] = theta[k]
    for i in range(weights.shape[0]):
        for k in range(weights.shape[1]):
            store.weights[draw, i, k] = weights[i, k]
    store.stats[draw, 0] = acceptance
    store.stats[draw, 1] = density
