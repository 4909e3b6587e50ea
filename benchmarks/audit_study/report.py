"""Tables and a figure of what audits found."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import pyplot
from matplotlib.figure import Figure

from audit_study.broken import BROKEN

LEVEL, ANY, NAMED = 0.01, 0.05, 0.9


def failures(records: pd.DataFrame) -> list[str]:
    """Say which targets are missed beyond twice the standard error."""
    missed = []
    nulls = records[records["strength"] == 0]
    for name, rate, count in _alarm_rates(nulls):
        if rate - LEVEL > 2.0 * np.sqrt(LEVEL * (1 - LEVEL) / count):
            missed.append(f"{name}: false alarms {100 * rate:.1f} %")
    rate = float((nulls["failed"] != "").mean())
    if rate - ANY > 2.0 * np.sqrt(ANY * (1 - ANY) / len(nulls)):
        missed.append(f"any: false alarms {100 * rate:.1f} %")
    for each in BROKEN:
        strong = records[(records["world"] == each.name) & (records["level"] == 2)]
        share = float(strong["named"].astype(float).mean())
        if len(strong) and share < NAMED:
            missed.append(f"{each.name}: named in {100 * share:.0f} %")
    return missed


def _alarm_rates(nulls: pd.DataFrame) -> list[tuple[str, float, int]]:
    """Rate of false alarms of each check, where it could be made."""
    found = []
    for name in [column for column in nulls if column.startswith("check: ")]:
        made = nulls[name].dropna()
        if len(made):
            found.append((name.removeprefix("check: "), float(made.mean()), len(made)))
    return found


def text(records: pd.DataFrame) -> str:
    """Write the tables as Markdown."""
    nulls = records[records["strength"] == 0]
    lines = [
        "## Worlds that break one assumption",
        "",
        "| broken | assumption | weak | medium | strong | others named, strong |",
        "|---|---|---|---|---|---|",
    ]
    for each in BROKEN:
        own = records[records["world"] == each.name]
        cells = []
        for level, strength in enumerate(each.strengths):
            named = own.loc[own["level"] == level, "named"].astype(float)
            cells.append(f"{100 * named.mean():.0f} % ({strength:g})" if len(named) else "-")
        strong = own[own["level"] == 2]
        others = int(strong["others"].astype(bool).sum())
        lines.append(
            f"| {each.name}, {each.unit} | {each.assumption} | {' | '.join(cells)} "
            f"| {others} of {len(strong)} |"
        )
    lines += [
        "", "## Worlds that break none", "",
        "| check | false alarms | worlds |", "|---|---|---|",
    ]  # fmt: skip
    lines += [
        f"| {name} | {100 * rate:.1f} ± {100 * _error(rate, n):.1f} % "
        f"| {n} |"
        for name, rate, n in _alarm_rates(nulls)
    ]  # fmt: skip
    rate = float((nulls["failed"] != "").mean())
    error = _error(rate, len(nulls))
    lines.append(f"| **any** | **{100 * rate:.1f} ± {100 * error:.1f} %** | {len(nulls)} |")
    return "\n".join(lines) + "\n"


def _error(rate: float, count: int) -> float:
    """Standard error of a rate, that of half the level where none was seen."""
    return float(np.sqrt(max(rate * (1.0 - rate), LEVEL / 2) / count))


def picture(records: pd.DataFrame) -> Figure:
    """Draw the share of worlds in which the right assumption is named, over strength."""
    columns = 5
    rows = -(-len(BROKEN) // columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(11.5, 2.15 * rows), layout="constrained", sharey=True
    )
    alarm = float((records.loc[records["strength"] == 0, "failed"] != "").mean())
    for ax, each in zip(axes.ravel(), BROKEN, strict=False):
        own = records[records["world"] == each.name]
        named = own["named"].astype(float)
        shares = [alarm, *(named[own["level"] == k].mean() for k in range(3))]
        ax.plot([0, 1, 2, 3], shares, "o-", color="#0072B2", markersize=4)
        ax.axhline(NAMED, color="#5F6B76", linewidth=0.8, linestyle="--")
        ax.set_xticks([0, 1, 2, 3], ["0", *(f"{strength:g}" for strength in each.strengths)])
        ax.set_title(f"{each.name}\n({each.assumption})", fontsize=8.5, loc="left")
        ax.set_xlabel(each.unit, fontsize=8)
        ax.set_ylim(-0.03, 1.05)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes.ravel()[len(BROKEN) :]:
        ax.set_axis_off()
    figure.supylabel("share of worlds in which it is named", fontsize=9)
    return figure
