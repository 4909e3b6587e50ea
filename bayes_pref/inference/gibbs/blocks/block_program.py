"""A program whose chains have their users in blocks and keep a summary of users' weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from bayes_pref.convergence.statistics import effective_draws
from bayes_pref.errors import ModelError
from bayes_pref.inference.engine import Judge
from bayes_pref.inference.gibbs.blocks.block_chain import BlockChain
from bayes_pref.inference.gibbs.blocks.block_device import BlockDevice
from bayes_pref.inference.gibbs.blocks.block_pool import BlockPool, BlockThreads
from bayes_pref.inference.gibbs.blocks.block_problem import BlockProblem
from bayes_pref.inference.gibbs.blocks.block_workers import BlockWorkers
from bayes_pref.inference.gibbs.chain import Chain
from bayes_pref.inference.gibbs.gibbs_program import GibbsProgram
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.lengthening import LengtheningRun
from bayes_pref.inference.raw_draws import RawDraws, RawSummary
from bayes_pref.inference.runtime.checkpoint import Checkpoint


def check_client(client: Any, users: str) -> None:
    """Refuse what is no Dask client, or cannot be used.

    Raises
    ------
    ModelError
        If it is not, or users' draws are to be kept.
    """
    if users != "summary":
        raise ModelError("client: workers hold blocks of users; give users='summary', too")
    try:
        from distributed import Client
    except ImportError as err:
        raise ModelError("client: distributed is missing; pip install bayes-pref[scale]") from err
    if not isinstance(client, Client):
        raise ModelError(
            f"client: got {type(client).__name__} but expected a distributed.Client, like "
            "distributed.LocalCluster(n_workers=2).get_client()"
        )


@dataclass(frozen=True, eq=False)
class BlockProgram(GibbsProgram):
    """Gaussian users in blocks: on threads, on a torch device or on workers of a Dask cluster.

    Attributes
    ----------
    problem
        The data in blocks.
    client
        A `distributed.Client`; None: this machine.
    """

    problem: BlockProblem
    client: Any = None

    def starting_at(self, draws: xr.Dataset) -> BlockProgram:
        """Start as always: chains begin near the posterior anyway."""
        return self

    def _run(
        self, store: Store, seed: int, checkpoint: Checkpoint | None, judge: Judge | None
    ) -> RawDraws:
        with self._pool() as pool:
            run, drawn = self._advanced(store, seed, checkpoint, judge, pool)
            chains = [run.chains[index] for index in sorted(run.chains)]
            return replace(drawn, users=self._summary(chains))

    def _pool(self) -> BlockPool:
        if self.client is not None:
            return BlockWorkers(self.problem, self.client)
        if self.problem.device is not None:
            return BlockDevice(self.problem, self.problem.device, self.engine.threads)
        return BlockThreads(self.problem, self.engine.threads)

    def _chain(self, index: int, rng: np.random.Generator, store: Store, pool: Any) -> Chain:
        engine = self.engine
        return BlockChain(self.problem, engine.warmup, engine.thin, rng, store, pool, index)

    def _side_by_side(self, make: Any, checkpoint: Checkpoint | None) -> LengtheningRun:
        # All chains at once, whatever the number of cores: their blocks share the cores.
        chains = self.engine.chains
        return LengtheningRun(self.engine, make, checkpoint, self.max_minutes, workers=chains)

    def _draws(
        self, store: Store, kept: list[int], complete: bool, *, in_place: bool = False
    ) -> RawDraws:
        drawn = super()._draws(store, kept, complete, in_place=in_place)
        return replace(drawn, kept_users=np.array(self.problem.kept, dtype=np.int64))

    def _summary(self, chains: list[Chain]) -> RawSummary:
        """Mean and sd of users' weights over all draws of all chains."""
        found = [chain.summary() for chain in chains if isinstance(chain, BlockChain)]
        total = sum(chain[0][0] for chain in found)
        shape = (self.problem.n_users, self.problem.weights_shape[-1])
        mean, sd, effective = np.empty(shape), np.empty(shape), np.empty(shape[0])
        first = 0
        for parts in zip(*found, strict=True):  # a loop over blocks: no copies of all users
            own = slice(first, first + len(parts[0][1]))
            mean[own] = sum(count * each for count, each, _ in parts) / max(total, 1)
            between = sum(count * (each - mean[own]) ** 2 for count, each, _ in parts)
            within = sum(around for *_, around in parts)
            sd[own] = np.sqrt((between + within) / max(total - 1, 1))
            between /= max(len(parts) - 1, 1)
            within /= max(total - len(parts), 1)
            effective[own] = effective_draws(between, within, total)
            first = own.stop
        return RawSummary(mean, sd, total, effective)
