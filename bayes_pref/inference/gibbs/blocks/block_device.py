"""Blocks on a torch device, fed by threads of this process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import torch
from threadpoolctl import threadpool_limits

from bayes_pref.errors import ModelError
from bayes_pref.inference.gibbs.blocks.block_pool import LocalBlocks
from bayes_pref.inference.gibbs.blocks.block_problem import BlockPart, BlockProblem
from bayes_pref.inference.gibbs.blocks.torch_block import TorchBlock
from bayes_pref.inference.gibbs.blocks.torch_density import TorchDensity
from bayes_pref.inference.gibbs.diagonal_density import DiagonalDensity
from bayes_pref.messages import shown
from bayes_pref.types import IntArray


def check_device(device: object, users: str, client: object) -> None:
    """Refuse a device that torch does not have here, or that cannot be used.

    Raises
    ------
    ModelError
        If it is not there or does not work in double precision, users' draws are to be kept, or a
        cluster is given, too.
    """
    if not isinstance(device, str):
        raise ModelError(
            f"device={shown(device)}: expected the name of a torch device, such as 'cuda'"
        )
    if users != "summary":
        raise ModelError(
            f"device={device!r}: a device works on blocks of users; give users='summary', too, or "
            "leave device out"
        )
    if client is not None:
        raise ModelError(
            f"device={device!r}: workers of a client use their cores; leave one of both out"
        )
    try:
        generator = torch.Generator(torch.device(device))
        torch.rand(1, generator=generator, dtype=torch.float64, device=generator.device).item()
    except (RuntimeError, AssertionError, TypeError) as err:
        reason = (str(err) or type(err).__name__).splitlines()[0].rstrip(".")
        raise ModelError(
            f"device={device!r}: torch has no such device here that works in double precision "
            f"({reason}); leave device out for the compiled kernels"
        ) from err


class BlockDevice(LocalBlocks):
    """Blocks on a torch device.

    Parameters
    ----------
    problem
        The data.
    device
        Name of the device.
    cores
        Number of threads that give it work; on the CPU they do it.
    """

    def __init__(self, problem: BlockProblem, device: str, cores: int) -> None:
        super().__init__(problem, ThreadPoolExecutor(cores, initializer=_one_thread_each))
        self.device = torch.device(device)
        self._making = Lock()

    def open(self, chain: int, key: IntArray) -> None:
        """Make the blocks of a chain, of densities that chains share."""
        parts = self.problem.parts
        with self._making:
            there = next(iter(self.blocks.values()), [])
            densities = [block.density for block in there] or self.threads.map(self._density, parts)
            self.blocks[chain] = [
                TorchBlock(part, key, density)
                for part, density in zip(parts, densities, strict=True)
            ]

    def _density(self, part: BlockPart) -> TorchDensity:
        diagonal = isinstance(part.density(), DiagonalDensity)  # as the kernels' would be
        return TorchDensity(part.problem, self.device, diagonal=diagonal)


def _one_thread_each() -> None:
    """Have torch use no other threads for the work of this one.

    Blocks share the cores already, and sums are not to depend on a number of threads. What OpenMP
    is told holds for this thread alone; torch has told it something at its first use.
    """
    torch.get_num_threads()
    threadpool_limits(1, user_api="openmp")
