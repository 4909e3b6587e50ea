"""The population's parameters as one vector theta, their prior, and what users' slopes say of them.

Theta is gamma (p + 1, d) by rows; tau (d), of either sign; with a full covariance the unconstrained
partial correlations y of `correlation_root`, row after row; then the choice model's parameters. L
is diag(tau) R(y). The density is the same when tau_k, the entries of y that belong to feature k,
and all zeta_ik change signs together, so that tau = 0 is no boundary. A chain keeps its signs: to
make tau positive after every move would be wrong, because a move whose metric ties tau to other
parameters does not look the same from the other side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bayes_pref.inference.gibbs.choice_problem import ChoiceProblem
from bayes_pref.inference.gibbs.kernels.correlation_root import (
    correlation_root,
    correlation_slope,
)
from bayes_pref.types import FloatArray

LEAST = 0.3  # of the expected curvature
STEP = 1e-5  # of differences of slopes, where parameters have size one


@dataclass(frozen=True)
class PopulationPoint:
    """The population at one theta.

    Attributes
    ----------
    gamma, tau, y, phi
        Views of theta.
    mean
        (n_batches, d, batch): gamma' f_i; empty where there are no users.
    root, lower
        (d, d): R and L.
    values
        Values of the choice model that the kernels read.
    """

    gamma: FloatArray
    tau: FloatArray
    y: FloatArray
    phi: FloatArray
    mean: FloatArray
    root: FloatArray
    lower: FloatArray
    values: FloatArray


class UserSums(NamedTuple):
    """Sums over users of the log density, without the prior of theta, and of its slopes.

    Attributes
    ----------
    total
        Of the log density.
    means, lower, values
        Slopes in gamma (p + 1, d), in L (d, d) and in the choice model's values.
    """

    total: float
    means: FloatArray
    lower: FloatArray
    values: FloatArray

    def plus(self, other: UserSums) -> UserSums:
        """Return the sums over these users and others."""
        return UserSums(
            self.total + other.total,
            self.means + other.means,
            self.lower + other.lower,
            self.values + other.values,
        )

    def times(self, share: float) -> UserSums:
        """Return the sums over so many times the users, who are alike."""
        return UserSums(
            share * self.total, share * self.means, share * self.lower, share * self.values
        )


class PopulationCoordinates:
    """Theta, its prior, and the density of theta from sums over users.

    Parameters
    ----------
    problem
        Data and priors.

    Attributes
    ----------
    n_regressors, d
        Sizes of gamma.
    places
        Slices of theta: gamma, tau, y and the choice model's parameters.
    size
        Length of theta, m.
    """

    def __init__(self, problem: ChoiceProblem) -> None:
        self.problem = problem
        population = problem.population
        self.n_regressors, self.d = population.precision.shape
        n_tau = 0 if problem.pooled else self.d
        n_y = self.d * (self.d - 1) // 2 if population.full else 0
        ends = np.cumsum([problem.n_means, n_tau, n_y, problem.form.size])
        self.places = [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
        self.size = int(ends[-1])

    def start(self, rng: np.random.Generator) -> FloatArray:
        """Return a theta far from those of other chains, tau never near zero."""
        gamma, tau, y, phi = (np.zeros(place.stop - place.start) for place in self.places)
        gamma[: self.d] = rng.normal(0, 0.5, self.d)
        tau[:] = np.exp(rng.normal(np.log(0.5), 0.5, tau.size))
        y[:] = rng.normal(0, 0.1, y.size)
        return np.concatenate([gamma, tau, y, phi + self.problem.form.start(rng)])

    def at(self, theta: FloatArray) -> PopulationPoint:
        """Return the population at theta."""
        gamma, tau, y, phi = (theta[place] for place in self.places)
        gamma = gamma.reshape(self.n_regressors, self.d)
        root = np.zeros((self.d, self.d))
        if self.problem.population.full:
            correlation_root(np.ascontiguousarray(y), root)
        elif tau.size:
            np.fill_diagonal(root, 1.0)
        lower = tau[:, None] * root if tau.size else root
        values = self.problem.form.values(phi)
        return PopulationPoint(gamma, tau, y, phi, self._means(gamma), root, lower, values)

    def with_prior(self, here: PopulationPoint, sums: UserSums) -> tuple[float, FloatArray]:
        """Log density of theta, up to a constant, and its gradient (m,), from sums over users."""
        problem, population = self.problem, self.problem.population
        total, gradient = sums.total, np.empty(self.size)
        means, scales, correlations, choice = (gradient[place] for place in self.places)
        means[:] = (sums.means - population.precision * here.gamma).ravel()
        total -= 0.5 * float((population.precision * here.gamma**2).sum())
        if scales.size:
            prior = here.tau / population.spread**2
            scales[:] = (sums.lower * here.root).sum(axis=1) - prior
            total -= 0.5 * float((here.tau * prior).sum())
        if correlations.size:
            root_slope = here.tau[:, None] * sums.lower
            total += correlation_slope(
                here.y, here.root, root_slope, population.concentration, correlations
            )
        if choice.size:
            log_prior, prior_slope = problem.form.log_prior(here.phi)
            choice[:] = problem.form.pulled_back(here.phi, sums.values) + prior_slope
            total += log_prior
        return total, gradient

    def prior_precision(self) -> FloatArray:
        """(m,) precision of the prior of each parameter, about."""
        population = self.problem.population
        made = [
            population.precision.ravel(),
            1 / population.spread**2,
            np.full(self.d**2, 2 * population.concentration + self.d - 2),
            np.ones(self.problem.form.size),
        ]
        sizes = (place.stop - place.start for place in self.places)
        return np.concatenate([part[:size] for part, size in zip(made, sizes, strict=True)])

    def lower_entries(self, theta: FloatArray) -> FloatArray:
        """Return gamma, L by rows with a positive diagonal, and the choice model's parameters."""
        here = self.at(theta)
        full = self.problem.population.full
        entries = np.tril_indices(self.d) if full else np.diag_indices(self.d)
        # Columns of L may change signs: L L' is the same.
        lower = (here.lower * np.sign(here.tau))[entries] if here.tau.size else here.tau
        return np.concatenate([here.gamma.ravel(), lower, here.phi])

    def _means(self, gamma: FloatArray) -> FloatArray:
        """(n_batches, d, batch) of the users that there are."""
        return np.zeros((0, self.d, 0))


