"""The tables that a run prints and keeps, in Markdown."""

from __future__ import annotations

import pandas as pd

from flag_study import calibration, worlds
from flag_study.choice_worlds import CHOICE_WORLDS
from flag_study.metrics import LOOSER, OURS, RATES, SIZES, averages, verdicts
from flag_study.reach import ALL_KNOWING, INFORMED
from flag_study.replicate import LONG_CHAINS
from flag_study.targets import Target

_FIGURES = {
    "auroc": "AUROC",
    "sensitivity": "sensitivity",
    "false flags": "false flags",
    "any flag": "data sets with a flag",
    "shift rmse": "RMSE of the shift",
    "coverage": "coverage",
    "p_do rmse": "RMSE of p_do",
}
_PRACTICE = {
    "rejected": "says so",
    "sensitivity": "sensitivity",
    "false flags": "false flags",
    "p_do rmse": "RMSE of p_do",
    "leaked": "leaked",
}
_BOUNDS = [LONG_CHAINS, INFORMED, ALL_KNOWING]
_REACHED = {
    "sensitivity": "sensitivity",
    "false flags": "false flags",
    "shift rmse": "RMSE of the shift",
    "coverage": "coverage",
    "p_do rmse": "RMSE of p_do",
    "p_do sd": "its posterior sd",
}
_FOUND = {f"sensitivity {low:g} to {high:g}": f"{low:g} to {high:g}" for low, high in SIZES} | {
    f"{figure} at {LOOSER:g}": f"{figure} at {LOOSER:g}"
    for figure in ("sensitivity", "false flags")
}
_DISCOVERED = {
    name: name
    for rule in ("", *(f" within {rate:g}" for rate in RATES))
    for name in (f"false discoveries{rule}", f"false discoveries{rule}, expected")
} | {f"sensitivity within {rate:g}": f"sensitivity within {rate:g}" for rate in RATES}


def markdown(records: pd.DataFrame, bins: pd.DataFrame, targets: list[Target]) -> tuple[str, int]:
    """Return every table (targets, worlds, practice, reach, calibration), and what was missed.

    Parameters
    ----------
    records, bins
        As in `replicate.Outcome`, a row each.
    targets
        What is asked of the figures.
    """
    means = averages(records)
    judged = verdicts(means, targets)
    missed = int((judged["verdict"] == "missed").sum())
    parts = ["## Targets", _table(_with_errors(judged))]
    claimed = means[means["world"].isin([*worlds.WORLDS, *CHOICE_WORLDS])]
    if len(claimed):
        parts += [
            "## The flags, world by world",
            _wide(claimed[claimed["method"] == OURS], ["world"], _FIGURES),
            "Of the comparisons called confounded, how many are not, by the rule and by the "
            "largest sets within an expected rate (`fdr=`):",
            _wide(claimed[claimed["method"] == OURS], ["world"], _DISCOVERED),
        ]
    if (claimed["method"] != OURS).any():
        parts += [
            "## Beside what people do today",
            "`says so`: share of data sets in which a test at 0.01 says that something is "
            "confounded; in the nulls its size, elsewhere its power. `leaked`: how much of the "
            "coupling is taken for an effect of the context (0 is right).",
            _wide(claimed[~claimed["method"].isin(_BOUNDS)], ["world", "method"], _PRACTICE),
        ]
    bounded = means[means["method"] == INFORMED]["world"]
    if len(bounded):
        parts += _reach(means[means["world"].isin(bounded)])
    if len(bins):
        parts += [
            "## Of the comparisons said to be confounded with probability p, how many are",
            "In the data sets that the permutation test lets through:",
            _table(_calibrated(bins, gate=True)),
            "In all data sets, nulls among them:",
            _table(_calibrated(bins, gate=False)),
        ]
    return "\n\n".join(parts) + "\n", missed


def _reach(means: pd.DataFrame) -> list[str]:
    """What longer chains and better informed analysts make of the same data sets."""
    means = means[means["method"].isin([OURS, *_BOUNDS])]
    return [
        "## What is within reach",
        "`informed`: knows all of the world but mean weights and coupling, and the scale of "
        "these. `all-knowing`: sees the weights of these users, besides.",
        _wide(means, ["world", "method"], _REACHED),
        "Sensitivity by the size of the true shift, and what the rule would reach if it asked "
        f"for a probability of {LOOSER:g}:",
        _wide(means, ["world", "method"], _FOUND),
    ]


def _calibrated(bins: pd.DataFrame, *, gate: bool) -> pd.DataFrame:
    found = calibration.table(bins, gate=gate).reset_index(drop=True)
    return _with_errors(found, "confounded")


def _wide(means: pd.DataFrame, keys: list[str], names: dict[str, str]) -> str:
    """A row for each world (and method), a column for each figure: mean +- standard error."""
    means = means[means["figure"].isin(names)]
    text = pd.Series(
        [_number(row.mean, row.se) for row in means[["mean", "se"]].itertuples(index=False)],
        index=pd.MultiIndex.from_frame(means[[*keys, "figure"]]),
    )
    wide = text.unstack("figure", sort=False, fill_value="")
    return _table(
        wide.reindex(columns=list(names), fill_value="").rename(columns=names).reset_index()
    )


def _number(mean: float, error: float) -> str:
    return f"{mean:.3f}" if pd.isna(error) else f"{mean:.3f} ± {error:.3f}"


def _with_errors(table: pd.DataFrame, column: str = "measured") -> pd.DataFrame:
    """Put the standard error behind the number that it belongs to."""
    text = [_number(mean, se) for mean, se in zip(table[column], table["se"], strict=True)]
    return table.assign(**{column: text}).drop(columns="se")


def _table(frame: pd.DataFrame) -> str:
    """Return a Markdown table, aligned so that it can be read as it stands."""
    cells = [list(frame.columns)] + [
        [f"{value:.3f}" if isinstance(value, float) else f"{value}" for value in row]
        for row in frame.itertuples(index=False)
    ]
    widths = [max(len(row[column]) for row in cells) for column in range(len(frame.columns))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
