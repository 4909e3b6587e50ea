"""A model and its data as a Gibbs sampler has read them, and how its chains are run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayes_pref.inference.engine import Judge, Program
from bayes_pref.inference.gibbs.chain import Chain
from bayes_pref.inference.gibbs.finite import numbers_kept
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.lengthening import LengtheningRun
from bayes_pref.inference.gibbs.samplers.sampler import Sampler, SamplerProblem
from bayes_pref.inference.mcmc import MCMC
from bayes_pref.inference.raw_draws import RawDraws
from bayes_pref.inference.runtime.checkpoint import Checkpoint
from bayes_pref.inference.runtime.interrupts import largest_rectangle, on_interrupt
from bayes_pref.types import FloatArray


@dataclass(frozen=True, eq=False)
class GibbsProgram(Program):
    """A model and its data as a sampler has read them.

    Attributes
    ----------
    engine
        Its settings.
    sampler, problem
        The sampler, and the data and priors as it has read them.
    checkpoint
        Folder in which the run saves its state; None: it does not.
    starts
        Draws at which the chains start, by site, one for each chain; None: overdispersed.
    max_minutes
        Of a run until converged; None: a run of fixed length.
    """

    engine: MCMC
    sampler: Sampler[Any]
    problem: SamplerProblem
    checkpoint: str | os.PathLike[str] | None = None
    starts: Sequence[Mapping[str, FloatArray]] | None = None
    max_minutes: float | None = None

    def starting_at(self, draws: xr.Dataset) -> GibbsProgram:
        """Return the program with chains that start at draws; see `Program.starting_at`."""
        chains, last = draws.sizes["chain"], draws.isel(draw=-1)
        starts = [
            {
                str(name): values.isel(chain=index % chains).to_numpy()
                for name, values in last.data_vars.items()
            }
            for index in range(self.engine.chains)
        ]
        return replace(self, starts=starts)

    def run(self, seed: int) -> RawDraws:
        """Run the chains for the length of the settings; see `Program.run`."""
        return self._saved_run(seed, None)

    def run_until(self, seed: int, judge: Judge) -> RawDraws:
        """Run the chains until they converge, if that is asked for; see `Program.run_until`."""
        return self._saved_run(seed, None if self.max_minutes is None else judge)

    def _saved_run(self, seed: int, judge: Judge | None) -> RawDraws:
        made = {name: np.empty(shape) for name, shape in self._shapes().items()}
        if self.checkpoint is None:
            return self._run(Store(**made), seed, None, judge)
        with self._checkpoint(Path(self.checkpoint), seed, made) as checkpoint:
            return self._run(Store(**made), seed, checkpoint, judge)

    def _run(
        self, store: Store, seed: int, checkpoint: Checkpoint | None, judge: Judge | None
    ) -> RawDraws:
        return self._advanced(store, seed, checkpoint, judge, None)[1]

    def _chain(self, index: int, rng: np.random.Generator, store: Store, pool: Any) -> Chain:
        """Make the chain of an index."""
        return self.sampler.chain(self.problem, self.engine.warmup, self.engine.thin, rng, store)

    def _side_by_side(self, make: Any, checkpoint: Checkpoint | None) -> LengtheningRun:
        return LengtheningRun(self.engine, make, checkpoint, self.max_minutes)

    def _advanced(
        self,
        store: Store,
        seed: int,
        checkpoint: Checkpoint | None,
        judge: Judge | None,
        pool: Any,
    ) -> tuple[LengtheningRun, RawDraws]:
        """Run the chains, for as long as they need to if there is a judge."""
        engine = self.engine
        seeds = np.random.SeedSequence(seed).spawn(engine.chains)
        # Read here, not by the chains: NumPy parses a file's header as Python, and Python 3.11's
        # parser can fail when threads parse at once.
        states = [checkpoint.load(index) if checkpoint else None for index in range(engine.chains)]
        if checkpoint:
            checkpoint.reserve()
        self.sampler.compile_ahead(self.problem)

        def make(index: int) -> Chain:
            rng = np.random.default_rng(seeds[index])
            part = Store(*(np.asarray(array[index]) for array in store))
            with numbers_kept():
                own = self._chain(index, rng, part, pool)
                own.draws = engine.draws
                if self.starts is not None:
                    own.start_at(self.starts[index])
            state = states[index]
            if state is not None:
                own.restore(state)
            return own

        run = self._side_by_side(make, checkpoint)
        while True:
            kept, complete = run.advance()
            if not complete or judge is None:
                break
            with on_interrupt(lambda: None) as interrupted:  # the draws so far are not to be lost
                longer = run.lengthen(judge(self._draws(store, kept, complete)))
            if longer and interrupted.is_set():
                kept, complete = run.kept, False
            if not longer or not complete:
                break
        # Nothing reads the store after that, unless a checkpoint keeps it.
        drawn = self._draws(store, kept, complete, in_place=complete and checkpoint is None)
        if checkpoint and complete:
            checkpoint.remove()
        first = next(iter(run.chains.values()))  # of an interrupted run some may be missing
        lengths = {name: getattr(first, name) for name in ("draws", "warmup", "thin")}
        if any(lengths[name] != getattr(engine, name) for name in lengths):
            drawn = replace(drawn, settings={**drawn.settings, **lengths})
        return run, drawn

    def _draws(
        self, store: Store, kept: list[int], complete: bool, *, in_place: bool = False
    ) -> RawDraws:
        """Draws in raw units; of an interrupted run the largest rectangle of chains and draws.

        Parameters
        ----------
        in_place
            Whether the store may be overwritten, which then is of no more use.
        """
        which, draws = largest_rectangle(kept)
        if in_place:
            theta, weights, stats = (np.asarray(array[:, :draws]) for array in store)
        else:
            theta, weights, stats = (array[which, :draws] for array in store)  # copies
        names = self.sampler.statistics
        columns = np.moveaxis(stats[..., -len(names) :], -1, 0)
        return RawDraws(
            self.problem.raw(theta, weights), dict(zip(names, columns, strict=True)), complete
        )

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of what the chains write, in scaled units."""
        first = (self.engine.chains, self.engine.draws)
        return {
            "theta": (*first, self.problem.n_columns),
            "weights": (*first, *self.problem.weights_shape),
            "stats": (*first, 2),
        }

    def _checkpoint(self, folder: Path, seed: int, arrays: dict[str, FloatArray]) -> Checkpoint:
        names = ("draws", "chains", "warmup", "thin")
        run = {name: getattr(self.engine, name) for name in names}
        run |= {
            "until": getattr(self.engine, "until", None),
            "seed": seed,
            "sampler": type(self.sampler).__name__,
            **self.problem.identity(),
        }
        return Checkpoint(folder, run, arrays)
