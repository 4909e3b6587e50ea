"""One Gibbs chain at a time: where it starts, how it adapts, how it goes on after a pause."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular

from bayes_pref.inference.compiled import compile_beside
from bayes_pref.inference.gibbs_diagonal import sweep_diagonal
from bayes_pref.inference.gibbs_full import sweep_full
from bayes_pref.inference.gibbs_problem import Problem
from bayes_pref.inference.gibbs_store import Store
from bayes_pref.inference.hmc import STILL, Move, add_curvature, hmc_move
from bayes_pref.inference.polya_gamma import draw_polya_gamma, right_table
from bayes_pref.inference.rows import log_odds

Array = NDArray[np.float64]

CHUNK = 5  # sweeps between looks at the metric, the clock and Ctrl-C


@dataclass(frozen=True)
class Trajectory:
    """Leapfrogs, first step size (whitened units) and the acceptance that warm-up aims at."""

    leaps: int
    step: float
    target: float


# Measured on a conjoint study of 946 users and 14 features: effective draws per second.
DIAGONAL = Trajectory(leaps=2, step=0.9, target=0.6)
FULL = Trajectory(leaps=8, step=0.45, target=0.8)


class Chain(ABC):
    """A chain that advances a few sweeps at a time and can be written down between them."""

    def __init__(
        self, problem: Problem, warmup: int, thin: int, rng: np.random.Generator, store: Store
    ) -> None:
        self.problem = problem
        self.warmup = warmup
        self.thin = thin
        self.rng = rng
        self.store = store
        self.done = 0
        self.total = warmup + thin * len(store.theta)

    @property
    def kept(self) -> int:
        """Draws written so far."""
        return max(0, self.done - self.warmup) // self.thin

    @property
    def keeps(self) -> bool:
        """Whether the sweep after those done is one to keep."""
        after = self.done + 1 - self.warmup
        return after > 0 and after % self.thin == 0

    @abstractmethod
    def advance(self) -> int:
        """Run some more sweeps, within warm-up or after it; returns how many."""

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """Return the arrays that the next sweep depends on; `restore` writes into them."""

    def state(self) -> dict[str, Any]:
        """Return all that the next sweep depends on, as arrays and text."""
        generator = json.dumps(self.rng.bit_generator.state)
        return {"done": self.done, "generator": generator, **self.arrays()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.done = int(state["done"])
        self.rng.bit_generator.state = json.loads(str(state["generator"]))
        for name, array in self.arrays().items():
            array[...] = state[name]


class HierarchicalChain(Chain):
    """A chain of the diagonal or the full sampler."""

    def __init__(
        self, problem: Problem, warmup: int, thin: int, rng: np.random.Generator, store: Store
    ) -> None:
        super().__init__(problem, warmup, thin, rng, store)
        self.theta, self.weights = problem.start(rng)
        self.psi = np.empty(problem.rows.starts.size - 1)
        log_odds(problem.rows, self.weights, self.psi)
        self.adaptation = Adaptation(problem, warmup)

    def arrays(self) -> dict[str, Array]:
        """Return the arrays that the next sweep depends on."""
        own = {"theta": self.theta, "weights": self.weights, "psi": self.psi}
        return own | self.adaptation.arrays()

    def advance(self) -> int:
        """Run some more sweeps, within warm-up or after it; returns how many."""
        warming = self.done < self.warmup
        sweeps = min(CHUNK, (self.warmup if warming else self.total) - self.done)
        state = (self.problem, self.theta, self.weights, self.psi, self.adaptation.move, self.rng)
        kept = (sweeps, self.store, self.done - self.warmup, self.thin)
        if self.problem.population.full:
            settled = self.done >= self.adaptation.first
            acceptance = sweep_full(*state, *kept, settled=settled)
        else:
            acceptance = sweep_diagonal(*state, *kept)
        self.done += sweeps
        if warming:
            self.adaptation.update(self.done, self.theta, self.weights, self.psi, acceptance)
        return sweeps


class Adaptation:
    """Metric and step size of the Hamiltonian move, learned during warm-up and then frozen.

    The metric is the curvature of the log likelihood in theta, z held, averaged over warm-up from
    a fifth of it on and afresh from two fifths, when a far start is forgotten; plus the prior's.
    """

    def __init__(self, problem: Problem, warmup: int) -> None:
        size = problem.n_parameters
        self.problem = problem
        self.trajectory = FULL if problem.population.full else DIAGONAL
        self.first = warmup // 5
        self.restart = 2 * warmup // 5
        self.last = 9 * warmup // 10
        self.whiten = np.eye(size)
        self.curvature = np.zeros((size, size))
        self.looks = np.zeros(1)  # at the curvature, in the average
        self.log_step = np.full(1, np.log(self.trajectory.step))
        # A look at the curvature should stay cheap beside the sweeps between two of them.
        work = problem.population.design.shape[0] * size**2
        self.every = CHUNK * int(np.ceil(work / 4e7))

    def arrays(self) -> dict[str, Array]:
        """Return what has been learned, as arrays that can be written into."""
        return {
            "whiten": self.whiten,
            "curvature": self.curvature,
            "looks": self.looks,
            "log_step": self.log_step,
        }

    @property
    def move(self) -> Move | None:
        """The move as it is now, None until there is a metric."""
        if not self.looks[0]:
            return None
        return Move(self.whiten, float(np.exp(self.log_step[0])), self.trajectory.leaps)

    def update(
        self, done: int, theta: Array, weights: Array, psi: Array, acceptance: float
    ) -> None:
        """Learn from the state after `done` sweeps, and from the acceptance of the last of them."""
        if self.looks[0]:
            gain = 0.5 / (1 + 0.05 * max(0, done - self.first))
            self.log_step += gain * (acceptance - self.trajectory.target)
        if done < self.first or done > self.last or done % self.every:
            return
        if self.restart <= done < self.restart + self.every:
            self.curvature[...] = 0.0
            self.looks[0] = 0
        problem = self.problem
        z = problem.deviations(theta, weights)
        add_curvature(problem.rows, problem.population, z, psi, self.curvature)
        self.looks[0] += 1
        d = problem.population.precision.shape[1]
        tau = 1 / problem.population.spread**2
        scales = np.repeat(tau, np.arange(1, d + 1)) if problem.population.full else tau
        prior = np.concatenate([problem.population.precision.ravel(), scales])
        metric = self.curvature / self.looks[0] + np.diag(prior)
        self.whiten[...] = np.linalg.inv(np.linalg.cholesky(metric)).T


def compile_ahead(problem: Problem) -> None:
    """Have the Hamiltonian move compiled beside the rest of a sweep: it is a third of the wait."""
    theta, weights = problem.start(np.random.default_rng(0))
    psi = np.empty(problem.rows.starts.size - 1)
    rows, population, rng = problem.rows, problem.population, np.random.default_rng(0)
    move = (theta, weights, weights, psi, STILL.whiten, STILL.step, STILL.leaps, rng)
    curvature = (weights, psi, STILL.whiten)
    compile_beside(
        [
            (hmc_move, (rows, population, *move)),
            (add_curvature, (rows, population, *curvature)),
        ]
    )


class PooledChain(Chain):
    """A chain for a single weight vector shared by everyone."""

    def __init__(
        self, problem: Problem, warmup: int, thin: int, rng: np.random.Generator, store: Store
    ) -> None:
        super().__init__(problem, warmup, thin, rng, store)
        rows = problem.rows
        n_rows = rows.starts.size - 1
        self.signed = np.zeros((n_rows, problem.population.precision.shape[1]))
        row = np.repeat(np.arange(n_rows), np.diff(rows.starts))
        self.signed[row, rows.columns] = rows.values
        self.prior = np.diag(problem.population.precision[0])
        self.linear = self.signed.sum(axis=0) / 2
        self.mu: Array = 0.5 * rng.standard_normal(self.linear.shape)
        self.omega = np.empty(n_rows)

    def arrays(self) -> dict[str, Array]:
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
