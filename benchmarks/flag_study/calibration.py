"""Of the comparisons said to be confounded with probability p, how many are."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flag_study import worlds
from flag_study.metrics import clustered_share
from flag_study.rivals import MATERIAL

_BLIND = [name for name, setting in worlds.WORLDS.items() if setting.kind == "blind"]


def table(bins: pd.DataFrame, *, gate: bool = False) -> pd.DataFrame:
    """Return a row a bin: n, said (mean probability), confounded (share) and its error.

    Comparisons of one data set share a fit, so the error is that of a ratio of sums over data
    sets; the known blind spots are left out, since nothing is claimed of them.

    Parameters
    ----------
    bins
        world, replication, bin, gate, n, said, confounded: a row a bin and data set.
    gate
        Whether to take only the data sets in which the permutation test rejects, so that the
        report goes by these probabilities.
    """
    claimed = bins[~bins["world"].isin(_BLIND)]
    if gate:
        claimed = claimed[claimed["gate"] > 0]
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
    columns = ["bin", "n", "data sets", "said", "confounded", "se"]
    found = pd.DataFrame(rows, columns=columns).set_index("bin")
    found.attrs["data sets"] = len(claimed[["world", "replication"]].drop_duplicates())
    return found


def draw(bins: pd.DataFrame) -> Figure:
    """Draw the tables: shares with two standard errors, above how many comparisons they stand on.

    Parameters
    ----------
    bins
        As for `table`.
    """
    gated, everything = table(bins, gate=True), table(bins)
    figure = Figure(figsize=(5.4, 5.8), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    above.plot([0, 1], [0, 1], color="0.75", linewidth=1, zorder=0)
    above.annotate("as said", (0.34, 0.36), color="0.5", rotation=45, ha="right", fontsize="small")
    _shares(above, everything, "0.6", "all {} data sets, nulls among them")
    _shares(above, gated, "#0072B2", "the {} that the permutation test lets through")
    above.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    above.set_ylabel(f"share with a true |shift| > {MATERIAL:g}\n(bars: 2 standard errors)")
    above.legend(loc="upper left", frameon=False, fontsize="small")
    below.bar(gated["said"], gated["n"] / gated["n"].sum(), width=0.03, color="#0072B2")
    below.set_ylabel("share of\ncomparisons")
    below.set_xlabel(f"P(|shift| > {MATERIAL:g} | data), as reported")
    return figure


def _shares(axes: Axes, found: pd.DataFrame, color: str, what: str) -> None:
    axes.errorbar(
        found["said"],
        found["confounded"],
        yerr=2 * found["se"],
        fmt="o-",
        color=color,
        capsize=2,
        linewidth=1,
        markersize=4,
        label=what.format(found.attrs["data sets"]),
    )
