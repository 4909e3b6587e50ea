"""What a small share of randomised pairs is worth beside a log, honest or adversarial.

    python benchmarks/randomised.py                       # 12 replications, about ten minutes
    python benchmarks/randomised.py --replications 3      # a look

In every world 5 % of the pairs are assigned at random. Root mean squared errors of p_do over the
pairs, from the joint model (`HierarchicalReward(observational_bias=True, exposure=True)`), from the
randomised pairs alone, from three times as many of these alone, and from a model that believes the
log. Ratios are to the randomised pairs alone, with standard errors over replications by the delta
method.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd

import bayes_pref as bp
from bayes_pref.draws import evenly_spaced, stacked
from bayes_pref.logistic_normal import expected_choice

SHARE, USERS, COMPARISONS, FEATURES = 0.05, 200, 15, 4
# How far log-odds of the log are off, per sd of each feature; the signs alternate.
WORLDS = {"honest": 0.0, "slightly off": 0.3, "off": 1.5, "adversarial": 4.0}
METHODS = ("joint", "randomised alone", "3 x as many alone", "log believed")
_DRAWS = 200


def main(arguments: list[str] | None = None) -> int:
    """Run the worlds asked for and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--replications", type=int, default=12)
    parser.add_argument("--worlds", nargs="+", choices=list(WORLDS), default=list(WORLDS))
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args(arguments)
    start = time.perf_counter()
    tasks = [(world, number) for world in asked.worlds for number in range(asked.replications)]
    with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
        found = pd.DataFrame(list(pool.map(replicate, tasks)))
    print(table(found).to_string(float_format=lambda value: f"{value:.3f}"))
    print(f"\n{len(tasks)} worlds in {(time.perf_counter() - start) / 60:.1f} minutes")
    return 0


def table(found: pd.DataFrame) -> pd.DataFrame:
    """Root mean squared errors by world and method, and ratios to the randomised pairs alone."""
    rows = []
    for world, each in found.groupby("world", sort=False):
        base = each["randomised alone"].to_numpy()
        for method in METHODS:
            square = each[method].to_numpy()
            ratio = np.sqrt(square.mean() / base.mean())
            spread = square / square.mean() - base / base.mean()
            error = 0.5 * ratio * spread.std(ddof=1) / np.sqrt(len(each))
            rows.append((world, method, np.sqrt(square.mean()), ratio, error))
    columns = ["world", "method", "rmse of p_do", "ratio", "standard error"]
    return pd.DataFrame(rows, columns=columns).set_index(["world", "method"])


def replicate(task: tuple[str, int]) -> dict[str, object]:
    """Mean squared error of p_do of every method in one world."""
    name, number = task
    bias = WORLDS[name] * np.where(np.arange(FEATURES) % 2, -1.0, 1.0)
    world = _world(bias, SHARE, number)
    triple = _world(bias, 3 * SHARE, number).comparisons
    comparisons = world.comparisons
    assert comparisons.randomised is not None
    assert triple.randomised is not None
    joint = bp.HierarchicalReward(observational_bias=True, exposure=True)
    fits = {
        "joint": (joint, comparisons),
        "randomised alone": (bp.HierarchicalReward(), comparisons.take(comparisons.randomised)),
        "3 x as many alone": (bp.HierarchicalReward(), triple.take(triple.randomised)),
        "log believed": (bp.HierarchicalReward(exposure=True), comparisons),
    }
    difference = comparisons.difference[:400]
    truth = world.truth.comparisons["p_do"].to_numpy()[:400]
    engine = bp.Gibbs(draws=500, warmup=400, chains=2, cores=1, progress=False)
    out: dict[str, object] = {"world": name, "replication": number}
    for method, (model, data) in fits.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bp.ConvergenceWarning)
            warnings.simplefilter("ignore", bp.DataWarning)
            posterior = bp.fit(model, data, engine, seed=number)
        out[method] = float(np.square(p_do(posterior, difference) - truth).mean())
    return out


def _world(bias: np.ndarray, share: float, number: int) -> bp.simulation.World:
    return bp.simulate(
        users=USERS,
        comparisons=COMPARISONS,
        features=FEATURES,
        confounding=0.5,
        randomised=share,
        observational_bias=bias,
        seed=number,
    )


def p_do(posterior: bp.Posterior, difference: np.ndarray) -> np.ndarray:
    """(n,) posterior means of the share of all users who prefer left."""
    draws = posterior.draws
    kept = evenly_spaced(draws.sizes["chain"] * draws.sizes["draw"], _DRAWS)
    mu, tau = (stacked(draws, name, "feature")[kept] for name in ("mu", "tau"))
    variance = tau**2 @ (difference**2).T
    if "G" in draws:  # exposures have variance 1 over users
        slope = stacked(draws, "G", "feature", "context")[kept]
        variance = variance + ((difference @ slope) ** 2).sum(axis=2)
    return np.asarray(expected_choice(mu @ difference.T, variance).mean(axis=0))


if __name__ == "__main__":
    sys.exit(main())
