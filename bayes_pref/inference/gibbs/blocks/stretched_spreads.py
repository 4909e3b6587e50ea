"""Coordinates of the population in which its density, given zeta, is closer to a Gaussian.

Near zero the density is a function of tau squared, and farther away still falls faster above its
mode than below: a proposal by slope and curvature alone is then refused more often. With
u = tau |tau|^(p - 1), p between 1 and 2, a spread's third derivative at the mode can be made zero
(Sprott 1973, Biometrika 60). A spread that may be zero stays as it is, as u has no slope there.
"""

from __future__ import annotations

import numpy as np

from bayes_pref.types import FloatArray

_FAR = 4.0  # sds of a spread from zero, from which on it is stretched
_LARGEST = 2.0  # power


class StretchedSpreads:
    """Coordinates u of theta whose spreads have powers.

    Parameters
    ----------
    place
        Of the spreads in theta.

    Attributes
    ----------
    power
        (n_spreads,) p of each; at first 1, with which u is theta.

    Examples
    --------
    >>> import numpy as np
    >>> spreads = StretchedSpreads(slice(1, 2))
    >>> spreads.power[0] = 2.0
    >>> spreads.coordinates(np.array([3.0, -0.5])).tolist()
    [3.0, -0.25]
    """

    def __init__(self, place: slice) -> None:
        self.place = place
        self.power = np.ones(place.stop - place.start)

    def choose(self, theta: FloatArray, sd: FloatArray, third: FloatArray) -> None:
        """Choose powers by the density at theta.

        Parameters
        ----------
        theta
            (m,).
        sd, third
            (n_spreads,) of each spread given all else, and third derivative of the log density in
            units of it.
        """
        far = np.abs(theta[self.place]) / sd
        skew = -third * np.sign(theta[self.place]) * far
        found = np.clip(1.0 + skew / 3.0, 1.0, _LARGEST)
        self.power[...] = np.where(np.isfinite(found) & (far > _FAR), found, 1.0)

    def coordinates(self, theta: FloatArray) -> FloatArray:
        """Return u (m,) of theta."""
        return self._with_powers(theta, self.power)

    def theta(self, u: FloatArray) -> FloatArray:
        """Return theta (m,) of u."""
        return self._with_powers(u, 1.0 / self.power)

    def slopes(self, theta: FloatArray) -> FloatArray:
        """(m,) dtheta / du, of each coordinate."""
        found = np.ones(theta.size)
        found[self.place] = np.abs(theta[self.place]) ** (1.0 - self.power) / self.power
        return found

    def pulled_back(self, theta: FloatArray, gradient: FloatArray) -> tuple[float, FloatArray]:
        """Log |dtheta / du|, and the gradient in u of the log density of u.

        Parameters
        ----------
        theta, gradient
            (m,) and that of the log density of theta there.
        """
        slopes = self.slopes(theta)
        found = slopes * gradient
        p = self.power
        stretched = self.place.start + np.flatnonzero(p > 1.0)  # or the volume has no slope
        found[stretched] += slopes[stretched] * (1.0 - p[p > 1.0]) / theta[stretched]
        return float(np.log(slopes).sum()), found

    def _with_powers(self, values: FloatArray, power: FloatArray) -> FloatArray:
        found = values.copy()
        part = values[self.place]
        found[self.place] = np.copysign(np.abs(part) ** power, part)
        return found
