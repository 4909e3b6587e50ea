"""A program whose chains keep a summary of users' weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
import xarray as xr

from bayes_pref.convergence.statistics import effective_draws
from bayes_pref.inference.engine import Judge
from bayes_pref.inference.gibbs.chain import Chain
from bayes_pref.inference.gibbs.gibbs_program import GibbsProgram
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.lengthening import LengtheningRun
from bayes_pref.inference.gibbs.samplers.sampler import SamplerProblem, SweepSampler
from bayes_pref.inference.gibbs.summaries.summary_chain import SummaryChain
from bayes_pref.inference.gibbs.summaries.summary_problem import SummaryProblem
from bayes_pref.inference.raw_draws import RawDraws, RawSummary
from bayes_pref.inference.runtime.checkpoint import Checkpoint

_ROOM = 2  # times as many draws as asked for: those of the population are small, and not thinned


class SummarisedUsers(SamplerProblem, Protocol):
    """Data and priors of chains that keep a summary of users."""

    @property
    def kept(self) -> tuple[int, ...]:
        """Positions of users whose draws are kept whole, in ascending order."""

    @property
    def n_users(self) -> int:
        """Number of all users."""


@dataclass(frozen=True, eq=False)
class SummaryProgram(GibbsProgram):
    """A program whose chains keep a summary of users' weights.

    Attributes
    ----------
    in_blocks
        Whether users are worked on in blocks.
    """

    problem: SummarisedUsers
    in_blocks: ClassVar[bool] = False

    def starting_at(self, draws: xr.Dataset) -> SummaryProgram:
        """Start as always: a summary does not have the last draws of users."""
        return self

    def _run(
        self, store: Store, seed: int, checkpoint: Checkpoint | None, judge: Judge | None
    ) -> RawDraws:
        return self._summarised(*self._advanced(store, seed, checkpoint, judge, None))

    def _chain(self, index: int, rng: np.random.Generator, store: Store, pool: Any) -> Chain:
        assert isinstance(self.sampler, SweepSampler)
        assert isinstance(self.problem, SummaryProblem)
        lengths = (self.engine.warmup, self.engine.thin)
        return SummaryChain(self.problem, self.sampler.sweeps(), *lengths, rng, store)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            name: (chains, draws if self.max_minutes is None else _ROOM * draws, *columns)
            for name, (chains, draws, *columns) in super()._shapes().items()
        }

    def _draws(
        self, store: Store, kept: list[int], complete: bool, *, in_place: bool = False
    ) -> RawDraws:
        drawn = super()._draws(store, kept, complete, in_place=in_place)
        places = np.array(self.problem.kept, dtype=np.int64)
        return replace(drawn, kept_users=places, settings={"blocks": self.in_blocks})

    def _summarised(self, run: LengtheningRun, drawn: RawDraws) -> RawDraws:
        """Add the mean and sd of users' weights over all draws of all chains."""
        found = [run.chains[index].summary() for index in sorted(run.chains)]
        total = int(sum(groups[0].count[0] for groups in found))
        shape = (self.problem.n_users, self.problem.weights_shape[-1])
        mean, sd, effective = np.empty(shape), np.empty(shape), np.empty(shape[0])
        first = 0
        for parts in zip(*found, strict=True):  # a loop over groups: no copies of all users
            own = slice(first, first + len(parts[0].mean))
            mean[own] = sum(part.count * part.mean for part in parts) / max(total, 1)
            between = sum(part.count * (part.mean - mean[own]) ** 2 for part in parts)
            within = sum(part.squares for part in parts)
            sd[own] = np.sqrt((between + within) / max(total - 1, 1))
            between /= max(len(parts) - 1, 1)
            within /= max(total - len(parts), 1)
            effective[own] = effective_draws(between, within, total)
            first = own.stop
        return replace(drawn, users=RawSummary(mean, sd, total, effective))
