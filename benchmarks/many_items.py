"""Cost of a Bradley-Terry model of very many items: reading, fit, ranking and peak memory.

Simulated items are compared as products are: some often, most rarely (shares from a Pareto
distribution). Every size runs in a process of its own:

    python benchmarks/many_items.py                                # 10,000 items, 1,000,000 votes
    python benchmarks/many_items.py --items 2000 --votes 50000
    python benchmarks/many_items.py --converged                    # as bp.fit does by default
    python benchmarks/many_items.py --items 300 --votes 20000 --array    # beside the array of it

Beside seconds stand CPU seconds of all cores, which other processes disturb less.
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pandas as pd

import bayes_pref as bp
from bayes_pref.convergence.statistics import chain_statistics
from bayes_pref.types import FloatArray

_Result = TypeVar("_Result")


def votes(items: int, rows: int, seed: int) -> tuple[pd.DataFrame, FloatArray]:
    """Votes between items, and what the items are worth."""
    rng = np.random.default_rng(seed)
    worth = rng.standard_normal(items)
    share = rng.pareto(1.5, items) + 0.5
    left, right = rng.choice(items, (2, rows), p=share / share.sum())
    right = np.where(left == right, (right + 1) % items, right)
    won = worth[left] - worth[right] + rng.logistic(size=rows) > 0
    return pd.DataFrame({"left": left, "right": right, "won": won.astype(float)}), worth


def timed(what: str, call: Callable[[], _Result]) -> _Result:
    """Call, and print how long it took and the most memory so far."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = call()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what:<12} {wall:8.1f} s {cpu:8.1f} CPU s   peak {peak:.2f} GiB", flush=True)
    return found


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--votes", type=int, default=1_000_000)
    parser.add_argument("--warmup", type=int, default=500)
    parser.add_argument("--draws", type=int, default=1_000)
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--converged", action="store_true", help="draw until converged")
    parser.add_argument("--array", action="store_true", help="make the array of the differences")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", bp.DataWarning)
    frame, worth = votes(asked.items, asked.votes, asked.seed)
    comparisons = timed(
        "read",
        lambda: bp.Comparisons.from_items(frame, left="left", right="right", choice="won"),
    )
    if asked.array:
        comparisons = replace(comparisons, difference=np.asarray(comparisons.difference))
    until = "converged" if asked.converged else None
    engine = bp.Gibbs(
        draws=asked.draws, warmup=asked.warmup, chains=asked.chains, until=until, progress=False
    )
    posterior = timed("fit", lambda: bp.fit(bp.PooledReward(), comparisons, engine))
    drawn = posterior.draws["mu"].to_numpy()
    found = timed("check", lambda: chain_statistics(drawn))
    board = timed("leaderboard", posterior.leaderboard)
    true = worth[board["item"].astype(int)]
    true -= true.mean()
    inside = (board["lower"] <= true) & (true <= board["upper"])
    print(
        f"{comparisons.n_features:,} items, {len(comparisons):,} votes, {drawn.shape[0]} chains of "
        f"{drawn.shape[1]} draws: R-hat at most {found.rhat.max():.3f}; effective draws at least "
        f"{found.ess_bulk.min():.0f} (bulk) and {found.ess_tail.min():.0f} (tail), median "
        f"{np.median(found.ess_bulk):.0f}; 90 % intervals cover {inside.mean():.3f}"
    )


if __name__ == "__main__":
    main()
