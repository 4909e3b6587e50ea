"""Density of a correlated population given Polya-Gamma variables, users' weights integrated out.

The likelihood is that of `integrated_likelihood`. Its gradient in theta is the mean, over the
Gaussian of w_i given omega and theta, of the gradient of log p(w_i | theta) (Fisher's identity).
"""

from __future__ import annotations

import numpy as np

from bayes_pref.inference.gibbs.kernels.covariance import precision_of
from bayes_pref.inference.gibbs.kernels.hmc import Move, leapfrog_on
from bayes_pref.inference.gibbs.kernels.marginal_likelihood import integrate_weights
from bayes_pref.inference.gibbs.kernels.population_density import log_prior
from bayes_pref.inference.gibbs.kernels.user_information import information_in_batches
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.types import FloatArray

BATCH = 64  # users in a SIMD batch


class Marginal:
    """Density of theta given omega, and the users' weights given both.

    The last SIMD batch is filled up with users without choices, who change nothing.

    Attributes
    ----------
    information
        (n_batches, n_features * (n_features + 1) / 2, batch): lower triangles of A_i, by rows.
    score
        (n_batches, n_features, batch): b_i.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.n_users, p1 = problem.population.design.shape
        d = problem.population.precision.shape[1]
        batch = min(BATCH, self.n_users)
        batches = -(-self.n_users // batch)
        self.information = np.empty((batches, d * (d + 1) // 2, batch))
        self.score = np.empty((batches, d, batch))
        design = np.zeros((batches * batch, p1))
        design[: self.n_users] = problem.population.design
        self.design = np.ascontiguousarray(design.reshape(batches, batch, p1).swapaxes(1, 2))
        self._away = np.empty_like(self.score)
        self._no_noise = np.zeros_like(self.score)
        self._second = np.empty((d, d))
        self._below = np.tril_indices(d)
        self._lower = np.zeros((d, d))

    def read(self, omega: FloatArray) -> None:
        """Compute information and scores given Polya-Gamma variables (n,)."""
        information_in_batches(self.problem.rows, omega, self.information, self.score)

    def log_density(self, theta: FloatArray, gradient: FloatArray) -> float:
        """Log density of theta, up to a constant; fills its gradient. -inf outside."""
        problem = self.problem
        prior = log_prior(problem.population, theta, gradient)
        if prior == -np.inf:
            return float(prior)
        lower, mean = self._read_theta(theta)
        precision, second = precision_of(lower), self._second
        value = self._integrate(mean, precision, self._no_noise)
        total = self.design.shape[0] * self.design.shape[2]
        by_mean = (self.design @ self._away.swapaxes(1, 2)).sum(axis=0) @ precision
        gradient[: problem.n_means] += by_mean.ravel()
        by_lower = (precision @ second @ precision - total * precision) @ lower
        gradient[problem.n_means :] += by_lower[self._below]
        return float(prior + value - total * np.log(lower.diagonal()).sum())

    def fisher(self, theta: FloatArray) -> FloatArray:
        """Information (m, m) of the choices on theta, expected given omega."""
        problem = self.problem
        lower, _ = self._read_theta(theta)
        d = len(lower)
        prior = precision_of(lower)
        of_means = np.zeros((*problem.population.precision.shape,) * 2)
        of_factor = np.zeros((d, d, d, d))
        for design, flat in zip(self.design, self.information, strict=True):
            own = np.zeros((flat.shape[1], d, d))
            own[:, *self._below] = flat.T
            own += np.tril(own, -1).swapaxes(1, 2)
            # Pseudo-observations A^-1 b have covariance Sigma + A^-1; this is its inverse.
            weight = prior - prior @ np.linalg.inv(own + prior) @ prior
            along = weight @ lower
            both = lower.T @ along
            of_means += np.einsum("al,bl,lkm->akbm", design, design, weight, optimize=True)
            of_factor += np.einsum("lkj,lmn->kmjn", weight, both, optimize=True)
            of_factor += np.einsum("lkn,ljm->kmjn", along, along, optimize=True)
        matrix = np.zeros((problem.n_parameters,) * 2)
        matrix[: problem.n_means, : problem.n_means] = of_means.reshape(2 * (problem.n_means,))
        place = np.ravel_multi_index(self._below, (d, d))
        matrix[problem.n_means :, problem.n_means :] = of_factor.reshape(d * d, d * d)[
            np.ix_(place, place)
        ]
        return matrix

    def draw_weights(self, theta: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Draw all users' weights (n_users, n_features) given theta and omega."""
        lower, mean = self._read_theta(theta)
        self._integrate(mean, precision_of(lower), rng.standard_normal(mean.shape))
        drawn = mean + self._away
        return drawn.swapaxes(1, 2).reshape(-1, len(lower))[: self.n_users]

    def _integrate(self, mean: FloatArray, precision: FloatArray, noise: FloatArray) -> float:
        arrays = (self.information, self.score, mean, precision, noise, self._away, self._second)
        return float(integrate_weights(*arrays))

    def _read_theta(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return L and all users' means m_i, in SIMD batches."""
        n_means = self.problem.n_means
        gamma = theta[:n_means].reshape(self.problem.population.precision.shape)
        self._lower[self._below] = theta[n_means:]
        return self._lower, gamma.T @ self.design


def move_population(
    marginal: Marginal, theta: FloatArray, move: Move, rng: np.random.Generator
) -> float:
    """Move theta, in place, by one Hamiltonian trajectory; returns the acceptance probability."""
    momentum = rng.standard_normal(theta.size)
    kinetic = 0.5 * momentum @ momentum
    step = move.step * (0.9 + 0.2 * rng.random())
    new, gradient = theta.copy(), np.empty_like(theta)
    leapfrog = leapfrog_on(marginal.log_density)
    start, end = leapfrog((), new, gradient, momentum, move.whiten, step, move.leaps)
    if not np.isfinite(end):
        return 0.0
    change = float(end - start + kinetic - 0.5 * momentum @ momentum)
    # A trajectory that lost a number is refused: the least of 0 and nan is 0.
    acceptance = np.exp(min(0.0, change)) if np.isfinite(change) else 0.0
    if rng.random() < acceptance:
        theta[...] = new
    return float(acceptance)
