"""Case study 1 of Kobalczyk & van der Schaar (2025): two factors that hardly ever come apart.

    python benchmarks/case_positivity.py                  # 20 data sets at every correlation

Responses have two factors, such as truthfulness and following instructions, of which the reward is
a quarter and three quarters. The differences of training pairs have correlation rho; in the test
pairs out of distribution the two differ in opposite ways (correlation -0.8). Only such pairs tell
the weights' ratio, and their share in training is 1/2 - arcsin(rho) / pi. A pooled reward is fitted
to the factors themselves and to a noisy embedding of them; the truth is which response is better.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

import bayes_pref as bp

Array = NDArray[np.float64]

RHOS = (0.0, 0.3, 0.6, 0.9, 1.0)
WEIGHTS = np.array([0.25, 0.75])
FACTORS = ("truthfulness", "instruction_following")
SCALE = 3.0  # log-odds of a choice for a unit of reward: raters err, as they do
PAIRS, TESTS = 500, 4000
DIMENSIONS, NOISE = 12, 1.5  # of the embedding; sd of the noise in each of them, factors have 1
ENGINE = bp.Gibbs(draws=500, warmup=200, chains=2, progress=False)


def pairs(n: int, rho: float, rng: np.random.Generator) -> Array:
    """Differences (n, 2) of both factors, of variance one and correlation rho."""
    first, second = rng.standard_normal((2, n))
    return np.column_stack([first, rho * first + np.sqrt(1.0 - rho**2) * second])


def opposite(n: int, rng: np.random.Generator) -> Array:
    """Differences (n, 2) of opposite signs, out of a correlation of -0.8."""
    drawn = pairs(3 * n, -0.8, rng)
    return drawn[drawn.prod(axis=1) < 0][:n]


def informative(rho: float) -> float:
    """Share of pairs whose differences have opposite signs, under a bivariate normal."""
    return 0.5 - np.arcsin(rho) / np.pi


def fitted(difference: Array, choice: Array, names: list[str], seed: int) -> bp.Posterior:
    """One reward for all, of these differences."""
    frame = pd.DataFrame(difference, columns=names).assign(who="everyone", choice=choice)
    comparisons = bp.Comparisons.from_frame(frame, user="who", choice="choice", difference=names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)  # 500 draws do for these averages
        return bp.fit(bp.PooledReward(), comparisons, ENGINE, seed=seed)


def replicate(rho: float, seed: int) -> dict[str, object]:
    """Fit one data set both ways: accuracies and what the flags say."""
    rng = np.random.default_rng([seed, round(10 * rho)])
    train = pairs(PAIRS, rho, rng)
    chance = 1.0 / (1.0 + np.exp(-SCALE * train @ WEIGHTS))
    choice = (rng.random(PAIRS) < chance).astype(int)
    tests = {"same": pairs(TESTS, rho, rng), "opposite": opposite(TESTS, rng)}
    axes = rng.standard_normal((2, DIMENSIONS)) / np.sqrt(2)

    def embedded(difference: Array) -> Array:
        noise = np.sqrt(2.0) * NOISE * rng.standard_normal((len(difference), DIMENSIONS))
        return difference @ axes + noise

    record: dict[str, object] = {"rho": rho, "seed": seed}
    record["informative"] = float((train.prod(axis=1) < 0).mean())
    views = {"factors": (lambda values: values, list(FACTORS))}
    views["embedding"] = (embedded, [f"e_{k + 1}" for k in range(DIMENSIONS)])
    for view, (seen, names) in views.items():
        posterior = fitted(seen(train), choice, names, seed)
        mu = posterior.draws["mu"].mean(["chain", "draw"]).to_numpy()
        for name, test in tests.items():
            right = (seen(test) @ mu > 0) == (test @ WEIGHTS > 0)
            record[f"{view}, {name}"] = float(right.mean())
        if view == "factors":
            record |= flags(posterior)
    return record


def flags(posterior: bp.Posterior) -> dict[str, object]:
    """What the posterior and the report say of a pair that trades one factor for the other."""
    draws = posterior.draws["mu"].to_numpy().reshape(-1, 2)
    # The share of the first weight is their ratio, on a scale that has no pole.
    share = np.arctan2(draws[:, 0], draws[:, 1])
    trade = pd.DataFrame({FACTORS[0]: [1.0], FACTORS[1]: [-1.0]})
    row = bp.diagnose(posterior, trade, progress=False).comparisons.iloc[0]
    return {
        "ratio sd": float(share.std()),
        "prior_share": float(row["prior_share"]),
        "reference_sd": float(row["reference_sd"]),
        "unidentifiable": row["verdict"] == "unidentifiable",
        "names both": all(name in row["sentence"] for name in FACTORS),
    }


def report(records: pd.DataFrame) -> pd.DataFrame:
    """Means over data sets with standard errors, one column a correlation."""
    rows = {"informative pairs, formula": [f"{informative(rho):.3f}" for rho in RHOS]}
    for name in records.columns.drop(["rho", "seed"]):
        cells = records[name].astype(float).groupby(records["rho"])
        rows[name] = [f"{m:.3f} ± {s:.3f}" for m, s in zip(cells.mean(), cells.sem(), strict=True)]
    return pd.DataFrame(rows, index=pd.Index(RHOS, name="rho")).T


def main(arguments: list[str] | None = None) -> int:
    """Run and print; return 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--replications", type=int, default=20, help="data sets (20)")
    parser.add_argument("--out", type=Path, default=Path("run/positivity"), help="folder")
    asked = parser.parse_args(arguments)
    start = time.perf_counter()
    tasks = [(rho, seed) for seed in range(asked.replications) for rho in RHOS]
    records = pd.DataFrame([replicate(*task) for task in tqdm(tasks, unit="data set")])
    asked.out.mkdir(parents=True, exist_ok=True)
    records.to_csv(asked.out / "positivity.csv", index=False)
    text = report(records).to_string()
    text += f"\n\n{len(tasks)} data sets in {(time.perf_counter() - start) / 60:.1f} minutes.\n"
    print(text)
    (asked.out / "positivity.txt").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
