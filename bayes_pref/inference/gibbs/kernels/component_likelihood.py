"""Collapsed likelihood of a mixture's parameters given Polya-Gamma variables.

As in `marginal_likelihood` a user's likelihood is exp(b_i' w - w' A_i w / 2). With w ~ Normal(mu_t,
D), D = diag(tau^2), c_it = b_i - A_i mu_t and P_i = A_i + D^-1, a component t has

    log p(choices_i | t) = b_i' mu_t - mu_t' A_i mu_t / 2 + c_it' P_i^-1 c_it / 2
                           - log det(P_i) / 2 - log det(D) / 2,

and w_i - mu_t is Normal(P_i^-1 c_it, P_i^-1). P_i is the same in all components. Users are the last
axis of every array, in SIMD batches.
"""

from __future__ import annotations

import numpy as np

from bayes_pref.inference.gibbs.kernels.jit import compiled_reordering
from bayes_pref.types import FloatArray


@compiled_reordering
def integrate_components(
    information: FloatArray,
    score: FloatArray,
    log_component: FloatArray,
    mu: FloatArray,
    precision: FloatArray,
    responsibility: FloatArray,
    away: FloatArray,
    variance: FloatArray,
    first_moment: FloatArray,
    second_moment: FloatArray,
) -> float:
    """Log likelihood given omega, of all users, components and weights integrated out.

    But for det(D).

    Parameters
    ----------
    information, score
        As `information_in_batches` writes them.
    log_component
        (n_batches, components, batch): log probability of each component but for the choices.
    mu, precision
        (components, d) and (d,): D^-1.
    responsibility
        (n_batches, components, batch): on return the probability of each component.
    away
        (n_batches, components, d, batch): on return P^-1 c.
    variance
        (n_batches, d, batch): on return the diagonal of P^-1.
    first_moment, second_moment
        (components, d) and (d,): on return the sum over users of the mean of w_i - mu_t and of its
        square, each component weighted by its probability.
    """
    batches, d, batch = score.shape
    components = mu.shape[0]
    factor = np.empty((d, d, batch))  # C, P = C C', its diagonal inverted
    inverse = np.empty((d, d, batch))  # of C
    column = np.empty((d, batch))
    solved = np.empty((d, batch))
    volume = np.empty(batch)
    largest = np.empty(batch)
    total = np.empty(batch)
    value = 0.0
    for k in range(d):
        second_moment[k] = 0.0
        for t in range(components):
            first_moment[t, k] = 0.0
    for b in range(batches):
        for u in range(batch):
            volume[u] = 0.0
        for k in range(d):
            first = k * (k + 1) // 2
            for m in range(k + 1):
                prior = precision[k] if m == k else 0.0
                for u in range(batch):
                    factor[k, m, u] = information[b, first + m, u] + prior
        for j in range(d):
            for u in range(batch):
                factor[j, j, u] = 1.0 / np.sqrt(factor[j, j, u])
            for u in range(batch):
                volume[u] += np.log(factor[j, j, u])
            for i in range(j + 1, d):
                for u in range(batch):
                    factor[i, j, u] *= factor[j, j, u]
                    column[i, u] = factor[i, j, u]
                for m in range(j + 1, i + 1):
                    for u in range(batch):
                        factor[i, m, u] -= column[i, u] * column[m, u]
        for j in range(d):
            for u in range(batch):
                inverse[j, j, u] = factor[j, j, u]
                variance[b, j, u] = factor[j, j, u] * factor[j, j, u]
            for i in range(j + 1, d):
                for u in range(batch):
                    total[u] = 0.0
                for m in range(j, i):
                    for u in range(batch):
                        total[u] += factor[i, m, u] * inverse[m, j, u]
                for u in range(batch):
                    inverse[i, j, u] = -total[u] * factor[i, i, u]
                    variance[b, j, u] += inverse[i, j, u] * inverse[i, j, u]
        for u in range(batch):
            largest[u] = -np.inf
        for t in range(components):
            for u in range(batch):
                responsibility[b, t, u] = log_component[b, t, u] + volume[u]
            for k in range(d):
                for u in range(batch):
                    column[k, u] = score[b, k, u]
            for k in range(d):
                first = k * (k + 1) // 2
                for m in range(k + 1):
                    for u in range(batch):
                        column[k, u] -= information[b, first + m, u] * mu[t, m]
                for m in range(k):
                    for u in range(batch):
                        column[m, u] -= information[b, first + m, u] * mu[t, k]
            for k in range(d):
                # b' mu - mu' A mu / 2 = (b + c)' mu / 2.
                half = 0.5 * mu[t, k]
                for u in range(batch):
                    responsibility[b, t, u] += half * (score[b, k, u] + column[k, u])
                    solved[k, u] = inverse[k, k, u] * column[k, u]
                for m in range(k):
                    for u in range(batch):
                        solved[k, u] += inverse[k, m, u] * column[m, u]
                for u in range(batch):
                    responsibility[b, t, u] += 0.5 * solved[k, u] * solved[k, u]
            for j in range(d):
                for u in range(batch):
                    total[u] = 0.0
                for i in range(j, d):
                    for u in range(batch):
                        total[u] += inverse[i, j, u] * solved[i, u]
                for u in range(batch):
                    away[b, t, j, u] = total[u]
            for u in range(batch):
                largest[u] = max(largest[u], responsibility[b, t, u])
        for u in range(batch):
            total[u] = 0.0
        for t in range(components):
            for u in range(batch):
                responsibility[b, t, u] = np.exp(responsibility[b, t, u] - largest[u])
                total[u] += responsibility[b, t, u]
        for t in range(components):
            for u in range(batch):
                responsibility[b, t, u] /= total[u]
            for k in range(d):
                moment, square = 0.0, 0.0
                for u in range(batch):
                    moved = responsibility[b, t, u] * away[b, t, k, u]
                    moment += moved
                    square += moved * away[b, t, k, u]
                first_moment[t, k] += moment
                second_moment[k] += square
        for k in range(d):
            square = 0.0
            for u in range(batch):
                square += variance[b, k, u]
            second_moment[k] += square
        for u in range(batch):
            value += largest[u] + np.log(total[u])
    return value
