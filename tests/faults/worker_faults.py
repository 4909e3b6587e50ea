"""What `test_workers` tries: fits in workers of pools, and children of parents that are killed."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from cases import small_comparisons

import bayes_pref as bp
from bayes_pref.inference.runtime import children
from bayes_pref.inference.runtime.processes import run_forked

POOLS = ("fork", "forkserver", "spawn", "executor fork", "executor spawn")
ENGINES: dict[str, Callable[[], bp.Engine | None]] = {
    "default": lambda: None,
    "nuts": lambda: bp.NUTS(draws=20, warmup=30, chains=2, cores=2, progress=False),
    "svi": lambda: bp.SVI(draws=20, steps=50, progress=False),
}


def fit(engine: str) -> str:
    """Digest of the draws of a fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = bp.HierarchicalReward()
        draws = bp.fit(model, small_comparisons(), ENGINES[engine]()).draws
    digest = hashlib.sha256()
    for name in sorted(draws):
        digest.update(np.ascontiguousarray(draws[name].to_numpy()).tobytes())
    return digest.hexdigest()


def in_pool(kind: str, engines: list[str]) -> list[str]:
    """Fit in the two workers of a pool, side by side."""
    method = kind.split()[-1]
    context = multiprocessing.get_context(method)
    if kind.startswith("executor"):
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            return list(executor.map(fit, engines, timeout=2400))
    with context.Pool(2) as pool:
        return pool.map_async(fit, engines, chunksize=1).get(timeout=2400)


def pools(count: int) -> Iterator[tuple[str, bool]]:
    """Fits in pools: what was tried, and whether it has the draws of this process."""
    torch.set_num_threads(2)
    square = torch.ones(512, 512)
    square @ square  # threads that a forked worker does not have
    kinds = POOLS if count > 10 else POOLS[:1]
    # In a sample, what takes no compiler: the gradients of SVI use torch's threads.
    engines = list(ENGINES) if count > 10 else ["default", "svi"]
    # Before the first fit here: the first one in a worker is what can fail.
    each = [engines[place % len(engines)] for place in range(count // len(kinds))]
    found = [(kind, in_pool(kind, each)) for kind in kinds]
    expected = {engine: fit(engine) for engine in engines}
    for kind, digests in found:
        for engine, digest in zip(each, digests, strict=True):
            yield f"{engine} in {kind}", digest == expected[engine]


def children_of(pid: int) -> set[int]:
    """Processes that a process has started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return {int(child) for task in tasks for child in task.read_text().split()}


def running(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def sleeping() -> None:
    """Run chains that never end by themselves."""
    run_forked(lambda *_: time.sleep(600), chains=2, workers=2, steps=1, title="", progress=False)


def sleeping_and_watching() -> None:
    """Run them as on a system that tells no child of its parent's end."""
    children._PRCTL = None
    sleeping()


def compiled_chains() -> None:
    """Run compiled chains that take minutes."""
    engine = bp.NUTS(draws=10**6, warmup=30, chains=2, cores=2, progress=False)
    bp.fit(bp.HierarchicalReward(), small_comparisons(), engine)


def kills(count: int) -> Iterator[tuple[str, bool]]:
    """Parents that are killed: how, and whether their children are gone soon after."""
    parents = [sleeping, sleeping_and_watching, compiled_chains]
    if count <= 10:
        parents.pop()
    for number in range(count):
        parent = parents[number % len(parents)]
        how = [signal.SIGKILL, signal.SIGTERM][number // len(parents) % 2]
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            parent()
            os._exit(0)
        deadline = time.monotonic() + 60
        while len(found := children_of(pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.03 * (number % 5))
        os.kill(pid, how)
        os.waitpid(pid, 0)
        deadline = time.monotonic() + 5
        while any(map(running, found)) and time.monotonic() < deadline:
            time.sleep(0.01)
        gone = len(found) == 2 and not any(map(running, found))
        yield f"{parent.__name__} by {how.name}", gone


def main() -> None:
    """Run a sweep: its name and the number of cases; print a line a case."""
    for done, held in {"pools": pools, "kills": kills}[sys.argv[1]](int(sys.argv[2])):
        print(json.dumps([done, held]), flush=True)  # noqa: T201
