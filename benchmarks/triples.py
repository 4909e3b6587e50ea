"""What answers say of how far users differ: pairs against rankings of three, at the same cost.

For each design and number of users the posterior sd of tau as a share of its prior sd, and how
often the report says that the spread of users rests on the prior. Two answers a person are two
pairs, or one ranking of three. Users are normal in these worlds, as the model takes them to be.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from typing import Any

import numpy as np

import bayes_pref as bp
from bayes_pref.diagnostics.identifiability.spread_of_users import MOSTLY_PRIOR, spread_ratio

DESIGNS: dict[str, dict[str, Any]] = {
    "one pair": {"comparisons": 1},
    "two pairs": {"comparisons": 2},
    "ranking of three": {"comparisons": 1, "alternatives": 3, "rankings": True},
    "fifteen pairs": {"comparisons": 15},
}


def fitted(users: int, design: str, seed: int) -> bp.Posterior:
    """Return the posterior of a world in which users answer by a design."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)  # users with a single comparison
        warnings.simplefilter("ignore", bp.ConvergenceWarning)  # short chains
        world = bp.simulate(users=users, features=2, contexts=0, seed=seed, **DESIGNS[design])
        engine = bp.Gibbs(draws=400, warmup=300, chains=2, progress=False)
        return bp.fit(bp.HierarchicalReward(), world.comparisons, engine, seed=seed)


def main() -> int:
    """Print a table of designs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--users", type=int, nargs="+", default=[100, 400])
    parser.add_argument("--replications", type=int, default=10)
    asked = parser.parse_args()
    print("| users | each answers | sd of tau over its prior sd (10 %, 90 %) | said to be prior |")
    print("|---|---|---|---|")
    for users in asked.users:
        for design in DESIGNS:
            each = [spread_ratio(fitted(users, design, seed)) for seed in range(asked.replications)]
            ratio = np.concatenate(each)
            low, middle, high = np.quantile(ratio, [0.1, 0.5, 0.9])
            said = 100 * np.mean(ratio > MOSTLY_PRIOR)
            row = f"{middle:.2f} ({low:.2f}, {high:.2f}) | {said:.0f} %"
            print(f"| {users} | {design} | {row} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
