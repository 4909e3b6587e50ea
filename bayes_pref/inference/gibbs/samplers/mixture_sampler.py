"""Gibbs sampler for a mixture of Gaussian users.

Given the components t(i), users are Gaussian with a regressor for each component, 1 for their own
and 0 for the others: w_i = mu' f_i + tau u_i, which `diagonal_sampler` sweeps. Before each of these
sweeps,

1. Polya-Gamma variables are drawn anew, and given them mu, tau and the shares move on the density
   of `mixture_marginal`, with all components and weights integrated out; then each user's component
   is drawn, with w_i ~ N(mu_t, tau^2) integrated out, then w_i; a component drawn given w_i would
   rarely change;
2. the shares are drawn from their Dirichlet, and where contexts depend on the component, a from its
   Gaussian, and `between` and `within` by slice sampling (Neal 2003), the users' deviations s_i
   integrated out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.inference.gibbs.chain import Chain, HierarchicalChain
from bayes_pref.inference.gibbs.kernels.component_updates import draw_components
from bayes_pref.inference.gibbs.kernels.design_matrix import log_odds
from bayes_pref.inference.gibbs.kernels.polya_gamma import draw_polya_gamma, right_table
from bayes_pref.inference.gibbs.kernels.slice import slice_move
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.mixture_marginal import MixtureMarginal
from bayes_pref.inference.gibbs.mixture_move import MixtureMove
from bayes_pref.inference.gibbs.mixture_start import likely_start
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.inference.gibbs.samplers.diagonal_sampler import DiagonalSweeps
from bayes_pref.inference.gibbs.samplers.sampler import Sampler
from bayes_pref.inference.runtime.checkpoint import digest
from bayes_pref.models.choice.choice_model import ChoiceModel
from bayes_pref.models.regressors import mean_contexts
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.types import FloatArray


class MixtureSampler(Sampler["MixtureProblem"]):
    """A mixture of Gaussian users with independent features."""

    def matches(self, spec: PopulationSpec) -> bool:
        """Whether users belong to components, whose features are independent."""
        mixture = spec.components is not None and not spec.terms
        return mixture and spec.covariance == "diagonal"

    def problem(
        self, spec: PopulationSpec, choice_model: ChoiceModel, comparisons: Comparisons
    ) -> MixtureProblem:
        """Read the data and the priors."""
        return MixtureProblem(spec, comparisons)

    def chain(
        self,
        problem: MixtureProblem,
        warmup: int,
        thin: int,
        rng: np.random.Generator,
        store: Store,
    ) -> Chain:
        """Make a chain with an overdispersed start."""
        return MixtureChain(problem, warmup, thin, rng, store)


class MixtureProblem:
    """Data and priors of a mixture.

    Attributes
    ----------
    problem
        On scaled features; its design has a column for each component.
    count, mean, square
        (n_users, 1) number of each user's contexts, (n_users, q) their mean around the prior's
        centre and (q,) the sum of squares within users, all users; q = 0 where contexts do not
        depend on the component.
    """

    def __init__(self, spec: PopulationSpec, comparisons: Comparisons) -> None:
        assert spec.components is not None  # as `MixtureSampler.matches` says
        problem = Problem.build(spec, comparisons)
        population = problem.population
        self.components = spec.components
        self.concentration = spec.concentration
        self.problem = replace(
            problem,
            population=population._replace(
                design=np.zeros((comparisons.n_users, self.components)),
                precision=np.tile(population.precision, (self.components, 1)),
            ),
        )
        shown = slice(0) if spec.contexts is None else slice(None)
        mean = mean_contexts(comparisons)
        within = (comparisons.context - mean[comparisons.user])[:, shown]
        self.count = comparisons.counts[:, None].astype(np.float64)
        self.centre = np.zeros(0) if spec.contexts is None else spec.contexts.centre
        self.mean = mean[:, shown] - self.centre
        self.square = (within**2).sum(axis=0)
        self.sd = np.zeros(0) if spec.contexts is None else spec.contexts.sd

    @property
    def n_columns(self) -> int:
        """Length of a draw: gamma and tau, shares, then a, between and within."""
        q = self.sd.size
        return int(self.problem.n_parameters + self.components * (1 + q) + 2 * q)

    @property
    def weights_shape(self) -> tuple[int, int]:
        """Users and features of the weights that a draw holds."""
        return self.problem.weights_shape

    def identity(self) -> dict[str, Any]:
        """Return what decides the posterior, ready for JSON."""
        shown = digest(self.count, self.mean, self.square, self.sd, self.centre)
        components = {
            "components": self.components,
            "shares": self.concentration,
            "shown": shown,
        }
        return self.problem.identity() | components

    def log_means(self, a: FloatArray, between: FloatArray, within: FloatArray) -> FloatArray:
        """Log density of the users' mean contexts in each component, (n_users, components)."""
        variance = between**2 + within**2 / self.count
        distance = (self.mean[:, None] - a) ** 2 / variance[:, None]
        return np.asarray(-0.5 * (distance + np.log(variance)[:, None]).sum(axis=2))

    def raw(self, draws: FloatArray, weights: FloatArray) -> dict[str, FloatArray]:
        """Put draws (chain, draw, ...) on raw units, by site; `weights` are changed in place."""
        k, q, d = self.components, self.sd.size, self.problem.feature_scale.size
        sizes = [k * d, d, k, k * q, q, q]
        mu, tau, share, a, between, within = np.split(draws, np.cumsum(sizes)[:-1], axis=2)
        weights /= self.problem.feature_scale  # in place: these are most of the memory
        values = {
            "share": share,
            "mu": mu.reshape(*mu.shape[:2], k, d) / self.problem.feature_scale,
            "tau": tau / self.problem.feature_scale,
        }
        if q:
            centred = a.reshape(*a.shape[:2], k, q)
            values |= {"a": self.centre + centred, "between": between, "within": within}
        return values | {"weights": weights}


