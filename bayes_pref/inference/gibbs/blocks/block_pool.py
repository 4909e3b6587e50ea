"""Who works on blocks: one interface, and the threads of this process behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from types import TracebackType
from typing import Any

from bayes_pref.inference.gibbs.blocks.block_problem import BlockProblem
from bayes_pref.inference.gibbs.blocks.user_block import UserBlock
from bayes_pref.types import IntArray


class BlockPool(ABC):
    """Blocks of several chains, and those who work on them; open from `with` to its end."""

    @abstractmethod
    def open(self, chain: int, key: IntArray) -> None:
        """Make the blocks of a chain, whose random numbers have this key."""

    @abstractmethod
    def run(
        self, chain: int, operation: str, *args: Any, blocks: Sequence[int] | None = None
    ) -> list[Any]:
        """Run an operation of `UserBlock` on blocks of a chain (None: all); results in order."""

    @abstractmethod
    def load(self, chain: int, states: Sequence[dict[str, Any]]) -> None:
        """Give every block of a chain a state that the operation `state` returned."""

    def __enter__(self) -> BlockPool:
        """Begin."""
        return self

    @abstractmethod
    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the blocks."""


class LocalBlocks(BlockPool):
    """Blocks in this process, which its threads work on.

    Parameters
    ----------
    problem
        The data.
    threads
        Who works; shut down at the end.
    """

    def __init__(self, problem: BlockProblem, threads: ThreadPoolExecutor) -> None:
        self.problem = problem
        self.threads = threads
        self.blocks: dict[int, list[Any]] = {}  # with the operations of `UserBlock`

    def run(
        self, chain: int, operation: str, *args: Any, blocks: Sequence[int] | None = None
    ) -> list[Any]:
        """Run an operation on blocks of a chain."""
        every = self.blocks[chain]
        chosen = every if blocks is None else [every[number] for number in blocks]
        return list(self.threads.map(lambda block: getattr(block, operation)(*args), chosen))

    def load(self, chain: int, states: Sequence[dict[str, Any]]) -> None:
        """Give every block of a chain a state."""
        for block, state in zip(self.blocks[chain], states, strict=True):
            block.load(state)

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the blocks."""
        self.threads.shutdown()
        self.blocks.clear()


class BlockThreads(LocalBlocks):
    """Blocks that kernels work on, which run without the interpreter's lock.

    Parameters
    ----------
    problem
        The data.
    cores
        Number of threads.
    """

    def __init__(self, problem: BlockProblem, cores: int) -> None:
        super().__init__(problem, ThreadPoolExecutor(cores))
        self._compiled: set[str] = set()
        self._compiling = Lock()

    def open(self, chain: int, key: IntArray) -> None:
        """Make the blocks of a chain."""
        self.blocks[chain] = [UserBlock(part, key) for part in self.problem.parts]

    def run(
        self, chain: int, operation: str, *args: Any, blocks: Sequence[int] | None = None
    ) -> list[Any]:
        """Run an operation on blocks of a chain, the first time on one of them before the rest."""
        numbers = range(len(self.blocks[chain])) if blocks is None else blocks
        with self._compiling:  # which several threads must not do at once
            alone = 0 if operation in self._compiled else 1
            done = super().run(chain, operation, *args, blocks=numbers[:alone])
            self._compiled.add(operation)
        return done + super().run(chain, operation, *args, blocks=numbers[alone:])
