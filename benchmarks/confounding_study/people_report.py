"""Tables and pictures of people with hidden objectives, and which targets were met."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from confounding_study.people import INTERACTING, MODELS, ORACLE, TRUTH_ERROR
from confounding_study.sweep import _markdown


class Target(NamedTuple):
    """What a prototype reached: a figure of a model at a rho lies between two numbers."""

    model: str
    figure: str
    rho: float
    low: float
    high: float


_EVERY = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_STRONG = (0.8, 0.9, 1.0)
_GAIN = "hierarchical - pooled"
_OPEN = float("inf")
TARGETS = [
    Target(ORACLE, "cross-validated accuracy", 0.5, 0.60, _OPEN),
    *(Target(_GAIN, "consistent", rho, 0.02, _OPEN) for rho in _EVERY),
    *(Target(_GAIN, "inconsistent", rho, 0.0, _OPEN) for rho in _EVERY),
    *(Target("kinds by choices", "AUROC of the objective", rho, 0.80, _OPEN) for rho in _EVERY),
    *(Target("kinds by both", "AUROC of the objective", rho, 0.95, _OPEN) for rho in _STRONG),
    Target("coupled", "gate p < .01", 0.5, 0.0, 0.05),
    *(Target("coupled", "gate p < .01", rho, 1.0, _OPEN) for rho in _STRONG),
    Target("coupled", "flagged confounded", 0.5, 0.0, 0.001),
    Target("coupled", "flagged confounded", 0.8, 0.08, _OPEN),
    Target("coupled", "flagged confounded", 1.0, 0.15, _OPEN),
    *(Target("coupled", "precision", rho, 0.85, _OPEN) for rho in _STRONG),
    Target("kinds by both", "overlap, AUROC", 0.5, 0.0, 0.55),
    Target("kinds by both", "overlap, AUROC", 0.8, 0.70, _OPEN),
    Target("kinds by both", "overlap, AUROC", 0.9, 0.78, _OPEN),
    Target("kinds by both", "overlap, AUROC", 1.0, 0.80, _OPEN),
    Target("pooled", "leak", 1.0, 0.15, 0.35),
    Target(INTERACTING, "leak", 1.0, 0.15, 0.35),
    Target("coupled", "leak", 1.0, 0.0, 0.0),
]
_SHARES = ("accuracy", "consistent", "inconsistent", "expected accuracy")


def report(records: pd.DataFrame) -> str:
    """Targets first, then every figure by model and rho, in Markdown."""
    parts = ["## Targets, mean and standard error over draws", _markdown(targets(records))]
    shares = records["figure"].isin(_SHARES)
    for title, some in {
        "## Answers to held-out pairs, share right": records[shares],
        "## Mixture, flags and overlap": records[~shares],
    }.items():
        parts += [title, _markdown(table(some))]
    return "\n\n".join(parts) + "\n"


def table(records: pd.DataFrame) -> pd.DataFrame:
    """One row a figure and model, one column a rho: mean and standard error over draws."""
    cells = records.groupby(["figure", "model", "rho"], sort=False)["value"]
    wide = cells.agg(lambda values: _number(*_summary(values))).unstack("rho").fillna("")
    wide = wide[sorted(wide.columns)]
    wide.columns = [f"{rho:.1f}" for rho in wide.columns]
    return wide.reset_index()


def targets(records: pd.DataFrame) -> pd.DataFrame:
    """Compare with what was asked; a target is missed by more or by less than two errors.

    That of a leak has the error of the truth in it, which all draws share.
    """
    gains = [
        part.assign(model=_GAIN)
        for figure in ("consistent", "inconsistent")
        for part in [_differences(records, figure)]
    ]
    every = pd.concat([records, *gains])
    rows = []
    for target in TARGETS:
        mine = every[(every["model"] == target.model) & (every["figure"] == target.figure)]
        values = mine[np.isclose(mine["rho"], target.rho)]["value"]
        if not len(values):
            continue
        mean, error = _summary(values)
        if target.figure == "leak":
            of_truth = every[(every["model"] == target.model) & (every["figure"] == TRUTH_ERROR)]
            error = float(np.hypot(error, of_truth["value"].mean() if len(of_truth) else 0.0))
        off = max(target.low - mean, mean - target.high, 0.0)
        verdict = "met" if off == 0 else "within error" if off <= 2 * error else "missed"
        rows.append(
            [
                *(target.figure, target.model, f"{target.rho:.1f}", _asked(target)),
                *(_number(mean, error), str(len(values)), verdict),
            ]
        )
    return pd.DataFrame(
        rows, columns=["figure", "model", "rho", "target", "measured", "draws", "verdict"]
    )


def _differences(records: pd.DataFrame, figure: str) -> pd.DataFrame:
    """Of the hierarchical and the pooled model on the same draws."""
    of = records[records["figure"] == figure].set_index(["seed", "rho", "model"])["value"]
    wide = of.unstack("model")
    gain = (wide["hierarchical"] - wide["pooled"]).rename("value").reset_index()
    return gain.assign(figure=figure)


def _summary(values: pd.Series[float]) -> tuple[float, float]:
    return float(values.mean()), float(values.sem()) if len(values) > 1 else float("nan")


def _number(mean: float, error: float) -> str:
    return f"{mean:.3f}" + ("" if np.isnan(error) else f" ± {error:.3f}")


def _asked(target: Target) -> str:
    if target.low == target.high:
        return f"{target.low:g}"
    if target.high == _OPEN:
        return f">= {target.low:g}"
    return f"<= {target.high:g}" if target.low == 0 else f"{target.low:g} to {target.high:g}"


_COLORS = {
    "pooled": "#5F6B76",
    "hierarchical": "#0072B2",
    "coupled": "#D55E00",
    "kinds by choices": "#56B4E9",
    "kinds by both": "#009E73",
    ORACLE: "#000000",
}


def picture(records: pd.DataFrame) -> Figure:
    """Four panels over rho: answers, the objective recovered, the flags, the overlap."""
    figure, axes = plt.subplots(2, 2, figsize=(9, 6.4), layout="constrained", sharex=True)
    for ax, figure_name, title in (
        (axes[0, 0], "consistent", "Held-out pairs of the type the user asks for"),
        (axes[0, 1], "inconsistent", "Held-out pairs of the other type"),
    ):
        for place, name in enumerate((*MODELS, ORACLE)):
            _line(ax, records, name, figure_name, name, beside=0.004 * (place - 2.5))
        ax.set(title=title, ylabel="share answered right", ylim=(0.48, 0.69))
    axes[0, 0].legend(frameon=False, fontsize=8, ncols=2, loc="upper left")
    for name in ("kinds by choices", "kinds by both"):
        _line(axes[1, 0], records, name, "AUROC of the objective", f"objective, {name}")
    _line(axes[1, 0], records, "kinds by both", "overlap, AUROC", "overlap", "#CC79A7")
    axes[1, 0].set(title="What was hidden", ylabel="AUROC", ylim=(0.45, 1.02))
    for name, color in {
        "gate p < .01": "#5F6B76",
        "precision": "#009E73",
        "truly confounded": "#000000",
        "flagged confounded": "#D55E00",
    }.items():
        _line(axes[1, 1], records, "coupled", name, name, color)
    axes[1, 1].set(title="Flags of the coupled model", ylabel="share", ylim=(-0.03, 1.03))
    for ax in axes[1]:
        ax.legend(frameon=False, fontsize=8)
        ax.set(xlabel="rho: share of prompts of the type that the user is after")
    return figure


def _line(
    ax: plt.Axes,
    records: pd.DataFrame,
    model: str,
    figure: str,
    label: str,
    color: str = "",
    *,
    beside: float = 0.0,
) -> None:
    """Draw means and standard errors, a little beside their rho where bars would cover others."""
    mine = records[(records["model"] == model) & (records["figure"] == figure)]
    cells = mine.groupby("rho")["value"]
    ax.errorbar(
        cells.mean().index + beside,
        cells.mean(),
        yerr=cells.sem().fillna(0.0),
        marker="o",
        ms=4,
        lw=1.3,
        capsize=2,
        color=color or _COLORS[model],
        label=label,
    )
