"""Gibbs sampling of components of users: a sweep for Gaussian users whose regressors are their components.

Given the components t(i), users are Gaussian with a regressor for each component, 1 for their own and 0 for
the others: w_i = mu' f_i + tau u_i, which `gibbs_diagonal` sweeps. Between two of its sweeps,

1. Polya-Gamma variables are drawn anew, and given them and with w_i integrated out each user's
   component, with N(mu_t, tau^2) for w_i, then w_i itself; not given w_i, which would tie a user to the
   component whose weights they have;
2. the shares are drawn from their Dirichlet, and where contexts tell of the components, a from its
   Gaussian, `between` and `within` by slice sampling (Neal 2003), the users' deviations s_i
   integrated out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_pref.data import Comparisons
from bayes_pref.inference.gibbs.chain import HierarchicalChain
from bayes_pref.inference.gibbs.kernels.cholesky import factor, solve_lower, solve_upper
from bayes_pref.inference.gibbs.kernels.design_matrix import log_odds
from bayes_pref.inference.gibbs.kernels.jit import compiled
from bayes_pref.inference.gibbs.kernels.polya_gamma import draw_polya_gamma, right_table
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.inference.runtime.checkpoint import digest
from bayes_pref.models.regressors import mean_contexts
from bayes_pref.models.spec import PopulationSpec

Array = NDArray[np.float64]

_WIDTH = 0.5  # of the first slice, in log sd
_STEPS = 30  # of stepping out, each side


class Mixture:
    """What a chain needs of the components beside the rows: priors, and what users are shown.

    Attributes
    ----------
    problem
        On scaled features; its design has a column for each component.
    count, mean, square
        (u, 1) number of each user's contexts, (u, q) their mean around the prior's centre and (q,)
        the sum of squares within users, all users; q = 0 where contexts do not tell of the component.
    """

    def __init__(self, spec: PopulationSpec, comparisons: Comparisons) -> None:
        assert spec.components is not None  # or another sampler reads it
        problem = Problem.build(spec, comparisons)
        population = problem.population
        components = spec.components
        self.problem = replace(
            problem,
            population=population._replace(
                design=np.zeros((comparisons.n_users, components)),
                precision=np.tile(population.precision, (components, 1)),
            ),
        )
        self.n_components = components
        self.concentration = spec.concentration
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
        return int(self.problem.n_parameters + self.n_components * (1 + q) + 2 * q)

    @property
    def weights_shape(self) -> tuple[int, int]:
        """Users and features of the weights that a draw holds."""
        return self.problem.weights_shape

    def identity(self) -> dict[str, Any]:
        """Return what decides the posterior, ready for JSON."""
        shown = digest(self.count, self.mean, self.square, self.sd, self.centre)
        components = {
            "components": self.n_components,
            "shares": self.concentration,
            "shown": shown,
        }
        return self.problem.identity() | components

    def log_means(self, a: Array, between: Array, within: Array) -> Array:
        """Log density of the users' mean contexts for every component, (u, components)."""
        variance = between**2 + within**2 / self.count
        distance = (self.mean[:, None] - a) ** 2 / variance[:, None]
        return np.asarray(-0.5 * (distance + np.log(variance)[:, None]).sum(axis=2))

    def raw(self, draws: Array, weights: Array) -> dict[str, Array]:
        """Put draws (chain, draw, ...) on raw units, by site; `weights` are changed in place."""
        k, q, d = self.n_components, self.sd.size, self.problem.feature_scale.size
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
    """A chain of the sampler of components."""

    def __init__(
        self, components: Mixture, warmup: int, thin: int, rng: np.random.Generator, store: Store
    ) -> None:
        population = components.problem.population
        self.design = population.design.copy()  # this chain's own
        own = replace(components.problem, population=population._replace(design=self.design))
        super().__init__(own, warmup, thin, rng, store)
        self.components = components
        self.component = np.zeros(len(self.design), dtype=np.int64)
        self.share = np.full(components.n_components, 1 / components.n_components)
        self.between, self.within = 0.5 * components.sd, 0.5 * components.sd
        self.a = np.zeros((components.n_components, components.sd.size))
        self.last = Store(np.empty((1, self.theta.size)), self.weights[None], np.empty((1, 2)))
        self._begin()

    def _begin(self) -> None:
        """Start from clusters of rough estimates of each user, other ones in every chain."""
        from sklearn.cluster import KMeans  # takes a second to import; only this needs it

        rough = rough_weights(self.problem)
        shown = self.components.mean / self.components.sd
        described = np.hstack([rough, shown]) + 0.1 * self.rng.standard_normal(
            (len(rough), rough.shape[1] + shown.shape[1])
        )
        clusters = KMeans(
            self.components.n_components, n_init=1, random_state=int(self.rng.integers(2**31))
        ).fit(described)
        self.component[:] = clusters.labels_
        mu = clusters.cluster_centers_[:, : rough.shape[1]]
        self.theta[: mu.size] = mu.ravel()
        self.a[:] = clusters.cluster_centers_[:, rough.shape[1] :] * self.components.sd
        tau = self.theta[mu.size :]
        self.weights[:] = mu[self.component] + tau * self.rng.standard_normal(self.weights.shape)
        log_odds(self.problem.rows, self.weights, self.psi)
        self._write_design()

    def _write_design(self) -> None:
        self.design[:] = self.component[:, None] == np.arange(self.design.shape[1])

    def arrays(self) -> dict[str, Array]:
        """Return the arrays that the next sweep depends on."""
        names = ("design", "share", "a", "between", "within")
        return super().arrays() | {name: getattr(self, name) for name in names}

    def advance(self) -> int:
        """Run one more sweep."""
        log_component = self._draw_components()
        (acceptance,) = self.sweep(1, self.last, 0, 1)
        if self.keeps:
            kept = self.store.theta[self.kept]
            parts = (self.theta, self.share, self.a.ravel(), self.between, self.within)
            kept[:] = np.concatenate(parts)
            self.store.weights[self.kept] = self.weights
            place = np.arange(len(self.component)), self.design.argmax(axis=1)
            self.store.stats[self.kept] = (
                acceptance,
                self.last.stats[0, 1] + log_component[place].sum(),
            )
        self.done += 1
        if self.done <= self.warmup:
            self.adaptation.update(self.done, self.theta, self.weights, self.psi, acceptance)
        return 1

    def _draw_components(self) -> Array:
        """Draw components and all that depends on them alone; the components' log prior, (u, components)."""
        components, problem = self.components, self.problem
        omega = np.empty(self.psi.size)
        draw_polya_gamma(self.psi, omega, right_table(), self.rng)
        d = problem.feature_scale.size
        mu = self.theta[: components.n_components * d].reshape(components.n_components, d)
        tau = self.theta[components.n_components * d :]
        shown = components.log_means(self.a, self.between, self.within)
        log_component = np.log(self.share) + shown
        draw_components(
            problem.rows, omega, log_component, mu, tau, self.component, self.weights, self.rng
        )
        log_odds(problem.rows, self.weights, self.psi)
        self._write_design()
        counts = self.design.sum(axis=0)
        # Not below the smallest float, whose logarithm a component without users would need.
        drawn = self.rng.dirichlet(components.concentration + counts).clip(np.finfo(float).tiny)
        self.share[:] = drawn
        if components.sd.size:
            self._draw_contexts()
        return np.asarray(
            np.log(self.share) + components.log_means(self.a, self.between, self.within)
        )

    def _draw_contexts(self) -> None:
        """Draw a, between and within given the components, every user's deviation integrated out."""
        components, rng = self.components, self.rng
        variance = self.between**2 + self.within**2 / components.count
        precision = self.design.T @ (1 / variance) + 1 / components.sd**2
        pull = self.design.T @ (components.mean / variance)
        self.a[:] = pull / precision + rng.standard_normal(pull.shape) / np.sqrt(precision)
        distance = (components.mean - self.design @ self.a) ** 2
        # A user's first context tells of the mean, each further one of the variance within.
        further = components.count.sum() - len(components.count)
        for q, sd in enumerate(components.sd):

            def means(b: float, w: float, q: int = q) -> float:
                v = b**2 + w**2 / components.count[:, 0]
                return float(-0.5 * (np.log(v) + distance[:, q] / v).sum())

            def of_between(log_b: float, q: int = q, sd: float = sd) -> float:
                b = np.exp(log_b)
                return float(means(b, self.within[q]) - 0.5 * (b / sd) ** 2 + log_b)

            def of_within(log_w: float, q: int = q, sd: float = sd) -> float:
                w = np.exp(log_w)
                own = -further * log_w - 0.5 * components.square[q] / w**2
                return float(means(self.between[q], w) + own - 0.5 * (w / sd) ** 2 + log_w)

            self.between[q] = np.exp(slice_move(np.log(self.between[q]), of_between, rng))
            self.within[q] = np.exp(slice_move(np.log(self.within[q]), of_within, rng))


