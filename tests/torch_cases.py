"""What kernels and blocks on a torch device have found, made comparable."""

from __future__ import annotations

import numpy as np
import torch

from bayes_pref.inference.gibbs.diagonal_density import DiagonalDensity
from bayes_pref.inference.gibbs.partial_density import PartialDensity
from bayes_pref.types import FloatArray

CPU = torch.device("cpu")
# Sums of some hundred numbers, in another order, through conditions of 1e3 or less: near 1e-13.
EXACT = 1e-9


def by_user(made: PartialDensity, values: FloatArray) -> FloatArray:
    """(n_users, ...) of (n_batches, ..., batch)."""
    moved = np.moveaxis(values, -1, 1)
    return moved.reshape(-1, *moved.shape[2:])[: made.n_users]


def curvatures(made: PartialDensity) -> FloatArray:
    """(n_users, d, d) H of the kernels' expansion, or its diagonals (n_users, d)."""
    columns = []
    for k in range(made.d):
        unit = np.zeros_like(made.linear)
        unit[:, k] = 1.0
        columns.append(by_user(made, made._times(made.information, unit)))
    found = np.stack(columns, axis=2)
    return np.einsum("nkk->nk", found) if isinstance(made, DiagonalDensity) else found


def close(found: object, expected: FloatArray, error: float = EXACT) -> None:
    size = float(np.abs(expected).max(initial=1.0))
    np.testing.assert_allclose(np.asarray(found), expected, rtol=error, atol=error * size)
