"""Collapsed likelihood of the population's parameters given Polya-Gamma variables.

Given omega a user's likelihood is exp(b_i' w_i - w_i' A_i w_i / 2) (`user_information`), and
w_i ~ Normal(gamma' f_i, Sigma), Sigma = L L'. With m_i = gamma' f_i, c_i = b_i - A_i m_i and
P_i = A_i + Sigma^-1,

    log p(choices_i | theta, omega) = b_i' m_i - m_i' A_i m_i / 2 + c_i' P_i^-1 c_i / 2
                                      - log det(P_i) / 2 - log det(Sigma) / 2,

and w_i - m_i is Normal(P_i^-1 c_i, P_i^-1).

Users are the last axis of every array, in SIMD batches: each loop over a batch becomes vector
instructions.
"""

from __future__ import annotations

import numpy as np

from bayes_pref.inference.gibbs.kernels.jit import compiled_reordering, compiled_reordering_part
from bayes_pref.types import FloatArray


@compiled_reordering_part
def _factor(
    information: FloatArray,
    score: FloatArray,
    mean: FloatArray,
    precision: FloatArray,
    factor: FloatArray,
    solved: FloatArray,
) -> None:
    """Factorise P = C C' for the users of one SIMD batch, and solve C y = c.

    Leaves C in `factor` (d, d, batch), its diagonal inverted, and y in `solved` (d, batch).
    """
    d, batch = score.shape
    column = np.empty((d, batch))
    scale = np.empty(batch)
    for k in range(d):
        for u in range(batch):
            solved[k, u] = score[k, u]
    for k in range(d):
        first = k * (k + 1) // 2
        for m in range(k):
            for u in range(batch):
                solved[k, u] -= information[first + m, u] * mean[m, u]
            for u in range(batch):
                solved[m, u] -= information[first + m, u] * mean[k, u]
        for u in range(batch):
            solved[k, u] -= information[first + k, u] * mean[k, u]
        for m in range(k + 1):
            prior = precision[k, m]
            for u in range(batch):
                factor[k, m, u] = information[first + m, u] + prior
    for j in range(d):
        for u in range(batch):
            scale[u] = 1.0 / np.sqrt(factor[j, j, u])
        for u in range(batch):
            factor[j, j, u] = scale[u]
            solved[j, u] *= scale[u]
        for i in range(j + 1, d):
            for u in range(batch):
                column[i, u] = factor[i, j, u] * scale[u]
            for u in range(batch):
                factor[i, j, u] = column[i, u]
            for u in range(batch):
                solved[i, u] -= column[i, u] * solved[j, u]
            for m in range(j + 1, i + 1):
                for u in range(batch):
                    factor[i, m, u] -= column[i, u] * column[m, u]


@compiled_reordering
def integrate_weights(
    information: FloatArray,
    score: FloatArray,
    mean: FloatArray,
    precision: FloatArray,
    noise: FloatArray,
    away: FloatArray,
    second: FloatArray,
) -> float:
    """Log likelihood of theta given omega, of all users, but for det(Sigma).

    One loop over batches does all of it, so that a batch stays in the processor's cache.

    Parameters
    ----------
    information, score
        As `information_in_batches` writes them.
    mean
        (n_batches, d, batch): m_i.
    precision
        (d, d): Sigma^-1.
    noise
        (n_batches, d, batch): zero, or standard normal.
    away
        (n_batches, d, batch): on return the mean of w_i - m_i where noise is zero, a draw of it
        where noise is standard normal.
    second
        (d, d): on return, for zero noise, the sum over users of the mean of
        (w_i - m_i) (w_i - m_i)'.
    """
    batches, d, batch = score.shape
    factor = np.empty((d, d, batch))
    inverse = np.empty((d, d, batch))
    solved = np.empty((d, batch))
    sums = np.zeros((d, d, batch))
    value = np.zeros(batch)
    product = np.empty(batch)
    total = np.empty(batch)
    for b in range(batches):
        _factor(information[b], score[b], mean[b], precision, factor, solved)
        for u in range(batch):
            product[u] = 1.0
        for k in range(d):
            first = k * (k + 1) // 2
            for u in range(batch):
                total[u] = score[b, k, u]
                total[u] -= 0.5 * information[b, first + k, u] * mean[b, k, u]
            for m in range(k):
                for u in range(batch):
                    total[u] -= information[b, first + m, u] * mean[b, m, u]
            for u in range(batch):
                value[u] += total[u] * mean[b, k, u]
                value[u] += 0.5 * solved[k, u] * solved[k, u]
                solved[k, u] += noise[b, k, u]
                product[u] *= factor[k, k, u]
            # The product of few reciprocals neither overflows nor underflows; of many it could.
            if k % 16 == 15 or k == d - 1:
                for u in range(batch):
                    value[u] += np.log(product[u])
                    product[u] = 1.0
        for j in range(d):
            for u in range(batch):
                inverse[j, j, u] = factor[j, j, u]
            for i in range(j + 1, d):
                for u in range(batch):
                    total[u] = 0.0
                for m in range(j, i):
                    for u in range(batch):
                        total[u] += factor[i, m, u] * inverse[m, j, u]
                for u in range(batch):
                    inverse[i, j, u] = -total[u] * factor[i, i, u]
        for j in range(d):
            for u in range(batch):
                total[u] = 0.0
            for i in range(j, d):
                for u in range(batch):
                    total[u] += inverse[i, j, u] * solved[i, u]
            for u in range(batch):
                away[b, j, u] = total[u]
            for m in range(j + 1):
                for u in range(batch):
                    total[u] = sums[j, m, u] + away[b, j, u] * away[b, m, u]
                for i in range(j, d):
                    for u in range(batch):
                        total[u] += inverse[i, j, u] * inverse[i, m, u]
                for u in range(batch):
                    sums[j, m, u] = total[u]
    log_likelihood = 0.0
    for u in range(batch):
        log_likelihood += value[u]
    for j in range(d):
        for m in range(j + 1):
            second[j, m] = 0.0
            for u in range(batch):
                second[j, m] += sums[j, m, u]
            second[m, j] = second[j, m]
    return log_likelihood
