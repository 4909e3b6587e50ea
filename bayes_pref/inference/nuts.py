"""The No-U-Turn sampler (Hoffman & Gelman 2014) on any Pyro model: Pyro's own, the reference.

Users' weights are sampled as standardised deviations from the population (non-centred), which
removes the funnel between a spread and the weights it spreads (Papaspiliopoulos et al. 2007).
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event
from typing import Any, Literal

import numpy as np
import pyro
import pyro.distributions as dist
import pyro.poutine as poutine
import torch
from numpy.typing import NDArray
from pyro.infer import mcmc
from pyro.infer.reparam import LocScaleReparam
from pyro.infer.reparam.reparam import Reparam

from bayes_pref.data import Comparisons
from bayes_pref.errors import ModelError
from bayes_pref.inference.chains import Tick, run_chains
from bayes_pref.inference.engine import Draws, Engine
from bayes_pref.models.base import RewardModel, seeded

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class NUTS(Engine):
    """Hamiltonian Monte Carlo that tunes itself; for any model, at the price of time.

    Every leapfrog passes over all the data, so on thousands of comparisons `Gibbs` is faster by
    orders of magnitude wherever it applies. Ctrl-C keeps the draws so far.

    Parameters
    ----------
    draws, chains, warmup, progress
        See `Engine`.
    cores
        Kept for symmetry: Pyro's kernel runs its chains one after another.
    kernel
        "pyro": Pyro's own implementation.
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
    ['acceptance_rate', 'diverging', 'energy', 'lp', 'step_size']
    """

    kernel: Literal["pyro"] = "pyro"
    target_accept: float = 0.8
    max_tree_depth: int = 10

    def __post_init__(self) -> None:
        """Refuse settings that no run can have."""
        super().__post_init__()
        if self.kernel != "pyro":
            raise ModelError(f"NUTS(kernel={self.kernel!r}): expected 'pyro'")
        if not 0 < self.target_accept < 1:
            raise ModelError(f"NUTS(target_accept={self.target_accept!r}): expected within (0, 1)")

    def refusal(self, model: RewardModel, comparisons: Comparisons) -> str | None:
        """Return None: every model can be run."""
        return None

    def run(self, model: RewardModel, comparisons: Comparisons, seed: int) -> Draws:
        """Draw from the model's posterior."""
        variables = model.variables(comparisons)
        seeds = np.random.SeedSequence(seed).spawn(self.chains)

        def chain(index: int, tick: Tick, stop: Event) -> list[dict[str, Array]]:
            with seeded(int(seeds[index].generate_state(1)[0])):
                return self._chain(model, comparisons, list(variables), tick, stop)

        chains, complete = run_chains(
            chain,
            chains=self.chains,
            workers=1,  # Pyro's handlers and torch's generator are global: one chain at a time
            steps=self.warmup + self.draws,
            title=f"NUTS, {self.chains} chains",
            progress=self.progress,
        )
        # An interrupt can leave chains that never came to draw; those that did are kept.
        begun = [each for each in chains if len(each) >= 4]
        if not begun:
            raise KeyboardInterrupt("interrupted before there were draws to keep")
        draws = min(len(each) for each in begun)
        joined = {
            name: np.stack([np.stack([draw[name] for draw in each[:draws]]) for each in begun])
            for name in begun[0][0]
        }
        values = {name: joined.pop(name) for name in variables}
        return Draws(values, joined, complete)

    def _chain(
        self,
        model: RewardModel,
        comparisons: Comparisons,
        names: list[str],
        tick: Tick,
        stop: Event,
    ) -> list[dict[str, Array]]:
        """Run one chain; one dictionary of sites and statistics per kept draw."""
        flat = poutine.reparam(model, config=_non_centred)
        kernel = _RecordingNUTS(
            flat, target_accept_prob=self.target_accept, max_tree_depth=self.max_tree_depth
        )
        kernel.setup(self.warmup, comparisons)
        params = kernel.initial_params
        kept: list[dict[str, Array]] = []
        for step in range(self.warmup + self.draws):
            if stop.is_set():
                break
            params = kernel.sample(params)
            if step >= self.warmup:
                with torch.no_grad():
                    sites = {name: kernel.transforms[name].inv(z) for name, z in params.items()}
                    trace = poutine.trace(poutine.condition(flat, data=sites)).get_trace(
                        comparisons
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


class _MultivariateNormalReparam(Reparam):  # type: ignore[misc]
    """Sample a multivariate normal site as its Cholesky factor times standard normals."""

    def apply(self, msg: dict[str, Any]) -> dict[str, Any]:
        fn = msg["fn"]
        noise = pyro.sample(
            f"{msg['name']}_decentered",
            dist.Normal(torch.zeros_like(fn.loc), torch.ones_like(fn.loc)).to_event(1),
        )
        value = fn.loc + (fn.scale_tril @ noise[..., None]).squeeze(-1)
        return {
            "fn": dist.Delta(value, event_dim=1).mask(False),
            "value": value,
            "is_observed": True,
        }


def _non_centred(site: dict[str, Any]) -> Reparam | None:
    """Choose how to sample a site: users' weights as deviations, all else as written."""
    # The deviations that a reparametrised site samples come by here as well.
    decentered = site["name"].endswith("_decentered")
    if site["is_observed"] or decentered or not site["cond_indep_stack"]:
        return None
    fn = site["fn"]
    while isinstance(fn, dist.Independent):
        fn = fn.base_dist
    if isinstance(fn, dist.MultivariateNormal):
        return _MultivariateNormalReparam()
    return LocScaleReparam(0.0) if isinstance(fn, dist.Normal) else None
