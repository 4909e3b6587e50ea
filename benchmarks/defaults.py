"""Whether `bp.fit` converges at its defaults, and what that takes.

    python benchmarks/defaults.py                      # the bank study, the demo's world, 20 worlds
    python benchmarks/defaults.py --worlds 4 --no-bank

Every data set is fitted twice in one process: until converged, as with no engine given, and by
chains of fixed lengths, `bp.Gibbs()`. Compiling is not counted. Worlds differ in how many people,
answers, features and contexts there are, how much people differ, in ties, in tasks of several
alternatives and in the model. Prints wall seconds of both, the thinning interval that the first
came to, and of how much each warns. The bank study needs its table; `engine_data` says where.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from typing import Any

import engine_data
import numpy as np
import pandas as pd

import bayes_pref as bp
from bayes_pref.convergence.statistics import chain_statistics
from bayes_pref.simulation import assistant_world

Case = tuple[str, bp.RewardModel, bp.Comparisons]


def bank() -> bp.Comparisons:
    """Read the credit-card conjoint study."""
    arrays = engine_data.bank()
    names = [f"level_{k}" for k in range(arrays["difference"].shape[1])]
    frame = pd.DataFrame(arrays["difference"], columns=names)
    frame = frame.assign(user=arrays["user"], choice=arrays["choice"])
    return bp.Comparisons.from_frame(frame, user="user", choice="choice", difference=names)


def world(number: int) -> Case:
    """Simulate a world of a shape of its own, with a model that fits it."""
    rng = np.random.default_rng([5, number])
    shape: dict[str, Any] = {
        "users": int(np.exp(rng.uniform(np.log(20), np.log(600)))),
        "comparisons": int(np.exp(rng.uniform(np.log(4), np.log(40)))),
        "features": int(rng.integers(2, 11)),
        "contexts": int(rng.integers(0, 3)),
        "heterogeneity": float(rng.choice([0.05, 0.3, 0.7, 1.5])),
    }
    kind = ("pairs", "full", "exposure", "ties", "tasks")[number % 5]
    if kind == "exposure":
        shape |= {"contexts": 1, "confounding": 0.6, "interactions": bool(number % 2)}
    if kind == "ties":
        shape |= {"ties": 0.2}
    if kind == "tasks":
        shape |= {"contexts": 0, "alternatives": 4}
    if kind == "full":
        shape |= {"correlation": 0.5}
    model = bp.HierarchicalReward(
        covariance="full" if kind == "full" else "diagonal", exposure=kind == "exposure"
    )
    made = bp.simulate(**shape, seed=number).comparisons
    said = f"{made.n_users} x {shape['comparisons']} of {len(made.feature_names)}"
    return f"{kind}: {said}, sd {shape['heterogeneity']:g}", model, made


def cases(arguments: argparse.Namespace) -> Iterator[Case]:
    """Data sets with a name and a model each."""
    yield "demo", bp.HierarchicalReward(), assistant_world(seed=0).comparisons
    for number in range(arguments.worlds):
        yield world(number)
    if arguments.bank:
        for covariance in ("diagonal", "full"):
            yield f"bank, {covariance}", bp.HierarchicalReward(covariance=covariance), bank()


def fitted(case: Case, engine: bp.Engine) -> tuple[float, list[str], bp.Posterior]:
    """Return wall seconds, warnings and the posterior."""
    _, model, comparisons = case
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", bp.ConvergenceWarning)
        begun = time.perf_counter()
        posterior = bp.fit(model, comparisons, engine, seed=0)
        seconds = time.perf_counter() - begun
    found = [str(each.message) for each in caught if each.category is bp.ConvergenceWarning]
    return seconds, found, posterior


def measured(case: Case) -> dict[str, Any]:
    """Fit by default and by fixed lengths, once a short fit has compiled."""
    fitted(case, bp.Gibbs(draws=4, warmup=4, progress=False))
    seconds, found, posterior = fitted(case, bp.Gibbs(until="converged", progress=False))
    fixed, of_fixed, _ = fitted(case, bp.Gibbs(progress=False))
    names = [name for name in ("mu", "tau", "exposure") if name in posterior.draws]
    draws = [posterior.draws[name].to_numpy() for name in names]
    worst = [chain_statistics(each.reshape(*each.shape[:2], -1)) for each in draws]
    return {
        "data": case[0],
        "seconds": round(seconds, 1),
        "fixed": round(fixed, 1),
        "ratio": round(seconds / fixed, 2),
        "thin": posterior.run.settings["thin"],
        "min ESS": int(min(each.ess_bulk.min() for each in worst)),
        "warnings": len(found),
        "of fixed": len(of_fixed),
        "first warning": found[0] if found else "",
    }


def main() -> None:
    """Fit every data set, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--bank", action=argparse.BooleanOptionalAction, default=True)
    rows = []
    for case in cases(parser.parse_args()):
        rows.append(measured(case))
        print(*rows[-1].values(), sep=" | ", flush=True)
    table = pd.DataFrame(rows)
    print(table.drop(columns="first warning").to_string(index=False))
    print(f"\n{(table['warnings'] == 0).sum()} of {len(table)} without a warning")


if __name__ == "__main__":
    main()
