"""Polya-Gamma Gibbs sampling: exact, and the fastest engine for logistic choices of Gaussian users.

Given one Polya-Gamma variable per comparison the likelihood is Gaussian (Polson, Scott & Windle
2013). The sweeps stand in `gibbs_diagonal` and `gibbs_full`; this module scales the data, starts
the chains far apart, adapts the Hamiltonian move during warm-up and puts draws back on raw units.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular

from bayes_pref.data import Comparisons
from bayes_pref.inference.chains import Tick, run_chains
from bayes_pref.inference.engine import Draws, Engine
from bayes_pref.inference.gibbs_diagonal import sweep_diagonal
from bayes_pref.inference.gibbs_full import sweep_full
from bayes_pref.inference.hmc import Population, add_curvature
from bayes_pref.inference.polya_gamma import draw_polya_gamma, right_table
from bayes_pref.inference.rows import Rows, build_rows, log_odds
from bayes_pref.models.base import GaussianUsers, RewardModel

Array = NDArray[np.float64]

CHUNK = 5  # sweeps between looks at the clock, the metric and Ctrl-C
DENSE = 0.5  # share of non-zero entries from which every user's weights are drawn as a block


@dataclass(frozen=True)
class Trajectory:
    """Leapfrogs, first step size (whitened units) and the acceptance that warm-up aims at."""

    leaps: int
    step: float
    target: float


# Measured on a conjoint study of 946 users and 14 features: effective draws per second.
DIAGONAL = Trajectory(leaps=2, step=0.9, target=0.6)
FULL = Trajectory(leaps=8, step=0.45, target=0.8)


@dataclass(frozen=True, kw_only=True)
class Gibbs(Engine):
    """Exact Gibbs sampler for logistic choices of Gaussian users; the default where it applies.

    Works for `PooledReward` and `HierarchicalReward`, diagonal or full, with covariates. Chains
    run in parallel threads, start dispersed, and depend on the seed alone. Ctrl-C keeps the draws
    so far.

    Parameters
    ----------
    draws, chains, warmup, cores, progress
        See `Engine`.

    Raises
    ------
    ModelError
        If a setting is not a whole number in range.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> engine = bp.Gibbs(progress=False)
    >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, engine)
    >>> posterior.draws.sizes["draw"]
    1000
    """

    def refusal(self, model: RewardModel, comparisons: Comparisons) -> str | None:
        """Return why this engine cannot run the model, or None if it can."""
        if model.gaussian_users(comparisons) is None:
            return "Gibbs needs logistic choices of users with Gaussian weights"
        return None

    def run(self, model: RewardModel, comparisons: Comparisons, seed: int) -> Draws:
        """Draw from the model's posterior."""
        users = model.gaussian_users(comparisons)
        if users is None:
            raise TypeError(f"{type(model).__name__} has no Gaussian users")
        problem = _Problem.build(users, comparisons)
        seeds = np.random.SeedSequence(seed).spawn(self.chains)
        sample = _pooled_chain if users.covariance == "none" else _chain

        def chain(index: int, tick: Tick, stop: Event) -> _Kept:
            rng = np.random.default_rng(seeds[index])
            return sample(problem, self.warmup, self.draws, rng, tick, stop)

        kept, complete = run_chains(
            chain,
            chains=self.chains,
            workers=self.workers,
            steps=self.warmup + self.draws,
            title=f"Gibbs, {self.chains} chains",
            progress=self.progress,
        )
        draws = min(each.done for each in kept)
        if draws < 4:
            raise KeyboardInterrupt("interrupted before there were draws to keep")
        return problem.collect([each.first(draws) for each in kept], complete)


@dataclass
class _Kept:
    """Draws of one chain on scaled features; the first `done` are filled."""

    theta: Array
    weights: Array
    stats: Array
    done: int = 0

    def first(self, draws: int) -> _Kept:
        return _Kept(self.theta[:draws], self.weights[:draws], self.stats[:draws], draws)


