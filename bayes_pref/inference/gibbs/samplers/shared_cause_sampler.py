"""Gibbs sampler for users whose weights and contexts have a latent cause s_i in common.

Given s, users are Gaussian with s_i among their regressors, w_i = mu + B c_i + Gamma s_i + L z_i,
which `diagonal_sampler` and `full_sampler` sweep. Before each of these sweeps,

1. Polya-Gamma variables are drawn anew; given them, a with s and w integrated out, s_i with w_i
   integrated out, then w_i. All these conditionals are Gaussian. Drawn one given the other, s_i and
   w_i would mix slowly where users hardly differ beyond s, and so would a and the mean of s;
2. the Cholesky factors of Sigma_between and Sigma_within are updated given s;
3. each row of the factor of Sigma_between is scaled jointly with s, by slice sampling of the scale
   with s / scale held (Yu & Meng 2011): this mixes where contexts are little informative about s.

Contexts are scaled, (x - m) / c with m and c the prior's centre and unit.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.inference.gibbs.chain import Chain, HierarchicalChain
from bayes_pref.inference.gibbs.kernels.covariance import move_rows, precision_of
from bayes_pref.inference.gibbs.kernels.design_matrix import log_odds
from bayes_pref.inference.gibbs.kernels.polya_gamma import draw_polya_gamma, right_table
from bayes_pref.inference.gibbs.kernels.slice import slice_move
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.kernels.user_information import information_by_user
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.inference.gibbs.samplers.diagonal_sampler import DiagonalSweeps
from bayes_pref.inference.gibbs.samplers.full_sampler import FullSweeps
from bayes_pref.inference.gibbs.samplers.sampler import Sampler
from bayes_pref.inference.runtime.checkpoint import digest
from bayes_pref.models.choice.choice_model import ChoiceModel
from bayes_pref.models.regressors import mean_contexts
from bayes_pref.models.spec import PopulationSpec, Term
from bayes_pref.types import FloatArray


class SharedCauseSampler(Sampler["SharedCauseProblem"]):
    """Gaussian users who share a latent cause with the contexts that they are shown."""

    def matches(self, spec: PopulationSpec) -> bool:
        """Whether users have a cause in common with their contexts."""
        return spec.cause is not None and spec.components is None and spec.covariance != "none"

    def unsupported(
        self, spec: PopulationSpec, choice_model: ChoiceModel, comparisons: Comparisons
    ) -> str | None:
        """Return why it cannot sample the posterior, or None if it can."""
        if spec.cause is not None and spec.contexts is not None and spec.contexts.categories:
            return "Gibbs needs contexts that are numbers, and these are indicators of a choice"
        return super().unsupported(spec, choice_model, comparisons)

    def problem(
        self, spec: PopulationSpec, choice_model: ChoiceModel, comparisons: Comparisons
    ) -> SharedCauseProblem:
        """Read the data and the priors."""
        return SharedCauseProblem(spec, comparisons)

    def chain(
        self,
        problem: SharedCauseProblem,
        warmup: int,
        thin: int,
        rng: np.random.Generator,
        store: Store,
    ) -> Chain:
        """Make a chain with an overdispersed start."""
        return SharedCauseChain(problem, warmup, thin, rng, store)


class SharedCauseProblem:
    """Data and priors of users and their contexts.

    Attributes
    ----------
    problem
        On scaled features; the last q columns of its design are s, on scaled contexts.
    count, mean, square
        (u,) number of each user's contexts, (u, q) their mean and (q, q) the sum of outer products
        within users, scaled.
    """

    def __init__(self, spec: PopulationSpec, comparisons: Comparisons) -> None:
        cause, contexts = spec.cause, spec.contexts
        assert cause is not None  # as `SharedCauseSampler.matches` says
        assert contexts is not None
        self.unit = unit = contexts.sd
        self.centre = contexts.centre
        self.concentration = spec.concentration
        # The sweeps take the scores for known regressors, in units of the prior.
        start = np.zeros((comparisons.n_users, unit.size))
        scaled = Term(cause.name, cause.dim, cause.prior_sd * unit, start)
        terms = tuple(scaled if term is cause else term for term in spec.terms)
        self.problem = Problem.build(replace(spec, terms=terms), comparisons)
        mean = mean_contexts(comparisons)
        within = (comparisons.context - mean[comparisons.user]) / unit
        self.count = comparisons.counts.astype(np.float64)
        self.mean = (mean - self.centre) / unit
        self.square = within.T @ within

    @property
    def n_columns(self) -> int:
        """Length of a draw: theta, a, the two factors, s."""
        users, q = self.mean.shape
        return int(self.problem.n_parameters + q + 2 * q * q + users * q)

    @property
    def weights_shape(self) -> tuple[int, int]:
        """Users and features of the weights that a draw holds."""
        return self.problem.weights_shape

    def identity(self) -> dict[str, Any]:
        """Return what decides the posterior, ready for JSON."""
        shown = digest(self.count, self.mean, self.square, self.unit, self.centre)
        return self.problem.identity() | {"shown": shown}

    def raw(self, draws: FloatArray, weights: FloatArray) -> dict[str, FloatArray]:
        """Put draws (chain, draw, ...) on raw units, by site; `weights` are changed in place."""
        users, q = self.mean.shape
        sizes = [self.problem.n_parameters, q, q * q, q * q, users * q]
        theta, a, between, within, s = np.split(draws, np.cumsum(sizes)[:-1], axis=2)
        values = self.problem.raw(theta, weights)
        values["Gamma"] /= self.unit
        values["a"] = self.centre + a * self.unit
        for name, flat in (("between", between), ("within", within)):
            lower = flat.reshape(*flat.shape[:2], q, q)
            sd = np.sqrt((lower**2).sum(axis=-1))
            values[name] = sd * self.unit
            alike = lower / sd[..., None]
            values[f"{name}_correlation"] = alike @ alike.swapaxes(-1, -2)
        values["s"] = s.reshape(*s.shape[:2], users, q) * self.unit
        return values


class SharedCauseChain(HierarchicalChain):
    """A chain of users with a cause in common with their contexts."""

    def __init__(
        self,
        shared: SharedCauseProblem,
        warmup: int,
        thin: int,
        rng: np.random.Generator,
        store: Store,
    ) -> None:
        population = shared.problem.population
        own = population._replace(design=population.design.copy())  # this chain's own
        problem = replace(shared.problem, population=own)
        sweeps = FullSweeps() if own.full else DiagonalSweeps()
        super().__init__(problem, sweeps, warmup, thin, rng, store)
        self.shared = shared
        users, q = shared.mean.shape
        self.s = own.design[:, -q:]
        self.a = shared.mean.mean(axis=0) + 0.3 * rng.standard_normal(q)
        self.between = np.diag(np.exp(rng.normal(np.log(0.5), 0.3, q)))
        self.within = np.diag(np.exp(rng.normal(np.log(0.5), 0.3, q)))
        self.s[:] = 0.5 * (shared.mean - self.a) + 0.3 * rng.standard_normal((users, q))
        self.last = Store(np.empty((1, self.theta.size)), self.weights[None], np.empty((1, 2)))

    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays that the next sweep depends on."""
        own = {name: getattr(self, name) for name in ("s", "a", "between", "within")}
        return super().arrays() | own

    def advance(self) -> int:
        """Run one more sweep."""
        self._draw_causes()
        self._draw_scales()
        acceptances = self.sweep(1, self.last, 0, 1)
        if self.keeps:
            parts = (self.theta, self.a, self.between, self.within, self.s)
            self.store.theta[self.kept] = np.concatenate([part.ravel() for part in parts])
            self.store.weights[self.kept] = self.weights
            log_density = self.last.stats[0, 1] + self._log_shown()
            self.store.stats[self.kept] = acceptances[0], log_density
        self.advanced(1, acceptances)
        return 1

    def _population(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean of the weights without the cause (n_users, d), Gamma (d, q), and L (d, d)."""
        population, q = self.problem.population, self.a.size
        gamma = self.theta[: self.problem.n_means].reshape(population.precision.shape)
        centre = population.design[:, :-q] @ gamma[:-q]
        return centre, gamma[-q:].T, self.problem.lower(self.theta)

    def _draw_causes(self) -> None:
        """Draw a, s and the weights jointly given covariances and new Polya-Gamma variables."""
        shared, rng = self.shared, self.rng
        omega = np.empty(self.psi.size)
        draw_polya_gamma(self.psi, omega, right_table(), rng)
        centre, coupling, lower = self._population()
        information = np.empty((len(centre), *lower.shape))
        score = np.empty_like(centre)
        information_by_user(self.problem.rows, omega, information, score)
        # exp(score' w - w' information w / 2) with w = m + L z, in z: precision I + L' info L.
        factor = np.linalg.cholesky(np.eye(len(lower)) + lower.T @ information @ lower)
        pulled = np.linalg.solve(factor, lower.T @ information)
        marginal = information - pulled.swapaxes(1, 2) @ pulled
        pull = np.linalg.solve(factor, (score @ lower)[:, :, None])
        linear = score - (pulled.swapaxes(1, 2) @ pull)[:, :, 0]
        # Of the weights' means, m = centre + Gamma s; then of s, with the likelihood of contexts.
        linear -= (marginal @ centre[:, :, None])[:, :, 0]
        precision = precision_of(self.between) + coupling.T @ marginal @ coupling
        known = np.linalg.inv(precision)
        mean = (known @ (linear @ coupling)[:, :, None])[:, :, 0]
        within = precision_of(self.within)
        noise = known + self.within @ self.within.T / shared.count[:, None, None]
        precisions = np.linalg.inv(noise)
        total = np.linalg.cholesky(precisions.sum(axis=0) + np.eye(len(within)))
        right = (precisions @ (shared.mean - mean)[:, :, None])[:, :, 0].sum(axis=0)
        right = np.linalg.solve(total, right) + rng.standard_normal(right.shape)
        self.a[:] = np.linalg.solve(total.T, right)
        precision += within * shared.count[:, None, None]
        linear = linear @ coupling
        linear += shared.count[:, None] * ((shared.mean - self.a) @ within)
        self.s[:] = _gaussian(np.linalg.cholesky(precision), linear, rng)
        centre = centre + self.s @ coupling.T
        rest = score - (information @ centre[:, :, None])[:, :, 0]
        self.weights[:] = centre
        self.weights += _gaussian(factor, rest @ lower, rng) @ lower.T
        log_odds(self.problem.rows, self.weights, self.psi)

    def _draw_scales(self) -> None:
        """Update the factors of both covariances of contexts, and scale s with its own."""
        shared, concentration = self.shared, self.shared.concentration
        ones = np.ones(self.a.size)
        rest = shared.mean - self.a - self.s
        within = shared.square + rest.T @ (shared.count[:, None] * rest)
        rows = int(shared.count.sum())
        move_rows(within, rows, ones, concentration, self.within, self.rng)
        move_rows(self.s.T @ self.s, len(self.s), ones, concentration, self.between, self.rng)
        self._stretch()

    def _stretch(self) -> None:
        """Scale s and its sd jointly, context by context, the weights held."""
        shared = self.shared
        centre, coupling, lower = self._population()
        weights, within = precision_of(lower), precision_of(self.within)
        for q in range(self.a.size):
            column = self.s[:, q].copy()
            sd = np.sqrt((self.between[q] ** 2).sum())
            # Log likelihood of s + step * column e_q, a parabola in the step.
            rest = shared.count[:, None] * (shared.mean - self.a - self.s)
            away = self.weights - centre - self.s @ coupling.T
            slope = column @ (rest @ within[:, q] + away @ weights @ coupling[:, q])
            own = shared.count * within[q, q] + coupling[:, q] @ weights @ coupling[:, q]
            bend = float((own * column**2).sum())

            def density(
                log_r: float, slope: float = slope, bend: float = bend, sd: float = sd
            ) -> float:
                r = np.exp(log_r)
                step = r - 1
                return float(slope * step - 0.5 * bend * step**2 - 0.5 * (r * sd) ** 2 + log_r)

            stretch = np.exp(slice_move(0.0, density, self.rng))
            self.s[:, q] *= stretch
            self.between[q] *= stretch

    def _log_shown(self) -> float:
        """Log density of the contexts, s and a, up to a constant."""
        shared = self.shared
        rest = shared.mean - self.a - self.s
        square = shared.square + rest.T @ (shared.count[:, None] * rest)
        total = -0.5 * np.trace(precision_of(self.within) @ square) - 0.5 * self.a @ self.a
        total -= 0.5 * np.trace(precision_of(self.between) @ (self.s.T @ self.s))
        total -= shared.count.sum() * np.log(np.diag(self.within)).sum()
        return float(total - len(self.s) * np.log(np.diag(self.between)).sum())


def _gaussian(factor: Any, linear: Any, rng: np.random.Generator) -> FloatArray:
    """Draw from Normal(P^-1 linear, P^-1), P = factor factor', for each user."""
    solved = np.linalg.solve(factor, linear[:, :, None])
    solved += rng.standard_normal(solved.shape)
    return np.asarray(np.linalg.solve(factor.swapaxes(1, 2), solved)[:, :, 0])
