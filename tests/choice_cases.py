"""Choice models written a second time, in NumPy and SciPy, and small data for each of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from altered_engines import FromFunction
from cases import small_comparisons
from numpy.typing import NDArray
from scipy.special import expit, logit, logsumexp
from scipy.stats import norm

import bayes_pref as bp

Array = NDArray[np.float64]

LEVELS = ["far worse", "worse", "better", "far better"]
CHOICES: dict[str, bp.RewardModel] = {
    "ties": bp.PooledReward(),
    "lapse": bp.PooledReward(lapse=True),
    "probit": bp.PooledReward(link="probit"),
    "graded": bp.PooledReward(),
    "position": bp.PooledReward(position=True),
    "ties, lapse, position": bp.PooledReward(lapse=True, position=True),
}


def graded(comparisons: bp.Comparisons, seed: int = 5) -> bp.Comparisons:
    """The same pairs with answers on four levels."""
    frame = comparisons.to_frame()
    noise = np.random.default_rng(seed).logistic(size=len(frame))
    eta = frame["brief"] - 0.2 * frame["polite"] + noise
    frame["choice"] = np.array(LEVELS)[np.searchsorted([-1.5, -0.2, 1.0], eta)]
    return bp.Comparisons.from_frame(
        frame,
        user="person",
        choice="choice",
        difference=["brief", "polite"],
        context=["hard"],
        levels=LEVELS,
    )


def choice_comparisons(name: str, *, users: int = 6, each: int = 5) -> bp.Comparisons:
    comparisons = small_comparisons(users=users, each=each)
    if name == "graded":
        return graded(comparisons)
    if "ties" in name:
        tied = np.arange(len(comparisons)) % 4 == 1
        return replace(comparisons, choice=np.where(tied, 0.5, comparisons.choice))
    return comparisons


def outcome_probabilities(eta: Array, link: str, sites: dict[str, Array]) -> Array:
    """(outcome, ...) from right to left, by the textbook's formulas."""
    F = expit if link == "logit" else norm.cdf
    eta = eta + sites.get("position", 0.0)
    if "cutpoints" in sites:
        below = [F(cut - eta) for cut in np.moveaxis(sites["cutpoints"], -1, 0)]
        made = np.diff([np.zeros_like(eta), *below, np.ones_like(eta)], axis=0)
    elif "tie" in sites:
        odds = np.exp(eta)
        tie = np.exp(sites["tie"]) * np.sqrt(odds)
        made = np.array([np.ones_like(odds), tie, odds]) / (1 + odds + tie)
    else:
        made = np.array([F(-eta), F(eta)])
    lapse = sites.get("lapse", 0.0)
    return (1 - lapse) * made + lapse / len(made)


@dataclass(frozen=True, kw_only=True)
class Weighing(bp.Engine):
    """Draws from the prior, resampled by the likelihood: exact up to Monte Carlo error.

    The settings are wrong priors, for checks that must fail.
    """

    chains: int = 4
    candidates: int = 10_000
    tie_mean: float = -1.0
    lapse_mean: float = 0.05
    position_sd: float = 1.0
    steepness: float = 1.0

    def prepare(self, model: bp.RewardModel, comparisons: bp.Comparisons) -> bp.Program:
        if not isinstance(model, bp.PooledReward):
            raise bp.Unsupported("pooled models only")
        return FromFunction(lambda seed: self._draw(model, comparisons, seed))

    def _draw(self, model: bp.RewardModel, comparisons: bp.Comparisons, seed: int) -> bp.RawDraws:
        rng = np.random.default_rng(seed)
        count, names = self.candidates, model.variables(comparisons)
        sites = {"mu": rng.normal(0, 2, (count, 2)) / comparisons.feature_scale}
        if "position" in names:
            sites["position"] = rng.normal(0, self.position_sd, count)
        if "tie" in names:
            sites["tie"] = rng.normal(self.tie_mean, 1.5, count)
        if "lapse" in names:
            sites["lapse"] = rng.beta(20 * self.lapse_mean, 20 * (1 - self.lapse_mean), count)
        if "cutpoints" in names:
            shares = rng.dirichlet(np.ones(len(LEVELS)), count)
            below = shares[:, :-1].cumsum(axis=1)
            sites["cutpoints"] = (logit if model.link == "logit" else norm.ppf)(below)
        parameters = {name: value for name, value in sites.items() if name != "mu"}
        outcomes = {0.0: 0, 0.5: 1, 1.0: 2} if "tie" in names else None
        total = np.zeros(count)
        for row, choice in zip(comparisons.difference, comparisons.choice, strict=True):
            eta = self.steepness * sites["mu"] @ row
            chance = outcome_probabilities(eta, model.link, parameters)
            made = outcomes[choice] if outcomes else round(choice * (len(chance) - 1))
            total += np.log(np.maximum(chance[made], 1e-300))
        weight = np.exp(total - logsumexp(total))
        kept = rng.choice(count, self.chains * self.draws, p=weight)
        shape = (self.chains, self.draws)
        return bp.RawDraws({k: v[kept].reshape(*shape, *v.shape[1:]) for k, v in sites.items()}, {})


def items_frame(rows: list[tuple[str, str, int, int, int]]) -> pd.DataFrame:
    """Votes from a table of (left, right, left preferred, right preferred, ties)."""
    made = [
        {"judge": 0, "left": left, "right": right, "choice": choice}
        for left, right, *counts in rows
        for choice, count in zip((1.0, 0.0, 0.5), counts, strict=True)
        for _ in range(count)
    ]
    return pd.DataFrame(made)