class MixtureChain(HierarchicalChain):
    """A chain of a mixture."""

    def __init__(
        self,
        mixture: MixtureProblem,
        warmup: int,
        thin: int,
        rng: np.random.Generator,
        store: Store,
    ) -> None:
        population = mixture.problem.population
        self.design = population.design.copy()  # this chain's own
        own = replace(mixture.problem, population=population._replace(design=self.design))
        super().__init__(own, DiagonalSweeps(), warmup, thin, rng, store)
        self.mixture = mixture
        self.component = np.zeros(len(self.design), dtype=np.int64)
        components = mixture.components
        self.share = np.full(components, 1 / components)
        self.between, self.within = 0.5 * mixture.sd, 0.5 * mixture.sd
        self.a = np.zeros((components, mixture.sd.size))
        marginal = MixtureMarginal(self.problem, mixture.concentration)
        self.collapsed = MixtureMove(marginal, warmup)
        self.last = Store(np.empty((1, self.theta.size)), self.weights[None], np.empty((1, 2)))
        self._begin()

    def _begin(self) -> None:
        """Start at what `likely_start` finds."""
        mixture, rng = self.mixture, self.rng
        start = likely_start(self.collapsed.marginal, mixture.mean / mixture.sd, rng)
        self.theta[:] = np.concatenate([start.mu.ravel(), start.tau])
        self.share[:], self.a[:] = start.share, start.context * mixture.sd
        self.component[:] = start.component
        noise = rng.standard_normal(self.weights.shape)
        self.weights[:] = start.mu[self.component] + start.tau * noise
        log_odds(self.problem.rows, self.weights, self.psi)
        self._write_design()

    def _write_design(self) -> None:
        self.design[:] = self.component[:, None] == np.arange(self.design.shape[1])

    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays that the next sweep depends on."""
        names = ("design", "share", "a", "between", "within")
        own = {name: getattr(self, name) for name in names}
        return super().arrays() | own | self.collapsed.arrays()

    def advance(self) -> int:
        """Run one more sweep."""
        log_component = self._draw_components()
        acceptances = self.sweep(1, self.last, 0, 1)
        if self.keeps:
            kept = self.store.theta[self.kept]
            parts = (self.theta, self.share, self.a.ravel(), self.between, self.within)
            kept[:] = np.concatenate(parts)
            self.store.weights[self.kept] = self.weights
            place = np.arange(len(self.component)), self.design.argmax(axis=1)
            self.store.stats[self.kept] = (
                acceptances[0],
                self.last.stats[0, 1] + log_component[place].sum(),
            )
        self.advanced(1, acceptances)
        return 1

    def _draw_components(self) -> FloatArray:
        """Draw components, shares and what contexts depend on.

        Returns
        -------
        log prior of the components, (n_users, components)
        """
        mixture, problem = self.mixture, self.problem
        omega = np.empty(self.psi.size)
        draw_polya_gamma(self.psi, omega, right_table(), self.rng)
        d = problem.feature_scale.size
        components = mixture.components
        mu = self.theta[: components * d].reshape(components, d)
        tau = self.theta[components * d :]
        shown = mixture.log_means(self.a, self.between, self.within)
        self.collapsed.marginal.read(omega, shown)
        self.collapsed.move(self.theta, self.share, self.done, self.rng)
        log_component = np.log(self.share) + shown
        draw_components(
            problem.rows, omega, log_component, mu, tau, self.component, self.weights, self.rng
        )
        log_odds(problem.rows, self.weights, self.psi)
        self._write_design()
        counts = self.design.sum(axis=0)
        # Not below the smallest float, whose logarithm a component without users would need.
        drawn = self.rng.dirichlet(mixture.concentration + counts).clip(np.finfo(float).tiny)
        self.share[:] = drawn
        if mixture.sd.size:
            self._draw_contexts()
        return np.asarray(np.log(self.share) + mixture.log_means(self.a, self.between, self.within))

    def _draw_contexts(self) -> None:
        """Draw a, between and within given the components, users' deviations integrated out."""
        mixture, rng = self.mixture, self.rng
        variance = self.between**2 + self.within**2 / mixture.count
        precision = self.design.T @ (1 / variance) + 1 / mixture.sd**2
        pull = self.design.T @ (mixture.mean / variance)
        self.a[:] = pull / precision + rng.standard_normal(pull.shape) / np.sqrt(precision)
        distance = (mixture.mean - self.design @ self.a) ** 2
        # A user's first context informs about the mean, each further one about `within`.
        further = mixture.count.sum() - len(mixture.count)
        for q, sd in enumerate(mixture.sd):

            def means(b: float, w: float, q: int = q) -> float:
                v = b**2 + w**2 / mixture.count[:, 0]
                return float(-0.5 * (np.log(v) + distance[:, q] / v).sum())

            def of_between(log_b: float, q: int = q, sd: float = sd) -> float:
                b = np.exp(log_b)
                return float(means(b, self.within[q]) - 0.5 * (b / sd) ** 2 + log_b)

            def of_within(log_w: float, q: int = q, sd: float = sd) -> float:
                w = np.exp(log_w)
                own = -further * log_w - 0.5 * mixture.square[q] / w**2
                return float(means(self.between[q], w) + own - 0.5 * (w / sd) ** 2 + log_w)

            self.between[q] = np.exp(slice_move(np.log(self.between[q]), of_between, rng))
            self.within[q] = np.exp(slice_move(np.log(self.within[q]), of_within, rng))
