"""One block of users as one chain has it: their zeta, expansions and sums of their weights.

Every operation is a function of the block's state, of what it is given, and of random numbers that
belong to the chain, the block and the sweep (Philox: Salmon et al. 2011, SC '11). Who runs it, and
when, makes no difference.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bayes_pref.inference.gibbs.blocks.block_problem import BlockPart
from bayes_pref.inference.gibbs.partial_density import MeanExpansion
from bayes_pref.inference.gibbs.population_coordinates import UserSums
from bayes_pref.inference.gibbs.summaries.running_moments import RunningMoments
from bayes_pref.inference.runtime.freed_memory import return_freed_memory
from bayes_pref.types import FloatArray, IntArray

EXPANSIONS = 3  # of a start: from the population's mean to about the users' modes
START, MOVE = 0, 1  # streams of random numbers


class Moved(NamedTuple):
    """What a move of users found: sums before and after it, and the sum of acceptances."""

    before: UserSums
    accepted: float
    after: UserSums


class UserBlock:
    """Users of one block, in one chain.

    Parameters
    ----------
    part
        Their data.
    key
        (2,) of the chain's random numbers.
    """

    def __init__(self, part: BlockPart, key: IntArray) -> None:
        self.part = part
        self.key = key
        self.density = part.density()
        self.zeta = np.zeros(self.density.linear.shape)
        self.before = np.zeros_like(self.zeta)  # zeta before the last move
        self.expansions: MeanExpansion | None = None
        self.moments = RunningMoments.without_draws(0, self.density.d)  # before there is a draw

    def begin(self, theta: FloatArray) -> None:
        """Start at theta: expand users' likelihoods near their modes, and draw zeta."""
        density, nothing = self.density, np.zeros_like(self.zeta)
        v = nothing
        for _ in range(EXPANSIONS):
            density.expand(theta, density.weights(theta, v))
            v = density.deviations(theta, nothing)[0]
        self.zeta[...] = self._rng(START, 0).standard_normal(self.zeta.shape)
        self.expansions = MeanExpansion.like(density)

    def move(self, theta: FloatArray, angle: float, leaps: int, sweep: int, again: bool) -> Moved:
        """Find the density of theta at zeta, then move zeta given theta.

        Parameters
        ----------
        angle, leaps
            Rotation of each step of the trajectory, and number of steps.
        again
            Whether to undo the last move first: the theta that it was given was refused.
        """
        density, v = self.density, np.empty_like(self.zeta)
        if not again:
            self.before[...] = self.zeta
        self.zeta[...] = self.before
        rng = self._rng(MOVE, sweep)
        with np.errstate(over="ignore", invalid="ignore"):  # a proposal may lose numbers
            before, accepted, after = density.move_and_sum(theta, self.zeta, v, angle, leaps, rng)
        return Moved(before, accepted * density.n_users, after)

    def sums_at(self, thetas: FloatArray) -> list[UserSums]:
        """Sums at several thetas (n, m), given zeta."""
        v = np.empty_like(self.zeta)
        return [self.density.sums(self.density.at(theta), self.zeta, v) for theta in thetas]

    def information(self, theta: FloatArray) -> FloatArray:
        """(m, m) Fisher information of the expansions, weights integrated out."""
        return self.density.information_of_users(theta)

    def look(self, theta: FloatArray) -> None:
        """Take the expansion at the present state into its mean."""
        assert self.expansions is not None  # or the last renewal was before
        v = self.density.deviations(theta, self.zeta)[0]
        self.density.add_expansion(self.expansions, theta, v)

    def renew(self, theta: FloatArray, last: bool) -> None:
        """Expand by the mean over states; users keep their weights.

        Parameters
        ----------
        last
            Whether it is not renewed again, so that the mean is forgotten.
        """
        assert self.expansions is not None  # or the last one was before
        if self.expansions.count[0]:
            v = self.density.deviations(theta, self.zeta)[0]
            self.density.expand_by(self.expansions)
            self.zeta[...] = self.density.standardised(theta, v)
        if last:
            self.expansions = None
            return_freed_memory()

    def keep(self, theta: FloatArray, first: bool) -> tuple[FloatArray, FloatArray]:
        """Take users' weights into their summary.

        Parameters
        ----------
        first
            Whether they are the first draw, and the summary is to forget others.

        Returns
        -------
        (d,) sum of weights by the users' shares, and (k, d) weights of those who are kept whole
        """
        weights = self.weights(theta)
        if first:
            self.moments = RunningMoments.without_draws(*weights.shape)
        self.moments.add(weights)
        return self.part.shares @ weights, weights[self.part.kept]

    def weights(self, theta: FloatArray) -> FloatArray:
        """(n_users, d) weights per raw unit."""
        v = self.density.deviations(theta, self.zeta)[0]
        return self.part.units.raw(self.density.weights(theta, v))

    def count_as(self, count: int) -> None:
        """Have the draws so far count as so many."""
        self.moments.count_as(count)

    def summary(self) -> RunningMoments:
        """Return the moments of the draws that were taken in."""
        if not self.moments.count[0]:
            return RunningMoments.without_draws(self.density.n_users, self.density.d)
        return self.moments

    def state(self) -> dict[str, Any]:
        """Return all that later operations depend on."""
        density, means = self.density, self.expansions
        return {
            "zeta": self.zeta,
            "information": density.information,
            "linear": density.linear,
            **self.moments.arrays(),
            **({} if means is None else means.arrays()),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.zeta[...] = state["zeta"]
        self.density.information[...] = state["information"]
        self.density.linear[...] = state["linear"]
        self.moments = RunningMoments(*(np.array(state[name]) for name in self.moments.arrays()))
        self.expansions = None
        if "mean_count" in state:
            self.expansions = MeanExpansion.like(self.density)
            for name, array in self.expansions.arrays().items():
                array[...] = state[name]

    def _rng(self, stream: int, sweep: int) -> np.random.Generator:
        counter = np.array([0, stream, self.part.number, sweep], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(counter=counter, key=self.key))
