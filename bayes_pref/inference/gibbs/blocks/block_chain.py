"""A chain whose users are in blocks: the population in one place, users wherever blocks are.

A sweep proposes the population and has every block move its users at the proposal, all in one pass:

1. theta' ~ Normal(m, (1 - r^2) C) with m = theta + (1 - r) C g, g the gradient at theta given all
   zeta and C its inverse curvature. Were the density Gaussian, m would be r theta + (1 - r) times
   its mean, and every theta' accepted; with millions of users it nearly is, and spreads have
   coordinates, `stretched_spreads`, in which it is nearer;
2. blocks add up the density and its gradient at theta', which decide whether it is accepted, and
   move their users given theta', after which they add up both again. Only where theta' is refused,
   users move once more, at theta: what they did at theta' is undone and had no part in that.

Both moves overrelax: r is negative and users turn by more than a right angle, which makes up for
what they depend on each other (Adler 1981, Phys. Rev. D 23; the rate of successive overrelaxation).
Where likelihoods are so far from their expansions that users refuse such turns, they go in several
shorter steps instead, which cost more and are accepted.

The chain starts where `GeneralChain` has come with some users alone, farther apart than the
posterior of all is wide, and first takes steps of Newton's method with noise. The metric is the
curvature given zeta, which depends on the expansion of users' likelihoods: it is found anew
whenever they are expanded anew, and then averaged over some states. With many users a mean over
expansions of different quality would be wrong by far more than the curvature varies. With few, or
where users hardly differ, that at some states is too small in some directions, and is bounded by
what is expected with all weights integrated out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bayes_pref.errors import ModelError
from bayes_pref.inference.gibbs.blocks.block_pool import BlockPool
from bayes_pref.inference.gibbs.blocks.block_problem import BlockProblem
from bayes_pref.inference.gibbs.blocks.stretched_spreads import StretchedSpreads
from bayes_pref.inference.gibbs.blocks.user_block import Moved
from bayes_pref.inference.gibbs.chain import PLACE, Chain
from bayes_pref.inference.gibbs.finite import LOST
from bayes_pref.inference.gibbs.finite import advance as advance_chain
from bayes_pref.inference.gibbs.kernels.store import Store, nowhere
from bayes_pref.inference.gibbs.population_coordinates import (
    PopulationCoordinates,
    UserSums,
    bounded_curvature,
    curvature_from,
    metric_root,
    stepped,
)
from bayes_pref.inference.gibbs.samplers.general_sampler import GeneralChain
from bayes_pref.inference.gibbs.summaries.running_moments import RunningMoments
from bayes_pref.types import FloatArray

PILOT_USERS, _PILOT_SWEEPS = 1000, 250
_LEAST = 0.25, 0.5  # of the prior's scale: where spreads near zero start
# More than one, and than a right angle, moves means faster, but their squares more slowly.
_REACH = 1.18  # 1 - r; while the chain comes nearer, 1
_ANGLE = 1.75  # radians that users turn, in one step
# Steps of those who refuse that, and radians of each: half a turn in all would leave squares alone.
_LEAPS, _SHORT_ANGLE = 3, 0.65
_REFUSED = 0.97  # of the angle, below which it has adapted where they refuse it
_RENEWALS = (0.2, 0.35, 0.5)  # shares of warm-up after which users' expansions are renewed
_METRICS = (0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)  # after which the metric is, beside these
_LOOKED_AT = 8_192  # users, at whom the curvature is looked at, others each time
_LOOKS = 20  # at users' likelihoods in warm-up


class BlockChain(Chain):
    """A chain of Gaussian users in blocks.

    Parameters
    ----------
    problem
        Data and priors.
    warmup, thin, rng, store
        See `Chain`. The store's theta has the mean of all weights last, and its weights are those
        of users who are kept, per raw unit.
    pool, index
        Who works on the blocks, and the chain's number there.
    """

    def __init__(
        self,
        problem: BlockProblem,
        warmup: int,
        thin: int,
        rng: np.random.Generator,
        store: Store,
        pool: BlockPool,
        index: int,
    ) -> None:
        super().__init__(warmup, thin, rng, store)
        self.problem = problem
        self.pool = pool
        self.index = index
        self.coordinates = PopulationCoordinates(problem)
        self.spreads = StretchedSpreads(self.coordinates.places[1])
        size = self.coordinates.size
        self.theta, self.gradient = np.zeros(size), np.zeros(size)
        self.log_density, self.log_volume = np.zeros(1), np.zeros(1)
        self.curvature, self.whiten = np.zeros((size, size)), np.zeros((size, size))
        self.looked = np.zeros(1)
        self.log_reach, self.log_turn, self.leaps = np.zeros(1), np.zeros(1), np.ones(1)
        self.known = np.zeros(1)  # whether density and gradient are those of the present state
        self.renewals = {int(share * warmup): share for share in _METRICS + _RENEWALS}
        self.renewed = np.zeros(1)  # the sweep when the metric was last renewed
        self.every = max(1, warmup // _LOOKS)
        seeds: Any = rng.bit_generator.seed_seq
        pool.open(index, seeds.generate_state(2, np.uint64))

    def arrays(self) -> dict[str, FloatArray]:
        """Return the population's arrays that the next sweep depends on."""
        return {
            "theta": self.theta,
            "gradient": self.gradient,
            "log_density": self.log_density,
            "log_volume": self.log_volume,
            "curvature": self.curvature,
            "whiten": self.whiten,
            "looked": self.looked,
            "log_reach": self.log_reach,
            "log_turn": self.log_turn,
            "leaps": self.leaps,
            "known": self.known,
            "power": self.spreads.power,
            "renewed": self.renewed,
        }

    def state(self) -> dict[str, Any]:
        """Return all that the next sweep depends on, the blocks' states among it."""
        blocks = self._run("state")
        return super().state() | {
            f"block_{number}_{name}": array
            for number, state in enumerate(blocks)
            for name, array in state.items()
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned; see `Chain.restore`."""
        blocks: list[dict[str, Any]] = [{} for _ in self.problem.parts]
        rest = {}
        for name, array in state.items():
            if name.startswith("block_"):
                _, number, own = name.split("_", 2)
                blocks[int(number)][own] = array
            else:
                rest[name] = array
        own_arrays = self.arrays()
        if (
            rest.keys() != {*own_arrays, *PLACE, "generator"}
            or rest["theta"].shape != self.theta.shape
        ):
            raise ModelError(
                "the checkpoint holds the state of another chain: delete it to start afresh"
            )
        self._take(rest)
        self.pool.load(self.index, blocks)

    def lengthen(self, sweeps: int, *, restart: bool) -> None:
        """Ask for a longer run; see `Chain.lengthen`."""
        thin = self.thin
        super().lengthen(sweeps, restart=restart)
        if self.thin > thin and not restart:
            self._run("count_as", self.kept)

    def advance(self) -> int:
        """Run one more sweep."""
        if not self.done:
            self._begin()
        acceptance, of_users = self._sweep()
        if self.keeps:
            self._keep(acceptance)
        self.done += 1
        if self.done <= self.warmup:
            self._adapt(acceptance, of_users)
        return 1

    def summary(self) -> list[RunningMoments]:
        """Return the moments of users' weights, block by block."""
        return self._run("summary")

    def _run(self, operation: str, *args: Any, blocks: Sequence[int] | None = None) -> list[Any]:
        return self.pool.run(self.index, operation, *args, blocks=blocks)

    def _begin(self) -> None:
        """Start where a chain of some users alone has come."""
        users = self.problem.n_users
        count = min(users, PILOT_USERS)
        chosen = np.sort(self.rng.choice(users, count, replace=False))
        sample = self.problem.sample(chosen)
        store = nowhere(sample.n_columns, *sample.weights_shape)
        pilot = GeneralChain(sample, _PILOT_SWEEPS, 1, self.rng, store)
        while pilot.done < pilot.total:
            advance_chain(pilot)
        self.theta[...] = pilot.theta
        # A spread that some users leave near zero, where the density is flat, can be far from it.
        tau = self.theta[self.coordinates.places[1]]
        least = self.rng.uniform(*_LEAST, tau.size) * self.problem.population.spread
        tau[...] = np.copysign(np.maximum(np.abs(tau), least), tau)
        prior = np.diag(self.coordinates.prior_precision())
        self.curvature[...] = prior + (pilot.curvature - prior) * (users / count)
        self.whiten[...] = metric_root(self.curvature)
        self._run("begin", self.theta)
        if self.warmup:
            self._renew_metric()

    def _sweep(self) -> tuple[float, float]:
        """Move the population and all users; returns the mean acceptance of each."""
        theta, reach, noise = self.theta, 0.0, np.zeros(self.theta.size)
        far = self.done < int(_RENEWALS[0] * self.warmup)
        if self.known[0]:
            reach = 1.0 if far else _REACH * float(np.exp(self.log_reach[0]))
            noise = self.rng.standard_normal(theta.size)
        spread = np.sqrt(1.0 - (1.0 - reach) ** 2)
        pull = reach * (self.whiten @ self.gradient)
        u = self.spreads.coordinates(theta) + self.whiten @ (pull + spread * noise)
        new = self.spreads.theta(u) if reach else theta
        moved = self._move(new, again=False)
        acceptance = 1.0
        if reach:
            end, volume, gradient = self._assembled(new, [each.before for each in moved])
            back = pull + spread * noise + reach * (self.whiten @ gradient)
            change = end + volume - self.log_density[0] - self.log_volume[0]
            change += 0.5 * float(noise @ noise - back @ back / spread**2)
            # A proposal that lost a number is refused: the least of 0 and nan is 0.
            acceptance = float(np.exp(min(0.0, change))) if np.isfinite(change) else 0.0
            # While it comes nearer a chain need not be exact, and a proposal is a step of Newton's.
            if self.rng.random() < acceptance or (far and change > -theta.size):
                theta[...] = new
            else:
                moved = self._move(theta, again=True)
        after = self._assembled(theta, [each.after for each in moved])
        self.log_density[0], self.log_volume[0], self.gradient[...] = after
        if not np.isfinite(self.log_density[0]):
            raise ModelError(LOST)
        self.known[0] = 1.0
        return acceptance, sum(each.accepted for each in moved) / self.problem.n_users

    def _move(self, theta: FloatArray, *, again: bool) -> list[Moved]:
        leaps = int(self.leaps[0])
        angle = (_ANGLE if leaps == 1 else _SHORT_ANGLE) * float(np.exp(self.log_turn[0]))
        return self._run("move", theta, angle, leaps, self.done, again)

    def _assembled(
        self, theta: FloatArray, parts: list[UserSums]
    ) -> tuple[float, float, FloatArray]:
        """Log density of theta, log |dtheta / du| and gradient in u, from the blocks' sums."""
        total = parts[0]
        for part in parts[1:]:  # in their order
            total = total.plus(part)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            density, gradient = self.coordinates.with_prior(self.coordinates.at(theta), total)
            return density, *self.spreads.pulled_back(theta, gradient)

    def _keep(self, acceptance: float) -> None:
        """Write a draw, and have blocks take users' weights into their summaries."""
        kept, store = self._run("keep", self.theta, not self.kept), self.store
        average = kept[0][0]
        for mean, _ in kept[1:]:
            average = average + mean
        own = self.coordinates.lower_entries(self.theta)
        store.theta[self.kept] = np.concatenate([own, average])
        store.weights[self.kept] = np.concatenate([weights for _, weights in kept])
        store.stats[self.kept] = acceptance, self.log_density[0]

    def _adapt(self, acceptance: float, of_users: float) -> None:
        """Adapt the moves after a sweep of warm-up."""
        gain = 0.5 / (1 + 0.2 * (self.done - self.renewed[0]))
        if self.done > int(_RENEWALS[0] * self.warmup):
            self.log_reach[...] = np.minimum(self.log_reach + gain * (acceptance - 0.8), 0.0)
        self.log_turn[...] = np.minimum(self.log_turn + gain * (of_users - 0.8), 0.0)
        share = self.renewals.get(self.done)
        last = int(_RENEWALS[-1] * self.warmup)
        if self.warmup // 10 < self.done <= last and self.done % self.every == 0:
            self._run("look", self.theta)
        if self.done == last and self.log_turn[0] < np.log(_REFUSED):
            self.leaps[0], self.log_turn[0] = _LEAPS, 0.0
        if share in _RENEWALS:
            self._run("renew", self.theta, self.done == last)
            self.known[0] = self.looked[0] = 0.0  # the curvature is that of an expansion
        if share is not None:
            self._renew_metric()
        if self.done == last:
            self._stretch_spreads()

    def _renew_metric(self) -> None:
        """Take the curvature that some of the users have into the metric."""
        slopes, blocks, share = self._slopes_at(stepped(self.spreads.coordinates(self.theta)))
        new = curvature_from(slopes)
        if np.isfinite(new).all():
            self.looked[0] += 1
            if self.looked[0] == 1:
                self.curvature[...] = 0.0
            self.curvature += (new - self.curvature) / self.looked[0]
            of_users = self._run("information", self.theta, blocks=blocks)
            expected = np.diag(self.coordinates.prior_precision()) + share * sum(of_users)
            scale = self.spreads.slopes(self.theta)
            expected *= scale[:, None] * scale
            self.whiten[...] = metric_root(bounded_curvature(self.curvature, expected))
            # A better metric allows the full reach, to which the old one's comes back only slowly.
            self.log_reach[0], self.renewed[0] = 0.0, self.done

    def _stretch_spreads(self) -> None:
        """Choose the coordinates of spreads, and renew the metric in them."""
        place = self.spreads.place
        sd = 1.0 / np.sqrt(np.abs(self.curvature.diagonal()[place]))
        steps = np.zeros((len(sd), self.theta.size))
        steps[:, place] = np.diag(sd)
        slopes, *_ = self._slopes_at(
            np.vstack([self.theta, self.theta + steps, self.theta - steps])
        )
        own = np.array([slope[place] for slope in slopes[1:]]).reshape(2, len(sd), len(sd))
        ahead, behind = own[0].diagonal(), own[1].diagonal()
        self.spreads.choose(self.theta, sd, sd * (ahead + behind - 2.0 * slopes[0][place]))
        self.known[0] = self.looked[0] = 0.0  # slopes and curvature are those in other coordinates
        self._renew_metric()

    def _slopes_at(self, points: FloatArray) -> tuple[list[FloatArray], list[int], float]:
        """Slopes at several u (n, m) that some users have for all; these blocks, and their share.

        The share is what users in all are to these users.
        """
        parts = self.problem.parts
        sizes = np.array([len(part.shares) for part in parts])
        number = min(len(parts), max(1, -(-_LOOKED_AT // int(sizes[0]))))
        apart = len(parts) / number
        first = int(self.looked[0]) % int(apart)
        blocks = (first + (np.arange(number) * apart).astype(int)).tolist()
        share = self.problem.n_users / sizes[blocks].sum()
        thetas = np.array([self.spreads.theta(u) for u in points])
        found = self._run("sums_at", thetas, blocks=blocks)
        slopes = [
            self._assembled(theta, [each[place].times(share) for each in found])[2]
            for place, theta in enumerate(thetas)
        ]
        return slopes, blocks, share
