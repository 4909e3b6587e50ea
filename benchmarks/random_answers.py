"""Who answers at random: how well a fit with a lapse rate finds people who toss a coin.

In each world some people answer every pair at random, and the others by their rewards. Two scores
are compared: the expected share of random answers of `Posterior.reliability`, and how much better a
coin predicts all of a person's answers than the population does, each person left out, from
`bayes_pref.loo(by="user")`. The table has the area under the ROC curve of each, the people named by
the report (more than half of their answers random, with probability above 0.95), and the people
whose answers a coin predicts better by `MARGIN`, in worlds with and without such people.
"""

from __future__ import annotations

import argparse
import sys
import warnings

import numpy as np
import pandas as pd

import bayes_pref as bp
from flag_study.metrics import auroc

MARGIN = 3.0  # log odds, about 20 : 1


def world(users: int, pairs: int, at_random: int, seed: int) -> bp.Comparisons:
    """Return comparisons in which the first people toss a coin."""
    data = bp.simulate(users=users, comparisons=pairs, contexts=0, seed=seed).comparisons
    coin = np.random.default_rng([seed, 1]).integers(0, 2, len(data))
    frame = data.to_frame()
    frame[data.choice_name] = np.where(data.user < at_random, coin, data.choice)
    return bp.Comparisons.from_frame(
        frame,
        user=data.user_name,
        choice=data.choice_name,
        difference=list(data.feature_names),
    )


def scores(data: bp.Comparisons, seed: int) -> pd.DataFrame:
    """Return each person's expected share, whether they are named, and the margin of the coin."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)  # short chains
        engine = bp.Gibbs(draws=300, warmup=300, chains=2, progress=False)
        posterior = bp.fit(bp.HierarchicalReward(lapse=True), data, engine, seed=seed)
        left_out = bp.loo(posterior, by="user").pointwise
    found = posterior.reliability()
    coin = found["answers"] * np.log(0.5) - left_out["elpd"].to_numpy()
    named = found["mostly"] > 0.95
    columns = {"share": found["mean"], "named": named, "lapse": found["lapse"], "coin": coin}
    return pd.DataFrame(columns)


def figures(worlds: list[pd.DataFrame], at_random: int) -> dict[str, str]:
    """Return the mean and the standard error over worlds of every figure, by name."""
    rows: dict[str, list[float]] = {}
    for found in worlds:
        random = np.arange(len(found)) < at_random
        by_coin = found["coin"].to_numpy() > MARGIN
        each = {"lapse rate": found["lapse"].iloc[0]}
        for score in ("share", "coin") if at_random else ():
            each[f"AUROC, {score}"] = auroc(found[score].to_numpy(), random)
        groups = {"random": random, "others": ~random} if at_random else {"all": ~random}
        for name, group in groups.items():
            each[f"mean share, {name}"] = found["share"][group].mean()
            each[f"named, {name}"] = found["named"][group].mean()
            each[f"coin better, {name}"] = by_coin[group].mean()
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
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--worlds", type=int, default=10)
    asked = parser.parse_args()
    for at_random in (asked.users // 10, 0):
        seeds = range(asked.worlds)
        found = [scores(world(asked.users, asked.pairs, at_random, k), k) for k in seeds]
        print(f"\n{at_random} of {asked.users} people at random")
        for name, figure in figures(found, at_random).items():
            print(f"| {name} | {figure} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
