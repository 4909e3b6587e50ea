"""The paper's sweep over rho: four models told the objective, on pairs of both kinds."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

import bayes_pref as bp
from confounding_study.data import Allocation, Judged, load, reduced

Array = NDArray[np.float64]

RHOS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_RIDGE = 0.1  # prior variance of a weight, log-odds per sd of a component
_TRAINING = bp.SVI(steps=300, learning_rate=0.02, window=25, progress=False)
_HEADS = bp.Gibbs(draws=200, warmup=100, chains=1, progress=False)
_NETWORK = {"size": 8, "hidden": 32, "network_sd": 0.5}
MODELS: dict[str, bp.RepresentationReward | None] = {
    "Base": bp.RepresentationReward(heads="joined", **_NETWORK),
    "Multihead": bp.RepresentationReward(**_NETWORK),
    "Adversarial": bp.RepresentationReward(balance=1.0, **_NETWORK),
    "Linear": None,
}
# Of inconsistent and of consistent pairs, in per cent, as far as the paper's text gives them.
PAPER = {
    ("Base", "inconsistent"): (60.0, 59.6, 58.4, 56.7, 55.9, 54.9),
    ("Multihead", "inconsistent"): (62.9, 62.4, 60.6, 58.6, 56.3, 53.8),
    ("Adversarial", "inconsistent"): (63.7, 63.0, 62.3, 61.3, 58.9, 53.5),
    ("Base", "consistent"): (60.9, None, None, None, None, 64.1),
    ("Multihead", "consistent"): (66.0, None, None, None, None, 67.9),
    ("Adversarial", "consistent"): (66.3, None, None, None, None, 68.4),
}


class Task(NamedTuple):
    """One split of the data: every rho and model, on the same held-out pairs."""

    seed: int


@dataclass(frozen=True, eq=False)
class Outcome:
    """Accuracies, one row a rho, model and kind of pair, and how long they took."""

    records: list[dict[str, object]]
    seconds: float


def run(task: Task) -> Outcome:
    """Fit every model at every rho to one split."""
    start, judged = time.process_time(), load()
    allocation = Allocation.draw(judged, np.random.default_rng([task.seed, 2]))
    records: list[dict[str, object]] = []
    for rho in RHOS:
        training = allocation.training(rho)
        pairs = reduced(judged, training)
        for name, model in MODELS.items():
            eta = _linear(pairs, training) if model is None else _fit(model, pairs, training, task)
            records += [
                {"seed": task.seed, "rho": rho, "model": name, "pairs": kind, "accuracy": share}
                for kind, share in _accuracies(judged, allocation, eta).items()
            ]
    return Outcome(records, time.process_time() - start)


def _fit(
    model: bp.RepresentationReward, pairs: bp.Comparisons, training: Array, task: Task
) -> Array:
    """Posterior mean log-odds of every pair."""
    with warnings.catch_warnings():
        # Means of heads are all that is asked here, of which short chains know enough.
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        on_z = _TRAINING.train(model, pairs.take(training), seed=task.seed)
        posterior = bp.fit(model, on_z, _HEADS, seed=task.seed)
    if on_z.representation is None:
        raise TypeError("training returned no representation")
    everything = model.represented(pairs, on_z.representation)
    means = posterior.weights_draws().mean(["chain", "draw"])
    weights = means.sel(user=everything.users[everything.user]).to_numpy()
    return np.asarray((everything.difference * weights).sum(axis=1))


def _linear(pairs: bp.Comparisons, training: Array) -> Array:
    """Log-odds of every pair from a ridge logit for each objective."""
    scaled = pairs.difference / pairs.take(training).feature_scale
    eta = np.empty(len(pairs))
    for code in range(pairs.n_users):
        mine = pairs.user == code
        rows = training[mine[training]]
        head = LogisticRegression(C=_RIDGE, fit_intercept=False)
        head.fit(scaled[rows], pairs.choice[rows])
        eta[mine] = scaled[mine] @ head.coef_[0]
    return eta


def _accuracies(judged: Judged, allocation: Allocation, eta: Array) -> dict[str, float]:
    right = (eta > 0) == (judged.comparisons.choice == 1)
    found = {}
    for kind, consistent in (("consistent", True), ("inconsistent", False)):
        rows = [held for (_, same), held in allocation.held.items() if same == consistent]
        found[kind] = float(right[np.concatenate(rows)].mean())
    return found


def table(records: pd.DataFrame) -> pd.DataFrame:
    """Accuracy in per cent with its standard error over splits, beside the paper's."""
    cells = records.groupby(["pairs", "model", "rho"], sort=False)["accuracy"]
    text = cells.agg(lambda a: f"{100 * a.mean():.1f} ± {100 * a.sem():.1f}")
    wide = text.unstack("rho")
    rows = []
    for (kind, model), row in wide.iterrows():
        rows.append([kind, model, "here", *row])
        paper = PAPER.get((model, kind))
        if paper:
            rows.append([kind, model, "paper", *("" if x is None else f"{x:.1f}" for x in paper)])
    return pd.DataFrame(rows, columns=["pairs", "model", "from", *(f"{rho:.1f}" for rho in RHOS)])


def contrasts(records: pd.DataFrame) -> pd.DataFrame:
    """Differences in points between cells of the same splits, with their standard errors."""
    wide = records.pivot(index="seed", columns=["model", "pairs", "rho"], values="accuracy")
    asked = {
        "Multihead, inconsistent, rho 1 - .5": (
            ("Multihead", "inconsistent", 1.0),
            ("Multihead", "inconsistent", 0.5),
        ),
        "Multihead, consistent, rho 1 - .5": (
            ("Multihead", "consistent", 1.0),
            ("Multihead", "consistent", 0.5),
        ),
    }
    for kind in ("inconsistent", "consistent"):
        asked[f"Multihead - Base, {kind}, rho .5"] = (
            ("Multihead", kind, 0.5),
            ("Base", kind, 0.5),
        )
    for rho in RHOS:
        asked[f"Adversarial - Multihead, inconsistent, rho {rho:.1f}"] = (
            ("Adversarial", "inconsistent", rho),
            ("Multihead", "inconsistent", rho),
        )
    rows = []
    for name, (one, other) in asked.items():
        points = 100.0 * (wide[one] - wide[other])
        rows.append([name, points.mean(), points.sem()])
    return pd.DataFrame(rows, columns=["difference in points", "mean", "se"])


def report(records: pd.DataFrame) -> str:
    """Tables of accuracies and of their differences, in Markdown."""
    parts = [
        "## Accuracy in per cent, mean and standard error over splits",
        _markdown(table(records)),
    ]
    if len(set(records["seed"])) > 1:
        parts += ["## Differences within splits", _markdown(contrasts(records).round(2))]
    return "\n\n".join(parts) + "\n"


def _markdown(frame: pd.DataFrame) -> str:
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in frame.itertuples(index=False)]
    head = "| " + " | ".join(frame.columns) + " |"
    return "\n".join([head, "|" + " --- |" * len(frame.columns), *lines])
