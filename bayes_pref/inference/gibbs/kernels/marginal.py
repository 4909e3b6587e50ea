"""The population given Polya-Gamma variables, everyone's weights integrated out.

Given omega a user's choices are a Gaussian in w_i, exp(b_i' w_i - w_i' A_i w_i / 2), and so is
w_i ~ Normal(gamma' f_i, Sigma), Sigma = L L'. With m_i = gamma' f_i, c_i = b_i - A_i m_i and
P_i = A_i + Sigma^-1,

    log p(choices_i | theta, omega) = b_i' m_i - m_i' A_i m_i / 2 + c_i' P_i^-1 c_i / 2
                                      - log det(P_i) / 2 - log det(Sigma) / 2,

and w_i - m_i is Normal(P_i^-1 c_i, P_i^-1). Its gradient is the mean over that law of the gradient
of log p(w_i | theta) (Fisher's identity).

Users stand side by side in lanes, the last axis of every array, so that a processor's vector
instructions work on several at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_pref.inference.gibbs.kernels.covariance import precision_of
from bayes_pref.inference.gibbs.kernels.hmc import Move, log_prior
from bayes_pref.inference.gibbs.kernels.jit import compiled_reordering, compiled_reordering_part
from bayes_pref.inference.gibbs.problem import Problem

Array = NDArray[np.float64]

LANES = 64


class Marginal:
    """Density of theta given omega, and the users' weights given both.

    Lanes beyond the last user are users without choices: they leave all as it is.

    Attributes
    ----------
    information
        (n_blocks, n_features * (n_features + 1) / 2, lanes): lower triangles of A_i, by rows.
    score
        (n_blocks, n_features, lanes): b_i.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.n_users, p1 = problem.population.design.shape
        d = problem.population.precision.shape[1]
        lanes = min(LANES, self.n_users)
        blocks = -(-self.n_users // lanes)
        self.information = np.empty((blocks, d * (d + 1) // 2, lanes))
        self.score = np.empty((blocks, d, lanes))
        design = np.zeros((blocks * lanes, p1))
        design[: self.n_users] = problem.population.design
        self.design = np.ascontiguousarray(design.reshape(blocks, lanes, p1).swapaxes(1, 2))
        self._away = np.empty_like(self.score)
        self._no_noise = np.zeros_like(self.score)
        self._second = np.empty((d, d))
        self._below = np.tril_indices(d)
        self._lower = np.zeros((d, d))

    def read(self, omega: Array) -> None:
        """Take in Polya-Gamma variables (n,)."""
        _read(self.problem.rows, omega, self.information, self.score)

    def log_density(self, theta: Array, gradient: Array) -> float:
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

    def fisher(self, theta: Array) -> Array:
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

    def draw_weights(self, theta: Array, rng: np.random.Generator) -> Array:
        """Draw everyone's weights (n_users, n_features) given theta and omega."""
        lower, mean = self._read_theta(theta)
        self._integrate(mean, precision_of(lower), rng.standard_normal(mean.shape))
        drawn = mean + self._away
        return drawn.swapaxes(1, 2).reshape(-1, len(lower))[: self.n_users]

    def _integrate(self, mean: Array, precision: Array, noise: Array) -> float:
        arrays = (self.information, self.score, mean, precision, noise, self._away, self._second)
        return float(_integrate(*arrays))

    def _read_theta(self, theta: Array) -> tuple[Array, Array]:
        """Return L and everyone's mean m_i, in lanes."""
        n_means = self.problem.n_means
        gamma = theta[:n_means].reshape(self.problem.population.precision.shape)
        self._lower[self._below] = theta[n_means:]
        return self._lower, gamma.T @ self.design


def move_population(
    marginal: Marginal, theta: Array, move: Move, rng: np.random.Generator
) -> float:
    """Move theta, in place, by one Hamiltonian trajectory; returns the acceptance probability."""
    whiten = move.whiten
    momentum = rng.standard_normal(theta.size)
    kinetic = 0.5 * momentum @ momentum
    step = move.step * (0.9 + 0.2 * rng.random())
    new, gradient = theta.copy(), np.empty_like(theta)
    start = marginal.log_density(new, gradient)
    momentum += 0.5 * step * (gradient @ whiten)
    end = start
    for leap in range(move.leaps):
        new += step * (whiten @ momentum)
        end = marginal.log_density(new, gradient)
        if not np.isfinite(end):
            return 0.0
        momentum += (0.5 if leap == move.leaps - 1 else 1.0) * step * (gradient @ whiten)
    kinetic -= 0.5 * momentum @ momentum
    acceptance = np.exp(min(0.0, float(end - start + kinetic)))
    if rng.random() < acceptance:
        theta[...] = new
    return float(acceptance)


@compiled_reordering
def _read(rows: Any, omega: Array, information: Array, score: Array) -> None:
    """Fill `information` and `score` given omega."""
    lanes = score.shape[2]
    information[...] = 0.0
    score[...] = 0.0
    for i in range(rows.offsets.size - 1):
        block, lane = i // lanes, i % lanes
        for n in range(rows.offsets[i], rows.offsets[i + 1]):
            for e in range(rows.starts[n], rows.starts[n + 1]):
                k, a = rows.columns[e], rows.values[e]
                score[block, k, lane] += a * (0.5 - omega[n] * rows.shift[n])
                a *= omega[n]
                # Columns ascend within a row, so this fills the lower triangle.
                for f in range(rows.starts[n], e + 1):
                    place = k * (k + 1) // 2 + rows.columns[f]
                    information[block, place, lane] += a * rows.values[f]


@compiled_reordering_part
def _factor(
    information: Array, score: Array, mean: Array, precision: Array, factor: Array, solved: Array
) -> None:
    """Factorise P = C C' of one block, and solve C y = c.

    Leaves C in `factor` (d, d, lanes), its diagonal inverted, and y in `solved` (d, lanes).
    """
    d, lanes = score.shape
    column = np.empty((d, lanes))
    scale = np.empty(lanes)
    for k in range(d):
        for lane in range(lanes):
            solved[k, lane] = score[k, lane]
    for k in range(d):
        first = k * (k + 1) // 2
        for m in range(k):
            for lane in range(lanes):
                solved[k, lane] -= information[first + m, lane] * mean[m, lane]
            for lane in range(lanes):
                solved[m, lane] -= information[first + m, lane] * mean[k, lane]
        for lane in range(lanes):
            solved[k, lane] -= information[first + k, lane] * mean[k, lane]
        for m in range(k + 1):
            prior = precision[k, m]
            for lane in range(lanes):
                factor[k, m, lane] = information[first + m, lane] + prior
    for j in range(d):
        for lane in range(lanes):
            scale[lane] = 1.0 / np.sqrt(factor[j, j, lane])
        for lane in range(lanes):
            factor[j, j, lane] = scale[lane]
            solved[j, lane] *= scale[lane]
        for i in range(j + 1, d):
            for lane in range(lanes):
                column[i, lane] = factor[i, j, lane] * scale[lane]
            for lane in range(lanes):
                factor[i, j, lane] = column[i, lane]
            for lane in range(lanes):
                solved[i, lane] -= column[i, lane] * solved[j, lane]
            for m in range(j + 1, i + 1):
                for lane in range(lanes):
                    factor[i, m, lane] -= column[i, lane] * column[m, lane]


@compiled_reordering
def _integrate(
    information: Array,
    score: Array,
    mean: Array,
    precision: Array,
    noise: Array,
    away: Array,
    second: Array,
) -> float:
    """Integrate the weights out: the log likelihood of all users but for det(Sigma).

    Fills `away` (n_blocks, d, lanes) with the means of w_i - m_i where `noise` is zero, with draws
    where it is standard normal; and `second` (d, d) with the sum over users of the mean of its
    outer product with itself, which only zero noise gives.
    """
    blocks, d, lanes = score.shape
    factor = np.empty((d, d, lanes))
    inverse = np.empty((d, d, lanes))
    solved = np.empty((d, lanes))
    sums = np.zeros((d, d, lanes))
    value = np.zeros(lanes)
    product = np.empty(lanes)
    total = np.empty(lanes)
    for b in range(blocks):
        _factor(information[b], score[b], mean[b], precision, factor, solved)
        for lane in range(lanes):
            product[lane] = 1.0
        for k in range(d):
            first = k * (k + 1) // 2
            for lane in range(lanes):
                total[lane] = score[b, k, lane]
                total[lane] -= 0.5 * information[b, first + k, lane] * mean[b, k, lane]
            for m in range(k):
                for lane in range(lanes):
                    total[lane] -= information[b, first + m, lane] * mean[b, m, lane]
            for lane in range(lanes):
                value[lane] += total[lane] * mean[b, k, lane]
                value[lane] += 0.5 * solved[k, lane] * solved[k, lane]
                solved[k, lane] += noise[b, k, lane]
                product[lane] *= factor[k, k, lane]
            # The product of few reciprocals neither overflows nor underflows; of many it could.
            if k % 16 == 15 or k == d - 1:
                for lane in range(lanes):
                    value[lane] += np.log(product[lane])
                    product[lane] = 1.0
        for j in range(d):
            for lane in range(lanes):
                inverse[j, j, lane] = factor[j, j, lane]
            for i in range(j + 1, d):
                for lane in range(lanes):
                    total[lane] = 0.0
                for m in range(j, i):
                    for lane in range(lanes):
                        total[lane] += factor[i, m, lane] * inverse[m, j, lane]
                for lane in range(lanes):
                    inverse[i, j, lane] = -total[lane] * factor[i, i, lane]
        for j in range(d):
            for lane in range(lanes):
                total[lane] = 0.0
            for i in range(j, d):
                for lane in range(lanes):
                    total[lane] += inverse[i, j, lane] * solved[i, lane]
            for lane in range(lanes):
                away[b, j, lane] = total[lane]
            for m in range(j + 1):
                for lane in range(lanes):
                    total[lane] = sums[j, m, lane] + away[b, j, lane] * away[b, m, lane]
                for i in range(j, d):
                    for lane in range(lanes):
                        total[lane] += inverse[i, j, lane] * inverse[i, m, lane]
                for lane in range(lanes):
                    sums[j, m, lane] = total[lane]
    log_likelihood = 0.0
    for lane in range(lanes):
        log_likelihood += value[lane]
    for j in range(d):
        for m in range(j + 1):
            second[j, m] = 0.0
            for lane in range(lanes):
                second[j, m] += sums[j, m, lane]
            second[m, j] = second[j, m]
    return log_likelihood
