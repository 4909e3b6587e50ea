"""Gibbs sampler for correlated features: w_i ~ Normal(gamma' f_i, L L').

A sweep draws, in this order,

1. the Polya-Gamma variables omega given the log-odds;
2. gamma and L given omega, all weights integrated out, by a Hamiltonian move on the density of
   `marginal`;
3. every user's weights as one Gaussian block, given all of these;
4. feature by feature, tau_k and gamma_k given omega, the correlations and z = L^-1 (w - gamma' f),
   a Gaussian truncated at tau_k = 0;
5. gamma and L by the Hamiltonian move of `hmc`, without omega and with z held instead of w.

Step 2 mixes where features are correlated, because it does not condition on the users' weights
(partially collapsed Gibbs; van Dyk & Park 2008). Step 4 mixes where a spread is near zero, at the
boundary of L, where trajectories are rejected. Step 5 mixes where users nearly always choose one
way, because it does not condition on omega (interweaving; Yu & Meng 2011).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.inference.gibbs.kernels.covariance import draw_wishart, precision_of, solve
from bayes_pref.inference.gibbs.kernels.design_matrix import log_odds
from bayes_pref.inference.gibbs.kernels.hmc import STILL, Move, hmc_move
from bayes_pref.inference.gibbs.kernels.polya_gamma import (
    draw_polya_gamma,
    mean_polya_gamma,
    right_table,
)
from bayes_pref.inference.gibbs.kernels.population_density import PopulationPrior
from bayes_pref.inference.gibbs.kernels.scale_updates import draw_scales
from bayes_pref.inference.gibbs.kernels.store import NEVER, Store
from bayes_pref.inference.gibbs.marginal import Marginal, move_population
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.inference.gibbs.samplers.sampler import SweepSampler
from bayes_pref.inference.gibbs.sweeps import Calls, Sweeps, Trajectory
from bayes_pref.models.choice.choice_model import ChoiceModel
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.types import FloatArray

MANY_ITEMS = 16  # from here on the population has too many parameters for the general sampler


class FullSampler(SweepSampler):
    """Gaussian users whose features are correlated."""

    def matches(self, spec: PopulationSpec) -> bool:
        """Whether users are Gaussian with a full covariance and no latent factors."""
        return spec.gaussian and spec.covariance == "full"

    def unsupported(
        self, spec: PopulationSpec, choice_model: ChoiceModel, comparisons: Comparisons
    ) -> str | None:
        """Return why it cannot sample the posterior, or None if it can.

        Few items are left to `GeneralSampler`, whose moves have no trouble with their common level.
        """
        few_items = comparisons.features.indicators and comparisons.n_features <= MANY_ITEMS
        if few_items and choice_model.kernel_form(comparisons.outcome) is not None:
            return (
                "items with rewards of their own have a common level, along which it moves slowly"
            )
        return super().unsupported(spec, choice_model, comparisons)

    def sweeps(self) -> Sweeps:
        """Return the sweeps of a chain."""
        return FullSweeps()


class FullSweeps(Sweeps):
    """Sweeps of `sweep_full`, whose moves are those of steps 5 and 2."""

    # Measured as for `DiagonalSweeps`.
    trajectories = (
        Trajectory(leaps=4, step=0.6, target=0.75),
        Trajectory(leaps=8, step=0.45, target=0.8),
    )
    look_cost = 5e6

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
        return sweep_full(*state, moves, rng, sweeps, store, sweep, thin)

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
        marginal = Marginal(problem)
        marginal.read(mean_polya_gamma(psi))
        totals[1][...] += marginal.fisher(theta)

    def scale_precision(self, population: PopulationPrior) -> FloatArray:
        """Prior precision of the entries of L: that of their row's spread."""
        precision = super().scale_precision(population)
        return np.repeat(precision, np.arange(1, precision.size + 1))

    def last_kernels(
        self,
        problem: Problem,
        theta: FloatArray,
        weights: FloatArray,
        psi: FloatArray,
        rng: np.random.Generator,
    ) -> Calls:
        """Kernels that a sweep calls last; see `Sweeps.last_kernels`."""
        rows, population = problem.rows, problem.population
        gamma, lower = population.precision, STILL.whiten
        scales = (rows, population, psi, weights, gamma, lower, weights, psi, rng)
        earlier = super().last_kernels(problem, theta, weights, psi, rng)
        return [*earlier, (draw_scales, scales)]


def draw_population(
    problem: Problem, theta: FloatArray, weights: FloatArray, rng: np.random.Generator
) -> None:
    """Draw gamma, then L, given all users' weights; L without regard to its prior."""
    population = problem.population
    gamma = theta[: problem.n_means].reshape(population.precision.shape)
    lower = problem.lower(theta)
    gamma[...] = draw_means(population, weights, precision_of(lower), rng)
    centred = weights - population.design @ gamma
    lower = draw_wishart(centred.T @ centred, len(weights), rng)
    theta[problem.n_means :] = lower[np.tril_indices_from(lower)]


def draw_means(
    population: PopulationPrior, weights: FloatArray, inverse: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Draw gamma (p + 1, d) given all users' weights and `inverse` = Sigma^-1."""
    design, shape = population.design, population.precision.shape
    matrix = np.kron(design.T @ design, inverse)
    matrix.flat[:: len(matrix) + 1] += population.precision.ravel()
    root = np.linalg.cholesky(matrix)
    vector = solve(root, (design.T @ weights @ inverse).ravel())
    vector += rng.standard_normal(vector.size)
    return solve(root, vector, transposed=True).reshape(shape)


def sweep_full(
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
) -> tuple[float, float]:
    """Run sweeps, in place; returns the mean acceptance of each Hamiltonian move.

    Python calls step after step: compiling a sweep as one kernel would take half as long again, and
    the calls take little time beside a sweep of real data.

    Parameters
    ----------
    moves
        Of steps 5 and 2. None before there are metrics: gamma and L are then drawn given the
        weights, L from an inverse Wishart without regard to its prior, so that a chain leaves its
        overdispersed start.
    store, sweep, thin
        As for `diagonal_sampler.sweep_diagonal`.
    """
    rows, population = problem.rows, problem.population
    gamma = theta[: problem.n_means].reshape(population.precision.shape)
    marginal = Marginal(problem)
    omega = np.empty_like(psi)
    held, integrated, density = np.nan, np.nan, np.nan
    total = np.zeros(2)
    for _ in range(sweeps):
        draw_polya_gamma(psi, omega, right_table(), rng)
        marginal.read(omega)
        if moves is not None:
            integrated = move_population(marginal, theta, moves[1], rng)
        weights[...] = marginal.draw_weights(theta, rng)
        log_odds(rows, weights, psi)
        if moves is None:
            draw_population(problem, theta, weights, rng)
        else:
            lower = problem.lower(theta)
            z = solve(lower, (weights - population.design @ gamma).T).T
            draw_scales(rows, population, omega, z, gamma, lower, weights, psi, rng)
            theta[problem.n_means :] = lower[np.tril_indices_from(lower)]
            held, density = hmc_move(
                problem.rows, population, theta, z, weights, psi, *moves[0], rng
            )
            density -= 0.5 * (z**2).sum()
        total += held, integrated
        sweep += 1
        if store and sweep > 0 and sweep % thin == 0:
            draw = sweep // thin - 1
            store.theta[draw, : theta.size] = theta
            store.weights[draw] = weights
            store.stats[draw] = held, density
    return float(total[0] / sweeps), float(total[1] / sweeps)
