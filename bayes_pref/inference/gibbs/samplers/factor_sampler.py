"""Gibbs sampler for users with scores on latent factors: w_i = gamma' f_i + noise * u_i.

The users' scores z_i ~ Normal(0, I) are the last entries of f_i, and the loadings V' the last rows
of gamma. Given the scores the model is that of `diagonal_sampler`, with scores as covariates. A
sweep draws

1. the Polya-Gamma variables omega given the log-odds;
2. with noise, gamma and the noise given omega, all scores and weights integrated out, by a
   Hamiltonian move on the density of `marginal`;
3. every user's (z_i, u_i) as one Gaussian block, given omega, gamma and the noise;
4. feature by feature, its noise, its row of gamma and all users' weights jointly, as there; without
   noise, its row of gamma, which decides the weights;
5. the Hamiltonian move of `hmc`, z and u held;
6. scores and gamma jointly, all weights held, so that only the priors matter: the shift z_r + t f_m
   with gamma_m - t gamma_r, for every other column m of the design; and the growth a z_r with
   gamma_r / a.

Step 2 mixes where the data hardly tell loadings from noise (partially collapsed Gibbs; van Dyk &
Park 2008). Its density is the same for every rotation of the factors, which turn freely: draws are
aligned afterwards.

Step 6 is the generalised Gibbs sampler of Liu & Sabatti (2000, Biometrika 87) for two groups. The
shift has Jacobian 1, and t is Gaussian; the growth has Jacobian a^(n_users - n_features), and log a
is drawn by slice sampling. Without this step the sizes of V and z mix slowly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bayes_pref.inference.gibbs.chain import Chain, HierarchicalChain
from bayes_pref.inference.gibbs.kernels.factor_sweep import factor_sweep
from bayes_pref.inference.gibbs.kernels.hmc import STILL, Move
from bayes_pref.inference.gibbs.kernels.polya_gamma import (
    draw_polya_gamma,
    mean_polya_gamma,
    right_table,
)
from bayes_pref.inference.gibbs.kernels.store import NEVER, Store
from bayes_pref.inference.gibbs.marginal import Marginal, move_population
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.inference.gibbs.samplers.sampler import GaussianSampler
from bayes_pref.inference.gibbs.sweeps import Sweeps, Trajectory
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.types import FloatArray


class FactorSampler(GaussianSampler):
    """Gaussian users with scores on latent factors, with or without independent noise."""

    def matches(self, spec: PopulationSpec) -> bool:
        """Whether users have latent factors, and no covariance beside them but a diagonal one."""
        single = spec.factors is not None and spec.components is None
        return single and spec.covariance != "full"

    def chain(
        self, problem: Problem, warmup: int, thin: int, rng: np.random.Generator, store: Store
    ) -> Chain:
        """Make a chain with an overdispersed start."""
        return FactorChain(problem, warmup, thin, rng, store)

    def compile_ahead(self, problem: Problem) -> None:
        """Compile in another process what the chains call last."""
        FactorSweeps(problem).compile_ahead(problem)


class FactorChain(HierarchicalChain):
    """A chain with scores of its own in the design."""

    def __init__(
        self, problem: Problem, warmup: int, thin: int, rng: np.random.Generator, store: Store
    ) -> None:
        super().__init__(problem.with_scores(rng), FactorSweeps(problem), warmup, thin, rng, store)

    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays that the next sweep depends on."""
        scores = self.problem.population.design[:, -self.problem.rank :]
        return super().arrays() | {"scores": scores}


class FactorSweeps(Sweeps):
    """Sweeps of `sweep_factors`."""

    look_cost = 4e7

    def __init__(self, problem: Problem) -> None:
        of_held = Trajectory(leaps=2, step=0.9, target=0.6)
        of_collapsed = Trajectory(leaps=8, step=0.45, target=0.8)
        noisy = problem.covariance == "diagonal"
        self.trajectories = (of_held, of_collapsed) if noisy else (of_held,)

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
        state = (problem, theta, weights, psi)
        return sweep_factors(*state, moves, rng, sweeps, store, sweep, thin)

    def add_curvatures(
        self,
        problem: Problem,
        theta: FloatArray,
        weights: FloatArray,
        psi: FloatArray,
        totals: Sequence[FloatArray],
    ) -> None:
        """Add the curvature with z held, and the Fisher information with weights integrated out."""
        super().add_curvatures(problem, theta, weights, psi, totals)
        if len(totals) == 1:
            return
        marginal = Marginal(problem)
        marginal.read(mean_polya_gamma(psi))
        totals[1][...] += marginal.fisher(theta)

    def averaged(self, problem: Problem, metric: FloatArray) -> FloatArray:
        """Average a metric (m, m) over the rotations of the factors."""
        return rotation_average(problem, metric)


def sweep_factors(
    problem: Problem,
    theta: FloatArray,
    weights: FloatArray,
    psi: FloatArray,
    moves: tuple[Move, ...] | None,
    rng: np.random.Generator,
    sweeps: int = 1,
    store: Store | None = None,
    sweep: int = NEVER,
    thin: int = 1,
) -> tuple[float, ...]:
    """Run sweeps, in place; returns the mean acceptance of each Hamiltonian move.

    Parameters
    ----------
    problem
        Its design holds the scores, which change too: it must be this chain's own.
    moves
        Of steps 5 and 2, without noise of 5 alone. None before there are metrics.
    store, sweep, thin
        As for `diagonal_sampler.sweep_diagonal`.
    """
    held, *collapsed = moves or (STILL,)
    marginal = Marginal(problem) if collapsed else None
    known = problem.population.design.shape[1] - problem.rank
    omega = np.empty_like(psi)
    total = np.zeros(1 + len(collapsed))
    for _ in range(sweeps):
        draw_polya_gamma(psi, omega, right_table(), rng)
        if marginal is not None:
            marginal.read(omega)
            total[1] += move_population(marginal, theta, collapsed[0], rng)
        acceptance, density = factor_sweep(
            problem.rows,
            problem.population,
            problem.rank,
            problem.covariance == "diagonal",
            omega,
            theta,
            weights,
            psi,
            *held,
            rng,
        )
        total[0] += acceptance
        sweep += 1
        if store and sweep > 0 and sweep % thin == 0:
            draw = sweep // thin - 1
            store.theta[draw, : theta.size] = theta
            store.weights[draw, :, : problem.rank] = problem.population.design[:, known:]
            store.weights[draw, :, problem.rank :] = weights
            store.stats[draw] = acceptance, density
    return tuple(total / sweeps)


def rotation_average(problem: Problem, metric: FloatArray) -> FloatArray:
    """Average a metric (m, m) of theta over all rotations of the factors, which are not identified.

    The average is block-diagonal in the factors, every block the mean of the factors' own blocks.
    """
    d = problem.population.precision.shape[1]
    first = problem.n_means - problem.rank * d
    factors = slice(first, problem.n_means)
    blocks = metric[factors, factors].reshape(problem.rank, d, problem.rank, d)
    averaged = metric.copy()
    averaged[factors] = 0.0
    averaged[:, factors] = 0.0
    mean = np.einsum("rfrg->fg", blocks) / problem.rank
    averaged[factors, factors] = np.kron(np.eye(problem.rank), mean)
    return averaged