def rough_weights(problem: Problem) -> Array:
    """Estimate each user's weights, (u, d), by one step of a ridge logit from zero."""
    rows = problem.rows
    n, d = rows.starts.size - 1, problem.feature_scale.size
    signed = np.zeros((n, d))
    signed[np.repeat(np.arange(n), np.diff(rows.starts)), rows.columns] = rows.values
    first = rows.offsets[:-1]
    score = np.add.reduceat(signed, first, axis=0) / 2
    information = np.add.reduceat(np.einsum("nk,nm->nkm", signed, signed), first, axis=0) / 4
    return np.asarray(np.linalg.solve(information + np.eye(d), score[:, :, None])[:, :, 0])


def slice_move(
    start: float, log_density: Callable[[float], float], rng: np.random.Generator
) -> float:
    """One update of slice sampling, stepping out and shrinking (Neal 2003)."""
    height = log_density(start) - rng.standard_exponential()
    low = start - _WIDTH * rng.random()
    high = low + _WIDTH
    for _ in range(_STEPS):
        if log_density(low) <= height:
            break
        low -= _WIDTH
    for _ in range(_STEPS):
        if log_density(high) <= height:
            break
        high += _WIDTH
    while True:
        value = float(rng.uniform(low, high))
        if log_density(value) > height:
            return value
        if value < start:
            low = value
        else:
            high = value


