"""One Gibbs chain at a time: where it starts, how it adapts, how it goes on after a pause."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular

from bayes_pref.inference.compiled import compile_beside
from bayes_pref.inference.gibbs_diagonal import sweep_diagonal
from bayes_pref.inference.gibbs_full import sweep_full
from bayes_pref.inference.gibbs_problem import Problem
from bayes_pref.inference.gibbs_store import Store
from bayes_pref.inference.gibbs_tastes import sweep_tastes, unturned
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
    """A chain of the diagonal or the full sampler, or of that with tastes."""

    def __init__(
        self, problem: Problem, warmup: int, thin: int, rng: np.random.Generator, store: Store
    ) -> None:
        problem = problem.with_tastes(rng) if problem.rank else problem
        super().__init__(problem, warmup, thin, rng, store)
        self.theta, self.weights = problem.start(rng)
        self.psi = np.empty(problem.rows.starts.size - 1)
        self.position = None
        if problem.position_sd is not None:
            self.position = Position(problem, rng)
            self.problem = problem = self.position.problem
        log_odds(problem.rows, self.weights, self.psi)
        self.adaptation = Adaptation(problem, warmup)

    def arrays(self) -> dict[str, Array]:
        """Return the arrays that the next sweep depends on."""
        own = {"theta": self.theta, "weights": self.weights, "psi": self.psi}
        if self.position is not None:
            own |= self.position.arrays()
        if self.problem.rank:
            own["tastes"] = self.problem.population.design[:, -self.problem.rank :]
        return own | self.adaptation.arrays()

    def advance(self) -> int:
        """Run some more sweeps, within warm-up or after it; returns how many."""
        warming = self.done < self.warmup
        sweeps = min(CHUNK, (self.warmup if warming else self.total) - self.done)
        if self.position is not None:
            sweeps = 1
            self.position.move(self.psi, self.rng)
        keeps, draw = self.keeps, self.kept
        state = (self.problem, self.theta, self.weights, self.psi, self.adaptation.move, self.rng)
        kept = (sweeps, self.store, self.done - self.warmup, self.thin)
        if self.problem.rank:
            acceptance = sweep_tastes(*state, *kept)
        elif self.problem.population.full:
            settled = self.done >= self.adaptation.first
            acceptance = sweep_full(*state, *kept, settled=settled)
        else:
            acceptance = sweep_diagonal(*state, *kept)
        if self.position is not None and keeps:
            self.position.keep(self.store, draw)
        self.done += sweeps
        if warming:
            self.adaptation.update(self.done, self.theta, self.weights, self.psi, acceptance)
        return sweeps


class Position:
    """The left-hand effect: one coefficient that all rows share.

    Given Polya-Gamma variables of its own, drawn anew, and everything else, it is Gaussian. The
    sweeps see it as a shift of the rows' log-odds.
    """

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        assert problem.position_sd is not None
        self.precision = 1 / problem.position_sd**2
        self.value = 0.5 * rng.standard_normal(1)
        # A copy: chains run side by side, each with a shift of its own.
        self.rows = problem.rows._replace(shift=problem.rows.signs * self.value)
        self.problem = replace(problem, rows=self.rows)
        self.omega = np.empty_like(self.rows.shift)

    def arrays(self) -> dict[str, Array]:
        """Return the arrays that the next move depends on."""
        return {"position": self.value, "shift": self.rows.shift}

    def move(self, psi: Array, rng: np.random.Generator) -> None:
        """Draw the effect given all else; `psi` (n,) and the rows' shift follow."""
        rows, omega = self.rows, self.omega
        draw_polya_gamma(psi, omega, right_table(), rng)
        psi -= rows.shift
        score = rows.signs @ (0.5 - omega * psi)
        precision = omega.sum() + self.precision  # signs are 1 or -1
        self.value[0] = score / precision + rng.standard_normal() / np.sqrt(precision)
        rows.shift[...] = rows.signs * self.value
        psi += rows.shift

    def keep(self, store: Store, draw: int) -> None:
        """Write the effect down, and its prior's part of the density."""
        store.theta[draw, -1] = self.value[0]
        store.stats[draw, 1] -= 0.5 * self.precision * self.value[0] ** 2


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
        if problem.rank:
            metric = unturned(problem, metric)
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
        precision = problem.population.precision[0]
        if problem.position_sd is not None:  # one more column, the same for all before signing
            self.signed = np.column_stack([self.signed, rows.signs])
            precision = np.append(precision, 1 / problem.position_sd**2)
        self.prior = np.diag(precision)
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
