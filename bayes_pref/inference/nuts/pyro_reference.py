"""Pyro's own No-U-Turn sampler, with its statistics: the reference for the compiled one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
import pyro.poutine as poutine
import torch
from pyro.infer import mcmc

from bayes_pref.inference.engine import Program
from bayes_pref.inference.mcmc import MCMC
from bayes_pref.inference.nuts.nutpie_chain import ChainSettings
from bayes_pref.inference.pyro_tools.reparametrise import non_centred
from bayes_pref.inference.pyro_tools.trace import as_double, double_precision
from bayes_pref.inference.raw_draws import RawDraws
from bayes_pref.inference.runtime.interrupts import largest_rectangle
from bayes_pref.inference.runtime.threads import Tick, run_in_turn
from bayes_pref.seeding import seeded
from bayes_pref.types import FloatArray


@dataclass(frozen=True, eq=False)
class PyroProgram(Program):
    """A model and its arguments, ready for Pyro's own sampler.

    Attributes
    ----------
    engine, settings
        How many chains to run and how; settings of each chain.
    model, args, kwargs
        Called as ``model(*args, **kwargs)``.
    names
        Sites to return.
    centred
        Whether to sample sites as the model is written.
    """

    engine: MCMC
    settings: ChainSettings
    model: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    names: Sequence[str]
    centred: bool

    def run(self, seed: int) -> RawDraws:
        """Run the chains, one after another; see `Program.run`."""
        engine = self.engine
        seeds = np.random.SeedSequence(seed).spawn(engine.chains)

        def chain(index: int, tick: Tick, stop: Event) -> list[dict[str, FloatArray]]:
            return self._run_chain(int(seeds[index].generate_state(1)[0]), tick, stop)

        # Pyro's handlers and torch's generator are global: one chain at a time.
        chains, complete = run_in_turn(
            chain,
            chains=engine.chains,
            steps=engine.iterations,
            title=f"NUTS, {engine.chains} chains",
            progress=engine.progress,
        )
        which, draws = largest_rectangle([len(each) for each in chains])
        joined = {
            name: np.stack([[draw[name] for draw in chains[index][:draws]] for index in which])
            for name in chains[which[0]][0]
        }
        sites = {name: joined.pop(name) for name in self.names}
        return RawDraws(sites, joined, complete)

    def _run_chain(self, seed: int, tick: Tick, stop: Event) -> list[dict[str, FloatArray]]:
        """Run one chain; the sites and statistics of each draw."""
        args, kwargs = as_double(tuple(self.args)), as_double(dict(self.kwargs))
        kept: list[dict[str, FloatArray]] = []
        with seeded(seed), double_precision():
            shaped = self.model if self.centred else non_centred(self.model, *args, **kwargs)
            kernel = _RecordingNUTS(
                shaped,
                target_accept_prob=self.settings.target_accept,
                max_tree_depth=self.settings.max_tree_depth,
            )
            kernel.setup(self.settings.warmup, *args, **kwargs)
            params = kernel.initial_params
            for step in range(self.engine.iterations):
                if stop.is_set():
                    break
                params = kernel.sample(params)
                draw, rest = divmod(step + 1 - self.settings.warmup, self.settings.thin)
                if draw > 0 and not rest:
                    sites = self._sites(shaped, kernel, params, args, kwargs)
                    kept.append(sites | kernel.statistics())
                tick(1)
        return kept

    def _sites(
        self, shaped: Callable[..., Any], kernel: Any, params: Any, args: Any, kwargs: Any
    ) -> dict[str, FloatArray]:
        """Values of the sites to return at unconstrained values of those that are sampled."""
        with torch.no_grad():
            inner = {name: kernel.transforms[name].inv(z) for name, z in params.items()}
            conditioned = poutine.condition(shaped, data=inner)
            trace = poutine.trace(conditioned).get_trace(*args, **kwargs)
        return {name: trace.nodes[name]["value"].numpy() for name in self.names}


class _RecordingNUTS(mcmc.NUTS):  # type: ignore[misc]
    """Pyro's kernel, with the statistics of the last iteration."""

    _kinetic = 0.0
    _start = 0.0
    _previous_mean = 0.0

    def _sample_r(self, name: str) -> Any:
        r, r_unscaled = super()._sample_r(name)
        self._kinetic = float(self._kinetic_energy(r_unscaled))
        return r, r_unscaled

    def sample(self, params: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Run an iteration, of which the density and mean acceptance before it are kept."""
        self._start = float(self._potential_energy_last)
        self._previous_mean = self._mean_accept_prob
        return super().sample(params)  # type: ignore[no-any-return]

    def statistics(self) -> dict[str, FloatArray]:
        """Return statistics of the last iteration, named as ArviZ names them."""
        n = self._t - self._warmup_steps
        # Pyro keeps the running mean of the acceptance only: difference it.
        previous = self._previous_mean * (n - 1) if n > 1 else 0.0
        return {
            "lp": np.asarray(-float(self._potential_energy_last)),
            "energy": np.asarray(self._start + self._kinetic),
            "acceptance_rate": np.asarray(self._mean_accept_prob * n - previous),
            "diverging": np.asarray(n - 1 in self._divergences),
            "step_size": np.asarray(float(self.step_size)),
        }
