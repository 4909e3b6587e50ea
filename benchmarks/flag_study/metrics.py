"""From the verdicts on one data set to figures, and from many data sets to a table with targets.

A record is one figure of one method on one data set; a figure's mean over replications has the
standard error of that mean, since the comparisons of one data set share their errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from bayes_pref.diagnostics.false_discoveries import expected_fdr, largest_set
from flag_study.rivals import CERTAIN, LEVEL, MATERIAL, Answer
from flag_study.truth import Array
from flag_study.worlds import Confounded

OURS = "coupled"
LOOSER = 0.9  # probability that a rule might ask for instead
RATES = (0.05, 0.1)  # expected false discovery rates that a rule might ask for instead
# Sizes of true shifts that sensitivity is split by.
SIZES = ((MATERIAL, 0.05), (0.05, 0.08), (0.08, 1.0))
# Edges of the bins of P(|delta| > .03): the outer ones are where decisions are made.
EDGES = np.array([0.0, 0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95, 1.0])


def auroc(score: Array, positive: Array) -> float:
    """Probability that a positive has the higher score, ties counted half; nan if none differ."""
    ranks, hits = stats.rankdata(score), int(positive.sum())
    misses = len(score) - hits
    if not hits or not misses:
        return float("nan")
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


def share(hit: Array, among: Array) -> float:
    """Share of hits among some rows; nan if there are none."""
    return float(hit[among].mean()) if among.any() else float("nan")


def rms(error: Array) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(error**2)))


def figures(world: Confounded, answer: Answer) -> dict[str, float]:
    """Return every figure that an answer allows, by name."""
    positive = np.abs(world.shift) > MATERIAL
    found = {"p_do rmse": rms(answer.p_do - world.p_do)}
    if answer.p_do_sd is not None:
        found["p_do sd"] = rms(answer.p_do_sd)
    if answer.p_value is not None:
        found["rejected"] = float(answer.p_value <= LEVEL)
    if answer.p_confounded is not None:
        flagged = answer.p_confounded > CERTAIN if answer.flagged is None else answer.flagged
        found |= {
            "auroc": auroc(answer.p_confounded, positive),
            "sensitivity": share(flagged, positive),
            "false flags": share(flagged, ~positive),
            "any flag": float(flagged.any()),
        }
        found |= _by_size(world, flagged) | _looser(world, answer)
        found |= _discoveries(answer.p_confounded, flagged, positive, "")
        if answer.p_value is not None:
            for rate in RATES:
                called = largest_set(answer.p_confounded, rate) & (answer.p_value <= LEVEL)
                found |= _discoveries(answer.p_confounded, called, positive, f" within {rate:g}")
                found[f"sensitivity within {rate:g}"] = share(called, positive)
    if answer.shift is not None:
        lower, value, upper = answer.shift
        inside = (lower <= world.shift) & (world.shift <= upper)
        found |= {"shift rmse": rms(value - world.shift), "coverage": float(inside.mean())}
    effect, coupling = world.context_effect, world.coupling
    if answer.context_effect is not None and effect.any() and coupling.any():
        # A share of the coupling that is taken for an effect of the context. Pooled effects are
        # also too small, but over worlds that is unrelated to the coupling and averages out.
        found["leaked"] = float((answer.context_effect - effect) @ coupling / (coupling @ coupling))
    return found


def _discoveries(p: Array, called: Array, positive: Array, rule: str) -> dict[str, float]:
    """Share of false ones among those called, and what is expected of it; nothing of none."""
    rate = expected_fdr(p, called)
    if rate is None:
        return {}
    return {
        f"false discoveries{rule}": share(~positive, called),
        f"false discoveries{rule}, expected": rate,
    }


def _by_size(world: Confounded, flagged: Array) -> dict[str, float]:
    """Sensitivity by the size of the true shift."""
    size = np.abs(world.shift)
    return {
        f"sensitivity {low:g} to {high:g}": share(flagged, (low < size) & (size <= high))
        for low, high in SIZES
    }


def _looser(world: Confounded, answer: Answer) -> dict[str, float]:
    """What a rule with a lower probability and the same permutation test would reach."""
    if answer.p_confounded is None or answer.flagged is None or answer.p_value is None:
        return {}
    flagged = (answer.p_confounded > LOOSER) & (answer.p_value <= LEVEL)
    positive = np.abs(world.shift) > MATERIAL
    return {
        f"sensitivity at {LOOSER:g}": share(flagged, positive),
        f"false flags at {LOOSER:g}": share(flagged, ~positive),
    }


def clustered_share(hits: Array, sizes: Array) -> tuple[float, float]:
    """Share of hits over data sets of these sizes, and its standard error.

    A ratio of sums over data sets, whose comparisons are not independent; its error is that of
    the residuals hits - share * size, and never below the binomial error.
    """
    total = sizes.sum()
    found = hits.sum() / total
    sets = len(sizes)
    # One hit and one miss more, so that none of n is not taken for an error of 0.
    floor = np.sqrt((hits.sum() + 1) * (total - hits.sum() + 1) / (total + 2) ** 3)
    if sets < 2:
        return float(found), float(floor)
    residual = hits - found * sizes
    error = np.sqrt(np.sum(residual**2) * sets / (sets - 1)) / total
    return float(found), float(max(error, floor))


def reliability(world: Confounded, answer: Answer) -> list[dict[str, float]]:
    """Count comparisons, and confounded ones, in bins of the probability of being confounded."""
    assert answer.p_confounded is not None
    assert answer.p_value is not None
    probability, gate = answer.p_confounded, float(answer.p_value <= LEVEL)
    positive = np.abs(world.shift) > MATERIAL
    place = np.digitize(probability, EDGES[1:-1], right=True)
    return [
        {
            "bin": number,
            "gate": gate,
            "n": int((place == number).sum()),
            "said": float(probability[place == number].sum()),
            "confounded": int(positive[place == number].sum()),
        }
        for number in range(len(EDGES) - 1)
        if (place == number).any()
    ]


@dataclass(frozen=True)
class Target:
    """A bound on a figure.

    Attributes
    ----------
    world, figure
        Where it is read.
    least, most
        What it must lie between.
    allowed
        Standard errors by which it may lie outside.
    """

    world: str
    figure: str
    least: float = -np.inf
    most: float = np.inf
    allowed: float = 2.0

    def __str__(self) -> str:
        """As the table prints it."""
        if self.most == np.inf:
            return f">= {self.least:.3g}"
        least = "" if self.least == -np.inf else f"{self.least:.3g} to "
        return f"{least or '<= '}{self.most:.3g}"

    def met(self, mean: float, error: float) -> bool:
        """Whether the mean lies within bounds, or no further out than is allowed."""
        slack = self.allowed * error
        return bool(self.least <= mean + slack and mean - slack <= self.most)


def averages(records: pd.DataFrame) -> pd.DataFrame:
    """Mean, standard error and number of replications of each figure of each method and world."""
    keys = ["world", "method", "figure"]
    grouped = records.dropna(subset="value").groupby(keys, sort=False)["value"]
    table = grouped.agg(["mean", "sem", "count"]).rename(columns={"sem": "se", "count": "runs"})
    return table.reset_index()


def verdicts(means: pd.DataFrame, targets: list[Target]) -> pd.DataFrame:
    """Put what was measured beside the targets; those of worlds that were not run are left out."""
    ours = means[means["method"] == OURS].set_index(["world", "figure"])
    rows = []
    for target in targets:
        if (target.world, target.figure) not in ours.index:
            continue
        found = ours.loc[(target.world, target.figure)]
        # A single replication has no standard error; its mean is then held to the bound itself.
        met = target.met(found["mean"], np.nan_to_num(found["se"]))
        rows.append(
            {
                "world": target.world,
                "figure": target.figure,
                "target": str(target),
                "measured": found["mean"],
                "se": found["se"],
                "runs": int(found["runs"]),
                "verdict": "ok" if met else "missed",
            }
        )
    return pd.DataFrame(rows)
