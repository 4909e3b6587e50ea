"""Density of a Gaussian population given Polya-Gamma variables, users' weights integrated out.

Users' weights are Normal(gamma' f_i, L L'). L is lower triangular where features are correlated,
diag(tau) where they are not, and (V, diag(noise)) where users have scores on factors, which are
integrated out, too: then f_i are the known regressors alone. The density is the same for every
rotation of the factors, and for either sign of each tau and noise.

The likelihood is that of `marginal_likelihood`. Its gradient in theta is the mean, over the
Gaussian of w_i given omega and theta, of the gradient of log p(w_i | theta) (Fisher's identity).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from bayes_pref.inference.gibbs.kernels.covariance import precision_of
from bayes_pref.inference.gibbs.kernels.hmc import Move, leapfrog_on
from bayes_pref.inference.gibbs.kernels.marginal_likelihood import integrate_weights
from bayes_pref.inference.gibbs.kernels.population_density import log_prior
from bayes_pref.inference.gibbs.kernels.user_information import information_in_batches
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.types import FloatArray, IntArray

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
        self.n_users = len(problem.population.design)
        p1, d = problem.population.precision.shape
        p1 -= problem.rank  # scores are integrated out, with the weights
        batch = min(BATCH, self.n_users)
        batches = -(-self.n_users // batch)
        self.information = np.empty((batches, d * (d + 1) // 2, batch))
        self.score = np.empty((batches, d, batch))
        design = np.zeros((batches * batch, p1))
        design[: self.n_users] = problem.population.design[:, :p1]
        self.design = np.ascontiguousarray(design.reshape(batches, batch, p1).swapaxes(1, 2))
        self._away = np.empty_like(self.score)
        self._no_noise = np.zeros_like(self.score)
        self._second = np.empty((d, d))
        self._below = np.tril_indices(d)
        self._entries = entries_of_root(problem)
        self._root = np.zeros((d, problem.rank + d))
        self.n_known = p1 * d
        # Of tau or noise, whose signs have no meaning.
        self.scales = slice(problem.n_parameters - (0 if problem.population.full else d), None)

    def read(self, omega: FloatArray) -> None:
        """Compute information and scores given Polya-Gamma variables (n,)."""
        information_in_batches(self.problem.rows, omega, self.information, self.score)

    def log_density(self, theta: FloatArray, gradient: FloatArray) -> float:
        """Log density of theta, up to a constant; fills its gradient. -inf outside."""
        problem = self.problem
        prior = log_prior(problem.population, theta, gradient)
        if prior == -np.inf:
            return float(prior)
        root, mean = self._read_theta(theta)
        precision, log_volume = precision_and_volume(root)
        if log_volume == -np.inf:
            return -np.inf
        second = self._second
        value = self._integrate(mean, precision, self._no_noise)
        total = self.design.shape[0] * self.design.shape[2]
        by_mean = (self.design @ self._away.swapaxes(1, 2)).sum(axis=0) @ precision
        gradient[: self.n_known] += by_mean.ravel()
        by_root = (precision @ second @ precision - total * precision) @ root
        gradient[self.n_known :] += by_root[self._entries]
        return float(prior + value - total * log_volume)

    def fisher(self, theta: FloatArray) -> FloatArray:
        """Information (m, m) of the choices on theta, expected given omega."""
        root, _ = self._read_theta(theta)
        d, q = root.shape
        prior, _ = precision_and_volume(root)
        known = self.design.shape[1]
        of_means = np.zeros((known, d, known, d))
        of_root = np.zeros((d, q, d, q))
        for design, flat in zip(self.design, self.information, strict=True):
            own = np.zeros((flat.shape[1], d, d))
            own[:, *self._below] = flat.T
            own += np.tril(own, -1).swapaxes(1, 2)
            # Pseudo-observations A^-1 b have covariance Sigma + A^-1; this is its inverse.
            weight = prior - prior @ np.linalg.inv(own + prior) @ prior
            along = weight @ root
            both = root.T @ along
            of_means += np.einsum("al,bl,lkm->akbm", design, design, weight, optimize=True)
            of_root += np.einsum("lkj,lmn->kmjn", weight, both, optimize=True)
            of_root += np.einsum("lkn,ljm->kmjn", along, along, optimize=True)
        matrix = np.zeros((self.problem.n_parameters,) * 2)
        matrix[: self.n_known, : self.n_known] = of_means.reshape(2 * (self.n_known,))
        place = np.ravel_multi_index(self._entries, (d, q))
        matrix[self.n_known :, self.n_known :] = of_root.reshape(d * q, d * q)[np.ix_(place, place)]
        # Apart from each other, scales that change signs together with what they belong to look the
        # same from the other side; tied to each other they would not.
        apart = matrix[self.scales, self.scales]
        apart[...] = np.diag(apart.diagonal())
        return matrix

    def draw_weights(self, theta: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Draw all users' weights (n_users, n_features) given theta and omega."""
        root, mean = self._read_theta(theta)
        precision, _ = precision_and_volume(root)
        self._integrate(mean, precision, rng.standard_normal(mean.shape))
        drawn = mean + self._away
        return drawn.swapaxes(1, 2).reshape(-1, len(root))[: self.n_users]

    def _integrate(self, mean: FloatArray, precision: FloatArray, noise: FloatArray) -> float:
        arrays = (self.information, self.score, mean, precision, noise, self._away, self._second)
        return float(integrate_weights(*arrays))

    def _read_theta(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return L and all users' means m_i, in SIMD batches."""
        gamma = theta[: self.n_known].reshape(self.design.shape[1], -1)
        self._root[self._entries] = theta[self.n_known :]
        return self._root, gamma.T @ self.design


def entries_of_root(problem: Problem) -> tuple[IntArray, IntArray]:
    """Rows and columns of the entries of L, in the order that they have in theta."""
    d, rank = problem.population.precision.shape[1], problem.rank
    if problem.population.full:
        return np.tril_indices(d)
    features = np.arange(d)
    columns = [np.repeat(np.arange(rank), d), rank + features]
    return np.tile(features, rank + 1), np.concatenate(columns)


def precision_and_volume(root: FloatArray) -> tuple[FloatArray, float]:
    """Return Sigma^-1 and log det(Sigma) / 2 of Sigma = L L'; -inf where it is singular."""
    if len(root) < root.shape[1]:
        try:
            root = np.asarray(np.linalg.cholesky(root @ root.T), dtype=np.float64)
        except np.linalg.LinAlgError:
            return np.zeros((len(root),) * 2), -np.inf
    with np.errstate(divide="ignore"):
        volume = float(np.log(np.abs(root.diagonal())).sum())
    return (precision_of(root) if volume > -np.inf else np.zeros_like(root)), volume


class CollapsedDensity(Protocol):
    """A log density that `move_population` moves on.

    Attributes
    ----------
    scales
        Entries of theta whose signs have no meaning.
    """

    scales: slice

    def log_density(self, theta: FloatArray, gradient: FloatArray) -> float:
        """Log density of theta, up to a constant; fills its gradient. -inf outside."""


def move_population(
    marginal: CollapsedDensity, theta: FloatArray, move: Move, rng: np.random.Generator
) -> float:
    """Move theta, in place, by one Hamiltonian trajectory; returns the acceptance probability."""
    momentum = rng.standard_normal(theta.size)
    kinetic = 0.5 * momentum @ momentum
    step = move.step * (0.9 + 0.2 * rng.random())
    new, gradient = theta.copy(), np.empty_like(theta)
    leapfrog = leapfrog_on(marginal.log_density)
    free = np.empty(0, dtype=np.int64)  # the metric does not tie scales, whose signs are names
    start, end = leapfrog((), new, gradient, momentum, move.whiten, step, move.leaps, free)
    if not np.isfinite(end):
        return 0.0
    change = float(end - start + kinetic - 0.5 * momentum @ momentum)
    # A trajectory that lost a number is refused: the least of 0 and nan is 0.
    acceptance = np.exp(min(0.0, change)) if np.isfinite(change) else 0.0
    if rng.random() < acceptance:
        theta[...] = new
        scales = theta[marginal.scales]
        np.abs(scales, out=scales)
    return float(acceptance)
