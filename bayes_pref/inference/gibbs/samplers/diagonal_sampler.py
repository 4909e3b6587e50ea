"""Gibbs sampler for independent features: w_ik ~ Normal(gamma_k' f_i, tau_k^2).

A sweep draws, in this order,

1. the Polya-Gamma variables omega given the log-odds;
2. where rows are dense, every user's weights as one Gaussian block;
3. feature by feature, tau_k, gamma_k and all w_ik jointly: log tau_k by slice sampling (Neal 2003)
   with gamma_k and w_ik integrated out, then gamma_k, then w_ik;
4. gamma and tau by the Hamiltonian move of `hmc`, without omega.
"""

from __future__ import annotations

import numpy as np

from bayes_pref.inference.gibbs.kernels.diagonal_sweep import diagonal_sweeps
from bayes_pref.inference.gibbs.kernels.hmc import STILL, Move
from bayes_pref.inference.gibbs.kernels.polya_gamma import right_table
from bayes_pref.inference.gibbs.kernels.store import NEVER, Store, nowhere
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.inference.gibbs.samplers.sampler import SweepSampler
from bayes_pref.inference.gibbs.sweeps import Sweeps, Trajectory
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.types import FloatArray

DENSE = 0.5  # share of non-zero entries from which every user's weights are drawn as a block


class DiagonalSampler(SweepSampler):
    """Gaussian users whose features are independent."""

    def matches(self, spec: PopulationSpec) -> bool:
        """Whether users are Gaussian with a diagonal covariance and no latent factors."""
        return spec.gaussian and spec.covariance == "diagonal"

    def sweeps(self) -> Sweeps:
        """Return the sweeps of a chain."""
        return DiagonalSweeps()


class DiagonalSweeps(Sweeps):
    """Sweeps of `sweep_diagonal`."""

    # Measured on a conjoint study of 946 users and 14 features: effective draws per second.
    trajectories = (Trajectory(leaps=3, step=0.6, target=0.7),)
    look_cost = 4e7

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
        """Run sweeps, in place; see `Sweeps.run`."""
        move = moves[0] if moves else None
        state = (problem, theta, weights, psi)
        return (sweep_diagonal(*state, move, rng, sweeps, store, sweep, thin),)


def sweep_diagonal(
    problem: Problem,
    theta: FloatArray,
    weights: FloatArray,
    psi: FloatArray,
    move: Move | None,
    rng: np.random.Generator,
    sweeps: int = 1,
    store: Store | None = None,
    sweep: int = NEVER,
    thin: int = 1,
) -> float:
    """Run sweeps, in place; returns the mean acceptance of the Hamiltonian move.

    Parameters
    ----------
    move
        None before there is a metric; the acceptance is then nan.
    store, sweep, thin
        Where draws are written, the number of sweeps since warm-up, and the thinning interval.
    """
    move = STILL if move is None else move
    rows, population = problem.rows, problem.population
    return diagonal_sweeps(
        rows,
        population,
        rows.density >= DENSE,
        right_table(),
        theta,
        weights,
        psi,
        move.whiten,
        move.step,
        move.leaps,
        rng,
        sweeps,
        store or nowhere(theta.size, *weights.shape),
        sweep,
        thin,
    )
