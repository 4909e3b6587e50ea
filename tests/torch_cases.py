"""What kernels and blocks on a torch device have found, made comparable."""

from __future__ import annotations

import numpy as np
import torch

from bayes_pref.inference.gibbs.partial_density import PartialDensity
from bayes_pref.types import FloatArray

CPU = torch.device("cpu")
# Sums of some hundred numbers, in another order, through conditions of 1e3 or less: near 1e-13.
EXACT = 1e-9


def by_user(made: PartialDensity, values: FloatArray) -> FloatArray:
    """(n_users, ...) of (n_batches, ..., batch)."""
    moved = np.moveaxis(values, -1, 1)
    return moved.reshape(-1, *moved.shape[2:])[: made.n_users]


def close(found: object, expected: FloatArray, error: float = EXACT) -> None:
    size = float(np.abs(expected).max(initial=1.0))
    np.testing.assert_allclose(np.asarray(found), expected, rtol=error, atol=error * size)
