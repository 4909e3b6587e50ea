"""Log density of a mixture's parameters given Polya-Gamma variables, and its gradient.

Users' components and weights are integrated out; see `mixture_marginal` for the parameters.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_pref.inference.gibbs.kernels.component_likelihood import integrate_components
from bayes_pref.inference.gibbs.kernels.jit import compiled_reordering
from bayes_pref.inference.gibbs.kernels.population_density import log_prior
from bayes_pref.types import FloatArray

LEAST = 1e-300  # share whose logarithm is finite


@compiled_reordering
def mixture_log_density(
    information: FloatArray,
    score: FloatArray,
    shown: FloatArray,
    population: Any,
    concentration: float,
    x: FloatArray,
    gradient: FloatArray,
    responsibility: FloatArray,
    away: FloatArray,
    variance: FloatArray,
    first_moment: FloatArray,
    second_moment: FloatArray,
) -> float:
    """Log density of x, up to a constant; fills its gradient. -inf where a spread is zero.

    Parameters
    ----------
    information, score
        As `information_in_batches` writes them.
    shown
        (n_batches, components, batch): log density of users' contexts in each component.
    x
        mu by rows, tau, and the logarithms of variables that the shares are in proportion to.
    responsibility, away, variance, first_moment, second_moment
        On return as `integrate_components` fills them.
    """
    batches, components, batch = shown.shape
    d = score.shape[1]
    users = batches * batch
    first, last = components * d, components * d + d
    tau, log_g = x[first:last], x[last:]
    precision, volume = np.empty(d), 0.0
    for k in range(d):
        precision[k] = 1.0 / (tau[k] * tau[k]) if tau[k] != 0.0 else np.inf
        if not np.isfinite(precision[k]):
            return -np.inf
        volume += users * np.log(abs(tau[k]))
    largest = log_g.max()
    total = 0.0
    for t in range(components):
        total += np.exp(log_g[t] - largest)
    share, log_component = np.empty(components), np.empty(shown.shape)
    for t in range(components):
        share[t] = max(np.exp(log_g[t] - largest) / total, LEAST)
        log_share = np.log(share[t])
        for b in range(batches):
            for u in range(batch):
                log_component[b, t, u] = shown[b, t, u] + log_share
    value = integrate_components(
        information,
        score,
        log_component,
        x[:first].reshape(components, d),
        precision,
        responsibility,
        away,
        variance,
        first_moment,
        second_moment,
    )
    value += log_prior(population, x[:last], gradient[:last]) - volume
    for k in range(d):
        for t in range(components):
            gradient[t * d + k] += first_moment[t, k] * precision[k]
        gradient[first + k] += second_moment[k] * precision[k] / tau[k] - users / tau[k]
    for t in range(components):
        g = np.exp(log_g[t])
        value += concentration * log_g[t] - g
        slope = concentration - g - users * share[t]
        for b in range(batches):
            for u in range(batch):
                slope += responsibility[b, t, u]
        gradient[last + t] = slope
    return value
