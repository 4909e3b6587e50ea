"""Gibbs update of the components of a mixture of users."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_pref.inference.gibbs.kernels.cholesky import factor, solve_lower, solve_upper
from bayes_pref.inference.gibbs.kernels.jit import compiled
from bayes_pref.inference.gibbs.kernels.user_information import user_information
from bayes_pref.types import FloatArray, IntArray


@compiled
def draw_components(
    rows: Any,
    omega: FloatArray,
    log_component: FloatArray,
    mu: FloatArray,
    tau: FloatArray,
    component: IntArray,
    weights: FloatArray,
    rng: np.random.Generator,
) -> None:
    """Draw every user's component, their weights integrated out, then their weights; in place.

    Parameters
    ----------
    log_component
        (n_users, components): log probability of each component but for the choices.
    mu, tau
        (components, d) and (d,).
    """
    n_users, d = weights.shape
    components = mu.shape[0]
    information = np.empty((d, d))
    precision = np.empty((d, d))
    score = np.empty(d)
    row = np.empty(d)
    pulls = np.empty((components, d))
    chance = np.empty(components)
    for i in range(n_users):
        user_information(rows, omega, i, row, information, score)
        for k in range(d):
            for m in range(d):
                precision[k, m] = information[k, m]
            precision[k, k] += 1.0 / (tau[k] * tau[k])
        factor(precision, d)
        largest = -np.inf
        for t in range(components):
            # The likelihood exp(score' w - w' information w / 2), w - mu_t integrated out.
            value = log_component[i, t]
            pull = pulls[t]
            for k in range(d):
                moved = 0.0
                for m in range(d):
                    moved += information[k, m] * mu[t, m]
                value += mu[t, k] * (score[k] - 0.5 * moved)
                pull[k] = score[k] - moved
            solve_lower(precision, pull, d)
            for k in range(d):
                value += 0.5 * pull[k] * pull[k]
            chance[t] = value
            largest = max(largest, value)
        total = 0.0
        for t in range(components):
            chance[t] = np.exp(chance[t] - largest)
            total += chance[t]
        at = rng.random() * total
        chosen = 0
        while chosen < components - 1 and at > chance[chosen]:
            at -= chance[chosen]
            chosen += 1
        component[i] = chosen
        pull = pulls[chosen]
        for k in range(d):
            pull[k] += rng.standard_normal()
        solve_upper(precision, pull, d)
        for k in range(d):
            weights[i, k] = mu[chosen, k] + pull[k]
