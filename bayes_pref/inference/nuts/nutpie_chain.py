"""One chain of the No-U-Turn sampler of nutpie (Rust), on a gradient given as a Python function.

nutpie adapts its diagonal mass matrix to draws and gradients jointly (Seyboldt, Carlson & Carpenter
2024), which needs a fraction of the usual warm-up.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bayes_pref.inference.nuts.gradient import Gradient
from bayes_pref.inference.runtime.interrupts import uninterrupted
from bayes_pref.inference.runtime.processes import Flag, shared
from bayes_pref.inference.runtime.threads import Tick
from bayes_pref.types import FloatArray

# ours, as ArviZ names them -> nutpie's
STATISTICS = {
    "lp": "logp",
    "energy": "energy",
    "acceptance_rate": "mean_tree_accept",
    "diverging": "diverging",
    "step_size": "step_size",
    "tree_depth": "depth",
    "n_steps": "n_steps",
}


@dataclass(frozen=True, eq=False)
class ChainDraws:
    """Room for the draws of all chains, in memory that processes share.

    Attributes
    ----------
    z
        (chain, draw, size): unconstrained draws.
    stats
        (chain, draw, statistic): in the order of `STATISTICS`.
    kept
        (chain,): number of draws written.
    """

    z: FloatArray
    stats: FloatArray
    kept: FloatArray

    @classmethod
    def empty(cls, chains: int, draws: int, size: int) -> ChainDraws:
        """Room for this many draws."""
        return cls(
            z=shared(chains, draws, size),
            stats=shared(chains, draws, len(STATISTICS)),
            kept=shared(chains),
        )


@dataclass(frozen=True)
class ChainSettings:
    """Settings of one chain; see `NUTS`."""

    draws: int
    warmup: int
    thin: int
    target_accept: float
    max_tree_depth: int


def run_chain(
    gradient: Gradient,
    start: FloatArray,
    settings: ChainSettings,
    room: ChainDraws,
    index: int,
    seed: int,
    tick: Tick,
    stop: Flag,
) -> None:
    """Run a chain and leave its draws in `room`; a set `stop` ends it early.

    Raises
    ------
    Exception
        That `gradient` raised. A point at which torch finds no Cholesky factor is no error: its
        density is zero.
    """
    nutpie, from_pyfunc = nutpie_api()
    done = 0
    failures: list[Exception] = []

    def log_density(z: FloatArray) -> tuple[float, FloatArray]:
        if not failures:
            try:
                return gradient(z)
            except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
                pass
            except Exception as err:  # noqa: BLE001  Rust would abort the process
                failures.append(err)
        return -np.inf, np.zeros_like(z)

    def expand(z: FloatArray) -> dict[str, FloatArray]:
        nonlocal done
        done += 1
        draw, rest = divmod(done - settings.warmup, settings.thin)
        if draw > 0 and not rest:
            room.z[index, draw - 1] = z
        tick(1)
        return {"kept": np.zeros(1)}

    model = from_pyfunc(
        ndim=room.z.shape[2],
        make_logp_fn=lambda: log_density,
        make_expand_fn=lambda *_: expand,
        expanded_dtypes=[np.dtype("float64")],
        expanded_shapes=[(1,)],
        expanded_names=["kept"],
        make_initial_point_fn=lambda _: start,
    )
    sampler = nutpie.sample(
        model,
        draws=settings.draws * settings.thin,
        tune=settings.warmup,
        chains=1,
        cores=1,
        seed=seed,
        progress_bar=False,
        blocking=False,
        save_warmup=False,
        target_accept=settings.target_accept,
        maxdepth=settings.max_tree_depth,
    )
    result = _result(sampler, lambda: bool(stop.is_set() or failures))
    if failures:
        raise failures[0]
    stats = result.sample_stats
    after = min(int(stats.sizes.get("draw", 0)), max(done - settings.warmup, 0))
    kept = after // settings.thin
    thinned = slice(settings.thin - 1, kept * settings.thin, settings.thin)
    for column, name in enumerate(STATISTICS.values()):
        room.stats[index, :kept, column] = stats[name].to_numpy()[0, thinned]
    room.kept[index] = kept


def _result(sampler: Any, stopped: Callable[[], bool]) -> Any:
    """Wait for a sampler's draws; those that there are, if it is stopped."""
    with warnings.catch_warnings():
        # ArviZ remarks on a chain that was broken off before it drew.
        warnings.filterwarnings("ignore", "More chains .* than draws", UserWarning)
        while True:
            try:
                return sampler.wait(timeout=0.1)
            except TimeoutError:
                if stopped():
                    return sampler.abort()


def nutpie_api() -> tuple[Any, Any]:
    """Return nutpie and its entry for gradients in Python; ImportError if it is not installed."""
    with uninterrupted(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of ArviZ, whenever it is imported
        import nutpie
        from nutpie.compiled_pyfunc import from_pyfunc
    return nutpie, from_pyfunc
