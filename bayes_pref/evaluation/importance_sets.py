"""Sets of points for importance sampling at many draws, moved to where the integrand is.

With e = L'(z - z*) in the scale of the integrand's mode, the integrand is near Normal(0, I), but
skewed where there are few choices. Its mean and covariance in e hardly differ between draws of the
population. They are estimated at a few of them, and the points are moved to mean d and covariance
R R': e -> d + R e. Different draws have different sets of points, whose errors average out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayes_pref.models.importance_points import importance_points
from bayes_pref.types import FloatArray, IntArray


class Points(NamedTuple):
    """Sets of points and their log densities.

    Attributes
    ----------
    e
        (set, point, r)
    log_density
        (set, point)

    Examples
    --------
    >>> points = Points.sets(2, sets=16, count=64, seed=0)
    >>> target = -0.5 * ((points.e - 0.5) ** 2).sum(axis=2)
    >>> shift, _ = points.moments(target - points.log_density)
    >>> shift.round(1)
    array([0.5, 0.5])
    """

    e: FloatArray
    log_density: FloatArray

    @classmethod
    def sets(cls, size: int, sets: int, count: int, seed: int) -> Points:
        """Sets of `count` points each, a power of two, in `size` dimensions.

        Each set is a stretch of a Sobol sequence, with the mirror image of every point.
        """
        total = 1 << (sets * count - 1).bit_length()
        e, log_density = importance_points(size, total, seed)
        half = e[: total // 2].reshape(-1, count // 2, size)[:sets]
        density = log_density[: total // 2].reshape(-1, count // 2)[:sets]
        return cls(np.concatenate([half, -half], axis=1), np.tile(density, 2))

    def take(self, samples: IntArray) -> Points:
        """Return one set for each of some samples."""
        chosen = samples % len(self.e)
        return Points(self.e[chosen], self.log_density[chosen])

    def moved(self, shift: FloatArray, spread: FloatArray) -> Points:
        """Return points shift + spread @ e, with their densities."""
        log_det = np.linalg.slogdet(spread)[1]
        return Points(shift + self.e @ spread.T, self.log_density - log_det)

    def moments(self, log_ratios: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean (r,) of the target, and a root (r, r) of its covariance, over all sets.

        Parameters
        ----------
        log_ratios
            (set, point) log density of the target relative to that of the points, up to a constant
            of each set.
        """
        weights = np.exp(log_ratios - log_ratios.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        sets, _, size = self.e.shape
        mean = (weights[:, :, None] * self.e).sum(axis=(0, 1)) / sets
        apart = self.e - mean
        covariance = (apart * weights[:, :, None]).reshape(-1, size).T @ apart.reshape(-1, size)
        # As many independent points as would know as much, against as many as there are entries.
        known = (1.0 / (weights**2).sum(axis=1)).sum()
        share = known / (known + 4.0 * size)
        covariance = share * covariance / sets + (1.0 - share) * np.eye(size)
        return share * mean, np.linalg.cholesky(covariance)
