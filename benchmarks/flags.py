"""How well the flags tell which comparisons are confounded or unidentifiable, where it is known.

    python benchmarks/flags.py                    # every world, 20 replications
    python benchmarks/flags.py --quick            # a few of each; exits with 1 if one is missed
    python benchmarks/flags.py --worlds base counts --replications 5
    python benchmarks/flags.py --reach --worlds base    # beside analysts who know more than we do
    python benchmarks/flags.py --choice tasks     # the base world and its nulls, sets of four

Prints the tables beside the targets, with Monte Carlo errors, and keeps them in --out together
with every figure of every replication (CSV) and the calibration figure (PNG).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from flag_study import calibration, unlearned, worlds
from flag_study.choice_worlds import CHOICE_WORLDS, CHOICES, choice_of
from flag_study.replicate import SEPARATION, Outcome, Task, run
from flag_study.report import markdown
from flag_study.targets import QUICK, all_targets, choice_targets, quick_targets

PAIRED = [*worlds.WORLDS, *unlearned.WORLDS, SEPARATION]
NAMES = [*PAIRED, *CHOICE_WORLDS]


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for; return 1 if --quick misses one of its thresholds."""
    asked = _parser().parse_args(arguments)
    start = time.perf_counter()
    counts = QUICK if asked.quick else dict.fromkeys(PAIRED, asked.replications)
    if asked.choice:
        mine = [name for name in CHOICE_WORLDS if choice_of(name) == asked.choice]
        counts = dict.fromkeys(mine, asked.replications)
    if asked.worlds:
        counts = {name: counts.get(name, asked.replications) for name in asked.worlds}
    tasks = [
        Task(name, number, asked.reach) for name, runs in counts.items() for number in range(runs)
    ]
    outcomes = list(_progress(_run(tasks, asked.jobs), len(tasks)))
    records = _frame(record for outcome in outcomes for record in outcome.records)
    bins = _frame(counted for outcome in outcomes for counted in outcome.bins)
    asked.out.mkdir(parents=True, exist_ok=True)
    records.to_csv(asked.out / "flags.csv", index=False)
    targets = quick_targets() if asked.quick else all_targets()
    if asked.choice:
        targets = choice_targets(asked.choice)
    text, missed = markdown(records, bins, targets)
    seconds, worked = time.perf_counter() - start, sum(outcome.seconds for outcome in outcomes)
    text += (
        f"\n{len(tasks)} data sets in {seconds / 60:.1f} minutes with {asked.jobs} processes "
        f"({worked / len(tasks):.1f} s of processor time each); {missed} missed.\n"
    )
    print(text)
    (asked.out / "flags.md").write_text(text, encoding="utf-8")
    if len(bins):
        bins.to_csv(asked.out / "flags_calibration.csv", index=False)
        figure = asked.figure or asked.out / "flags_calibration.png"
        calibration.draw(bins).savefig(figure, dpi=150)
    return int(asked.quick and missed > 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--replications", type=_positive, default=20, help="of each world (20)")
    parser.add_argument("--worlds", nargs="+", choices=NAMES, metavar="WORLD", help=_listed())
    parser.add_argument("--choice", choices=CHOICES, help="base world and nulls of a choice model")
    parser.add_argument("--quick", action="store_true", help="a few of each, for every change")
    parser.add_argument("--reach", action="store_true", help="also what is within reach at all")
    parser.add_argument("--out", type=Path, default=Path("run/flags"), help="folder (run/flags)")
    parser.add_argument("--figure", type=Path, help="calibration figure (in --out)")
    parser.add_argument("--jobs", type=_positive, default=2, help="processes (2)")
    return parser


def _listed() -> str:
    return "some of: " + ", ".join(repr(name) for name in NAMES)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text}")
    return number


def _run(tasks: list[Task], jobs: int) -> Iterator[Outcome]:
    """Run the tasks in processes; the first that fails ends the run and says which it was."""
    if jobs == 1:
        yield from map(_named, tasks)
        return
    # Processes of one thread each beat one of many; they read this when they import their numerics.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    # Spawned, not forked: torch and numba have threads by now, which do not survive a fork.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(_named, task) for task in tasks]
        try:
            for done in as_completed(waiting):
                yield done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _named(task: Task) -> Outcome:
    try:
        return run(task)
    except Exception as err:
        raise RuntimeError(f"world {task.world!r}, replication {task.replication}") from err


def _progress(outcomes: Iterable[Outcome], total: int) -> Iterator[Outcome]:
    yield from tqdm(outcomes, total=total, unit="data set", file=sys.stderr)


def _frame(rows: Iterable[dict[str, object]]) -> pd.DataFrame:
    # In the order of the tasks, whichever process was faster.
    frame = pd.DataFrame(list(rows))
    if frame.empty:
        return frame
    order = frame["world"].map(NAMES.index)
    return (
        frame.assign(order=order)
        .sort_values(["order", "replication"], kind="stable")
        .drop(columns="order")
    )


if __name__ == "__main__":
    sys.exit(main())
