"""Pyro's own No-U-Turn sampler, with its statistics: the reference for the compiled one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import Any

import numpy as np
import pyro.poutine as poutine
import torch
from numpy.typing import NDArray
from pyro.infer import mcmc

from bayes_pref.inference.pyro_tools.reparametrise import non_centred
from bayes_pref.inference.runtime.threads import Tick
from bayes_pref.seeding import seeded

Array = NDArray[np.float64]


def run_pyro_chain(
    model: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    names: Sequence[str],
    *,
    centred: bool,
    warmup: int,
    draws: int,
    seed: int,
    tick: Tick,
    stop: Event,
    **settings: Any,
) -> list[dict[str, Array]]:
    """Run one chain; one dictionary of sites and statistics per kept draw.

    Parameters
    ----------
    names
        Sites to keep.
    settings
        Of Pyro's `NUTS`.
    """
    kept: list[dict[str, Array]] = []
    with seeded(seed):
        flat = model if centred else non_centred(model, *args, **kwargs)
        kernel = _RecordingNUTS(flat, **settings)
        kernel.setup(warmup, *args, **kwargs)
        params = kernel.initial_params
        for step in range(warmup + draws):
            if stop.is_set():
                break
            params = kernel.sample(params)
            if step >= warmup:
                with torch.no_grad():
                    sites = {name: kernel.transforms[name].inv(z) for name, z in params.items()}
                    trace = poutine.trace(poutine.condition(flat, data=sites)).get_trace(
                        *args, **kwargs
                    )
                values = {name: trace.nodes[name]["value"].numpy() for name in names}
                kept.append(values | kernel.statistics())
            tick(1)
    return kept


class _RecordingNUTS(mcmc.NUTS):  # type: ignore[misc]
    """Pyro's kernel, with the statistics of the last draw within reach."""

    _kinetic = 0.0
    _start = 0.0
    _previous_mean = 0.0

    def _sample_r(self, name: str) -> Any:
        r, r_unscaled = super()._sample_r(name)
        self._kinetic = float(self._kinetic_energy(r_unscaled))
        return r, r_unscaled

    def sample(self, params: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        self._start = float(self._potential_energy_last)
        self._previous_mean = self._mean_accept_prob
        return super().sample(params)  # type: ignore[no-any-return]

    def statistics(self) -> dict[str, Array]:
        """Return statistics of the last kept draw, named as ArviZ names them."""
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
