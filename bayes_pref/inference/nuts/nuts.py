"""The No-U-Turn sampler (Hoffman & Gelman 2014) on any Pyro model.

The model is read as a density of one vector (`density`), its gradient is compiled (`gradient`), and
chains of nutpie run on it in processes (`nutpie_program`). ``kernel="pyro"`` runs Pyro's own
sampler instead (`pyro_reference`): slower by orders of magnitude, and the reference.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.errors import Unsupported
from bayes_pref.inference.engine import Program
from bayes_pref.inference.mcmc import MCMC
from bayes_pref.inference.nuts.density import FlatDensity, flatten
from bayes_pref.inference.nuts.nutpie_chain import ChainSettings
from bayes_pref.inference.nuts.nutpie_program import NutpieProgram
from bayes_pref.inference.nuts.pyro_reference import PyroProgram
from bayes_pref.inference.pyro_tools.pyro_posterior import PyroPosterior, build_pyro_posterior
from bayes_pref.inference.runtime.interrupts import interruptible
from bayes_pref.models.base import RewardModel
from bayes_pref.seeding import standard_numpy


@dataclass(frozen=True, kw_only=True)
class NUTS(MCMC):
    """Adaptive Hamiltonian Monte Carlo; for any model, and slower than an engine made for it.

    Every leapfrog step reads all the data, so `Gibbs` is faster wherever it applies. The first
    fit of a model compiles its gradient, which takes seconds; later fits of the same shapes find
    it in memory or on disk. Chains run in processes and depend on the seed alone. Ctrl-C keeps
    the draws so far.

    Parameters
    ----------
    draws, chains, warmup, cores, thin, progress
        See `MCMC`. With ``kernel="pyro"`` chains run one after another.
    kernel
        "compiled": nutpie's sampler on a compiled gradient, which is checked against autograd
        first; a model that torch cannot compile is sampled on autograd's gradient, with a
        warning. "pyro": Pyro's own sampler, the reference.
    non_centred
        Whether to sample sites whose spread is itself unknown, such as users' weights, as standard
        noise times the spread. Better unless the data determine each of them well.
    target_accept
        Acceptance probability that the step size is adapted to, in (0, 1); raise it if there are
        divergences.
    max_tree_depth
        A trajectory has at most 2 ** max_tree_depth leapfrog steps.

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

    def prepare(self, model: RewardModel, comparisons: Comparisons) -> Program:
        """Read a model and its data; see `Engine.prepare`."""
        if model.needs_training(comparisons):
            raise Unsupported("its network is trained by gradients, not sampled; use SVI")
        with interruptible():
            density = flatten(model, (comparisons,), centred=not self.non_centred)
        names = list(model.variables(comparisons))
        return self._program(density, model, (comparisons,), {}, names)

    def sample(
        self, model: Callable[..., Any], *args: Any, seed: int = 0, **kwargs: Any
    ) -> PyroPosterior:
        """Draw from the posterior of any Pyro model, which need not be about preferences.

        Discrete latent sites are marginalised out, by Pyro's enumeration, and not returned.

        Parameters
        ----------
        model
            An ordinary Pyro model, called as ``model(*args, **kwargs)``. Hand tensors over as
            arguments: they arrive in float64.
        seed
            Random seed; decides the draws, whatever the number of cores.

        Returns
        -------
        PyroPosterior

        Raises
        ------
        ModelError
            If the model has no continuous latent site, or a discrete one that cannot be
            marginalised out, or a density that is nowhere finite.

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
        seed = settings.seed(seed)
        with standard_numpy():
            with interruptible():
                density = flatten(model, args, kwargs, centred=not self.non_centred)
            drawn = self._program(density, model, args, kwargs, None).run(seed)
            seconds = time.perf_counter() - started
            return build_pyro_posterior(drawn, density.dims, self.settings(), seconds, seed)

    def _program(
        self,
        density: FlatDensity,
        model: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        names: Sequence[str] | None,
    ) -> Program:
        chain = ChainSettings(
            self.draws, self.warmup, self.thin, self.target_accept, self.max_tree_depth
        )
        if self.kernel == "compiled":
            return NutpieProgram(self, chain, density, names)
        names = list(density.dims) if names is None else names
        return PyroProgram(self, chain, model, args, kwargs, names, not self.non_centred)
