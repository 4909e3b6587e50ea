"""Blocks on the workers of a Dask cluster, with the same draws as on the threads of one machine.

A sweep sends the population's parameters to every worker that holds blocks, and gets back their
sums. The coordinator keeps each chain's operations since the last state of its blocks that it holds
(every few hundred, and at checkpoints). When a worker dies, its blocks are made anew on one that
lives, from that state, by the same operations with the same random numbers, and what they were
asked is asked again. Where no worker is left and none comes for a while, the run ends with an error
and its checkpoint stays.
"""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from types import TracebackType
from typing import Any

from threadpoolctl import threadpool_limits

from bayes_pref.errors import ModelError
from bayes_pref.inference.gibbs.blocks.block_pool import BlockPool
from bayes_pref.inference.gibbs.blocks.block_problem import BlockPart, BlockProblem
from bayes_pref.inference.gibbs.blocks.user_block import UserBlock
from bayes_pref.types import IntArray

_READS = {"information", "sums_at", "state", "summary"}  # operations that leave blocks as they are
_KEPT_OPERATIONS = 300  # of a chain, after which the coordinator takes its blocks' states
_LOOK = 0.5  # seconds between looks at who is alive
_PATIENCE = 60.0  # seconds to wait for a worker where none is left

# In a worker: what it holds of each run.
_HELD: dict[str, dict[str, dict[Any, Any]]] = {}
_COMPILING = Lock()
_COMPILED: set[str] = set()


def _hold_part(run: str, part: BlockPart) -> bool:
    """Keep a block's data in this worker."""
    _HELD.setdefault(run, {"parts": {}, "blocks": {}})["parts"][part.number] = part
    return True


def _make_blocks(
    run: str,
    chain: int,
    key: IntArray,
    numbers: Sequence[int],
    states: dict[int, dict[str, Any]],
    operations: Sequence[tuple[str, tuple[Any, ...]]],
) -> bool:
    """Make a chain's blocks in this worker, from states, if any, and operations since."""
    held = _HELD.get(run)
    if held is None or any(number not in held["parts"] for number in numbers):
        return False
    for number in numbers:
        block = UserBlock(held["parts"][number], key)
        if number in states:
            block.load(states[number])
        held["blocks"][chain, number] = block
    for operation, args in operations:
        if _work(run, chain, numbers, operation, args) is None:
            return False
    return True


def _work(
    run: str, chain: int, numbers: Sequence[int], operation: str, args: tuple[Any, ...]
) -> list[Any] | None:
    """Run an operation on a chain's blocks in this worker; None if it does not hold them."""
    held = _HELD.get(run)
    if held is None or any((chain, number) not in held["blocks"] for number in numbers):
        return None
    blocks = [held["blocks"][chain, number] for number in numbers]
    with threadpool_limits(1, user_api="blas"):
        found = []
        if operation not in _COMPILED:
            with _COMPILING:  # which several threads must not do at once
                found = [getattr(blocks[0], operation)(*args)]
                _COMPILED.add(operation)
        with ThreadPoolExecutor(_threads()) as threads:
            rest = threads.map(lambda block: getattr(block, operation)(*args), blocks[len(found) :])
            return found + list(rest)


def _threads() -> int:
    from distributed import get_worker

    return int(get_worker().state.nthreads)


def _forget(run: str) -> None:
    """Let go of what this worker holds of a run."""
    _HELD.pop(run, None)


