"""Whether the bias that a hidden factor is said to cause is the one that it does cause.

    python benchmarks/sensitivity.py                     # 40 worlds
    python benchmarks/sensitivity.py --replications 8

In each world a factor of users drives both how many pairs they were asked about and what they
prefer, at strengths that are drawn. It is fitted twice: without the factor, and with it as a
covariate. The average weight moves by the bias; what the first fit says that a factor of these
strengths would do is beside it. Prints the regression of the one on the other through the origin,
and how often the sign of a conclusion turns on the side of the tipping point that was predicted.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import pandas as pd

import bayes_pref as bp
from bayes_pref.diagnostics.sensitivity.hidden_factor import hidden_factor

ENGINE = bp.Gibbs(draws=500, warmup=500, chains=2, progress=False)
USERS, FEW, MANY = 300, 2, 20


def world(seed: int) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Make answers, the factor of each user, and the true mean weight of the first attribute.

    Half of the users were asked 20 pairs and half 2, by a score that the factor is part of.
    """
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=USERS)
    factor = (factor - factor.mean()) / factor.std()
    with_shown, slope = rng.uniform(0.2, 0.95), rng.uniform(-1.2, 1.2)
    score = with_shown * factor + np.sqrt(1.0 - with_shown**2) * rng.normal(size=USERS)
    count = np.where(score > np.median(score), MANY, FEW)
    mean = rng.normal(scale=0.3, size=2)
    weights = mean + 0.7 * rng.normal(size=(USERS, 2))
    weights[:, 0] += slope * factor
    who = np.repeat(np.arange(USERS), count)
    difference = rng.normal(size=(len(who), 2))
    chance = 1.0 / (1.0 + np.exp(-(difference * weights[who]).sum(axis=1)))
    frame = pd.DataFrame(difference, columns=["a", "b"]).assign(
        who=who, chosen=(rng.random(len(who)) < chance).astype(int)
    )
    return frame, pd.DataFrame({"who": np.arange(USERS), "factor": factor}), weights[:, 0].mean()


def compared(seed: int) -> dict[str, float]:
    """Return what the factor did to the average weight, and what it was said to do."""
    frame, factor, truth = world(seed)
    roles = {"user": "who", "choice": "chosen", "difference": ["a", "b"]}
    hidden = bp.Comparisons.from_frame(frame, **roles)
    known = bp.Comparisons.from_frame(frame, **roles, covariates=factor)
    without, beside = (bp.fit(bp.HierarchicalReward(), data, ENGINE) for data in (hidden, known))
    first, second = (
        fitted.weights("average").set_index("feature").loc["a", ["mean", "lower", "upper"]]
        for fitted in (without, beside)
    )
    strength = hidden_factor(beside, np.eye(2))
    product = float(np.sqrt(strength.shown[0, 0] * strength.preference[0, 0]))
    said = product * float(hidden_factor(without, np.eye(2)).largest[0])
    margin = max(first["lower"], -first["upper"], 0.0)
    towards = np.sign(first["mean"])
    end = "lower" if towards > 0 else "upper"
    return {
        "moved": abs(first["mean"] - second["mean"]),
        "said": said,
        "error without": abs(first["mean"] - truth),
        "error with": abs(second["mean"] - truth),
        "held": float(margin > 0.0),
        # A factor that adds to the other side does not turn anything, however strong.
        "towards zero": float(towards * (first["mean"] - second["mean"]) > 0),
        "said to turn": float(said > margin),
        "turned": float(towards * second[end] < 0.0),
    }


def main(arguments: list[str] | None = None) -> None:
    """Run the worlds that are asked for and print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--replications", type=int, default=40)
    count = parser.parse_args(arguments).replications
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)  # short chains on purpose
        found = pd.DataFrame([compared(seed) for seed in range(count)])
    moved, said = found["moved"].to_numpy(), found["said"].to_numpy()
    slope = (moved @ said) / (said @ said)
    error = np.sqrt(np.sum((moved - slope * said) ** 2) / max(count - 1, 1) / (said @ said))
    print(f"{count} worlds; bias on what is said of it: slope {slope:.2f} +- {error:.2f}, ", end="")
    print(f"correlation {np.corrcoef(moved, said)[0, 1]:.2f}")
    errors = found[["error without", "error with"]].pow(2).mean().pow(0.5)
    print(f"RMSE without the factor {errors.iloc[0]:.3f}, with it {errors.iloc[1]:.3f}")
    at_stake = found[(found["held"] == 1) & (found["towards zero"] == 1)]
    agree = (at_stake["said to turn"] == at_stake["turned"]).mean()
    print(f"{len(at_stake)} conclusions at stake: turned or not as was said, {agree:.2f}")
    print(pd.crosstab(at_stake["said to turn"], at_stake["turned"]))


if __name__ == "__main__":
    main()
