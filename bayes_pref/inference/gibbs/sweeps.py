"""Sweeps over a Gaussian population: what a chain runs, and what its Hamiltonian moves need."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bayes_pref.inference.gibbs.kernels.hmc import STILL, Move, hmc_move
from bayes_pref.inference.gibbs.kernels.jit import compile_beside
from bayes_pref.inference.gibbs.kernels.population_density import PopulationPrior, add_curvature
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.types import FloatArray

Calls = list[tuple[Any, tuple[Any, ...]]]


@dataclass(frozen=True)
class Trajectory:
    """Trajectories of a Hamiltonian move.

    Attributes
    ----------
    leaps
        Number of leapfrog steps.
    step
        First step size, in whitened units.
    target
        Acceptance probability that the step size is adapted to.
    """

    leaps: int
    step: float
    target: float


class Sweeps(ABC):
    """A Markov kernel for theta and all users' weights, with one or more Hamiltonian moves.

    Attributes
    ----------
    trajectories
        One for each Hamiltonian move.
    look_cost
        Operations that one look at the curvature may take, beside the sweeps until the next.
    """

    trajectories: tuple[Trajectory, ...]
    look_cost: ClassVar[float]

    @abstractmethod
    def run(
        self,
        problem: Problem,
        theta: FloatArray,
        weights: FloatArray,
        psi: FloatArray,
        moves: tuple[Move, ...] | None,
        rng: np.random.Generator,
        sweeps: int,
        store: Store,
        sweep: int,
        thin: int,
    ) -> tuple[float, ...]:
        """Run sweeps, in place.

        Parameters
        ----------
        problem, theta, weights, psi
            Data and priors; parameters of the population; (n_users, n_features) and the log-odds
            of all rows, (n,).
        moves
            The Hamiltonian moves; None before there are metrics.
        sweeps
            How many.
        store, sweep, thin
            Where draws are written, the number of sweeps since warm-up, and the thinning interval.

        Returns
        -------
        mean acceptance of each Hamiltonian move; nan without moves
        """

    def add_curvatures(
        self,
        problem: Problem,
        theta: FloatArray,
        weights: FloatArray,
        psi: FloatArray,
        totals: Sequence[FloatArray],
    ) -> None:
        """Add the curvature of each move's log density in theta to its total, (m, m)."""
        z = problem.deviations(theta, weights)
        add_curvature(problem.rows, problem.population, z, psi, totals[0])

    def scale_precision(self, population: PopulationPrior) -> FloatArray:
        """Prior precision of the scales in theta."""
        return np.asarray(1 / population.spread**2)

    def averaged(self, problem: Problem, metric: FloatArray) -> FloatArray:
        """Average a metric (m, m) over the symmetries of the posterior."""
        return metric

    def compile_ahead(self, problem: Problem) -> None:
        """Compile in another process what a sweep calls last: that halves the wait."""
        rng = np.random.default_rng(0)
        theta, weights = problem.start(rng)
        psi = np.empty(problem.rows.starts.size - 1)
        compile_beside(self.last_kernels(problem, theta, weights, psi, rng))

    def last_kernels(
        self,
        problem: Problem,
        theta: FloatArray,
        weights: FloatArray,
        psi: FloatArray,
        rng: np.random.Generator,
    ) -> Calls:
        """Kernels that a sweep calls last, each with arguments of the types that it is called with.

        Takes a state of a chain; its values do not matter.
        """
        rows, population = problem.rows, problem.population
        move = (theta, weights, weights, psi, STILL.whiten, STILL.step, STILL.leaps, rng)
        return [
            (hmc_move, (rows, population, *move)),
            (add_curvature, (rows, population, weights, psi, STILL.whiten)),
        ]
