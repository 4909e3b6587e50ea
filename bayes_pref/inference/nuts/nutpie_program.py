"""Chains of nutpie on a compiled gradient: how `NUTS` runs unless asked for Pyro's sampler."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayes_pref.errors import ModelError
from bayes_pref.inference.engine import Program
from bayes_pref.inference.mcmc import MCMC
from bayes_pref.inference.nuts.density import FlatDensity
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
from bayes_pref.inference.nuts.sites import site_draws
from bayes_pref.inference.raw_draws import RawDraws
from bayes_pref.inference.runtime.interrupts import interruptible, largest_rectangle
from bayes_pref.inference.runtime.processes import Flag, run_forked
from bayes_pref.inference.runtime.threads import Tick
from bayes_pref.messages import callers_level
from bayes_pref.seeding import seeded


@dataclass(frozen=True, eq=False)
class NutpieProgram(Program):
    """A model as a density of one vector, ready for nutpie.

    Attributes
    ----------
    engine, settings
        How many chains to run and how; settings of each chain.
    density
        Of the model and its data.
    names
        Sites to return; None: all that the vector decides.
    """

    engine: MCMC
    settings: ChainSettings
    density: FlatDensity
    names: Sequence[str] | None

    def run(self, seed: int) -> RawDraws:
        """Compile the gradient and run the chains; see `Program.run`."""
        engine, density = self.engine, self.density
        seeds = np.random.SeedSequence(seed).spawn(engine.chains)
        generators = [np.random.default_rng(each) for each in seeds]
        # A model may draw random numbers of its own; and chains are forked with the surroundings
        # that gradients need.
        with seeded(seed):
            with interruptible():
                gradient = self._gradient(seed)
                starts = [density.start(rng) for rng in generators]
            room = ChainDraws.empty(engine.chains, engine.draws, density.size)

            def chain(index: int, tick: Tick, stop: Flag) -> None:
                own = int(generators[index].integers(2**63))
                run_chain(gradient, starts[index], self.settings, room, index, own, tick, stop)

            complete = run_forked(
                chain,
                chains=engine.chains,
                workers=engine.workers,
                steps=engine.iterations,
                title=f"NUTS, {engine.chains} chains",
                progress=engine.progress,
            )
            which, draws = largest_rectangle(room.kept.astype(int).tolist())
            columns = dict(enumerate(STATISTICS))
            stats = {name: room.stats[which, :draws, at] for at, name in columns.items()}
            stats["diverging"] = stats["diverging"].astype(bool)
            with interruptible():
                sites = site_draws(density, room.z[which, :draws], self.names, seed=seed)
        return RawDraws(sites, stats, complete)

    def _gradient(self, seed: int) -> Gradient:
        """The compiled gradient, checked; autograd's if torch cannot compile the model."""
        try:
            nutpie_api()
        except ImportError as err:
            raise ModelError(
                "NUTS(kernel='compiled') needs the package nutpie: install bayes-pref[scale], or "
                f"use NUTS(kernel='pyro') ({err})"
            ) from err
        try:
            gradient = compile_gradient(self.density)
        except CompilationError as err:
            warnings.warn(
                f"torch cannot compile this model ({err}), so NUTS runs on autograd's gradient, "
                "which is many times slower",
                RuntimeWarning,
                stacklevel=callers_level(),
            )
            return self.density.value_and_gradient
        check_gradient(gradient, self.density, np.random.default_rng(seed))
        return gradient
