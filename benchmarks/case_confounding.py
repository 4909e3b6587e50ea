"""Case study 2 of Kobalczyk & van der Schaar (2025), on the pairs of HH-RLHF with both objectives.

    python benchmarks/case_confounding.py                 # every part, 10 splits of the data
    python benchmarks/case_confounding.py --parts sweep --seeds 20

Prints the tables and keeps them in --out, with every figure of every split (CSV). The data are
looked for in ../shared/data beside the repository, or in the folder BAYES_PREF_DATA.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from tqdm import tqdm

from confounding_study import people, people_report, sweep


class Part(NamedTuple):
    """One part: what a process runs, and what is made of the records of all."""

    run: Callable[[sweep.Task], sweep.Outcome]
    report: Callable[[pd.DataFrame], str]
    picture: Callable[[pd.DataFrame], Figure] | None = None


PARTS = {
    "sweep": Part(sweep.run, sweep.report),
    "people": Part(people.run, people_report.report, people_report.picture),
}


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for."""
    asked = _parser().parse_args(arguments)
    asked.out.mkdir(parents=True, exist_ok=True)
    tasks = [sweep.Task(seed) for seed in range(asked.seeds)]
    start = time.perf_counter()
    for name, run in _runs(asked.parts, tasks, asked.jobs):
        part, outcomes = PARTS[name], []
        for outcome in tqdm(run, desc=name, total=len(tasks), unit="split"):
            outcomes.append(outcome)
            # What is done is kept, whenever the rest is stopped.
            records = pd.DataFrame([record for done in outcomes for record in done.records])
            records.to_csv(asked.out / f"{name}.csv", index=False)
        worked = sum(outcome.seconds for outcome in outcomes)
        text = part.report(records) + (
            f"\n{len(tasks)} splits in {(time.perf_counter() - start) / 60:.1f} minutes with "
            f"{asked.jobs} processes ({worked / len(tasks):.0f} s of processor time each).\n"
        )
        print(text)
        (asked.out / f"{name}.md").write_text(text, encoding="utf-8")
        if part.picture is not None:
            part.picture(records).savefig(asked.out / f"{name}.png", dpi=150)
        start = time.perf_counter()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--seeds", type=_positive, default=10, help="splits of the data (10)")
    parser.add_argument("--out", type=Path, default=Path("run/confounding"), help="folder")
    parser.add_argument("--jobs", type=_positive, default=2, help="processes (2)")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text}")
    return number


def _runs(
    parts: list[str], tasks: list[sweep.Task], jobs: int
) -> Iterator[tuple[str, Iterator[sweep.Outcome]]]:
    """Run the tasks of every part in the same processes; yields the outcomes of each, in order."""
    if jobs == 1:
        for name in parts:
            yield name, map(PARTS[name].run, tasks)
        return
    # Processes of one thread each beat one of many; they read this when they import their numerics.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    # Spawned, not forked: torch and numba have threads by now, which do not survive a fork.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        # All at once: no process waits for the others between two parts.
        yield from [(name, pool.map(PARTS[name].run, tasks)) for name in parts]


if __name__ == "__main__":
    sys.exit(main())
