"""Cholesky factors of correlation matrices from unconstrained numbers, and the way back of slopes.

z_ij = tanh(y_ij) is the partial correlation of i and j > 0 given the first j - 1 features, and row
i of the factor R is z_i1, z_i2 sqrt(1 - z_i1^2), ... Under the LKJ prior they are independent, and
(1 + z_ij) / 2 is Beta(a, a) with a = concentration + (d - 1 - j) / 2 (Lewandowski, Kurowicka & Joe
2009, J. Multivar. Anal. 100).
"""

from __future__ import annotations

import numpy as np

from bayes_pref.inference.gibbs.kernels.jit import compiled
from bayes_pref.types import FloatArray


@compiled
def correlation_root(y: FloatArray, root: FloatArray) -> None:
    """Fill the lower triangle of R (d, d) for y (d (d - 1) / 2,), which has row after row."""
    d = root.shape[0]
    at = 0
    for i in range(d):
        left = 1.0
        for j in range(i):
            z = np.tanh(y[at])
            root[i, j] = z * left
            left /= np.cosh(y[at])
            at += 1
        root[i, i] = left


@compiled
def correlation_slope(
    y: FloatArray, root: FloatArray, slope: FloatArray, concentration: float, out: FloatArray
) -> float:
    """Fill `out` with the gradient in y for the gradient (d, d) in R; returns the log prior.

    The gradient of the log prior is included.
    """
    d = root.shape[0]
    at, total = 0, 0.0
    for i in range(d):
        behind = slope[i, i]
        left = root[i, i]  # product of the factors before column j + 1
        for j in range(i - 1, -1, -1):
            z = np.tanh(y[at + j])
            inverse = np.cosh(y[at + j])
            before = left * inverse
            # R_ij = z before; the next product is before / cosh(y).
            out[at + j] = (slope[i, j] * before / inverse - behind * before * z) / inverse
            behind = slope[i, j] * z + behind / inverse
            left = before
            a = concentration + 0.5 * (d - 2 - j)
            total -= 2.0 * a * np.log(inverse)
            out[at + j] -= 2.0 * a * z
        at += i
    return total
