"""Gibbs sampling: exact, and the fastest engine for users with Gaussian weights.

Given one Polya-Gamma variable per comparison the likelihood of logistic choices is Gaussian
(Polson, Scott & Windle 2013); other choices are sampled by Hamiltonian moves, users apart from the
population. How users differ decides the sampler: `samplers` has one file for each structure of the
population, and the first of `Gibbs.samplers` that accepts a model draws from its posterior.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import xarray as xr

from bayes_pref import settings
from bayes_pref.convergence.checks import ESS
from bayes_pref.data import Comparisons
from bayes_pref.errors import ModelError, Unsupported
from bayes_pref.inference.engine import Judge, Program
from bayes_pref.inference.gibbs.chain import Chain
from bayes_pref.inference.gibbs.finite import numbers_kept
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.lengthening import LengtheningRun
from bayes_pref.inference.gibbs.samplers.diagonal_sampler import DiagonalSampler
from bayes_pref.inference.gibbs.samplers.factor_sampler import FactorSampler
from bayes_pref.inference.gibbs.samplers.full_sampler import FullSampler
from bayes_pref.inference.gibbs.samplers.general_sampler import GeneralSampler
from bayes_pref.inference.gibbs.samplers.mixture_sampler import MixtureSampler
from bayes_pref.inference.gibbs.samplers.observational_bias_sampler import ObservationalBiasSampler
from bayes_pref.inference.gibbs.samplers.pooled_sampler import PooledSampler
from bayes_pref.inference.gibbs.samplers.sampler import Sampler, SamplerProblem
from bayes_pref.inference.gibbs.samplers.shared_cause_sampler import SharedCauseSampler
from bayes_pref.inference.mcmc import MCMC
from bayes_pref.inference.raw_draws import RawDraws
from bayes_pref.inference.runtime.checkpoint import Checkpoint
from bayes_pref.inference.runtime.interrupts import largest_rectangle, on_interrupt
from bayes_pref.models.base import RewardModel
from bayes_pref.types import FloatArray


@dataclass(frozen=True, kw_only=True)
class Gibbs(MCMC):
    """Exact Gibbs sampler of Gaussian users; the default where it applies.

    Works for `PooledReward` and `HierarchicalReward`, diagonal or full, with covariates, weights of
    one sign and every choice model of this package; and where choices are logistic, for a log that
    may be biased, `LowRankReward`, `MixtureReward`, and `SharedCauseReward` of contexts that are
    numbers. Chains run in parallel threads, with overdispersed initial values, and depend on the
    seed alone. Ctrl-C keeps the draws so far.

    Parameters
    ----------
    draws, chains, warmup, cores, thin, progress
        See `MCMC`; an iteration is one sweep over all parameters.
    until
        "converged": draw until R-hat is at most 1.01 and the effective sample size at least 400 for
        every parameter, or the time is up. The run gets longer by a thinning interval that grows,
        and keeps `draws` draws of each chain at most. None: a run of fixed length.
    max_minutes
        A run until converged is not made longer than this (minutes), but for its first `warmup` and
        `draws`. Where the time is up first, the draws depend on the machine.
    checkpoint
        Folder in which a long run saves its state; the same call resumes from there after the
        process was killed or interrupted, and gives the same draws bit for bit. Deleted once the
        run is complete. Room for all draws is set aside on the disk before the run begins.

    Attributes
    ----------
    samplers
        In order of preference. A subclass may have more of them.

    Raises
    ------
    ModelError
        If a setting is not a whole number in range; or if the checkpoint belongs to another run, is
        in use, is damaged, or has no room for the draws.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> engine = bp.Gibbs(progress=False)
    >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, engine)
    >>> posterior.draws.sizes["draw"]
    1000
    """

    samplers: ClassVar[tuple[Sampler[Any], ...]] = (
        PooledSampler(),
        DiagonalSampler(),
        FullSampler(),
        FactorSampler(),
        MixtureSampler(),
        SharedCauseSampler(),
        ObservationalBiasSampler(),
        GeneralSampler(),
    )

    until: Literal["converged"] | None = None
    max_minutes: float = 15.0
    checkpoint: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        """Validate the settings."""
        super().__post_init__()
        until = settings.optional(settings.one_of("converged"))
        settings.check(self, until=until, max_minutes=settings.positive)
        kept, least = self.chains * self.draws, int(2 * ESS)
        if self.until and kept < least:
            raise ModelError(
                f"Gibbs(until='converged', draws={self.draws}, chains={self.chains}): keeps "
                f"{kept} draws but expected {least} at least, for an effective sample size of "
                f"{ESS:g}"
            )

    def settings(self) -> dict[str, Any]:
        """Return the engine's name and settings, ready for JSON."""
        apart = {"checkpoint"} | ({"max_minutes", "until"} if self.until is None else set())
        return {key: value for key, value in super().settings().items() if key not in apart}

    def prepare(self, model: RewardModel, comparisons: Comparisons) -> Program:
        """Read a model and its data; see `Engine.prepare`."""
        if model.needs_training(comparisons):
            raise Unsupported(
                "its network is trained by gradients first; use SVI, then Gibbs on its posterior"
            )
        spec, choice_model = model.spec(comparisons), model.choice_model(comparisons)
        if spec is None:
            raise Unsupported("Gibbs needs logistic choices of users with Gaussian weights")
        for sampler in self.samplers:
            if sampler.unsupported(spec, choice_model, comparisons) is None:
                problem = sampler.problem(spec, choice_model, comparisons)
                limit = self.max_minutes if self.until else None
                return GibbsProgram(self, sampler, problem, self.checkpoint, max_minutes=limit)
        reasons = [
            str(sampler.unsupported(spec, choice_model, comparisons))
            for sampler in self.samplers
            if sampler.matches(spec)
        ]
        raise Unsupported("; ".join(reasons) or "Gibbs has no sampler for how its users differ")


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
                own = self.sampler.chain(self.problem, engine.warmup, engine.thin, rng, part)
                if self.starts is not None:
                    own.start_at(self.starts[index])
            state = states[index]
            if state is not None:
                own.restore(state)
            return own

        run = LengtheningRun(engine, make, checkpoint, self.max_minutes)
        while True:
            kept, complete = run.advance()
            drawn = self._draws(store, kept, complete)
            if not complete or judge is None:
                break
            with on_interrupt(lambda: None) as interrupted:  # the draws so far are not to be lost
                longer = run.lengthen(judge(drawn))
            if longer and interrupted.is_set():
                complete = False
                drawn = self._draws(store, run.kept, complete)
            if not longer or not complete:
                break
        if checkpoint and complete:
            checkpoint.remove()
        return drawn

    def _draws(self, store: Store, kept: list[int], complete: bool) -> RawDraws:
        """Draws in raw units; of an interrupted run the largest rectangle of chains and draws."""
        which, draws = largest_rectangle(kept)
        if complete:
            theta, weights, stats = (np.asarray(array) for array in store)
        else:
            theta, weights, stats = (np.array(array[which, :draws]) for array in store)
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
