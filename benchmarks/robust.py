"""Whether p_do is right if the model is, or if what residuals depend on is looked at.

    python benchmarks/robust.py                            # 24 replications, 15 minutes to an hour
    python benchmarks/robust.py --replications 3           # a look
    python benchmarks/robust.py --diagnose                 # also what bp.diagnose makes of it

Of 100 users 30 pairs each are asked, with four attributes and a context that says something of who
is asked; preferences follow exposure. The model is `HierarchicalReward(exposure=True)` throughout,
whose assumptions fail in all worlds but the first. Printed are the coverage of 90 % intervals of
p_do, and the root mean squared error, of the model and of the robust estimate beside it, how long
the intervals of the latter are relative to those of the model, the root mean squared error of the
shift, and how often the residuals contradict each assumption; with standard errors over
replications. `bp.diagnose` takes left-out contexts and curves into the model before; with
`--diagnose` its errors and those of the robust estimate beside it are printed, too.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

import bayes_pref as bp
from bayes_pref.diagnostics.robust.robust_shares import RobustShares

Array = NDArray[np.float64]
USERS, PAIRS, FEATURES, INTRACLASS = 100, 30, 4, 0.5
ASKED, PEOPLE = 300, 20_000  # pairs that are judged, and people by whom the truth is averaged
NAMES = [f"attribute_{k + 1}" for k in range(FEATURES)]
ENGINE = bp.Gibbs(draws=300, warmup=300, chains=2, cores=1, progress=False)
AWAY = stats.norm.ppf(0.95)


def cauchit(eta: Array) -> Array:
    """The distribution function of Cauchy's law: surprising answers are not rare."""
    return np.asarray(0.5 + np.arctan(eta) / np.pi)


def lapsing_probit(eta: Array) -> Array:
    """One answer in ten is a coin toss, the others are a probit's."""
    return np.asarray(0.05 + 0.9 * stats.norm.cdf(eta / 1.6))


@dataclass(frozen=True)
class World:
    """What is true, where the model says otherwise.

    Attributes
    ----------
    link
        From log-odds to P(left).
    freedom
        Degrees of freedom of users' weights beyond exposure; infinite: normal.
    context
        Effect of the context on every attribute's weight, of random sign.
    response
        How preferences follow exposure.
    """

    link: Callable[[Array], Array] = field(default=expit)
    freedom: float = np.inf
    context: float = 0.0
    response: Callable[[Array], Array] = field(default=lambda exposure: exposure)


def squared(exposure: Array) -> Array:
    """Square with mean 0 and variance 1."""
    return np.asarray((exposure**2 - 1.0) / np.sqrt(2.0))


