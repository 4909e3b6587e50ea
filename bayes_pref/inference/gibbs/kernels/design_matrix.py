"""Design matrix of the samplers: comparisons signed, scaled, sparse and grouped by user.

A row is a_n = (2 choice - 1) d_n / scale, so that the chosen side always has positive log-odds
psi_n = a_n . w_i and the likelihood is the product of sigmoid(psi_n). With position bias,
psi_n = a_n . w_i + shift_n, with shift_n = (2 choice - 1) position.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from bayes_pref.inference.gibbs.kernels.jit import compiled_reordering, compiled_reordering_part
from bayes_pref.types import FloatArray, IntArray


class Rows(NamedTuple):
    """Rows in compressed sparse form, and the same entries ordered by feature.

    Attributes
    ----------
    offsets
        (n_users + 1,): rows of user i are ``offsets[i]:offsets[i + 1]``.
    starts, columns, values
        Entries of row n are ``starts[n]:starts[n + 1]``.
    feature_starts
        (n_features + 1,): feature k owns the blocks ``feature_starts[k]:feature_starts[k + 1]``.
    block_users, block_starts
        A block holds one user's entries of one feature: ``block_starts[b]:block_starts[b + 1]``.
    entry_rows, entry_values
        Those entries.
    signs, shift
        (n,): 2 choice - 1, and what is added to the log-odds of each row.
    """

    offsets: IntArray
    starts: IntArray
    columns: IntArray
    values: FloatArray
    feature_starts: IntArray
    block_users: IntArray
    block_starts: IntArray
    entry_rows: IntArray
    entry_values: FloatArray
    signs: FloatArray
    shift: FloatArray

    @property
    def density(self) -> float:
        """Share of entries that are not zero."""
        cells = (self.starts.size - 1) * (self.feature_starts.size - 1)
        return self.values.size / max(cells, 1)


def build_rows(
    signed: FloatArray | sparse.csr_array, user: IntArray, offsets: IntArray, signs: FloatArray
) -> Rows:
    """Build `Rows` without shifts from signed, scaled rows (n, d) grouped by user."""
    by_row = sparse.csr_matrix(signed)
    by_feature = by_row.tocsc()
    n_features = by_row.shape[1]
    entry_rows = by_feature.indices.astype(np.int64)
    feature = np.repeat(np.arange(n_features), np.diff(by_feature.indptr))
    # Rows are grouped by user, so within a feature a change of user starts a new block.
    code = feature * (user.max() + 1) + user[entry_rows]
    first = np.flatnonzero(np.diff(code, prepend=-1))
    feature_starts = np.searchsorted(feature[first], np.arange(n_features + 1))
    return Rows(
        offsets=offsets.astype(np.int64),
        starts=by_row.indptr.astype(np.int64),
        columns=by_row.indices.astype(np.int64),
        values=by_row.data,
        feature_starts=feature_starts.astype(np.int64),
        block_users=user[entry_rows[first]].astype(np.int64),
        block_starts=np.append(first, entry_rows.size).astype(np.int64),
        entry_rows=entry_rows,
        entry_values=by_feature.data,
        signs=signs,
        shift=np.zeros(len(signs)),
    )


@compiled_reordering
def log_odds(rows: Any, weights: FloatArray, psi: FloatArray) -> None:
    """Fill `psi` (n,) with a_n . w_i + shift_n for weights (n_users, n_features)."""
    n_users, d = weights.shape
    for i in range(n_users):
        for n in range(rows.offsets[i], rows.offsets[i + 1]):
            total = rows.shift[n]
            first = rows.starts[n]
            if rows.starts[n + 1] - first == d:  # no zeros: column k is k
                for k in range(d):
                    total += rows.values[first + k] * weights[i, k]
            else:
                for e in range(first, rows.starts[n + 1]):
                    total += rows.values[e] * weights[i, rows.columns[e]]
            psi[n] = total


@compiled_reordering_part
def log_likelihood(rows: Any, weights: FloatArray, psi: FloatArray, gradient: FloatArray) -> float:
    """Sum of log sigmoid(psi_n); fills psi (n,) and the gradient in the weights (u, d)."""
    total = 0.0
    n_users, d = weights.shape
    for i in range(n_users):
        for k in range(d):
            gradient[i, k] = 0.0
        product = 1.0  # of 1 + exp(-|psi|): one logarithm serves many rows
        for n in range(rows.offsets[i], rows.offsets[i + 1]):
            value = rows.shift[n]
            first = rows.starts[n]
            dense = rows.starts[n + 1] - first == d  # no zeros: column k is k
            if dense:
                for k in range(d):
                    value += rows.values[first + k] * weights[i, k]
            else:
                for e in range(first, rows.starts[n + 1]):
                    value += rows.values[e] * weights[i, rows.columns[e]]
            psi[n] = value
            small = np.exp(-abs(value))
            product *= 1.0 + small
            if value >= 0.0:
                slope = small / (1.0 + small)
            else:
                slope = 1.0 / (1.0 + small)
                total += value
            if product > 1e250:
                total -= np.log(product)
                product = 1.0
            if dense:
                for k in range(d):
                    gradient[i, k] += rows.values[first + k] * slope
            else:
                for e in range(first, rows.starts[n + 1]):
                    gradient[i, rows.columns[e]] += rows.values[e] * slope
        total -= np.log(product)
    return total
