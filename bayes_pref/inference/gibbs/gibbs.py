"""Polya-Gamma Gibbs sampling: exact, and the fastest engine for logistic choices of Gaussian users.

Given one Polya-Gamma variable per comparison the likelihood is Gaussian (Polson, Scott & Windle
2013). The sweeps stand in `gibbs_diagonal`, `gibbs_full` (on the density of `gibbs_marginal`) and
`gibbs_tastes`, the chains that run them in `gibbs_chains`, and the scaling of the data in
`gibbs_problem`; kinds of users in `gibbs_kinds`, a shared cause in `gibbs_shared`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.inference.engine import Engine, RawDraws
from bayes_pref.inference.gibbs.chain import Chain, HierarchicalChain, PooledChain, compile_ahead
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.mixture_sampler import Mixture, MixtureChain
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.inference.gibbs.shared_cause_sampler import Shared, SharedChain
from bayes_pref.inference.runtime.checkpoint import Checkpoint
from bayes_pref.inference.runtime.threads import Tick, run_chains
from bayes_pref.models.base import RewardModel

Array = NDArray[np.float64]

LEAST = 4  # draws a chain, below which an interrupted run is not worth keeping


@dataclass(frozen=True, kw_only=True)
class Gibbs(Engine):
    """Exact Gibbs sampler for logistic choices of Gaussian users; the default where it applies.

    Works for `PooledReward`, `HierarchicalReward`, diagonal or full, and `LowRankReward`, with
    covariates and with a left-hand effect (`position`); for `MixtureReward`, and for
    `SharedCauseReward` of contexts that are numbers. Chains run in parallel threads, start
    dispersed, and depend on the seed alone. Ctrl-C keeps the draws so far.

    Parameters
    ----------
    draws, chains, warmup, cores, progress
        See `Engine`.
    thin
        Sweeps for each draw kept. Raise it where chains need to be long but memory is short: sweeps
        that are thrown away still move the chain.
    checkpoint
        Folder in which a long run keeps what it has; the same call goes on from there after the
        process was killed or interrupted, to the same draws bit for bit. Removed once the run is
        complete.

    Raises
    ------
    ModelError
        If a setting is not a whole number in range, or the checkpoint belongs to another run.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> engine = bp.Gibbs(progress=False)
    >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, engine)
    >>> posterior.draws.sizes["draw"]
    1000
    """

    thin: int = 1
    checkpoint: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        """Validate the settings."""
        super().__post_init__()
        settings.check(self, thin=settings.whole(1))

    def settings(self) -> dict[str, Any]:
        """Return the engine's name and settings, ready for JSON."""
        return {key: value for key, value in super().settings().items() if key != "checkpoint"}

    def unsupported(self, model: RewardModel, comparisons: Comparisons) -> str | None:
        """Return why this engine cannot run the model, or None if it can."""
        if model.needs_training(comparisons):
            return "its network is trained by gradients first; use SVI, then Gibbs on its posterior"
        if not comparisons.outcome.rowwise:
            return f"Gibbs has no sampler for {comparisons.outcome.name}; use bp.NUTS() or bp.SVI()"
        spec = model.spec(comparisons)
        if spec is None:
            return "Gibbs needs logistic choices of users with Gaussian weights"
        if spec.covariance == "none" and not spec.pooled and spec.factors is None:
            return "Gibbs needs users who vary around the mean of their component or regressors"
        if spec.cause is not None and spec.contexts is not None and spec.contexts.categories:
            return "Gibbs needs contexts that are numbers, and these are indicators of a choice"
        choice_model = model.choice_model(comparisons)
        reason = choice_model.beyond_logistic
        plain = spec.cause is None and spec.components is None
        if choice_model.position_sd is not None and not plain:
            reason = "a position bias"
        if reason is not None:
            return f"Gibbs needs logistic choices, and here is {reason}; use bp.NUTS()"
        return None

    def run(self, model: RewardModel, comparisons: Comparisons, seed: int) -> RawDraws:
        """Draw from the model's posterior."""
        problem, kind = _read(model, comparisons)
        checkpoint = self._checkpoint(problem, seed)
        shapes = self._shapes(problem)
        store = Store(
            **checkpoint.draws
            if checkpoint
            else {name: np.empty(shape) for name, shape in shapes.items()}
        )
        seeds = np.random.SeedSequence(seed).spawn(self.chains)
        # Read here, not by the chains: NumPy parses a file's header as Python, and Python 3.11's
        # parser can fail when threads parse at once.
        states = [checkpoint.load(index) if checkpoint else None for index in range(self.chains)]
        if isinstance(problem, Problem) and not problem.pooled:
            compile_ahead(problem)

        def chain(index: int, tick: Tick, stop: Event) -> int:
            rng = np.random.default_rng(seeds[index])
            part = Store(*(np.asarray(array[index]) for array in store))
            made = kind(problem, self.warmup, self.thin, rng, part)
            return _run(made, index, checkpoint, states[index], tick, stop)

        kept, complete = run_chains(
            chain,
            chains=self.chains,
            workers=self.workers,
            steps=self.warmup + self.thin * self.draws,
            title=f"Gibbs, {self.chains} chains",
            progress=self.progress,
        )
        which, draws = _rectangle(kept)
        if draws < LEAST:
            raise KeyboardInterrupt("interrupted before there were draws to keep")
        if complete:
            theta, weights, stats = (np.asarray(array) for array in store)
        else:
            theta, weights, stats = (np.array(array[which, :draws]) for array in store)
        if checkpoint:
            theta, weights, stats = np.array(theta), np.array(weights), np.array(stats)
            if complete:
                checkpoint.remove()
        names = ["lp"] if kind is PooledChain else ["acceptance_rate", "lp"]
        columns = [stats[..., 2 - len(names) + place] for place in range(len(names))]
        return RawDraws(
            problem.raw(theta, weights), dict(zip(names, columns, strict=True)), complete
        )

    def _shapes(self, problem: Problem | Mixture | Shared) -> dict[str, tuple[int, ...]]:
        """Shapes of what the chains write, on scaled features."""
        first = (self.chains, self.draws)
        return {
            "theta": (*first, problem.n_columns),
            "weights": (*first, *problem.weights_shape),
            "stats": (*first, 2),
        }

    def _checkpoint(self, problem: Problem | Mixture | Shared, seed: int) -> Checkpoint | None:
        if self.checkpoint is None:
            return None
        run = {
            "draws": self.draws,
            "chains": self.chains,
            "warmup": self.warmup,
            "thin": self.thin,
            "seed": seed,
            **problem.identity(),
        }
        return Checkpoint(Path(self.checkpoint), run, self._shapes(problem))


