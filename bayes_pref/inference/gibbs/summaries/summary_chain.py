"""A chain of Gaussian users by Polya-Gamma variables that keeps a summary of users' weights."""

from __future__ import annotations

import numpy as np

from bayes_pref.inference.gibbs.chain import HierarchicalChain
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.summaries.running_moments import RunningMoments
from bayes_pref.inference.gibbs.summaries.summary_problem import SummaryProblem
from bayes_pref.inference.gibbs.sweeps import Sweeps
from bayes_pref.types import FloatArray


class SummaryChain(HierarchicalChain):
    """A chain with the draws of `HierarchicalChain`, of which it keeps the moments of the weights.

    Parameters
    ----------
    problem, sweeps, warmup, thin, rng, store
        See `HierarchicalChain`. The store's theta has the mean of all weights last, and its weights
        are those of users who are kept, per raw unit.
    """

    def __init__(
        self,
        problem: SummaryProblem,
        sweeps: Sweeps,
        warmup: int,
        thin: int,
        rng: np.random.Generator,
        store: Store,
    ) -> None:
        super().__init__(problem, sweeps, warmup, thin, rng, store)
        self.units, self.shares, self.places = problem.units, problem.shares, list(problem.kept)
        n_users, d = self.weights.shape
        self.moments = RunningMoments.without_draws(n_users, d)
        columns = store.theta.shape[1] - d
        self.last = Store(np.empty((1, columns)), np.empty((1, n_users, d)), np.empty((1, 2)))

    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays that the next sweep and the summary depend on."""
        return super().arrays() | self.moments.arrays()

    def lengthen(self, sweeps: int, *, restart: bool) -> None:
        """Ask for a longer run; see `Chain.lengthen`."""
        thin = self.thin
        super().lengthen(sweeps, restart=restart)
        if self.thin > thin and not restart:
            self.moments.count_as(self.kept)

    def summary(self) -> list[RunningMoments]:
        """Return the moments of users' weights."""
        return [self.moments]

    def advance(self) -> int:
        """Run some more sweeps, all within warm-up or up to the next draw; returns how many."""
        if self.done < self.warmup:
            return self._advance(self.store, self.done - self.warmup, self.warmup - self.done)
        since, draw = (self.done - self.warmup) % self.thin, self.kept
        sweeps = self._advance(self.last, since, self.thin - since)
        if self.kept > draw:
            self._keep(draw)
        return sweeps

    def _keep(self, draw: int) -> None:
        """Write the last draw, and take users' weights into the moments."""
        weights = self.units.raw(self.last.weights[0])
        if not draw:  # after a restart too, until which the draws before it count
            self.moments.restart()
        self.moments.add(weights)
        self.store.theta[draw] = np.concatenate([self.last.theta[0], self.shares @ weights])
        self.store.weights[draw] = weights[self.places]
        self.store.stats[draw] = self.last.stats[0]