def stepped(theta: FloatArray) -> FloatArray:
    """(m + 1, m) theta, and a small step from it along each parameter."""
    return theta + np.vstack([np.zeros(theta.size), STEP * np.eye(theta.size)])


def curvature_from(slopes: Sequence[FloatArray]) -> FloatArray:
    """(m, m) minus the Hessian, from the slopes (m,) at each theta of `stepped`."""
    matrix = -(np.array(slopes[1:]) - slopes[0]) / STEP
    return np.asarray((matrix + matrix.T) / 2)


def bounded_curvature(curvature: FloatArray, expected: FloatArray) -> FloatArray:
    """Return a curvature (m, m) that is nowhere far below another, which is positive definite.

    In units of the other its eigenvalues are at least `LEAST`, negative ones as large as they are.
    """
    root = np.linalg.cholesky(expected)
    inverse = np.linalg.inv(root)
    values, vectors = np.linalg.eigh(inverse @ curvature @ inverse.T)
    axes = root @ vectors
    return np.asarray((axes * np.maximum(np.abs(values), LEAST)) @ axes.T)


def metric_root(curvature: FloatArray) -> FloatArray:
    """Inverse symmetric root of a curvature (m, m) as a metric.

    Directions without any curvature have that of a weak prior.
    """
    values, vectors = np.linalg.eigh(curvature)
    values = np.maximum(np.abs(values), 1e-3)
    return np.asarray((vectors / np.sqrt(values)) @ vectors.T)