@compiled
def draw_components(
    rows: Any,
    omega: Array,
    log_component: Array,
    mu: Array,
    tau: Array,
    component: NDArray[np.int64],
    weights: Array,
    rng: np.random.Generator,
) -> None:
    """Draw every user's component, weights integrated out, then their weights; both in place.

    Parameters
    ----------
    log_component
        (u, components): log probability of each component but for the choices.
    mu, tau
        (components, d) and (d,).
    """
    n_users, d = weights.shape
    components = mu.shape[0]
    information = np.empty((d, d))
    precision = np.empty((d, d))
    score = np.empty(d)
    row = np.empty(d)
    pulls = np.empty((components, d))
    chance = np.empty(components)
    for i in range(n_users):
        for k in range(d):
            score[k] = 0.0
            for m in range(d):
                information[k, m] = 0.0
        for n in range(rows.offsets[i], rows.offsets[i + 1]):
            first = rows.starts[n]
            if rows.starts[n + 1] - first == d:
                # No zeros: a copy of the row, so that the sums run in parallel lanes.
                for k in range(d):
                    row[k] = rows.values[first + k]
                for k in range(d):
                    a = row[k]
                    score[k] += 0.5 * a
                    a *= omega[n]
                    for m in range(k + 1):
                        information[k, m] += a * row[m]
                continue
            for e in range(first, rows.starts[n + 1]):
                k = rows.columns[e]
                a = rows.values[e]
                score[k] += 0.5 * a
                a *= omega[n]
                # Columns ascend within a row, so this fills the lower triangle only.
                for f in range(first, e + 1):
                    information[k, rows.columns[f]] += a * rows.values[f]
        for k in range(d):
            for m in range(k):
                information[m, k] = information[k, m]
        for k in range(d):
            for m in range(d):
                precision[k, m] = information[k, m]
            precision[k, k] += 1.0 / (tau[k] * tau[k])
        factor(precision, d)
        largest = -np.inf
        for t in range(components):
            # exp(score' w - w' information w / 2) around mu_t, e = w - mu_t integrated out.
            value = log_component[i, t]
            pull = pulls[t]
            for k in range(d):
                moved = 0.0
                for m in range(d):
                    moved += information[k, m] * mu[t, m]
                value += mu[t, k] * (score[k] - 0.5 * moved)
                pull[k] = score[k] - moved
            solve_lower(precision, pull, d)
            for k in range(d):
                value += 0.5 * pull[k] * pull[k]
            chance[t] = value
            largest = max(largest, value)
        total = 0.0
        for t in range(components):
            chance[t] = np.exp(chance[t] - largest)
            total += chance[t]
        at = rng.random() * total
        chosen = 0
        while chosen < components - 1 and at > chance[chosen]:
            at -= chance[chosen]
            chosen += 1
        component[i] = chosen
        pull = pulls[chosen]
        for k in range(d):
            pull[k] += rng.standard_normal()
        solve_upper(precision, pull, d)
        for k in range(d):
            weights[i, k] = mu[chosen, k] + pull[k]
