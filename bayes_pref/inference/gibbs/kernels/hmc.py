"""Hamiltonian Monte Carlo (Duane et al. 1987; Neal 2011): the leapfrog, and a move on theta.

The move on theta holds every user's standardised deviation fixed, which lets the population move
far where users' spread is small, and where Gibbs updates given w are slow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from bayes_pref.inference.gibbs.kernels.jit import (
    compiled,
    compiled_into_callers,
    compiled_reordering,
)
from bayes_pref.inference.gibbs.kernels.population_density import log_density
from bayes_pref.types import FloatArray, IntArray


class Move(NamedTuple):
    """How the Hamiltonian move goes.

    Attributes
    ----------
    whiten
        (m, m): square root of the inverse of the metric, W W' = M^-1.
    step
        Leapfrog step in whitened units, jittered by 10 %.
    leaps
        Number of leapfrogs.
    """

    whiten: FloatArray
    step: float
    leaps: int


_MOST_BOUNCES = 1000  # of one drift
STILL = Move(np.zeros((0, 0)), 0.0, 0)  # before there is a metric


@compiled_reordering
def kick_and_drift(
    whiten: FloatArray,
    gradient: FloatArray,
    kick: float,
    drift: float,
    momentum: FloatArray,
    theta: FloatArray,
    positive: IntArray,
) -> None:
    """Add `kick` W' gradient to the momentum, then `drift` W momentum to theta.

    Entries `positive` of theta bounce off zero (Afshar & Domke 2015, NeurIPS 28).
    """
    size = theta.size
    for k in range(size):
        scaled = kick * gradient[k]
        for m in range(size):
            momentum[m] += whiten[k, m] * scaled
    velocity = np.empty(size)
    left = drift
    for _ in range(_MOST_BOUNCES):
        if left == 0.0:
            return
        for k in range(size):
            total = 0.0
            for m in range(size):
                total += whiten[k, m] * momentum[m]
            velocity[k] = total
        time, wall = left, -1
        for k in positive:
            if theta[k] + time * velocity[k] < 0.0:
                time, wall = max(0.0, -theta[k] / velocity[k]), k
        for k in range(size):
            theta[k] += time * velocity[k]
        left -= time
        if wall < 0:
            return
        # The momentum is turned about the wall's normal, in whitened units the row of W.
        theta[wall] = 0.0
        square = 0.0
        for m in range(size):
            square += whiten[wall, m] * whiten[wall, m]
        for m in range(size):
            momentum[m] -= 2.0 * velocity[wall] / square * whiten[wall, m]
    theta[0] = np.nan  # it goes on for ever: the trajectory is refused


def leapfrog_on(log_density: Callable[..., float]) -> Callable[..., tuple[float, float]]:
    """Return the leapfrog on a log density, as Python; compile it where the density is."""

    def leapfrog(
        args: tuple[Any, ...],
        theta: FloatArray,
        gradient: FloatArray,
        momentum: FloatArray,
        whiten: FloatArray,
        step: float,
        leaps: int,
        positive: IntArray,
    ) -> tuple[float, float]:
        """Move theta and momentum, in place, along a trajectory; it ends early outside the support.

        Parameters
        ----------
        log_density
            ``log_density(theta, gradient, *args)`` fills the gradient; -inf outside the support.
        theta, gradient, momentum
            (m,); the gradient is working memory, the momentum in whitened units.
        whiten, step, leaps
            Of a `Move`.
        positive
            Places of the entries of theta that bounce off zero.

        Returns
        -------
        Log density at the start and at the end.
        """
        start = log_density(theta, gradient, *args)
        end = start
        kick_and_drift(whiten, gradient, 0.5 * step, step, momentum, theta, positive)
        for leap in range(leaps):
            end = log_density(theta, gradient, *args)
            if not np.isfinite(end):
                break
            if leap == leaps - 1:
                kick_and_drift(whiten, gradient, 0.5 * step, 0.0, momentum, theta, positive)
            else:
                kick_and_drift(whiten, gradient, step, step, momentum, theta, positive)
        return start, end

    return leapfrog


_leapfrog = compiled_into_callers(leapfrog_on(log_density))


@compiled
def hmc_move(
    rows: Any,
    population: Any,
    theta: FloatArray,
    z: FloatArray,
    weights: FloatArray,
    psi: FloatArray,
    whiten: FloatArray,
    step: float,
    leaps: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Move theta by one Hamiltonian trajectory; weights and psi follow.

    Returns the acceptance probability and the log density of theta given z where it ends.

    `whiten`, `step` and `leaps` are those of a `Move`.
    """
    size = theta.size
    new = np.empty(size)
    new_weights = np.empty(weights.shape)
    new_psi = np.empty(psi.shape)
    slope = np.empty(weights.shape)
    gradient = np.empty(size)
    momentum = np.empty(size)
    kinetic = 0.0
    for k in range(size):
        new[k] = theta[k]
        momentum[k] = rng.standard_normal()
        kinetic += 0.5 * momentum[k] * momentum[k]
    step = step * (0.9 + 0.2 * rng.random())
    args = (rows, population, z, new_weights, new_psi, slope)
    # Scales bounce off zero. The density is the same for (tau, z) and (-tau, -z), but the metric,
    # which ties tau to other parameters, is not: so a change of sign would be no change of names.
    positive = np.empty(0, dtype=np.int64)
    if not population.full and z[0, 0] != 0.0:  # without noise z is 0, and tau of no meaning
        positive = population.precision.size + np.arange(z.shape[1])
    start, end = _leapfrog(args, new, gradient, momentum, whiten, step, leaps, positive)
    if not np.isfinite(end):
        return 0.0, start
    for k in range(size):
        kinetic -= 0.5 * momentum[k] * momentum[k]
    change = end - start + kinetic
    # A trajectory that lost a number is refused: the least of 0 and nan may be 0.
    acceptance = np.exp(min(0.0, change)) if np.isfinite(change) else 0.0
    if rng.random() >= acceptance:
        return acceptance, start
    for k in range(size):
        theta[k] = new[k]
    for i in range(weights.shape[0]):
        for k in range(weights.shape[1]):
            weights[i, k] = new_weights[i, k]
    for n in range(psi.size):
        psi[n] = new_psi[n]
    return acceptance, end
