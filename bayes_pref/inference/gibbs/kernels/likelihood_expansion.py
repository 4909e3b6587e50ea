"""Second-order expansions of users' log likelihoods, for `partial_centring`."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_pref.inference.gibbs.kernels.centred_batches import BATCH
from bayes_pref.inference.gibbs.kernels.choice_likelihood import (
    add_user_information,
    user_log_likelihood,
)
from bayes_pref.inference.gibbs.kernels.jit import (
    compiled_reordering,
    compiled_reordering_part,
)
from bayes_pref.inference.gibbs.kernels.signed_weights import to_information, to_slopes, to_weights
from bayes_pref.types import FloatArray

LARGEST = 1e30  # curvature; any expansion is right, but infinity is none


@compiled_reordering_part
def expand_user(
    rows: Any,
    values: FloatArray,
    signed: FloatArray,
    user: int,
    weights: FloatArray,
    eta: FloatArray,
    own: FloatArray,
    gradient: FloatArray,
    matrix: FloatArray,
    own_values: FloatArray,
    found: FloatArray,
    cell: FloatArray,
) -> None:
    """Fill one user's gradient (d,) and curvature `matrix` (d, d) at `weights` (n_users, d).

    Both are 0 where the curvature is beyond single precision, in which expansions may be kept.
    """
    d = own.size
    for k in range(d):
        own[k] = weights[user, k]
        for m in range(d):
            matrix[k, m] = 0.0
    column, slope = own.reshape(d, 1), gradient.reshape(d, 1)
    to_weights(signed, column)
    user_log_likelihood(rows, values, user, own, eta, gradient, own_values, found, cell)
    add_user_information(rows, values, user, own, eta, matrix, found, cell)
    to_slopes(signed, column, slope)
    to_information(signed, column, slope, matrix)
    largest = 0.0
    for k in range(d):
        largest = max(largest, matrix[k, k])
    if largest > LARGEST:
        for k in range(d):
            gradient[k] = 0.0
            for m in range(d):
                matrix[k, m] = 0.0


@compiled_reordering
def expand_likelihoods(
    rows: Any,
    values: FloatArray,
    signed: FloatArray,
    weights: FloatArray,
    information: FloatArray,
    linear: FloatArray,
) -> None:
    """Fill H and h at weights (n_users, d).

    H is (n_batches, d (d + 1) / 2, batch), its lower triangle by rows; h (n_batches, d, batch).
    """
    n_users, d = weights.shape
    matrix, gradient, own = np.empty((d, d)), np.empty(d), np.empty(d)
    eta, own_values = np.empty(rows.outcome.size), np.empty(values.size)
    found, cell = np.empty(values.size + 3), np.empty(4)
    for i in range(n_users):
        b, w = i // BATCH, i % BATCH
        expand_user(
            rows, values, signed, i, weights, eta, own, gradient, matrix, own_values, found, cell
        )
        for k in range(d):
            total = gradient[k]
            for m in range(d):
                total += matrix[k, m] * weights[i, m]
            for m in range(k + 1):
                information[b, k * (k + 1) // 2 + m, w] = matrix[k, m]
            linear[b, k, w] = total
