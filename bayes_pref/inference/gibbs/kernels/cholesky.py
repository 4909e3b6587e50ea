"""Cholesky factors and triangular solves on small matrices, in place, for compiled kernels.

LAPACK is called through a wrapper that allocates; at the sizes of one user's weights (a handful to
a few dozen) these loops are faster and compile in a fraction of the time.
"""

from __future__ import annotations

import numpy as np

from bayes_pref.inference.gibbs.kernels.jit import compiled_part
from bayes_pref.types import FloatArray


@compiled_part
def factor(matrix: FloatArray, size: int) -> bool:
    """Replace the lower triangle of matrix[:size, :size] by its Cholesky factor.

    Returns False, leaving the matrix spoilt, if it is not positive definite.
    """
    for j in range(size):
        for k in range(j):
            matrix[j, j] -= matrix[j, k] * matrix[j, k]
        if not matrix[j, j] > 0.0:
            return False
        matrix[j, j] = np.sqrt(matrix[j, j])
        for i in range(j + 1, size):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = total / matrix[j, j]
    return True


@compiled_part
def solve_lower(factor: FloatArray, vector: FloatArray, size: int) -> None:
    """Replace vector[:size] by L^-1 vector, L the lower triangle of `factor`."""
    for i in range(size):
        total = vector[i]
        for k in range(i):
            total -= factor[i, k] * vector[k]
        vector[i] = total / factor[i, i]


@compiled_part
def solve_upper(factor: FloatArray, vector: FloatArray, size: int) -> None:
    """Replace vector[:size] by L'^-1 vector, L the lower triangle of `factor`."""
    for i in range(size - 1, -1, -1):
        total = vector[i]
        for k in range(i + 1, size):
            total -= factor[k, i] * vector[k]
        vector[i] = total / factor[i, i]
