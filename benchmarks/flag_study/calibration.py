"""Of the comparisons said to be confounded with probability p, how many are."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flag_study import worlds
from flag_study.metrics import clustered_share
from flag_study.rivals import MATERIAL


def table(bins: pd.DataFrame) -> pd.DataFrame:
    """Return a row a bin: n, said (mean probability), confounded (share) and its error.

    Comparisons of one data set share a fit, so the error is that of a ratio of sums over data
    sets; the known blind spots are left out, since nothing is claimed of them.

    Parameters
    ----------
    bins
        world, replication, bin, n, said, confounded: a row a bin and data set.
    """
    claimed = bins[bins["world"].map(lambda name: worlds.WORLDS[name].kind != "blind")]
    data_sets = len(claimed[["world", "replication"]].drop_duplicates())
    rows = []
    for number, part in claimed.groupby("bin"):
        n = part["n"].to_numpy(dtype=float)
        hits = part["confounded"].to_numpy(dtype=float)
        share, error = clustered_share(hits, n)
        rows.append(
            {
                "bin": number,
                "n": int(n.sum()),
                "data sets": len(part),
                "said": part["said"].sum() / n.sum(),
                "confounded": share,
                "se": error,
            }
        )
    found = pd.DataFrame(rows).set_index("bin")
    found.attrs["data sets"] = data_sets
    return found


def draw(bins: pd.DataFrame) -> Figure:
    """Draw the table: shares with two standard errors, above how many comparisons each stands on.

    Parameters
    ----------
    bins
        As for `table`.
    """
    found = table(bins)
    figure = Figure(figsize=(5.2, 5.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    _shares(above, found)
    below.bar(found["said"], found["n"], width=0.03, color="0.6")
    below.set_yscale("log")
    below.set_ylabel("comparisons")
    below.set_xlabel(f"P(|shift| > {MATERIAL:g} | data), as reported")
    runs = found.attrs["data sets"]
    above.set_title(
        f"{found['n'].sum():,} comparisons of {runs} simulated data sets", fontsize="medium"
    )
    return figure


def _shares(axes: Axes, found: pd.DataFrame) -> None:
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, zorder=0)
    axes.annotate(
        "said = true", (0.06, 0.06), color="0.5", xytext=(8, -4), textcoords="offset points"
    )
    axes.errorbar(
        found["said"],
        found["confounded"],
        yerr=2 * found["se"],
        fmt="o-",
        color="C0",
        capsize=2,
        linewidth=1,
        markersize=5,
    )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_ylabel(f"share of them with a true |shift| > {MATERIAL:g}\n(bars: 2 standard errors)")
