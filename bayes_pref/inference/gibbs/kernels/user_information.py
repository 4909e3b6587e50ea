"""Information on users' weights given Polya-Gamma variables.

Given omega the likelihood of user i is exp(b_i' w_i - w_i' A_i w_i / 2), with information
A_i = X' Omega X and score b_i = X' (1/2 - Omega shift), X the user's rows (Polson, Scott & Windle
2013). Where all but one weight are held, the same in one dimension.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_pref.inference.gibbs.kernels.jit import compiled, compiled_inline, compiled_part
from bayes_pref.types import FloatArray

GROUP = 16  # users whose results are written together, in whole cache lines


@compiled_inline
def add_information(
    rows: Any,
    omega: FloatArray,
    i: int,
    row: FloatArray,
    information: FloatArray,
    score: FloatArray,
) -> None:
    """Add A_i to the lower triangle of `information` (d, d), and b_i to `score` (d,).

    `row` (d,) is working memory.
    """
    d = score.size
    for n in range(rows.offsets[i], rows.offsets[i + 1]):
        first = rows.starts[n]
        pull = 0.5 - omega[n] * rows.shift[n]
        if rows.starts[n + 1] - first == d:
            # A dense row: the innermost loop is a SIMD batch over a copy, which overlaps nothing.
            for k in range(d):
                row[k] = rows.values[first + k]
            for k in range(d):
                a = row[k]
                score[k] += a * pull
                a *= omega[n]
                for m in range(k + 1):
                    information[k, m] += a * row[m]
            continue
        for e in range(first, rows.starts[n + 1]):
            k = rows.columns[e]
            a = rows.values[e]
            score[k] += a * pull
            a *= omega[n]
            # Columns ascend within a row, so this fills the lower triangle.
            for f in range(first, e + 1):
                information[k, rows.columns[f]] += a * rows.values[f]


@compiled_inline
def user_information(
    rows: Any,
    omega: FloatArray,
    i: int,
    row: FloatArray,
    information: FloatArray,
    score: FloatArray,
) -> None:
    """Fill `information` (d, d) with A_i, both triangles, and `score` (d,) with b_i."""
    d = score.size
    for k in range(d):
        score[k] = 0.0
        for m in range(d):
            information[k, m] = 0.0
    add_information(rows, omega, i, row, information, score)
    for k in range(d):
        for m in range(k):
            information[m, k] = information[k, m]


@compiled
def information_by_user(
    rows: Any, omega: FloatArray, information: FloatArray, score: FloatArray
) -> None:
    """Fill `information` (n_users, d, d) with all A_i, and `score` (n_users, d) with all b_i."""
    row = np.empty(score.shape[1])
    for i in range(score.shape[0]):
        user_information(rows, omega, i, row, information[i], score[i])


@compiled
def information_in_batches(
    rows: Any, omega: FloatArray, information: FloatArray, score: FloatArray
) -> None:
    """Write every A_i and b_i for SIMD batches of users, who are the last axis.

    Parameters
    ----------
    information
        (n_batches, d (d + 1) / 2, batch): lower triangles by rows; 0 beyond the last user.
    score
        (n_batches, d, batch).
    """
    batches, d, batch = score.shape
    row = np.empty(d)
    own = np.empty((GROUP, d, d))
    own_score = np.empty((GROUP, d))
    n_users = rows.offsets.size - 1
    for b in range(batches):
        for first in range(0, batch, GROUP):
            group = min(GROUP, batch - first)
            for u in range(group):
                for k in range(d):
                    own_score[u, k] = 0.0
                    for m in range(k + 1):
                        own[u, k, m] = 0.0
                i = b * batch + first + u
                if i < n_users:
                    add_information(rows, omega, i, row, own[u], own_score[u])
            place = 0
            for k in range(d):
                for u in range(group):
                    score[b, k, first + u] = own_score[u, k]
                for m in range(k + 1):
                    for u in range(group):
                        information[b, place, first + u] = own[u, k, m]
                    place += 1


@compiled_part
def weight_information(
    rows: Any, omega: FloatArray, psi: FloatArray, b: int, weight: float
) -> tuple[float, float]:
    """Information and score of one weight of one user, their other weights held.

    Parameters
    ----------
    b
        Block of `Rows`: the user's rows with the feature, so that other rows are not read.
    weight
        Its present value, which `psi` (n,) contains.
    """
    information, score = 0.0, 0.0
    for e in range(rows.block_starts[b], rows.block_starts[b + 1]):
        a, n = rows.entry_values[e], rows.entry_rows[e]
        information += omega[n] * a * a
        score += a * (0.5 - omega[n] * (psi[n] - a * weight))
    return information, score


@compiled_part
def add_to_log_odds(rows: Any, b: int, change: float, psi: FloatArray) -> None:
    """Update `psi` (n,) after a change of the weight of block b."""
    for e in range(rows.block_starts[b], rows.block_starts[b + 1]):
        psi[rows.entry_rows[e]] += rows.entry_values[e] * change
