"""The No-U-Turn sampler (Hoffman & Gelman 2014) on any Pyro model.

The model is read into a flat density (`flat`), its gradient compiled (`compiled_gradient`), and
chains of nutpie run on it in processes (`nutpie_chain`, `forked`). ``kernel="pyro"`` runs Pyro's
own sampler instead: the reference, and slower by orders of magnitude.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.errors import ModelError
from bayes_pref.inference.engine import Engine, RawDraws
from bayes_pref.inference.nuts.density import FlatModel, as_double, double_precision, flatten
from bayes_pref.inference.nuts.gradient import (
    CompilationError,
    Gradient,
    check_gradient,
    compile_gradient,
)
from bayes_pref.inference.nuts.nutpie_chain import (
    STATISTICS,
    ChainDraws,
    ChainSettings,
    nutpie_api,
    run_chain,
)
from bayes_pref.inference.nuts.pyro_reference import run_pyro_chain
from bayes_pref.inference.nuts.sites import site_draws
from bayes_pref.inference.pyro_posterior import PyroPosterior, build_sample
from bayes_pref.inference.runtime.processes import Flag, run_forked
from bayes_pref.inference.runtime.threads import Tick, run_chains
from bayes_pref.models.base import RewardModel
from bayes_pref.seeding import seeded

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class NUTS(Engine):
    """Hamiltonian Monte Carlo that tunes itself; for any model, at the price of time.

    Every leapfrog passes over all the data, so `Gibbs` is faster wherever it applies. The first
    fit of a model compiles its gradient, which takes seconds; later fits of the same shapes find
    it in memory or on disk. Chains run in processes and depend on the seed alone. Ctrl-C keeps
    the draws so far.

    Parameters
    ----------
    draws, chains, warmup, cores, progress
        See `Engine`. With ``kernel="pyro"`` chains run one after another.
    kernel
        "compiled": nutpie's sampler on a compiled gradient, checked against autograd before it
        is used; a model that torch cannot compile is sampled on autograd's gradient, with a
        warning. "pyro": Pyro's own sampler, the reference.
    non_centred
        Whether to sample sites whose spread is itself unknown, such as users' weights, as standard
        noise times the spread. Better unless the data say a lot about every single one of them.
    target_accept
        Acceptance probability that the step size is tuned to, in (0, 1); raise it if there are
        divergences.
    max_tree_depth
        A trajectory has at most 2 ** max_tree_depth leapfrogs.

    Raises
    ------
    ModelError
        If a setting is out of range.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=10, comparisons=5, features=2, seed=0)
    >>> engine = bp.NUTS(draws=500, warmup=200, chains=2, progress=False)
    >>> posterior = bp.fit(bp.PooledReward(), world.comparisons, engine)
    >>> sorted(posterior.sample_stats)
    ['acceptance_rate', 'diverging', 'energy', 'lp', 'n_steps', 'step_size', 'tree_depth']
    """

    kernel: Literal["compiled", "pyro"] = "compiled"
    non_centred: bool = True
    target_accept: float = 0.8
    max_tree_depth: int = 10

    def __post_init__(self) -> None:
        """Validate the settings."""
        super().__post_init__()
        settings.check(
            self,
            kernel=settings.one_of("compiled", "pyro"),
            target_accept=settings.fraction,
            max_tree_depth=settings.whole(1),
        )

    def unsupported(self, model: RewardModel, comparisons: Comparisons) -> str | None:
        """Return why this engine cannot run the model, or None if it can."""
        if model.needs_training(comparisons):
            return "its network is trained by gradients, not sampled; use SVI"
        return None

    def run(self, model: RewardModel, comparisons: Comparisons, seed: int) -> RawDraws:
        """Draw from the model's posterior."""
        flat = flatten(model, (comparisons,), centred=not self.non_centred)
        return self._draw(flat, model, (comparisons,), {}, list(model.variables(comparisons)), seed)

    def sample(
        self, model: Callable[..., Any], *args: Any, seed: int = 0, **kwargs: Any
    ) -> PyroPosterior:
        """Draw from the posterior of any Pyro model, which need not be about preferences.

        Discrete latent sites are summed out, by Pyro's enumeration, and not returned.

        Parameters
        ----------
        model
            An ordinary Pyro model, called as ``model(*args, **kwargs)``. Hand tensors over as
            arguments: they arrive in float64.
        seed
            Makes the draws reproducible, whatever the number of cores.

        Returns
        -------
        Sample

        Raises
        ------
        ModelError
            If the model has no continuous latent site, or a discrete one that cannot be summed
            out, or a density that is nowhere finite.

        Warns
        -----
        ConvergenceWarning
            If the draws may not describe the posterior; says what to do.
        RuntimeWarning
            If the model cannot be compiled.

        Examples
        --------
        >>> import pyro
        >>> import pyro.distributions as dist
        >>> import torch
        >>> import bayes_pref as bp
        >>> def schools(effect: torch.Tensor, error: torch.Tensor) -> None:
        ...     mean = pyro.sample("mean", dist.Normal(0.0, 5.0))
        ...     spread = pyro.sample("spread", dist.HalfNormal(5.0))
        ...     with pyro.plate("school", len(effect)):
        ...         true = pyro.sample("true", dist.Normal(mean, spread))
        ...         pyro.sample("effect", dist.Normal(true, error), obs=effect)
        >>> effect = torch.tensor([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
        >>> error = torch.tensor([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
        >>> found = bp.NUTS(target_accept=0.95, progress=False).sample(
        ...     schools, effect, error, seed=1
        ... )
        >>> found.draws["true"].dims
        ('chain', 'draw', 'school')
        >>> bool(3 < found.draws["mean"].mean() < 6)
        True
        """
        started = time.perf_counter()
        flat = flatten(model, args, kwargs, centred=not self.non_centred)
        drawn = self._draw(flat, model, args, kwargs, None, seed)
        seconds = time.perf_counter() - started
        return build_sample(drawn, flat.dims, self.settings(), seconds, seed)

    def _draw(
        self,
        flat: FlatModel,
        model: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        names: list[str] | None,
        seed: int,
    ) -> RawDraws:
        seeds = np.random.SeedSequence(seed).spawn(self.chains)
        if self.kernel == "pyro":
            names = list(flat.dims) if names is None else names
            return self._draw_by_pyro(model, args, kwargs, names, seeds)
        generators = [np.random.default_rng(each) for each in seeds]
        with seeded(seed):  # a model may draw random numbers of its own
            gradient = self._gradient(flat, seed)
            starts = [flat.start(rng) for rng in generators]
        settings = ChainSettings(self.draws, self.warmup, self.target_accept, self.max_tree_depth)
        room = ChainDraws.empty(self.chains, self.draws, flat.size)

        def chain(index: int, tick: Tick, stop: Flag) -> None:
            own = int(generators[index].integers(2**63))
            run_chain(gradient, starts[index], settings, room, index, own, tick, stop)

        complete = run_forked(
            chain,
            chains=self.chains,
            workers=self.workers,
            steps=self.warmup + self.draws,
            title=f"NUTS, {self.chains} chains",
            progress=self.progress,
        )
        begun, draws = _common(room.kept.astype(int))
        stats = {name: room.stats[begun, :draws, column] for column, name in enumerate(STATISTICS)}
        stats["diverging"] = stats["diverging"].astype(bool)
        return RawDraws(site_draws(flat, room.z[begun, :draws], names, seed=seed), stats, complete)

    def _gradient(self, flat: FlatModel, seed: int) -> Gradient:
        """The compiled gradient, checked; autograd's if torch cannot compile the model."""
        try:
            nutpie_api()
        except ImportError as err:
            raise ModelError(
                "NUTS(kernel='compiled') needs the package nutpie: install bayes-pref[scale], or "
                f"use NUTS(kernel='pyro') ({err})"
            ) from err
        try:
            gradient = compile_gradient(flat)
        except CompilationError as err:
            warnings.warn(
                f"torch cannot compile this model ({err}), so NUTS runs on autograd's gradient, "
                "which is many times slower",
                RuntimeWarning,
                stacklevel=5,
            )
            return flat.value_and_gradient
        check_gradient(gradient, flat, np.random.default_rng(seed))
        return gradient

    def _draw_by_pyro(
        self,
        model: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        names: list[str],
        seeds: list[np.random.SeedSequence],
    ) -> RawDraws:
        args, kwargs = as_double(tuple(args)), as_double(dict(kwargs))

        def chain(index: int, tick: Tick, stop: Event) -> list[dict[str, Array]]:
            with double_precision():
                return run_pyro_chain(
                    model,
                    args,
                    kwargs,
                    names,
                    centred=not self.non_centred,
                    warmup=self.warmup,
                    draws=self.draws,
                    seed=int(seeds[index].generate_state(1)[0]),
                    tick=tick,
                    stop=stop,
                    target_accept_prob=self.target_accept,
                    max_tree_depth=self.max_tree_depth,
                )

        chains, complete = run_chains(
            chain,
            chains=self.chains,
            workers=1,  # Pyro's handlers and torch's generator are global: one chain at a time
            steps=self.warmup + self.draws,
            title=f"NUTS, {self.chains} chains",
            progress=self.progress,
        )
        begun, draws = _common(np.array([len(each) for each in chains]))
        joined = {
            name: np.stack([[draw[name] for draw in chains[index][:draws]] for index in begun])
            for name in chains[begun[0]][0]
        }
        values = {name: joined.pop(name) for name in names}
        return RawDraws(values, joined, complete)


def _common(kept: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Chains that came to draw, as an interrupt may leave some that did not, and their length."""
    begun = np.flatnonzero(kept >= 4)
    if not begun.size:
        raise KeyboardInterrupt("interrupted before there were draws to keep")
    return begun, int(kept[begun].min())