@dataclass(frozen=True)
class _Problem:
    """The data on scaled features, and the way back."""

    rows: Rows
    population: Population
    covariance: str
    feature_scale: Array
    covariate_scale: Array

    @classmethod
    def build(cls, users: GaussianUsers, comparisons: Comparisons) -> _Problem:
        scale = comparisons.feature_scale
        covariate_scale = users.covariates.std(axis=0)
        signed = (2 * comparisons.choice - 1)[:, None] * comparisons.difference / scale
        prior_sd = np.vstack(
            [users.mean_sd * scale, users.effect_sd.T * np.outer(covariate_scale, scale)]
        )
        population = Population(
            design=np.column_stack(
                [np.ones(comparisons.n_users), users.covariates / covariate_scale]
            ),
            precision=1 / prior_sd**2,
            spread=users.spread_sd * scale if users.spread_sd.size else np.ones_like(scale),
            concentration=float(users.concentration),
            full=users.covariance == "full",
        )
        rows = build_rows(signed, comparisons.user, comparisons.offsets)
        return cls(rows, population, users.covariance, scale, covariate_scale)

    @property
    def n_means(self) -> int:
        return self.population.precision.size

    def start(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return theta and weights far from each other between chains, tau never near zero."""
        p1, d = self.population.precision.shape
        gamma = np.zeros((p1, d))
        gamma[0] = rng.normal(0, 0.5, d)
        tau = np.exp(rng.normal(np.log(0.5), 0.5, d))
        scale = np.diag(tau)[np.tril_indices(d)] if self.population.full else tau
        deviation = rng.standard_normal((self.population.design.shape[0], d))
        return np.concatenate([gamma.ravel(), scale]), gamma[0] + tau * deviation

    def lower(self, theta: Array) -> Array:
        """L, (..., d, d), from theta (..., m)."""
        d = self.population.precision.shape[1]
        lower = np.zeros((*theta.shape[:-1], d, d))
        row, column = np.tril_indices(d) if self.population.full else np.diag_indices(d)
        lower[..., row, column] = theta[..., self.n_means :]
        return lower

    def deviations(self, theta: Array, weights: Array) -> Array:
        """Z = L^-1 (w - gamma' f), (n_users, d)."""
        gamma = theta[: self.n_means].reshape(self.population.precision.shape)
        centred = weights - self.population.design @ gamma
        return np.ascontiguousarray(solve_triangular(self.lower(theta), centred.T, lower=True).T)

    def collect(self, kept: list[_Kept], complete: bool) -> Draws:
        """Join the chains and put them on raw units."""
        theta = np.stack([each.theta for each in kept])
        stats = np.stack([each.stats for each in kept])
        gamma = theta[..., : self.n_means].reshape(
            *theta.shape[:2], *self.population.precision.shape
        )
        values = {"mu": gamma[:, :, 0] / self.feature_scale}
        if self.covariance == "none":
            return Draws(values, {"lp": stats[..., 1]}, complete)
        if gamma.shape[2] > 1:
            units = np.outer(self.covariate_scale, self.feature_scale)
            values["B"] = (gamma[:, :, 1:] / units).swapaxes(2, 3)
        lower = self.lower(theta)
        tau = np.sqrt((lower**2).sum(axis=-1))
        values["tau"] = tau / self.feature_scale
        if self.population.full:
            unit = lower / tau[..., None]
            values["correlation"] = unit @ unit.swapaxes(-1, -2)
        values["weights"] = np.stack([each.weights for each in kept])
        values["weights"] /= self.feature_scale
        return Draws(values, {"acceptance_rate": stats[..., 0], "lp": stats[..., 1]}, complete)


class _Adaptation:
    """Metric and step size of the Hamiltonian move, learned during warm-up and then frozen."""

    def __init__(self, problem: _Problem, warmup: int) -> None:
        size = problem.n_means
        d = problem.population.precision.shape[1]
        size += d * (d + 1) // 2 if problem.population.full else d
        self.problem = problem
        self.trajectory = FULL if problem.population.full else DIAGONAL
        self.first = warmup // 5
        self.restart = 2 * warmup // 5
        self.last = 9 * warmup // 10
        self.whiten = np.eye(size)
        self.log_step = np.log(self.trajectory.step)
        self.ready = False
        self.total = np.zeros((size, size))
        self.count = 0
        # A look at the curvature should stay cheap beside the sweeps between two of them.
        work = problem.population.design.shape[0] * size**2
        self.every = CHUNK * int(np.ceil(work / 4e7))

    @property
    def step(self) -> float:
        return float(np.exp(self.log_step)) if self.ready else 0.0

    def update(self, done: int, theta: Array, weights: Array, psi: Array, stats: Array) -> None:
        """Learn from the state after `done` sweeps of warm-up, the last of them with `stats`."""
        if self.ready:
            gain = 0.5 / (1 + 0.05 * max(0, done - self.first))
            self.log_step += gain * float(np.nanmean(stats[:, 0]) - self.trajectory.target)
        if done < self.first or done > self.last or done % self.every:
            return
        if self.count and self.restart <= done < self.restart + self.every:
            self.total[:] = 0.0
            self.count = 0
        problem = self.problem
        add_curvature(
            problem.rows, problem.population, problem.deviations(theta, weights), psi, self.total
        )
        self.count += 1
        d = problem.population.precision.shape[1]
        tau = 1 / problem.population.spread**2
        prior = np.concatenate(
            [
                problem.population.precision.ravel(),
                np.repeat(tau, np.arange(1, d + 1)) if problem.population.full else tau,
            ]
        )
        metric = self.total / self.count + np.diag(prior)
        self.whiten = np.ascontiguousarray(np.linalg.inv(np.linalg.cholesky(metric)).T)
        self.ready = True


def _chain(
    problem: _Problem,
    warmup: int,
    draws: int,
    rng: np.random.Generator,
    tick: Tick,
    stop: Event,
) -> _Kept:
    """Run one chain of the diagonal or the full sampler."""
    theta, weights = problem.start(rng)
    psi = np.empty(problem.rows.starts.size - 1)
    log_odds(problem.rows, weights, psi)
    kept = _Kept(
        np.empty((draws, theta.size)), np.empty((draws, *weights.shape)), np.empty((draws, 2))
    )
    adaptation = _Adaptation(problem, warmup)
    full = problem.population.full
    done = 0
    while done < warmup + draws and not stop.is_set():
        warming = done < warmup
        sweeps = min(CHUNK, (warmup if warming else warmup + draws) - done)
        at = max(0, done - warmup)
        out = slice(at, at) if warming else slice(at, at + sweeps)
        stats = np.empty((sweeps, 2))
        arguments: tuple[Any, ...] = (
            sweeps,
            problem.rows,
            problem.population,
            theta,
            weights,
            psi,
            done >= adaptation.first if full else problem.rows.density >= DENSE,
            right_table(),
            adaptation.whiten,
            adaptation.step,
            adaptation.trajectory.leaps,
            rng,
            kept.theta[out],
            kept.weights[out],
            stats,
        )
        (sweep_full if full else sweep_diagonal)(*arguments)
        done += sweeps
        if warming:
            adaptation.update(done, theta, weights, psi, stats)
        else:
            kept.stats[out] = stats
            kept.done = done - warmup
        tick(sweeps)
    return kept


def _pooled_chain(
    problem: _Problem,
    warmup: int,
    draws: int,
    rng: np.random.Generator,
    tick: Tick,
    stop: Event,
) -> _Kept:
    """Run one chain for a single weight vector shared by everyone."""
    n_rows = problem.rows.starts.size - 1
    d = problem.population.precision.shape[1]
    signed = np.zeros((n_rows, d))
    row = np.repeat(np.arange(n_rows), np.diff(problem.rows.starts))
    signed[row, problem.rows.columns] = problem.rows.values
    prior = np.diag(problem.population.precision[0])
    linear = signed.sum(axis=0) / 2
    mu: Array = 0.5 * rng.standard_normal((d,))
    psi = signed @ mu
    omega = np.empty(n_rows)
    kept = _Kept(np.empty((draws, d)), np.empty((draws, 0, d)), np.full((draws, 2), np.nan))
    for done in range(warmup + draws):
        if stop.is_set():
            break
        draw_polya_gamma(psi, omega, right_table(), rng)
        factor = np.linalg.cholesky(signed.T @ (omega[:, None] * signed) + prior)
        mu = cho_solve((factor, True), linear)
        mu += solve_triangular(factor, rng.standard_normal((d,)), lower=True, trans="T")
        psi = signed @ mu
        if done >= warmup:
            log_prior = -0.5 * mu @ prior @ mu
            kept.stats[done - warmup, 1] = log_prior - np.logaddexp(0, -psi).sum()
            kept.theta[done - warmup] = mu
            kept.done = done - warmup + 1
        tick(1)
    return kept
