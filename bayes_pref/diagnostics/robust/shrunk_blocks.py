"""Shrinkage of coefficients in blocks: to nearly zero, unless the data speak against that.

Estimates b ~ Normal(beta, V), with V known, of blocks of coefficients beta ~ Normal(0, s_k^2) with
s_k ~ half-Cauchy(0, scale). The posterior mean of s_k^2 is found by integration over a grid, block
by block, given those of the others; given them all beta is Gaussian.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayes_pref.types import FloatArray, IntArray

# Of the sds, log-odds per sd of a direction: below, nothing changes; above, nothing is shrunk.
_GRID = np.geomspace(0.005, 3.0, 28)
_SWEEPS = 4  # blocks are nearly orthogonal


class Shrunk(NamedTuple):
    """Posterior of the coefficients.

    Attributes
    ----------
    mean, covariance
        (k,) and (k, k).
    sd
        (blocks,) root mean square size of the coefficients of each block.
    """

    mean: FloatArray
    covariance: FloatArray
    sd: FloatArray


def shrunk(estimate: FloatArray, variance: FloatArray, block: IntArray, scale: float) -> Shrunk:
    """Shrink estimates towards 0, each block by as much as the data suggest.

    Parameters
    ----------
    estimate, variance
        (k,) estimates, and their (k, k) covariance.
    block
        (k,) code of each coefficient's block, from 0.
    scale
        Scale of the half-Cauchy prior of a block's sd.

    Examples
    --------
    >>> found = shrunk(np.array([0.1, 3.0]), 0.01 * np.eye(2), np.array([0, 1]), scale=0.03)
    >>> found.mean.round(2)
    array([0.06, 2.99])
    """
    square = np.full(int(block.max(initial=-1)) + 1, 0.05**2)
    prior = np.log(_GRID) - np.log1p((_GRID / scale) ** 2)
    unit, many = np.eye(len(block)), np.broadcast_to(estimate, (len(_GRID), len(block)))
    for _ in range(_SWEEPS):
        for code in range(len(square)):  # a loop over blocks
            own = np.where(block == code, _GRID[:, None] ** 2, square[block])
            total = variance + own[:, :, None] * unit
            solved = np.linalg.solve(total, many[:, :, None])[:, :, 0]
            fit = prior - 0.5 * np.linalg.slogdet(total)[1] - 0.5 * solved @ estimate
            weight = np.exp(fit - fit.max())
            square[code] = weight @ _GRID**2 / weight.sum()
    own = np.diag(square[block])
    kept = np.linalg.solve(variance + own, own).T
    covariance = own - kept @ own
    return Shrunk(kept @ estimate, (covariance + covariance.T) / 2, np.sqrt(square))
