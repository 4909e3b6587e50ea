"""The mean bias of a log in a Gibbs chain, and what it exchanges with the population's weights."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from bayes_pref.inference.gibbs.kernels.polya_gamma import draw_polya_gamma, right_table
from bayes_pref.inference.gibbs.kernels.slice import slice_move
from bayes_pref.inference.gibbs.observational_bias_problem import ObservationalBiasProblem
from bayes_pref.types import FloatArray


class MeanBias:
    """The mean bias b of one chain and its size s; sweeps see b as a shift of the log's rows.

    The sweeps move the weights of everyone given b, and with them what the log tells, the sum of
    both; the moves here share it out.

    Parameters
    ----------
    problem
        Of this chain, whose rows' shifts are written into.
    rng
        Generator of the first values.

    Attributes
    ----------
    mean, size
        (d,) b and s, on scaled features.
    """

    def __init__(self, problem: ObservationalBiasProblem, rng: Generator) -> None:
        self.problem = problem
        d = problem.bias_scale.size
        self.size = problem.bias_scale * np.exp(rng.normal(0.0, 0.5, d))
        self.mean = self.size * rng.standard_normal(d)
        self.randomised = np.flatnonzero(~problem.logged)
        self.rows = problem.signed[self.randomised]
        user = np.repeat(np.arange(problem.rows.offsets.size - 1), np.diff(problem.rows.offsets))
        self.user = user[self.randomised]
        problem.rows.shift[...] += self._shift(self.mean)

    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays that the next move depends on."""
        return {"bias": self.mean, "size": self.size, "log_shift": self.problem.rows.shift}

    def move(self, theta: FloatArray, weights: FloatArray, psi: FloatArray, rng: Generator) -> None:
        """Draw what is shared out; theta, weights and psi (n,) follow, in place."""
        self._exchange_means(theta, weights, psi, rng)
        self._exchange_spread(theta, weights, psi, rng)
        self._draw_size(rng)

    def _draw_size(self, rng: Generator) -> None:
        """Draw s given b.

        A half-Cauchy is a mixture of inverse gammas (Makalic & Schmidt 2016, IEEE Signal Process.
        Lett. 23), s^2 | xi ~ IG(1/2, 1/xi) and xi ~ IG(1/2, 1/scale^2), which are conjugate.
        """
        xi = self.problem.bias_scale**-2.0 + self.size**-2.0
        xi /= rng.standard_exponential(xi.size)
        rate = 1.0 / xi + 0.5 * self.mean**2
        self.size[...] = np.sqrt(rate / rng.standard_exponential(rate.size))

    def _exchange_means(
        self, theta: FloatArray, weights: FloatArray, psi: FloatArray, rng: Generator
    ) -> None:
        """Add to everyone's weights what is taken from the bias.

        The log cannot tell the two apart: of the likelihood, only randomised rows change. Given
        Polya-Gamma variables of these, the amount is Gaussian.
        """
        d, here = self.mean.size, psi[self.randomised]
        omega = np.empty_like(here)
        draw_polya_gamma(here, omega, right_table(), rng)
        prior, own = self.problem.population.precision[0, :d], self.size**-2.0
        linear = self.rows.T @ (0.5 - omega * here) - prior * theta[:d] + own * self.mean
        precision = self.rows.T @ (omega[:, None] * self.rows) + np.diag(prior + own)
        root = np.linalg.cholesky(precision)
        half = np.linalg.solve(root, linear) + rng.standard_normal(d)
        amount = np.linalg.solve(root.T, half)
        theta[:d] += amount
        weights[:, :d] += amount
        self.mean -= amount
        self.problem.rows.shift[...] -= self._shift(amount)
        psi[self.randomised] += self.rows @ amount

    def _exchange_spread(
        self, theta: FloatArray, weights: FloatArray, psi: FloatArray, rng: Generator
    ) -> None:
        """Draw how much of users' spread in the log is theirs, feature by feature.

        With e and f the deviations of a user's weight and bias, of sds tau = v cos(phi) and
        t = v sin(phi), the log tells e + f and v alone. phi is drawn by slice sampling given these
        and the residual of e after regression on e + f, standardised, so that of the likelihood
        only randomised rows change.
        """
        d, here, user = self.mean.size, psi[self.randomised], self.user
        population, n_means = self.problem.population, self.problem.n_means
        gamma, tau = theta[:n_means].reshape(-1, 2 * d), theta[n_means:]
        deviations = weights - population.design @ gamma
        for k in range(d):
            column, both = self.rows[:, k], deviations[:, k] + deviations[:, d + k]
            angle, v = float(np.arctan2(tau[d + k], tau[k])), float(np.hypot(tau[d + k], tau[k]))
            residual = deviations[:, k] - np.cos(angle) ** 2 * both
            residual /= np.sin(angle) * np.cos(angle)
            rest = here - column * deviations[user, k]
            scales = population.spread[[k, d + k]]

            def part(
                phi: float, both: FloatArray = both, residual: FloatArray = residual
            ) -> FloatArray:
                """Deviations of the weights."""
                return np.asarray(np.cos(phi) ** 2 * both + np.cos(phi) * np.sin(phi) * residual)

            def log_density(
                phi: float,
                column: FloatArray = column,
                rest: FloatArray = rest,
                few: tuple[FloatArray, FloatArray] = (both[user], residual[user]),
                of_prior: FloatArray = (v / scales) ** 2,
            ) -> float:
                if not 0.0 < phi < np.pi / 2:
                    return -np.inf
                square = of_prior[0] * np.cos(phi) ** 2 + of_prior[1] * np.sin(phi) ** 2
                log_odds = rest + column * part(phi, *few)
                return float(-0.5 * square - np.logaddexp(0.0, -log_odds).sum())

            phi = slice_move(angle, log_density, rng)
            change = part(phi) - deviations[:, k]
            here = rest + column * (deviations[:, k] + change)[user]
            weights[:, k] += change
            weights[:, d + k] -= change
            tau[k], tau[d + k] = v * np.cos(phi), v * np.sin(phi)
        psi[self.randomised] = here

    def _shift(self, mean: FloatArray) -> FloatArray:
        """(n,) what a bias adds to the log-odds of the rows."""
        return np.asarray((self.problem.signed @ mean) * self.problem.logged)
