"""People whom the fit has never met: `bp.add_users` beside what others do, on frozen embeddings.

    python benchmarks/newcomers.py            # 4 draws of each world, 3 minutes
    python benchmarks/newcomers.py --quick    # one small draw

Newcomers answer 5, 10 or 15 pairs and are predicted for 20 others. Prints the mean log score (nats;
0 is perfect), its difference from ours, the expected calibration error in ten bins of equal size,
and accuracy, with standard errors over newcomers; and how often our 90 % intervals of P(left) hold
the truth, where it is known. The worlds are described in `newcomer_study/worlds.py`, the methods in
`newcomer_study/rivals.py`. The data are those of `case_confounding.py`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

import bayes_pref as bp
from confounding_study.data import Array
from newcomer_study import rivals, worlds
from newcomer_study.worlds import Shown

COUNTS = (5, 10, 15)
INTERVAL, BINS, AGAIN = 0.9, 10, 200
OURS = "add_users, full covariance"
# Priors as in the study of confounding: of a sentence encoder's components none moves a vote much.
MODELS: dict[str, bp.RewardModel] = {
    OURS: bp.HierarchicalReward(covariance="full", mean_sd=0.5, spread_sd=0.5),
    "add_users, low rank": bp.LowRankReward(rank=2, mean_sd=0.5, spread_sd=0.5, noise_sd=0.3),
}
ORACLE = "the truth"


def read(shown: Shown, who: str) -> bp.Comparisons:
    """Comparisons of people, as the package reads them."""
    u, n, k = shown.left.shape
    names = [f"component_{number + 1}" for number in range(k)]
    frame = pd.DataFrame(shown.difference.reshape(u * n, k), columns=names)
    frame = frame.assign(user=labels(u, who).repeat(n), choice=shown.choice.ravel())
    return bp.Comparisons.from_frame(frame, user="user", choice="choice", difference=names)


def labels(count: int, who: str) -> pd.Index:
    """Labels of people."""
    return pd.Index([f"{who} {number + 1:03d}" for number in range(count)])


def ours(world: worlds.World, model: bp.RewardModel, seed: int) -> dict[int, pd.DataFrame]:
    """Fit once; for each number of answers add the newcomers and predict them."""
    engine = bp.Gibbs(draws=500, warmup=500, chains=2, cores=1, progress=False)
    posterior = bp.fit(model, read(world.fitted, "fitted"), engine, seed=seed)
    asked = read(world.asked, "new").to_frame()
    found = {}
    for count in COUNTS:
        met = bp.add_users(posterior, read(world.answers.first(count), "new"), seed=seed)
        found[count] = met.preference(asked, interval=INTERVAL)
    return found


def run(task: tuple[str, int, bool]) -> pd.DataFrame:
    """One world: every method and number of answers; one row an asked pair."""
    name, seed, small = task
    warnings.simplefilter("ignore", bp.ConvergenceWarning)  # chains are short
    world = worlds.draw(name, seed, small=small)
    predicted: list[tuple[str, int, Array, Array | None]] = []
    for method, model in MODELS.items():
        for count, frame in ours(world, model, seed).items():
            held = None
            if world.chance is not None:
                p = world.chance.ravel()
                held = ((frame["lower"] <= p) & (p <= frame["upper"])).to_numpy(float)
            predicted.append((method, count, frame["mean"].to_numpy(), held))
    for method, learn in rivals.METHODS.items():
        predictor = learn(world.fitted, seed)
        predicted += [
            (method, count, predictor(world.answers.first(count), world.asked).ravel(), None)
            for count in COUNTS
        ]
    if world.chance is not None:
        predicted += [(ORACLE, count, world.chance.ravel(), None) for count in COUNTS]
    u, n = world.asked.choice.shape
    parts = [
        pd.DataFrame(
            {
                "world": name,
                "seed": seed,
                "newcomer": np.arange(u).repeat(n),
                "answers": count,
                "method": method,
                "chance": chance,
                "choice": world.asked.choice.ravel(),
                "held": np.nan if held is None else held,
            }
        )
        for method, count, chance, held in predicted
    ]
    return pd.concat(parts, ignore_index=True)


def calibration_error(chance: Array, choice: Array) -> float:
    """Mean distance of shares from predictions, in bins of equal numbers of predictions."""
    order = np.argsort(chance, kind="stable")
    parts = zip(
        np.array_split(chance[order], BINS), np.array_split(choice[order], BINS), strict=True
    )
    return float(
        sum(abs(said.mean() - seen.mean()) * len(said) for said, seen in parts) / len(chance)
    )


def summary(records: pd.DataFrame) -> pd.DataFrame:
    """One row a world, number of answers and method; errors over newcomers of all draws."""
    right = (records["chance"] > 0.5) == (records["choice"] == 1)
    p = np.where(records["choice"] == 1, records["chance"], 1 - records["chance"])
    scored = records.assign(log_score=np.log(np.clip(p, 1e-9, 1)), accuracy=right.astype(float))
    rows = []
    for (world, count), part in scored.groupby(["world", "answers"], sort=False):
        base = None
        for method in [OURS, *(name for name in part["method"].unique() if name != OURS)]:
            mine = part[part["method"] == method]
            each = mine.groupby(["seed", "newcomer"])[["log_score", "accuracy", "held"]].mean()
            base = each["log_score"] if base is None else base
            apart = each["log_score"] - base
            error, spread = _calibration(mine)
            row = {"world": world, "answers": count, "method": method}
            row |= _mean("log score", each["log_score"]) | _mean("less ours", apart)
            row |= {"ECE": error, "ECE se": spread}
            row |= _mean("accuracy", each["accuracy"]) | _mean("coverage", each["held"])
            rows.append(row)
    return pd.DataFrame(rows)


def _mean(name: str, values: pd.Series) -> dict[str, float]:
    return {name: float(values.mean()), f"{name} se": float(values.std() / np.sqrt(len(values)))}


def _calibration(records: pd.DataFrame) -> tuple[float, float]:
    """Calibration error and its standard error, by a bootstrap of newcomers."""
    shape = (-1, worlds.ASKED)
    chance, choice = (records[name].to_numpy().reshape(shape) for name in ("chance", "choice"))
    rng = np.random.default_rng(0)
    again = []
    for _ in range(AGAIN):
        some = rng.integers(len(chance), size=len(chance))
        again.append(calibration_error(chance[some].ravel(), choice[some].ravel()))
    return calibration_error(chance.ravel(), choice.ravel()), float(np.std(again, ddof=1))


def report(table: pd.DataFrame) -> str:
    """Write the summary as tables."""
    lines = []
    for world, part in table.groupby("world", sort=False):
        lines += [
            f"### {world}",
            "",
            "| answers | method | log score | less ours | ECE | accuracy | coverage |",
        ]
        lines += ["|---|---|---|---|---|---|---|"]
        for row in part.to_dict("records"):
            cells = [f"{row['answers']}", str(row["method"])]
            for name, places in (
                ("log score", 3),
                ("less ours", 3),
                ("ECE", 3),
                ("accuracy", 2),
                ("coverage", 2),
            ):
                value, error = row[name], row[f"{name} se"]
                known = np.isfinite(value) and not (name == "less ours" and row["method"] == OURS)
                cells.append(f"{value:.{places}f} ± {error:.{places}f}" if known else "")
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Draw, predict, print and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=4, help="draws of each world (4)")
    parser.add_argument("--quick", action="store_true", help="one draw of a quarter of the people")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--out", type=Path, default=Path("run/newcomers"), help="folder")
    asked = parser.parse_args(arguments)
    seeds = 1 if asked.quick else asked.seeds
    tasks = [(name, seed, asked.quick) for seed in range(seeds) for name in worlds.NAMES]
    start = time.perf_counter()
    if asked.jobs == 1:
        parts = [run(task) for task in tqdm(tasks, unit="draw")]
    else:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")
        # Spawned, not forked: torch and numba have threads by now, which do not survive a fork.
        with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
            parts = list(tqdm(pool.map(run, tasks), total=len(tasks), unit="draw"))
    table = summary(pd.concat(parts, ignore_index=True))
    text = report(table) + f"\n{len(tasks)} draws in {time.perf_counter() - start:.0f} s.\n"
    print(text)
    asked.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(asked.out / "newcomers.csv", index=False)
    (asked.out / "newcomers.md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
