"""Gibbs sampler for users who all have the same weights mu.

A sweep draws the Polya-Gamma variables omega given the log-odds, then mu given omega, and with it
the position bias, as one Gaussian block.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.linalg import cho_solve, solve_triangular

from bayes_pref.inference.gibbs.chain import Chain
from bayes_pref.inference.gibbs.kernels.polya_gamma import draw_polya_gamma, right_table
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.inference.gibbs.samplers.sampler import GaussianSampler
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.types import FloatArray


class PooledSampler(GaussianSampler):
    """All users have the same weights."""

    statistics: ClassVar[tuple[str, ...]] = ("lp",)

    def matches(self, spec: PopulationSpec) -> bool:
        """Whether users do not differ."""
        return spec.pooled

    def chain(
        self, problem: Problem, warmup: int, thin: int, rng: np.random.Generator, store: Store
    ) -> Chain:
        """Make a chain with an overdispersed start."""
        return PooledChain(problem, warmup, thin, rng, store)


class PooledChain(Chain):
    """A chain of one weight vector."""

    def __init__(
        self, problem: Problem, warmup: int, thin: int, rng: np.random.Generator, store: Store
    ) -> None:
        super().__init__(warmup, thin, rng, store)
        rows = problem.rows
        n_rows = rows.starts.size - 1
        self.signed = np.zeros((n_rows, problem.population.precision.shape[1]))
        row = np.repeat(np.arange(n_rows), np.diff(rows.starts))
        self.signed[row, rows.columns] = rows.values
        precision = problem.population.precision[0]
        if problem.position_sd is not None:  # one more column, the same for all before signing
            self.signed = np.column_stack([self.signed, rows.signs])
            precision = np.append(precision, 1 / problem.position_sd**2)
        self.prior = np.diag(precision)
        self.linear = self.signed.sum(axis=0) / 2
        self.mu: FloatArray = 0.5 * rng.standard_normal(self.linear.shape)
        self.omega = np.empty(n_rows)

    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays that the next sweep depends on."""
        return {"mu": self.mu}

    def advance(self) -> int:
        """Run one more sweep."""
        draw_polya_gamma(self.signed @ self.mu, self.omega, right_table(), self.rng)
        information = self.signed.T @ (self.omega[:, None] * self.signed)
        factor = np.linalg.cholesky(information + self.prior)
        noise = self.rng.standard_normal(self.mu.shape)
        self.mu[...] = cho_solve((factor, True), self.linear)
        self.mu += solve_triangular(factor, noise, lower=True, trans="T")
        if self.keeps:
            self.store.theta[self.kept] = self.mu
            log_likelihood = -np.logaddexp(0, -self.signed @ self.mu).sum()
            self.store.stats[self.kept, 1] = log_likelihood - 0.5 * self.mu @ self.prior @ self.mu
        self.done += 1
        return 1
