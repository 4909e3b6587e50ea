"""Effective draws per second of every run, as a table in Markdown and CSV and as a picture."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot
from numpy.typing import NDArray

from bayes_pref.convergence.statistics import chain_statistics

# The tests' Monte Carlo errors: one definition of agreement for both.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from monte_carlo import chi_square, z_scores

Arrays = dict[str, NDArray]

REFERENCE, PEER = "Gibbs", "NumPyro"
NOTES = """
`seconds`: from data in memory to draws in memory, median over runs: building the model, compiling,
warm-up and sampling; imports and convergence checks are not counted. `min ESS`: smallest bulk
effective sample size of mu, tau and the choice model's parameters; `median ESS`: over these and the
weights of ten users. `ratio`: median over runs of min ESS per second divided by NumPyro's in the
same run (its first, where it ran once). All runs pooled, compared with Gibbs: `sds`, the largest
disagreement of a posterior sd, in per cent; `largest z`, the largest difference of means in Monte
Carlo standard errors; `mu, tau`, the p-value of equal means of mu, tau and the choice model's
parameters, by the chi-square test along principal axes. "first fit": with nothing compiled on disk.
SVI is an approximation: its draws are independent, so their number says nothing of its error.
"""


@dataclass(frozen=True)
class Run:
    """A run of an engine: its lengths, and what it left or why it left nothing."""

    engine: str
    warmup: int
    draws: int
    found: Arrays | None
    why: str


POPULATION = ("mu", "tau", "tie", "cutpoints")


def flat(found: Arrays, names: tuple[str, ...] = (*POPULATION, "weights")) -> NDArray:
    """Draws (chain, draw, parameter): the population's, then the chosen users' weights."""
    there = [found[name] for name in names if name in found]
    return np.concatenate([draws.reshape(*draws.shape[:2], -1) for draws in there], axis=2)


def per_run(runs: list[Run]) -> pd.DataFrame:
    """One row a run: seconds, min and median ESS, R-hat."""
    rows = []
    for number, run in enumerate(runs):
        row = {"engine": run.engine, "warmup": run.warmup, "draws": run.draws, "failed": run.why}
        if run.found is not None:
            statistics = chain_statistics(flat(run.found))
            least = statistics.ess_bulk[: flat(run.found, POPULATION).shape[2]].min()
            seconds = float(run.found["seconds"])
            row |= {
                "seconds": seconds,
                "min_ess": least,
                "median_ess": np.median(statistics.ess_bulk),
                "max_rhat": statistics.rhat.max(),
                "min_per_second": least / seconds,
                "median_per_second": np.median(statistics.ess_bulk) / seconds,
            }
        rows.append(row | {"order": number})
    table = pd.DataFrame(rows)
    table["run"] = table.groupby("engine").cumcount() + 1
    if PEER in set(table["engine"]) and "min_per_second" in table:
        peer = table[table["engine"] == PEER].set_index("run")["min_per_second"]
        table["ratio"] = table["min_per_second"] / table["run"].map(peer).fillna(peer.iloc[0])
    return table


def agreement(runs: list[Run], reference: NDArray, size: int) -> dict[str, object]:
    """How an engine's pooled draws compare with the reference's.

    `size` counts the parameters of the population, which come first.
    """
    own = [flat(run.found) for run in runs if run.found is not None]
    if not own:
        return {}
    draws = np.concatenate([np.concatenate(list(part), axis=0) for part in own])
    sds = draws.std(axis=0) / reference.reshape(-1, reference.shape[2]).std(axis=0)
    chains = np.concatenate(own) if len({part.shape for part in own}) == 1 else own[0]
    few = np.s_[:, :, :size]
    return {
        "sds": 100 * np.abs(sds - 1).max(),
        "sds_median": 100 * np.median(np.abs(sds - 1)),
        "largest_z": z_scores(chains, reference).max(),
        "p_mu_tau": chi_square(chains[few], reference[few]),
    }


def summarise(runs: list[Run], table: pd.DataFrame) -> pd.DataFrame:
    """One row an engine: medians over its runs, and its agreement with the reference."""
    numbers = [name for name in table.columns if name not in ("engine", "failed", "run", "order")]
    summary = table.groupby("engine", sort=False)[numbers].median()
    summary.insert(0, "runs", table.groupby("engine", sort=False).size())
    best = [run for run in runs if run.engine == REFERENCE and run.found is not None]
    if best:
        reference = np.concatenate([flat(run.found) for run in best])
        size = flat(best[0].found, POPULATION).shape[2]
        compared = {}
        for engine in summary.index:
            if not engine.startswith(REFERENCE):
                mine = [run for run in runs if run.engine == engine]
                compared[engine] = agreement(mine, reference, size)
        summary = summary.join(pd.DataFrame.from_dict(compared, orient="index"))
    summary["failed"] = table.groupby("engine", sort=False)["failed"].agg(
        lambda why: "; ".join(sorted({text for text in why if text}))
    )
    return summary


def as_markdown(summary: pd.DataFrame) -> str:
    """The summary as a table that people read."""
    columns = {
        "runs": ("runs", "{:.0f}"),
        "warmup": ("warm-up", "{:.0f}"),
        "draws": ("draws a chain", "{:.0f}"),
        "seconds": ("seconds", "{:.1f}"),
        "min_ess": ("min ESS", "{:.0f}"),
        "median_ess": ("median ESS", "{:.0f}"),
        "min_per_second": ("min ESS / s", "{:.3g}"),
        "median_per_second": ("median ESS / s", "{:.3g}"),
        "ratio": ("ratio", "{:.3g}"),
        "max_rhat": ("max R-hat", "{:.3f}"),
        "sds": ("sds, %", "{:.1f}"),
        "largest_z": ("largest z", "{:.1f}"),
        "p_mu_tau": ("mu, tau: p", "{:.2g}"),
    }
    shown = {key: value for key, value in columns.items() if key in summary}
    lines = ["| engine | " + " | ".join(name for name, _ in shown.values()) + " |"]
    lines.append("|---" * (len(shown) + 1) + "|")
    for engine, row in summary.iterrows():
        cells = [
            pattern.format(row[key]) if pd.notna(row[key]) else ""
            for key, (_, pattern) in shown.items()
        ]
        lines.append(f"| {engine} | " + " | ".join(cells) + " |")
    failed = [f"- {engine}: {why}" for engine, why in summary["failed"].items() if why]
    return "\n".join([*lines, *(["", *failed] if failed else [])])


def draw(summary: pd.DataFrame, path: Path, title: str) -> None:
    """Draw min and median ESS per second of every engine, on a logarithmic axis."""
    known = summary.dropna(subset=["min_per_second"])[::-1]
    figure, ax = pyplot.subplots(figsize=(6.4, 0.42 * len(known) + 1.4), layout="constrained")
    places = np.arange(len(known))
    low, high = known["min_per_second"], known["median_per_second"]
    ax.hlines(places, low, high, color="#BCC5CE", linewidth=3)
    ax.plot(low, places, "o", color="#0072B2", label="slowest parameter")
    ax.plot(high, places, "o", color="#5F6B76", markersize=4, label="median parameter")
    if "ratio" in known:
        for place, value, ratio in zip(places, low, known["ratio"], strict=True):
            ax.annotate(f"{ratio:.3g} x", (value, place), (0, 6), textcoords="offset points",
                        ha="center", fontsize=8)  # fmt: skip
    ax.set_yticks(places, known.index)
    ax.set_ylim(-0.6, len(known) - 0.3)
    ax.set_xscale("log")
    ax.set_xlabel("effective draws per second, everything counted")
    ax.set_title(title, fontsize=9.5, loc="left")
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8.5)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def report(runs: list[Run], args: argparse.Namespace, command: str) -> None:
    """Write the table and the picture, and print the table."""
    table = per_run(runs)
    if "min_per_second" not in table:
        sys.exit("no engine came to its end: " + "; ".join(table["failed"]))
    summary = summarise(runs, table)
    args.out.mkdir(parents=True, exist_ok=True)
    stem = args.out / f"{args.data}-{args.covariance}{'-quick' if args.quick else ''}"
    table.drop(columns="order").to_csv(stem.with_suffix(".csv"), index=False)
    title = f"{args.data}, {args.covariance} covariance: 2 chains on 2 cores"
    machine = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python "
    machine += platform.python_version()
    text = f"## {title}\n\n`{command}` ({machine})\n\n{as_markdown(summary)}\n{NOTES}"
    stem.with_suffix(".md").write_text(text, encoding="utf-8")
    draw(summary, stem.with_suffix(".png"), title)
    print(f"\n{text}\n{stem}.md, .csv, .png")
