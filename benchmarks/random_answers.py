"""Who answers at random: how well people who toss a coin are found, and what that costs the others.

In each world some people answer every question at random, and the others by their rewards. People
are scored by the posterior probability that they answer at random (`reliability=True`); by the
expected share of random answers under a lapse rate that all have in common (`--lapse`, which takes
longest); and by how much better a coin predicts all of a person's answers than the population does,
each person left out, from `bayes_pref.loo(by="user")` of a model without such people. The tables
have the area under the ROC curve of each, the people named by the report, who answer at random with
probability above 0.95, how many there are in the group and how many the probabilities say there
are, and how often 90 % intervals of the weights of those who heed the rewards hold the truth.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd

import bayes_pref as bp
from flag_study.metrics import auroc

MARGIN = 3.0  # log odds, about 20 : 1
SURE = 0.95


class CoinWorld(NamedTuple):
    """Comparisons of people of whom the first toss a coin, and the true weights of all."""

    comparisons: bp.Comparisons
    weights: pd.DataFrame


def world(users: int, pairs: int, at_random: int, seed: int) -> bp.Comparisons:
    """Return comparisons in which the first people toss a coin."""
    return coin_world(users, pairs, 2, at_random, seed).comparisons


def coin_world(users: int, tasks: int, alternatives: int, at_random: int, seed: int) -> CoinWorld:
    """Return pairs, or tasks of several alternatives, in which the first people answer at random.

    People have so many tasks each.
    """
    made = bp.simulate(
        users=users, comparisons=tasks, alternatives=alternatives, contexts=0, seed=seed
    )
    data, rng = made.comparisons, np.random.default_rng([seed, 1])
    if alternatives == 2:
        coin = rng.integers(0, 2, len(data))
        frame = data.to_frame()
        frame[data.choice_name] = np.where(data.user < at_random, coin, data.choice)
        read = bp.Comparisons.from_frame(
            frame,
            user=data.user_name,
            choice=data.choice_name,
            difference=list(data.feature_names),
        )
        return CoinWorld(read, made.truth.weights)
    frame = made.frame.copy()
    chosen = frame["choice"].to_numpy().reshape(-1, alternatives)
    random = np.eye(alternatives, dtype=int)[rng.integers(0, alternatives, len(chosen))]
    careless = frame["user"].isin(data.users[:at_random]).to_numpy().reshape(chosen.shape)
    frame["choice"] = np.where(careless, random, chosen).ravel()
    read = bp.Comparisons.from_tasks(
        frame,
        user="user",
        task="task",
        choice="choice",
        alternative="alternative",
        attributes=list(data.feature_names),
    )
    return CoinWorld(read, made.truth.weights)


def fitted(model: bp.RewardModel, data: bp.Comparisons, seed: int) -> bp.Posterior:
    """Fit with short chains."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        engine = bp.Gibbs(draws=300, warmup=300, chains=2, progress=False)
        return bp.fit(model, data, engine, seed=seed)


def covered(posterior: bp.Posterior, truth: pd.DataFrame) -> np.ndarray:
    """Share of each person's weights that are in their 90 % intervals."""
    found = posterior.weights()
    data = posterior.comparisons
    true = truth.loc[data.users, list(data.feature_names)].to_numpy().ravel()
    inside = (found["lower"] <= true) & (true <= found["upper"])
    return inside.groupby(found["user"], sort=False).mean().to_numpy()


def scores(made: CoinWorld, seed: int, lapse: bool) -> pd.DataFrame:
    """Return each person's scores, whether they are named, and the coverage of their weights."""
    data = made.comparisons
    plain = fitted(bp.HierarchicalReward(), data, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        left_out = bp.loo(plain, by="user").pointwise["elpd"].to_numpy()
    posterior = fitted(bp.HierarchicalReward(reliability=True), data, seed)
    reliability = posterior.reliability()
    stages = np.diff(data.outcome.observations(len(data)))
    each = np.log(2.0) if data.outcome.rowwise else np.log(1.0 + stages[0])
    columns = {
        "probability": reliability["mean"],
        "named": reliability["mostly"] > SURE,
        "share": reliability["lapse"],
        "coin": -reliability["answers"] * each - left_out,
        "covered": covered(posterior, made.weights),
        "covered without": covered(plain, made.weights),
    }
    if lapse:
        common = fitted(bp.HierarchicalReward(lapse=True), data, seed).reliability()
        columns |= {"lapse": common["mean"], "named by lapse": common["mostly"] > SURE}
    return pd.DataFrame(columns)


def figures(worlds: list[pd.DataFrame], at_random: int) -> dict[str, str]:
    """Return the mean and the standard error over worlds of every figure, by name."""
    rows: dict[str, list[float]] = {}
    for found in worlds:
        random = np.arange(len(found)) < at_random
        each = {"share of people at random": found["share"].iloc[0]}
        compared = [name for name in ("probability", "coin", "lapse") if name in found]
        for score in compared if at_random else ():
            each[f"AUROC, {score}"] = auroc(found[score].to_numpy(), random)
        groups = {"random": random, "others": ~random} if at_random else {"all": ~random}
        for name, group in groups.items():
            each[f"mean probability, {name}"] = found["probability"][group].mean()
            each[f"named, {name}"] = found["named"][group].mean()
            each[f"coin better, {name}"] = (found["coin"][group] > MARGIN).mean()
            if "lapse" in found:
                each[f"mean share of lapses, {name}"] = found["lapse"][group].mean()
                each[f"named by lapses, {name}"] = found["named by lapse"][group].mean()
        for name in ("covered", "covered without"):
            each[f"{name}, others"] = found[name][~random].mean()
        for name, value in each.items():
            rows.setdefault(name, []).append(float(value))
    return {
        name: f"{np.mean(values):.3f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.3f}"
        for name, values in rows.items()
    }


def main() -> int:
    """Print a table for worlds with such people, and one for worlds without."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--tasks", type=int, default=40, help="of each person")
    parser.add_argument("--alternatives", type=int, default=2, help="that a task shows")
    parser.add_argument("--worlds", type=int, default=10)
    parser.add_argument("--lapse", action="store_true", help="also fit a common lapse rate")
    asked = parser.parse_args()
    for at_random in (asked.users // 10, 0):
        found = []
        for seed in range(asked.worlds):
            made = coin_world(asked.users, asked.tasks, asked.alternatives, at_random, seed)
            found.append(scores(made, seed, asked.lapse))
        print(f"\n{at_random} of {asked.users} people at random")
        for name, figure in figures(found, at_random).items():
            print(f"| {name} | {figure} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
