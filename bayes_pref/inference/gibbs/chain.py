"""One Gibbs chain at a time: where it starts, how it adapts, how it goes on after a pause."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular

from bayes_pref.inference.gibbs.diagonal_sampler import sweep_diagonal
from bayes_pref.inference.gibbs.factor_sampler import sweep_factors, unturned
from bayes_pref.inference.gibbs.full_sampler import sweep_full
from bayes_pref.inference.gibbs.kernels.design_matrix import log_odds
from bayes_pref.inference.gibbs.kernels.hmc import STILL, Move, hmc_move
from bayes_pref.inference.gibbs.kernels.jit import compile_beside
from bayes_pref.inference.gibbs.kernels.polya_gamma import (
    draw_polya_gamma,
    mean_polya_gamma,
    right_table,
)
from bayes_pref.inference.gibbs.kernels.population_density import add_curvature
from bayes_pref.inference.gibbs.kernels.scale_updates import draw_scales
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.marginal import Marginal
from bayes_pref.inference.gibbs.problem import Problem

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
FULL = Trajectory(leaps=4, step=0.6, target=0.75)
FULL_MARGINAL = Trajectory(leaps=8, step=0.45, target=0.8)


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
    """A chain of the diagonal or the full sampler, or of that with factors."""

    def __init__(
        self, problem: Problem, warmup: int, thin: int, rng: np.random.Generator, store: Store
    ) -> None:
        problem = problem.with_scores(rng) if problem.rank else problem
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
            own["factors"] = self.problem.population.design[:, -self.problem.rank :]
        return own | self.adaptation.arrays()

    def advance(self) -> int:
        """Run some more sweeps, within warm-up or after it; returns how many."""
        warming = self.done < self.warmup
        sweeps = min(CHUNK, (self.warmup if warming else self.total) - self.done)
        if self.position is not None:
            sweeps = 1
            self.position.move(self.psi, self.rng)
        keeps, draw = self.keeps, self.kept
        acceptance = self.sweep(sweeps, self.store, self.done - self.warmup, self.thin)
        if self.position is not None and keeps:
            self.position.keep(self.store, draw)
        self.done += sweeps
        if warming:
            self.adaptation.update(self.done, self.theta, self.weights, self.psi, *acceptance)
        return sweeps

    def sweep(self, sweeps: int, store: Store, position: int, thin: int) -> tuple[float, ...]:
        """Run sweeps of the kind the problem asks for; returns the acceptance of each move."""
        moves = self.adaptation.moves
        state = (self.problem, self.theta, self.weights, self.psi)
        if self.problem.population.full:
            return sweep_full(*state, moves, self.rng, sweeps, store, position, thin)
        sweep = sweep_factors if self.problem.rank else sweep_diagonal
        move = moves[0] if moves else None
        return (sweep(*state, move, self.rng, sweeps, store, position, thin),)


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


class Metric:
    """Metric and step size of one Hamiltonian move."""

    def __init__(self, size: int, trajectory: Trajectory) -> None:
        self.trajectory = trajectory
        self.whiten = np.eye(size)
        self.curvature = np.zeros((size, size))
        self.log_step = np.full(1, np.log(trajectory.step))

    def arrays(self) -> dict[str, Array]:
        """Return what has been learned, as arrays that can be written into."""
        return {"whiten": self.whiten, "curvature": self.curvature, "log_step": self.log_step}

    @property
    def move(self) -> Move:
        """The move as it is now."""
        return Move(self.whiten, float(np.exp(self.log_step[0])), self.trajectory.leaps)


class Adaptation:
    """Metrics and step sizes of the Hamiltonian moves, learned during warm-up and then frozen.

    The metric is the curvature of the log likelihood in theta, averaged over warm-up from a fifth
    of it on and afresh from two fifths, when a far start is forgotten; plus the prior's. The
    curvature is with z held, and where a sampler integrates the weights out (full covariance), for
    the move that does so, the information given omega.
    """

    def __init__(self, problem: Problem, warmup: int) -> None:
        size = problem.n_parameters
        self.problem = problem
        kinds = (FULL, FULL_MARGINAL) if problem.population.full else (DIAGONAL,)
        self.metrics = [Metric(size, trajectory) for trajectory in kinds]
        self.first = warmup // 5
        self.restart = 2 * warmup // 5
        self.last = 9 * warmup // 10
        self.looks = np.zeros(1)  # at the curvatures, in the average
        # A look at the curvature should stay cheap beside the sweeps between two of them.
        work = problem.population.design.shape[0] * size**2
        cheap = 5e6 if problem.population.full else 4e7
        self.every = CHUNK * int(np.ceil(work / cheap))

    def arrays(self) -> dict[str, Array]:
        """Return what has been learned, as arrays that can be written into."""
        learned = {"looks": self.looks}
        for place, metric in enumerate(self.metrics):
            learned |= {f"{name}_{place}": array for name, array in metric.arrays().items()}
        return learned

    @property
    def moves(self) -> Any:
        """The moves as they are now, None until there are metrics."""
        if not self.looks[0]:
            return None
        return tuple(metric.move for metric in self.metrics)

    def update(
        self, done: int, theta: Array, weights: Array, psi: Array, *acceptances: float
    ) -> None:
        """Learn from the state after `done` sweeps and the acceptances of the last of them."""
        if self.looks[0]:
            gain = 0.5 / (1 + 0.05 * max(0, done - self.first))
            for metric, acceptance in zip(self.metrics, acceptances, strict=True):
                metric.log_step += gain * (acceptance - metric.trajectory.target)
        if done < self.first or done > self.last or done % self.every:
            return
        if self.restart <= done < self.restart + self.every:
            for metric in self.metrics:
                metric.curvature[...] = 0.0
            self.looks[0] = 0
        self.looks[0] += 1
        problem, population = self.problem, self.problem.population
        z = problem.deviations(theta, weights)
        add_curvature(problem.rows, population, z, psi, self.metrics[0].curvature)
        if population.full:
            marginal = Marginal(problem)
            marginal.read(mean_polya_gamma(psi))
            self.metrics[1].curvature += marginal.fisher(theta)
        d = population.precision.shape[1]
        tau = 1 / population.spread**2
        scales = np.repeat(tau, np.arange(1, d + 1)) if population.full else tau
        prior = np.diag(np.concatenate([population.precision.ravel(), scales]))
        for metric in self.metrics:
            matrix = metric.curvature / self.looks[0] + prior
            if problem.rank:
                matrix = unturned(problem, matrix)
            metric.whiten[...] = np.linalg.inv(np.linalg.cholesky(matrix)).T


def compile_ahead(problem: Problem) -> None:
    """Have what a sweep comes to last compiled beside the rest of it: that halves the wait."""
    rows, population, rng = problem.rows, problem.population, np.random.default_rng(0)
    theta, weights = problem.start(rng)
    psi = np.empty(rows.starts.size - 1)
    move = (theta, weights, weights, psi, STILL.whiten, STILL.step, STILL.leaps, rng)
    kernels: list[tuple[Any, tuple[Any, ...]]] = [
        (hmc_move, (rows, population, *move)),
        (add_curvature, (rows, population, weights, psi, STILL.whiten)),
    ]
    if population.full:
        gamma, lower = population.precision, STILL.whiten
        scales = (rows, population, psi, weights, gamma, lower, weights, psi, rng)
        kernels.append((draw_scales, scales))
    compile_beside(kernels)


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