WORLDS = {
    "all right": World(),
    "wrong link": World(link=cauchit),
    "probit, lapses": World(link=lapsing_probit),
    "heavy tails": World(freedom=2.0),
    "left-out context": World(context=0.4),
    "squared exposure": World(response=squared),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the worlds asked for and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--replications", type=int, default=24)
    parser.add_argument("--first", type=int, default=0, help="number of the first replication (0)")
    parser.add_argument("--worlds", nargs="+", choices=list(WORLDS), default=list(WORLDS))
    parser.add_argument("--diagnose", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args(arguments)
    start = time.perf_counter()
    tasks = [
        (world, number, asked.diagnose)
        for world in asked.worlds
        for number in range(asked.first, asked.first + asked.replications)
    ]
    with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
        found = pd.DataFrame(list(pool.map(replicate, tasks)))
    print(table(found).to_string())
    print(f"\n{len(tasks)} worlds in {(time.perf_counter() - start) / 60:.1f} minutes")
    return 0


def table(found: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard error of every figure by world; mean squares are shown as roots."""
    rows = {}
    for world, each in found.groupby("world", sort=False):
        cells = {}
        for name in each.columns.difference(["world", "replication"], sort=False):
            values = each[name].to_numpy(dtype=np.float64)
            mean, error = values.mean(), values.std(ddof=1) / np.sqrt(len(values))
            if name.startswith("rmse"):
                mean = np.sqrt(mean)
                error /= 2.0 * mean
            cells[name] = f"{mean:.3f} ± {error:.3f}"
        rows[world] = cells
    return pd.DataFrame(rows)


def replicate(task: tuple[str, int, bool]) -> dict[str, Any]:
    """Figures of one world."""
    name, number, diagnose = task
    comparisons, p_do, shift, asked = simulated(WORLDS[name], number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        posterior = bp.fit(bp.HierarchicalReward(exposure=True), comparisons, ENGINE, seed=number)
    shares = RobustShares.of(posterior)
    table = shares.table(shares.answers.query, shares.answered).iloc[asked]
    tests = shares.assumptions()
    out: dict[str, Any] = {"world": name, "replication": number}
    below, above = (table["p_do"] + side * AWAY * table["p_do_sd"] for side in (-1.0, 1.0))
    out["coverage, model"] = _within(below, p_do, above)
    out["coverage, robust"] = _within(table["p_do_lower"], p_do, table["p_do_upper"])
    out["length, robust / model"] = float(
        ((table["p_do_upper"] - table["p_do_lower"]) / (above - below)).mean()
    )
    out["rmse, model"] = _square(table["p_do"] - p_do)
    out["rmse, robust"] = _square(table["p_do_robust"] - p_do)
    out["disagree"] = float((table["p_disagree"] > 0.95).mean())
    out["rmse of shift, model"] = _square(table["shift"] - shift)
    out["rmse of shift, robust"] = _square(table["shift_robust"] - shift)
    out["coverage of shift, robust"] = _within(table["shift_lower"], shift, table["shift_upper"])
    for assumption, rejected in zip(tests["assumption"], tests["rejected"], strict=True):
        out[f"contradicted: {assumption}"] = float(rejected)
    return out | (after_diagnosis(posterior, p_do, asked, number) if diagnose else {})


def after_diagnosis(
    posterior: bp.Posterior, p_do: Array, asked: NDArray[np.intp], seed: int
) -> dict[str, float]:
    """Return the same figures of a report, whose model is repaired where it has to be."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        report = bp.diagnose(
            posterior,
            assessments=["preference", "confounding"],
            engine=ENGINE,
            seed=seed,
            progress=False,
        )
    after = bp.robust(report).comparisons.iloc[asked]
    return {
        "coverage, robust after diagnose": _within(after["p_do_lower"], p_do, after["p_do_upper"]),
        "rmse, diagnose": _square(after["p_do"] - p_do),
        "rmse, robust after diagnose": _square(after["p_do_robust"] - p_do),
        "agree, after diagnose": float(after["agree"].mean()),
    }


def simulated(world: World, number: int) -> tuple[bp.Comparisons, Array, Array, NDArray[np.intp]]:
    """Comparisons, and true p_do and shift of those (positions) that are judged."""
    rng = np.random.default_rng([number, 11])
    mean = rng.normal(0.0, 0.6, FEATURES)
    coupling = 0.35 * rng.choice([-1.0, 1.0], FEATURES)
    effect = world.context * rng.choice([-1.0, 1.0], FEATURES)

    def people(size: int, rng: np.random.Generator) -> tuple[Array, Array]:
        exposure, own = rng.standard_normal(size), rng.standard_normal((size, FEATURES))
        if np.isfinite(world.freedom):
            own *= 0.8 / np.sqrt(rng.chisquare(world.freedom, size) / world.freedom)[:, None]
        return exposure, mean + np.outer(world.response(exposure), coupling) + 0.6 * own

    exposure, weights = people(USERS, rng)
    user = np.repeat(np.arange(USERS), PAIRS)
    context = np.sqrt(INTRACLASS) * exposure[user]
    context = context + np.sqrt(1.0 - INTRACLASS) * rng.standard_normal(len(user))
    difference = rng.standard_normal((len(user), FEATURES))
    eta = (difference * (weights[user] + np.outer(context, effect))).sum(axis=1)
    frame = pd.DataFrame(difference, columns=NAMES)
    frame = frame.assign(user=user, context=context, left=rng.random(len(user)) < world.link(eta))
    comparisons = bp.Comparisons.from_frame(
        frame, user="user", choice="left", difference=NAMES, context=["context"]
    )
    asked = np.random.default_rng(1).choice(len(user), ASKED, replace=False)
    everyone, all_weights = people(PEOPLE, np.random.default_rng(7))
    d, x = comparisons.difference[asked], comparisons.context[asked, 0]
    chance = world.link(d @ all_weights.T + ((d @ effect) * x)[:, None])
    away = (x[:, None] - np.sqrt(INTRACLASS) * everyone) / np.sqrt(1.0 - INTRACLASS)
    seen = stats.norm.pdf(away)
    p_do = chance.mean(axis=1)
    return comparisons, p_do, (chance * seen).sum(axis=1) / seen.sum(axis=1) - p_do, asked


def _within(below: pd.Series[float], truth: Array, above: pd.Series[float]) -> float:
    return float(((below.to_numpy() <= truth) & (truth <= above.to_numpy())).mean())


def _square(error: pd.Series[float]) -> float:
    return float(np.square(error.to_numpy()).mean())


if __name__ == "__main__":
    sys.exit(main())
