"""Points for importance sampling around the mode of a nearly Gaussian density.

A scrambled Sobol sequence, transformed to a mixture of Normal(0, I) and of a multivariate t with 8
degrees of freedom: the weights of a log-concave density stay bounded where its tails are heavier
than Gaussian (Geweke 1989, Econometrica 57; a defensive mixture: Hesterberg 1995, Technometrics
37).
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaincinv, gammaln, ndtri
from scipy.stats import qmc

from bayes_pref.types import FloatArray

_FREEDOM = 8.0  # of the multivariate t
_WIDE = 0.25  # its share of the points


def importance_points(size: int, count: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Points (count, size) around 0 with unit scale, and their log densities (count,).

    They come in pairs e and -e, which cancels odd errors.

    Parameters
    ----------
    size
        Number of dimensions.
    count
        Number of points, a power of two.
    seed
        Of the scrambling.

    Examples
    --------
    >>> points, log_density = importance_points(2, 1024, 0)
    >>> weights = np.exp(-0.5 * (points**2).sum(axis=1) - np.log(2 * np.pi) - log_density)
    >>> bool(abs(weights.mean() - 1) < 0.01)
    True
    """
    uniform = qmc.Sobol(size + 1, rng=np.random.default_rng(seed)).random(count // 2)
    e = ndtri(uniform[:, 1:])
    wide = uniform[:, 0] < _WIDE
    # What is left of the uniform number is uniform, too.
    scale = 2.0 * gammaincinv(_FREEDOM / 2, uniform[wide, 0] / _WIDE) / _FREEDOM
    e[wide] /= np.sqrt(scale)[:, None]
    square = (e**2).sum(axis=1)
    normal = -0.5 * (square + size * np.log(2 * np.pi))
    student = gammaln((_FREEDOM + size) / 2) - gammaln(_FREEDOM / 2)
    student = student - 0.5 * size * np.log(_FREEDOM * np.pi)
    student = student - 0.5 * (_FREEDOM + size) * np.log1p(square / _FREEDOM)
    density = np.logaddexp(np.log(1 - _WIDE) + normal, np.log(_WIDE) + student)
    return np.concatenate([e, -e]), np.concatenate([density, density])