def _read(
    model: RewardModel, comparisons: Comparisons
) -> tuple[Problem | Mixture | Shared, Callable[..., Chain]]:
    """Read the model as what its chains work on, and find the kind of chain."""
    spec = model.spec(comparisons)
    if spec is None:
        raise TypeError(f"{type(model).__name__} has no spec of its population")
    if spec.components is not None:
        return Mixture(spec, comparisons), MixtureChain
    if spec.cause is not None:
        return Shared(spec, comparisons), SharedChain
    problem = Problem.build(spec, comparisons, model.choice_model(comparisons).position_sd)
    return problem, PooledChain if problem.pooled else HierarchicalChain


def _run(
    chain: Chain,
    index: int,
    checkpoint: Checkpoint | None,
    state: dict[str, Any] | None,
    tick: Callable[[int], object],
    stop: Event,
) -> int:
    """Run a chain to its end or until told to stop; returns the draws it has."""
    if state is not None:
        chain.restore(state)
        tick(chain.done)
    while chain.done < chain.total and not stop.is_set():
        tick(chain.advance())
        if checkpoint:
            checkpoint.save(index, chain.state(), now=chain.done == chain.total)
    if checkpoint and stop.is_set():
        checkpoint.save(index, chain.state(), now=True)
    return chain.kept


def _rectangle(kept: list[int]) -> tuple[list[int], int]:
    """Choose the chains, and how many draws of each, that keep most of an interrupted run.

    Chains may have come to different lengths, and some not have begun.
    """
    order = sorted(range(len(kept)), key=lambda index: -kept[index])
    best = max(range(len(order)), key=lambda last: (last + 1) * kept[order[last]])
    return sorted(order[: best + 1]), kept[order[best]]
