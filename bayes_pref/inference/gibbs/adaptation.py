"""Metrics and step sizes of the Hamiltonian moves, adapted during warm-up and then fixed."""

from __future__ import annotations

import numpy as np

from bayes_pref.inference.gibbs.kernels.hmc import Move
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.inference.gibbs.sweeps import Sweeps, Trajectory
from bayes_pref.types import FloatArray

_LOOKS = 4  # at the metric after the start is forgotten, at least
CHUNK = 5  # sweeps between two looks at the metric, the clock and Ctrl-C


class Metric:
    """Metric and step size of one Hamiltonian move."""

    def __init__(self, size: int, trajectory: Trajectory) -> None:
        self.trajectory = trajectory
        self.whiten = np.eye(size)
        self.curvature = np.zeros((size, size))
        self.log_step = np.full(1, np.log(trajectory.step))

    def arrays(self) -> dict[str, FloatArray]:
        """Return what has been adapted, as arrays that can be written into."""
        return {"whiten": self.whiten, "curvature": self.curvature, "log_step": self.log_step}

    @property
    def move(self) -> Move:
        """The move with the metric and step size as they are now."""
        return Move(self.whiten, float(np.exp(self.log_step[0])), self.trajectory.leaps)


class Adaptation:
    """Adaptation of the Hamiltonian moves of `Sweeps`.

    A metric is the curvature of the move's log density in theta, averaged over warm-up from a fifth
    of it on and afresh from two fifths, when a far start is forgotten; plus the prior precision.
    Step sizes follow the acceptance by stochastic approximation.

    Parameters
    ----------
    problem, sweeps
        What is sampled, and by which sweeps.
    warmup
        Number of sweeps to adapt in.
    """

    def __init__(self, problem: Problem, sweeps: Sweeps, warmup: int) -> None:
        size = problem.n_parameters
        self.problem = problem
        self.sweeps = sweeps
        self.metrics = [Metric(size, trajectory) for trajectory in sweeps.trajectories]
        self.first = warmup // 5
        self.restart = 2 * warmup // 5
        self.last = 9 * warmup // 10
        self.looks = np.zeros(1)  # number of curvatures in the average
        # Of a thousand users and more looks cost as many sweeps as of a thousand.
        work = min(problem.population.design.shape[0], 1000) * size**2
        # A warm-up that is short for that has some looks all the same.
        most = max(1, (self.last - self.restart) // (_LOOKS * CHUNK))
        self.every = CHUNK * min(most, int(np.ceil(work / sweeps.look_cost)))

    def arrays(self) -> dict[str, FloatArray]:
        """Return what has been adapted, as arrays that can be written into."""
        adapted = {"looks": self.looks}
        for place, metric in enumerate(self.metrics):
            adapted |= {f"{name}_{place}": array for name, array in metric.arrays().items()}
        return adapted

    @property
    def moves(self) -> tuple[Move, ...] | None:
        """The moves as they are now; None before there are metrics."""
        if not self.looks[0]:
            return None
        return tuple(metric.move for metric in self.metrics)

    def update(
        self,
        done: int,
        theta: FloatArray,
        weights: FloatArray,
        psi: FloatArray,
        acceptances: tuple[float, ...],
    ) -> None:
        """Adapt to the state after `done` sweeps and the acceptances of the last of them."""
        if self.looks[0]:
            gain = 0.5 / (1 + 0.05 * max(0, done - self.first))
            for metric, acceptance in zip(self.metrics, acceptances, strict=True):
                metric.log_step += gain * (acceptance - metric.trajectory.target)
        if self.first <= done <= self.last and done % self.every == 0:
            self.look(done, theta, weights, psi)

    def look(self, done: int, theta: FloatArray, weights: FloatArray, psi: FloatArray) -> None:
        """Take the curvature at the state after `done` sweeps into the metrics."""
        if self.restart <= done < self.restart + self.every:
            for metric in self.metrics:
                metric.curvature[...] = 0.0
            self.looks[0] = 0
        self.looks[0] += 1
        problem, population = self.problem, self.problem.population
        totals = [metric.curvature for metric in self.metrics]
        self.sweeps.add_curvatures(problem, theta, weights, psi, totals)
        scales = self.sweeps.scale_precision(population)
        prior = np.diag(np.concatenate([population.precision.ravel(), scales]))
        for metric in self.metrics:
            matrix = self.sweeps.averaged(problem, metric.curvature / self.looks[0] + prior)
            metric.whiten[...] = np.linalg.inv(np.linalg.cholesky(matrix)).T
