"""One Gibbs chain at a time: where it starts, how it advances, how it resumes from a checkpoint."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from bayes_pref.errors import ModelError
from bayes_pref.inference.gibbs.adaptation import CHUNK, Adaptation
from bayes_pref.inference.gibbs.kernels.design_matrix import log_odds
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.position_bias import PositionBias
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.inference.gibbs.summaries.running_moments import RunningMoments
from bayes_pref.inference.gibbs.sweeps import Sweeps
from bayes_pref.types import FloatArray

PLACE = ("done", "warmup", "thin", "draws")  # in the run, of a chain's state


class Chain(ABC):
    """A chain that advances a few sweeps at a time and can be saved between them.

    Parameters
    ----------
    warmup, thin
        Number of sweeps before the first draw, and thinning interval.
    rng
        Of this chain alone.
    store
        Where this chain writes its draws.

    Attributes
    ----------
    done
        Number of sweeps so far.
    draws
        Number of draws that it is to come to: as many as the store has room for, or fewer.
    before
        Number of draws in the store from before a restart, which new ones replace one by one.
    """

    def __init__(self, warmup: int, thin: int, rng: np.random.Generator, store: Store) -> None:
        self.warmup = warmup
        self.thin = thin
        self.rng = rng
        self.store = store
        self.done = 0
        self.draws = len(store.theta)
        self.before = 0

    @property
    def total(self) -> int:
        """Number of sweeps of the whole run."""
        return self.warmup + self.thin * self.draws

    @property
    def kept(self) -> int:
        """Number of draws written so far."""
        return max(0, self.done - self.warmup) // self.thin

    @property
    def keeps(self) -> bool:
        """Whether the next sweep gives a draw."""
        after = self.done + 1 - self.warmup
        return after > 0 and after % self.thin == 0

    def lengthen(self, sweeps: int, *, restart: bool) -> None:
        """Ask for a longer run, with a longer thinning interval where the store has no room.

        Parameters
        ----------
        sweeps
            Number of sweeps after warm-up, at least.
        restart
            Whether all sweeps so far become warm-up; if not, the draws so far stay, or are thinned.
        """
        factor = math.ceil(sweeps / (self.thin * len(self.store.theta)))
        kept = self.kept
        self.thin *= factor
        self.draws = math.ceil(sweeps / self.thin)
        if restart:
            self.warmup, self.before = self.done, max(kept, self.before)
        else:
            self.before = 0
            for array in self.store:
                array[: self.kept] = array[factor - 1 : kept : factor]

    def summary(self) -> list[RunningMoments]:
        """Return the moments of users' weights, group by group; none where draws are kept."""
        return []

    @abstractmethod
    def advance(self) -> int:
        """Run some more sweeps, all within warm-up or all after it; returns how many."""

    @abstractmethod
    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays that the next sweep depends on; `restore` writes into them."""

    def start_at(self, draw: Mapping[str, FloatArray]) -> bool:
        """Start at a draw of the sites, raw units; called before the first sweep.

        Returns
        -------
        whether this sort of chain can; else it starts as always
        """
        return False

    def state(self) -> dict[str, Any]:
        """Return all that the next sweep depends on, as arrays and text."""
        generator = json.dumps(self.rng.bit_generator.state)
        place = {name: getattr(self, name) for name in PLACE}
        return {**place, "generator": generator, **self.arrays()}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned.

        Raises
        ------
        ModelError
            If it is the state of another chain.
        """
        own = self.state()
        fits = own.keys() == state.keys() and all(
            np.shape(own[name]) == np.shape(state[name])
            and np.asarray(own[name]).dtype.kind == np.asarray(state[name]).dtype.kind
            for name in own
        )
        if not fits:
            raise ModelError(
                "the checkpoint holds the state of another chain: delete it to start afresh"
            )
        self._take(state)

    def _take(self, state: dict[str, Any]) -> None:
        """Continue from a state that fits."""
        for name in PLACE:
            setattr(self, name, int(state[name]))
        self.rng.bit_generator.state = json.loads(str(state["generator"]))
        for name, array in self.arrays().items():
            array[...] = state[name]


class HierarchicalChain(Chain):
    """A chain of Gaussian users: sweeps, the adaptation of their moves, and position bias.

    Parameters
    ----------
    problem, sweeps
        Data and priors, and the sweeps that sample them.
    warmup, thin, rng, store
        See `Chain`.
    """

    def __init__(
        self,
        problem: Problem,
        sweeps: Sweeps,
        warmup: int,
        thin: int,
        rng: np.random.Generator,
        store: Store,
    ) -> None:
        super().__init__(warmup, thin, rng, store)
        self.sweeps = sweeps
        self.most = CHUNK if problem.position_sd is None else 1  # sweeps at once
        self.theta, self.weights = problem.start(rng)
        self.psi = np.empty(problem.rows.starts.size - 1)
        self.position_bias = None
        if problem.position_sd is not None:
            self.position_bias = PositionBias(problem, problem.position_sd, rng)
            problem = self.position_bias.problem
        self.problem = problem
        log_odds(problem.rows, self.weights, self.psi)
        self.adaptation = Adaptation(problem, sweeps, warmup)

    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays that the next sweep depends on."""
        own = {"theta": self.theta, "weights": self.weights, "psi": self.psi}
        if self.position_bias is not None:
            own |= self.position_bias.arrays()
        return own | self.adaptation.arrays()

    def start_at(self, draw: Mapping[str, FloatArray]) -> bool:
        """Start at a draw of the sites; see `Chain.start_at`."""
        if self.problem.rank:
            return False
        self.theta[...], self.weights[...] = self.problem.scaled(draw)
        log_odds(self.problem.rows, self.weights, self.psi)
        return True

    def advance(self) -> int:
        """Run some more sweeps, all within warm-up or all after it; returns how many."""
        end = self.warmup if self.done < self.warmup else self.total
        return self._advance(self.store, self.done - self.warmup, end - self.done)

    def _advance(self, store: Store, sweep: int, most: int) -> int:
        """Run up to `most` sweeps, into a store that holds the draws of `sweep` sweeps already."""
        sweeps = min(self.most, most)
        if self.done >= self.warmup and not self.adaptation.looks[0]:
            # Sweeps without moves are for warm-up alone.
            self.adaptation.look(self.done, self.theta, self.weights, self.psi)
        if self.position_bias is not None:
            self.position_bias.move(self.psi, self.rng)
        keeps = self.keeps
        acceptances = self.sweep(sweeps, store, sweep, self.thin)
        if self.position_bias is not None and keeps:
            self.position_bias.keep(store, sweep // self.thin)
        self.advanced(sweeps, acceptances)
        return sweeps

    def sweep(self, sweeps: int, store: Store, sweep: int, thin: int) -> tuple[float, ...]:
        """Run sweeps; returns the mean acceptance of each Hamiltonian move.

        Parameters
        ----------
        sweeps
            How many.
        store, sweep, thin
            Where draws are written, the number of sweeps since warm-up, and the thinning interval.
        """
        state = (self.problem, self.theta, self.weights, self.psi)
        moves = self.adaptation.moves
        return self.sweeps.run(*state, moves, self.rng, sweeps, store, sweep, thin)

    def advanced(self, sweeps: int, acceptances: tuple[float, ...]) -> None:
        """Count sweeps, and adapt the moves during warm-up."""
        self.done += sweeps
        if self.done <= self.warmup:
            state = (self.theta, self.weights, self.psi)
            self.adaptation.update(self.done, *state, acceptances)
