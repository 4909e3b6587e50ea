"""What diagnosing a posterior found: verdicts, reasons, pictures, and a folder to hand on."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from bayes_pref.data.table import FloatArray
from bayes_pref.diagnostics.verdicts import MEANINGS
from bayes_pref.plots import report_panels as panels
from bayes_pref.posterior import Posterior
from bayes_pref.reporting.folder import OutputFolder
from bayes_pref.reporting.html import page

_EXAMPLES = 3  # sentences shown of each verdict


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """A verdict on every comparison, with the numbers that it stands on.

    Made by `bayes_pref.diagnose`.

    Attributes
    ----------
    comparisons
        One row a comparison: `row` (the caller's label), `user`; `mean`, `sd`, `lower`, `upper` of
        that user's reward difference (log-odds, left minus right); `p_do`, `p_obs` (probability
        that left is preferred by people in general, and by those who are shown such a pair),
        `shift` (their difference), `shift_lower`, `shift_upper`, `p_confounded` (probability that
        the shift matters); `prior_share` (share of the uncertainty that is the prior's), `reference_sd`
        (log-odds); `borrowed` (share of the pair that this user's own comparisons say nothing of);
        `overlap` (0 to 1); `verdict`; `sentence`. What could not be assessed is NaN, and `notes`
        say why.
    directions
        What the data never separate: one row for each direction and feature in it.
    users
        One row a user: how many comparisons, what share was `learned` of the user and what is
        `borrowed`, and how many comparisons got each verdict.
    notes
        What could not be assessed and why, and what was done to assess the rest.
    coupling
        How users' weights go with the contexts that they are shown: `feature`, `context`, `mean`,
        `sd`, `lower`, `upper`, log-odds per raw unit of the feature and sd of users' contexts.
    permutation_p
        p-value of the permutation test that preferences are unrelated to what users are shown;
        None where confounding could not be assessed.
    exposure_posterior
        The fit that confounding was assessed with; None where it could not be.
    spectrum
        (n_features,) share of the prior in each principal direction of what is left uncertain,
        largest first; empty where identifiability could not be assessed.
    exposure
        What the picture of overlap is drawn from, one row a comparison: `user`, the context (its
        value, or that of several along the direction in which users differ most), `overlap`.
    threshold
        Size of shift, in probability, from which it matters.
    interval
        Probability inside all intervals.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=30, confounding=0.6, seed=0)
    >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> report = bp.diagnose(posterior, progress=False)
    >>> len(report.comparisons) == len(world.comparisons)
    True
    >>> bool(report.comparisons["verdict"].isin(bp.VERDICTS).all())
    True
    """

    comparisons: pd.DataFrame
    directions: pd.DataFrame
    users: pd.DataFrame
    notes: tuple[str, ...]
    coupling: pd.DataFrame
    permutation_p: float | None
    exposure_posterior: Posterior | None
    spectrum: FloatArray
    exposure: pd.DataFrame
    threshold: float
    interval: float

    def counts(self) -> pd.DataFrame:
        """Count the verdicts: one row for each that was given, in the order of gravity.

        Returns
        -------
        frame: indexed by verdict; `comparisons`, `share` (0 to 1), `meaning`
        """
        found = self.comparisons["verdict"].value_counts().reindex(list(MEANINGS)).dropna()
        frame = pd.DataFrame({"comparisons": found.astype(int), "share": found / found.sum()})
        frame["meaning"] = [MEANINGS[str(name)] for name in frame.index]
        return frame

    def examples(self, verdict: str, count: int = _EXAMPLES) -> pd.DataFrame:
        """Return the comparisons that show a verdict best: those where its number is largest.

        Parameters
        ----------
        verdict
            One of `bayes_pref.VERDICTS`.
        count
            How many rows.

        Returns
        -------
        frame: rows of `comparisons`
        """
        rows = self.comparisons[self.comparisons["verdict"] == verdict]
        by = {
            "unidentifiable": rows["prior_share"] * rows["reference_sd"],
            "confounded": rows["shift"],
        }
        order = by.get(verdict, rows["mean"]).abs().sort_values(ascending=False, kind="stable")
        return rows.loc[order.index[:count]]

    def summary(self) -> str:
        """Tell in plain text how many comparisons got which verdict, and why, with examples.

        Returns
        -------
        text: several lines
        """
        users = self.comparisons["user"].nunique()
        lines = [f"Report on {len(self.comparisons):,} comparisons by {users:,} users", ""]
        for name, found in self.counts().iterrows():
            share = 100.0 * found["share"]
            lines.append(f"  {name:<15}{found['comparisons']:>8,}  {share:>3.0f} %")
        for name in self.counts().index.intersection(["unidentifiable", "confounded", "separated"]):
            lines += ["", f"{name}: {MEANINGS[str(name)]}."]
            for _, row in self.examples(str(name)).iterrows():
                lines.append(f"  row {row['row']}, user {row['user']}: {row['sentence']}")
        lines += ["", *(f"- {note}" for note in self.notes)] if self.notes else []
        return "\n".join(lines)

    def plot(self, axes: Any = None) -> Figure:
        """Draw the report at a glance, in four panels.

        The shifts with their intervals; who is shown a pair against people in general; how much of
        each direction was learned; and the overlap of users with contexts.

        Parameters
        ----------
        axes
            Four matplotlib Axes to draw into; None: a new figure.

        Returns
        -------
        figure
        """
        return panels.draw_all(self, axes)

    def export(
        self, folder: str | os.PathLike[str], formats: Sequence[str] = ("png", "svg")
    ) -> None:
        """Write the report to a folder: tables as CSV, pictures, text, and one page to read.

        ``report.html`` holds its pictures and needs no other file. Every file is whole or absent.

        Parameters
        ----------
        folder
            Where to; made if it is not there. Files of these names are replaced.
        formats
            Of the pictures: any that matplotlib can write.

        Raises
        ------
        DataError
            If the folder cannot be written to.
        """
        out = OutputFolder(Path(folder))
        out.text("report.html", page(self))
        out.text("summary.txt", self.summary() + "\n")
        out.table("comparisons.csv", self.comparisons, index=False)
        out.table("users.csv", self.users, index=False)
        out.table("directions.csv", self.directions, index=False)
        out.table("coupling.csv", self.coupling, index=False)
        for ending in formats:
            out.picture(f"report.{ending}", lambda: self.plot().axes)
            for name, draw in panels.PANELS.items():
                out.picture(f"{name}.{ending}", partial(draw, self))

    def __repr__(self) -> str:
        """Tell the summary."""
        return self.summary()

    def _repr_html_(self) -> str:
        """Tell the same for notebooks."""
        counts = self.counts()
        rows = "".join(
            f"<tr><th style='text-align: left'>{name}</th><td>{found['comparisons']:,}</td>"
            f"<td>{100 * found['share']:.0f} %</td>"
            f"<td style='text-align: left'>{html.escape(found['meaning'])}</td></tr>"
            for name, found in counts.iterrows()
        )
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return (
            f"<div><strong>Report on {len(self.comparisons):,} comparisons</strong>"
            f"<table>{rows}</table>{f'<ul>{notes}</ul>' if notes else ''}</div>"
        )