class BlockWorkers(BlockPool):
    """Blocks on the workers of a Dask cluster.

    Parameters
    ----------
    problem
        The data.
    client
        A `distributed.Client`.
    """

    def __init__(self, problem: BlockProblem, client: Any) -> None:
        self.problem = problem
        self.client = client
        self.name = uuid.uuid4().hex
        self.keys: dict[int, IntArray] = {}
        self.owners: dict[int, dict[int, str]] = {}
        self.states: dict[int, dict[int, dict[str, Any]]] = {}
        self.operations: dict[int, list[tuple[str, tuple[Any, ...]]]] = {}
        self._parts: dict[int, set[str]] = {part.number: set() for part in problem.parts}
        self._handing_out = Lock()

    def open(self, chain: int, key: IntArray) -> None:
        """Make the blocks of a chain on the workers that there are, in equal shares."""
        self.keys[chain], self.states[chain], self.operations[chain] = key, {}, []
        numbers = [part.number for part in self.problem.parts]
        self.owners[chain] = {}
        self._place(chain, numbers)

    def run(
        self, chain: int, operation: str, *args: Any, blocks: Sequence[int] | None = None
    ) -> list[Any]:
        """Run an operation on blocks of a chain, on whoever holds them."""
        numbers = [part.number for part in self.problem.parts] if blocks is None else list(blocks)
        args = copy.deepcopy(args)  # a chain changes its arrays in place, and these are kept
        found: dict[int, Any] = {}
        while missing := [number for number in numbers if number not in found]:
            lost = self._ask(chain, missing, operation, args, found)
            if lost:
                self._place(chain, lost)
        results = [found[number] for number in numbers]
        if operation not in _READS:
            self.operations[chain].append((operation, args))
            if len(self.operations[chain]) >= _KEPT_OPERATIONS:
                self.run(chain, "state")
        if operation == "state" and blocks is None:
            self.states[chain] = dict(zip(numbers, results, strict=True))
            self.operations[chain] = []
        return results

    def load(self, chain: int, states: Sequence[dict[str, Any]]) -> None:
        """Give every block of a chain a state."""
        self.states[chain], self.operations[chain] = dict(enumerate(states)), []
        self._place(chain, list(self.states[chain]))

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Have workers let go of the blocks; those that are gone need not."""
        for address in self._alive():
            self._submit(address, _forget, self.name)

    def _ask(
        self,
        chain: int,
        numbers: Sequence[int],
        operation: str,
        args: tuple[Any, ...],
        found: dict[int, Any],
    ) -> list[int]:
        """Fill `found` with what workers answer; returns the blocks of those who do not."""
        owners = self.owners[chain]
        shares: dict[str, list[int]] = {}
        for number in numbers:
            shares.setdefault(owners[number], []).append(number)
        asked = {
            address: self._submit(address, _work, self.name, chain, own, operation, args)
            for address, own in shares.items()
        }
        lost = []
        for address, future in asked.items():
            answer = self._answer(address, future)
            if answer is None:
                lost += shares[address]
            else:
                found.update(zip(shares[address], answer, strict=True))
        return lost

    def _place(self, chain: int, numbers: Sequence[int]) -> None:
        """Make blocks of a chain on workers that live, as they were before the last operation."""
        left = list(numbers)
        while left:
            alive = self._workers()
            size = -(-len(left) // len(alive))
            again = []
            for place, address in enumerate(alive):
                own = left[place * size : (place + 1) * size]
                if own and not self._made(chain, address, own):
                    again += own
            left = again

    def _made(self, chain: int, address: str, numbers: list[int]) -> bool:
        """Make blocks of a chain on a worker; returns whether it lived to do so."""
        from distributed import CancelledError

        with self._handing_out:
            for number in numbers:
                if address in self._parts[number]:
                    continue
                try:
                    part = self._sent(self.problem.parts[number], address)
                except (OSError, TimeoutError, KeyError, CancelledError):
                    return False
                if not self._answer(address, self._submit(address, _hold_part, self.name, part)):
                    return False
                self._parts[number].add(address)
        states = self.states[chain]
        known = {number: states[number] for number in numbers if number in states}
        try:
            held = self._sent(known, address)
        except (OSError, TimeoutError, KeyError, CancelledError):
            return False
        asked = (self.name, chain, self.keys[chain], numbers, held, self.operations[chain])
        if not self._answer(address, self._submit(address, _make_blocks, *asked)):
            for number in numbers:  # a worker of the same address may be another one
                self._parts[number].discard(address)
            return False
        self.owners[chain].update(dict.fromkeys(numbers, address))
        return True

    def _sent(self, value: Any, address: str) -> Any:
        """Send a large value to a worker."""
        return self.client.scatter([value], workers=[address], hash=False)[0]

    def _submit(self, address: str, function: Any, *args: Any) -> Any:
        return self.client.submit(
            function, *args, workers=[address], allow_other_workers=False, pure=False
        )

    def _answer(self, address: str, future: Any) -> Any:
        """Wait for a worker's answer; None if it died, be it with the answer ready."""
        from distributed import CancelledError, KilledWorker

        while True:
            try:
                return future.result(timeout=_LOOK)
            except TimeoutError:
                if address in self._alive():
                    continue
                future.cancel()
                return None
            except (KilledWorker, CancelledError, OSError):
                return None

    def _alive(self) -> list[str]:
        return sorted(self.client.nthreads())

    def _workers(self) -> list[str]:
        """Addresses of the workers, once there are any."""
        end = time.monotonic() + _PATIENCE
        while not (alive := self._alive()):
            if time.monotonic() > end:
                raise ModelError(
                    f"client: the Dask cluster has had no worker for {_PATIENCE:.0f} seconds: "
                    "start workers and make the same call again; with a checkpoint it resumes"
                )
            time.sleep(_LOOK)
        return alive
