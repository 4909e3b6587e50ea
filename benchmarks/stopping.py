"""How often a share that is said to be resolved is not, at any time at which one may stop.

    python benchmarks/stopping.py                     # 40 worlds, one process for each processor
    python benchmarks/stopping.py --replications 10 --first 1000   # worlds of other seeds

In every world the population, 30 users and their answers are drawn from the model's own prior. An
`Elicitation` asks 30 questions a round, for 10 rounds, about 12 contrasts; after each round some
are resolved: all users' mean probability is known to within 0.05 with probability 0.95. Someone who
looks at all answers so far stops when a rule says so. What counts is the share of wrong ones among
those that are resolved then, which should be at most 5 % of them whatever the rule is. The worst
round of each world, known in hindsight only, is no such rule and is shown for comparison.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from tqdm import tqdm

import bayes_pref as bp

Array = NDArray[np.float64]

USERS, FIRST, BATCH, ROUNDS, TARGETS = 30, 4, 30, 10, 12
NEAR, LEVEL = 0.05, 0.05
ENGINE = bp.Gibbs(draws=1000, warmup=300, chains=2, cores=1, progress=False)
NAMES = ["price", "speed"]


def path(seed: int) -> pd.DataFrame:
    """One world: in every round, what was known of each target, and whether it was wrong."""
    warnings.simplefilter("ignore", bp.ConvergenceWarning)
    rng = np.random.default_rng(seed)
    # Differences of one size, so that questions asked later leave the prior what it is.
    levels = np.array([-1.0, 1.0])
    weights = rng.normal(0, 2, 2) + np.abs(rng.normal(0, 1, 2)) * rng.normal(size=(USERS, 2))
    user = np.repeat(np.arange(USERS), FIRST)
    shown = rng.choice(levels, (len(user), 2))
    table = pd.DataFrame(shown, columns=NAMES).assign(
        user=user, choice=_answers(shown, weights[user], rng)
    )
    data = bp.Comparisons.from_frame(table, user="user", choice="choice", difference=NAMES)
    model = bp.HierarchicalReward()
    start = bp.fit(model, data, ENGINE, seed=seed)
    targets = pd.DataFrame(rng.uniform(-1, 1, (TARGETS, 2)), columns=NAMES)
    truth = expit(targets.to_numpy() @ weights.T).mean(axis=1)
    pairs = pd.DataFrame([(a, b) for a in levels for b in levels], columns=NAMES)
    # The same pair may be asked again: answers are independent given the weights.
    session = bp.Elicitation(
        start, pd.concat([pairs] * 4, ignore_index=True), goal=targets, engine=ENGINE, seed=seed
    )
    found = []
    for turn in range(ROUNDS + 1):
        known = session.targets
        wrong = np.abs(known["p_do"] - truth) > NEAR
        how = session.history["updated"].iloc[-1] if turn else "start"
        found.append(
            known.assign(
                world=seed,
                turn=turn,
                target=np.arange(TARGETS),
                wrong=wrong.to_numpy(),
                updated=how,
            )
        )
        if turn < ROUNDS:
            asked = session.ask(BATCH).questions
            own = weights[asked["user"].to_numpy()]
            answers = _answers(asked[NAMES].to_numpy(), own, rng)
            session.tell(dict(zip(asked["question"], answers, strict=True)))
    return pd.concat(found, ignore_index=True)


def _answers(difference: Array, weights: Array, rng: np.random.Generator) -> Array:
    chance = expit((difference * weights).sum(axis=1))
    return np.asarray((rng.random(len(chance)) < chance).astype(float))


def _turn(holds: pd.Series) -> int:
    """First turn at which something holds, or the last one."""
    return int(holds.to_numpy().argmax()) if holds.any() else int(holds.index[-1])


# What someone who looks at the numbers of all rounds so far may go by.
RULES: dict[str, Callable[[pd.DataFrame], int]] = {
    "after the last round": lambda rounds: int(rounds.index[-1]),
    "at the first that is resolved": lambda rounds: _turn(rounds["resolved"] > 0),
    "when half are resolved": lambda rounds: _turn(rounds["resolved"] >= TARGETS / 2),
    "when 80 % are resolved": lambda rounds: _turn(rounds["resolved"] >= 0.8 * TARGETS),
    "when one is resolved just so": lambda rounds: _turn(rounds["closest"] < 0.96),
    "when more are than ever": lambda rounds: _turn(rounds["resolved"].diff() >= 2),
    "when the estimates jump": lambda rounds: _turn(rounds["jump"] > NEAR),
    "when a share looks extreme": lambda rounds: _turn(rounds["extreme"] > 0.9),
}


def by_round(paths: pd.DataFrame) -> list[pd.DataFrame]:
    """What a person sees after every round, and how many were wrong: a frame for each world."""
    keys = ["world", "turn"]
    ordered = paths.sort_values(keys)
    moved = ordered.groupby(["world", "target"])["p_do"].diff().abs()
    resolved = paths[paths["resolved"]].groupby(keys)
    rounds = pd.DataFrame(
        {
            "resolved": paths.groupby(keys)["resolved"].sum(),
            "wrong": resolved["wrong"].sum(),
            "closest": resolved["p_within"].min(),
            "extreme": resolved["p_do"].max(),
            "jump": ordered.assign(jump=moved).groupby(keys)["jump"].max(),
        }
    ).fillna({"wrong": 0.0, "closest": 1.0, "extreme": 0.0, "jump": 0.0})
    return [world.droplevel("world") for _, world in rounds.groupby("world")]


def stopped(paths: pd.DataFrame) -> pd.DataFrame:
    """Share of wrong ones among those resolved, by rule: mean over worlds and standard error."""
    worlds = by_round(paths)
    rows = []
    for name, rule in {**RULES, "in hindsight, the worst round": _worst}.items():
        at = [rounds.loc[rule(rounds)] for rounds in worlds]
        share = np.array([end["wrong"] / max(1.0, end["resolved"]) for end in at])
        error = share.std(ddof=1) / np.sqrt(len(share))
        declared = np.mean([end["resolved"] for end in at])
        rows.append({"stop": name, "resolved": declared, "wrong": share.mean(), "error": error})
    return pd.DataFrame(rows)


def by_update(paths: pd.DataFrame) -> pd.DataFrame:
    """Of all that are resolved in any round, the share of wrong ones, and what was expected.

    By how the posterior came about; the standard error is that of independent worlds.
    """
    resolved = paths[paths["resolved"]].assign(expected=lambda found: 1.0 - found["p_within"])
    rows = []
    for how, part in resolved.groupby("updated"):
        each = part.groupby("world")["wrong"].agg(["sum", "size"])
        share = each["sum"].sum() / each["size"].sum()
        error = np.sqrt(((each["sum"] - share * each["size"]) ** 2).sum()) / each["size"].sum()
        expected = part["expected"].mean()
        rows.append({"updated": how, "wrong": share, "error": error, "expected": expected})
    return pd.DataFrame(rows)


def _worst(rounds: pd.DataFrame) -> int:
    return int((rounds["wrong"] / rounds["resolved"].clip(lower=1)).to_numpy().argmax())


def main() -> None:
    """Run the worlds and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--replications", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="seed of the first world (0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    start = time.perf_counter()
    with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
        seeds = range(asked.first, asked.first + asked.replications)
        found = list(tqdm(pool.map(path, seeds), total=asked.replications))
    paths = pd.concat(found, ignore_index=True)
    table = stopped(paths)
    table["wrong"] = [
        f"{100 * wrong:.1f} % ± {100 * error:.1f}"
        for wrong, error in zip(table["wrong"], table.pop("error"), strict=True)
    ]
    print(table.to_string(index=False, float_format="{:.1f}".format))
    print("\nAll rounds, by how the posterior was updated:")
    print(by_update(paths).to_string(index=False, float_format="{:.4f}".format))
    minutes = (time.perf_counter() - start) / 60
    print(f"\n{asked.replications} worlds, {BATCH * ROUNDS} answers each, {minutes:.1f} minutes")


if __name__ == "__main__":
    main()
