"""A program whose chains have their users in blocks and keep a summary of users' weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bayes_pref.errors import ModelError
from bayes_pref.inference.engine import Judge
from bayes_pref.inference.gibbs.blocks.block_chain import BlockChain
from bayes_pref.inference.gibbs.blocks.block_device import BlockDevice
from bayes_pref.inference.gibbs.blocks.block_pool import BlockPool, BlockThreads
from bayes_pref.inference.gibbs.blocks.block_problem import BlockProblem
from bayes_pref.inference.gibbs.blocks.block_workers import BlockWorkers
from bayes_pref.inference.gibbs.chain import Chain
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.lengthening import LengtheningRun
from bayes_pref.inference.gibbs.summaries.summary_program import SummaryProgram
from bayes_pref.inference.raw_draws import RawDraws
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
class BlockProgram(SummaryProgram):
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
    in_blocks: ClassVar[bool] = True

    def _run(
        self, store: Store, seed: int, checkpoint: Checkpoint | None, judge: Judge | None
    ) -> RawDraws:
        with self._pool() as pool:
            return self._summarised(*self._advanced(store, seed, checkpoint, judge, pool))

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
