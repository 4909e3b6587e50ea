"""How rewards spread over users whose weights depend on squares and products of their exposures.

Let y = (c, z) be Normal(m, S) among some users, and let the reward of a comparison depend on it as
    Q = a' y + b' h,   h_j = (z_first z_second - z' slope_j - mean) / unit_j.
With e = y - m that is Q = E Q + g' e + e' M e - tr M S, where M has b_j / unit_j at the two places
of product j, half each, and g = a - slope (b / unit) + 2 M m. Its second and third cumulants are
    2nd: g' S g + 2 tr (M S)^2,   3rd: 6 g' S M S g + 8 tr (M S)^3.
E Q is not taken from the normal distribution, but from the regression of h itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes_pref.models.regressors import CurvedExposures
from bayes_pref.types import FloatArray as Array


@dataclass(frozen=True, eq=False)
class CurvedSpread:
    """The distribution of Q among some users.

    Attributes
    ----------
    curves
        The squares and products.
    known
        Number of covariates, which come before the exposures.
    variance
        (draw, m, m) S, of covariates and exposures; what is beyond these is not used.
    """

    curves: CurvedExposures
    known: int
    variance: Array

    def cumulants(self, loadings: Array, middle: Array) -> tuple[Array, Array]:
        """Second and third cumulants of Q, (draw, row).

        Parameters
        ----------
        loadings
            (draw, row, m + k): a and b.
        middle
            (draw, row or 1, m): mean of the covariates and exposures.
        """
        slope, matrix = self._expanded(loadings, middle)
        spread, own = self._spread(), slice(self.known, None)
        along = slope @ spread
        product = matrix @ spread[:, None, own, own]
        square = product @ product
        second = (along * slope).sum(axis=2) + 2 * np.trace(square, axis1=2, axis2=3)
        bent = (matrix @ along[..., own, None])[..., 0]
        third = 6 * (bent * along[..., own]).sum(axis=2)
        third += 8 * (square * product.swapaxes(2, 3)).sum(axis=(2, 3))
        return second, third

    def deviations(self, loadings: Array, middle: Array, points: Array) -> Array:
        """Q - E Q of simulated users (draw, row, user), from standard normals (draw, m, user)."""
        slope, matrix = self._expanded(loadings, middle)
        spread, own = self._spread(), slice(self.known, None)
        values, vectors = np.linalg.eigh(spread)
        e = (vectors * np.sqrt(values.clip(0.0))[:, None, :]) @ points
        z = e[:, None, own]
        bent = ((matrix @ z) * z).sum(axis=2)
        centre = np.einsum("srab,sab->sr", matrix, spread[:, own, own])
        return np.asarray(slope @ e + bent - centre[:, :, None])

    def _spread(self) -> Array:
        size = self.known + len(self.curves.slope)
        return self.variance[:, :size, :size]

    def _expanded(self, loadings: Array, middle: Array) -> tuple[Array, Array]:
        """Return g (draw, row, m) and M (draw, row, q, q)."""
        curves, q = self.curves, len(self.curves.slope)
        size = self.known + q
        b = loadings[..., size:] / curves.unit
        matrix = np.zeros((*b.shape[:2], q, q))
        # A loop over squares and products, of which there are few.
        for j, (one, other) in enumerate(zip(curves.first, curves.second, strict=True)):
            matrix[..., one, other] += b[..., j] / 2
            matrix[..., other, one] += b[..., j] / 2
        slope = loadings[..., :size].copy()
        slope[..., self.known :] -= b @ curves.slope.T
        slope[..., self.known :] += 2 * (matrix @ middle[..., self.known : size, None])[..., 0]
        return slope, matrix
