"""Density of a mixture's parameters given Polya-Gamma variables, users integrated out.

Users' components and weights are both integrated out. Shares are g_t / sum(g) with g_t ~
Gamma(concentration), which makes them Dirichlet, and the parameters are x = (mu by rows, tau,
log g). The density is the same whatever the order of the components, and for either sign of tau.
"""

from __future__ import annotations

import numpy as np

from bayes_pref.inference.gibbs.kernels.mixture_density import LEAST, mixture_log_density
from bayes_pref.inference.gibbs.kernels.user_information import information_in_batches
from bayes_pref.inference.gibbs.marginal import BATCH
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.types import FloatArray


class MixtureMarginal:
    """Density of x given omega, components and weights integrated out.

    The last SIMD batch is filled up with users without choices, who change nothing.

    Parameters
    ----------
    problem
        Its design has a column for each component.
    concentration
        Of the Dirichlet prior of the shares.

    Attributes
    ----------
    scales
        Where tau is in x: its signs have no meaning.
    """

    def __init__(self, problem: Problem, concentration: float) -> None:
        self.problem = problem
        self.concentration = concentration
        self.components, d = problem.population.precision.shape
        self.n_users = len(problem.population.design)
        batch = min(BATCH, self.n_users)
        self.shape = -(-self.n_users // batch), batch
        batches, components = self.shape[0], self.components
        self.information = np.empty((batches, d * (d + 1) // 2, batch))
        self.score = np.empty((batches, d, batch))
        self.scales = slice(components * d, components * d + d)
        self.size = self.scales.stop + components
        self._shown = np.zeros((batches, components, batch))
        self._responsibility = np.empty_like(self._shown)
        self._away = np.empty((batches, components, d, batch))
        self._variance = np.empty_like(self.score)
        self._first, self._second = np.empty((components, d)), np.empty(d)
        moments = (self._first, self._second)
        self._found = (self._responsibility, self._away, self._variance, *moments)

    def read(self, omega: FloatArray, shown: FloatArray) -> None:
        """Compute information and scores given Polya-Gamma variables (n,).

        `shown` (n_users, components) is the log density of users' contexts in each component.
        """
        information_in_batches(self.problem.rows, omega, self.information, self.score)
        filled = np.zeros((self.shape[0] * self.shape[1], self.components))
        filled[: self.n_users] = shown
        self._shown[...] = filled.reshape(*self.shape, -1).swapaxes(1, 2)

    def joined(self, theta: FloatArray, share: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return x of mu and tau, theta, and the shares; the sum of g is drawn anew."""
        total = rng.gamma(self.concentration * self.components)
        return np.concatenate([theta, np.log(share) + np.log(max(total, LEAST))])

    def share(self, x: FloatArray) -> FloatArray:
        """(components,) shares at x, none of them zero."""
        log_g = x[self.scales.stop :]
        g = np.exp(log_g - log_g.max())
        return np.asarray((g / g.sum()).clip(LEAST))

    def log_density(self, x: FloatArray, gradient: FloatArray) -> float:
        """Log density of x, up to a constant; fills its gradient."""
        return float(
            mixture_log_density(
                self.information,
                self.score,
                self._shown,
                self.problem.population,
                self.concentration,
                x,
                gradient,
                *self._found,
            )
        )

    def improved(self, x: FloatArray) -> FloatArray:
        """Return x after a step of the EM algorithm, given omega.

        Dempster, Laird & Rubin (1977), J. R. Stat. Soc. B 39.
        """
        population, d = self.problem.population, self.scales.stop - self.scales.start
        self.log_density(x, np.empty_like(x))
        tau, mu = x[self.scales], x[: self.scales.start].reshape(self.components, d)
        nobody = self._shown.shape[0] * self._shown.shape[2] - self.n_users
        count = self.responsibility.sum(axis=0)
        pull = (count[:, None] * mu + self._first) / tau**2
        mean = pull / (count[:, None] / tau**2 + population.precision)
        square = np.maximum(self._second - nobody * tau**2, np.finfo(float).tiny)
        prior = population.spread**2
        # The positive root of a quadratic, without a difference that would lose a small one.
        variance = 2 * square / (self.n_users + np.sqrt(self.n_users**2 + 4 * square / prior))
        share = (count + self.concentration) / (count + self.concentration).sum()
        total = self.concentration * self.components
        return np.concatenate([mean.ravel(), np.sqrt(variance), np.log(total * share)])

    @property
    def responsibility(self) -> FloatArray:
        """(n_users, components) probability of each component at the x that was last asked for."""
        by_user = self._responsibility.swapaxes(1, 2).reshape(-1, self.components)
        return by_user[: self.n_users]

    def information_on(self, x: FloatArray) -> FloatArray:
        """(m, m) sum of the outer products of all users' slopes in x; see `averaged`."""
        self.log_density(x, np.empty_like(x))
        tau = x[self.scales]
        responsibility, away = self._responsibility, self._away
        of_means = responsibility[:, :, None] * away / tau[:, None] ** 2
        square = np.einsum("btu,btku->bku", responsibility, away**2) + self._variance
        of_scales = square / tau[:, None] ** 3 - 1 / tau[:, None]
        of_share = responsibility - self.share(x)[:, None]
        parts = (of_means.reshape(len(away), -1, away.shape[3]), of_scales, of_share)
        slopes = np.concatenate(parts, axis=1).swapaxes(1, 2).reshape(-1, self.size)
        slopes = slopes[: self.n_users]
        return np.asarray(slopes.T @ slopes)

    def averaged(self, matrix: FloatArray) -> FloatArray:
        """Average a matrix (m, m) over all orders of the components and signs of each tau."""
        k, d = self.components, self.scales.start // self.components
        of_means, of_share = slice(0, self.scales.start), slice(self.scales.stop, None)
        out = np.zeros_like(matrix)
        out[of_means, of_means] = _exchangeable(matrix[of_means, of_means].reshape(k, d, k, d))
        mixed = matrix[of_means, of_share].reshape(k, d, k, 1)
        out[of_means, of_share] = _exchangeable(mixed)
        out[of_share, of_means] = out[of_means, of_share].T
        out[of_share, of_share] = _exchangeable(matrix[of_share, of_share].reshape(k, 1, k, 1))
        scales = np.arange(self.scales.start, self.scales.stop)
        out[scales, scales] = matrix[scales, scales]
        return out

    def prior_precision(self) -> FloatArray:
        """(m,) precision of the prior of x, about."""
        population = self.problem.population
        of_share = np.full(self.components, self.concentration)
        parts = (population.precision.ravel(), 1 / population.spread**2, of_share)
        return np.concatenate(parts)


def _exchangeable(blocks: FloatArray) -> FloatArray:
    """Average blocks (k, a, k, b) over all orders of k; returns a matrix (k a, k b)."""
    k, a, _, b = blocks.shape
    own = np.einsum("tatb->ab", blocks) / k
    every = blocks.sum(axis=(0, 2))
    other = (every - k * own) / max(1, k * (k - 1))
    same = np.eye(k)[:, None, :, None]
    averaged = same * own[:, None, :] + (1 - same) * other[:, None, :]
    return np.asarray(averaged.reshape(k * a, k * b))
