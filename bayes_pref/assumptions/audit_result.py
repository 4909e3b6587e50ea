"""The result of an audit: the assumptions one by one, the checks behind them, figure and files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayes_pref.assumptions.audit_plot import draw_audit
from bayes_pref.assumptions.causal_graph import CausalGraph
from bayes_pref.assumptions.check import (
    ASSUMPTIONS,
    DECLARED,
    FAILS,
    PASSES,
    UNCONFOUNDEDNESS,
    UNTESTED,
    Check,
)
from bayes_pref.errors import DataError
from bayes_pref.messages import closest, printable, shown
from bayes_pref.reporting import html as pages
from bayes_pref.reporting.folder import OutputFolder
from bayes_pref.reporting.formats import picture_formats


@dataclass(frozen=True, eq=False, repr=False)
class Audit:
    """Which assumptions hold, as far as the data tell.

    Made by `bayes_pref.audit`.

    Attributes
    ----------
    checks
        Every check that was made, or could not be.
    graph
        The causal graph that was assumed.

    Examples
    --------
    >>> found = bp.audit(bp.simulate(users=40, confounding=0.0, seed=0).comparisons)
    >>> found.assumptions["status"].unique().tolist()
    ['tested here and passes']
    >>> found.table.columns.tolist()[:4]
    ['assumption', 'check', 'status', 'null']
    """

    checks: tuple[Check, ...]
    graph: CausalGraph

    @property
    def table(self) -> pd.DataFrame:
        """One row a check.

        `assumption`, `check`, `status`, `null`, `statistic`, `value`, `p`, `p_adjusted` (for the
        number of tests), `probability` (posterior, that it fails), `sentence`, `remedy`.
        """
        rows = [
            {
                "assumption": each.assumption,
                "check": each.name,
                "status": each.status,
                "null": each.null,
                "statistic": each.statistic,
                "value": each.value,
                "p": each.p,
                "p_adjusted": each.adjusted,
                "probability": each.probability,
                "sentence": each.sentence,
                "remedy": each.remedy,
            }
            for each in self.checks
        ]
        return pd.DataFrame(rows)

    @property
    def assumptions(self) -> pd.DataFrame:
        """One row an assumption: `assumption`, `says`, `status`, `sentence`, `remedy`."""
        return pd.DataFrame([self._assumption(name) for name in ASSUMPTIONS])

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the assumptions that were tested and fail."""
        found = self.assumptions
        return tuple(found.loc[found["status"] == FAILS, "assumption"])

    @property
    def randomised(self) -> bool:
        """Whether what is shown does not differ between users, as far as the data tell."""
        return any(not each.alarms and each.status == PASSES for each in self.checks)

    def __getitem__(self, name: str) -> Check:
        """Return a check by its name, with the numbers behind it in `detail`.

        Raises
        ------
        DataError
            If there is no such check.
        """
        known = {each.name: each for each in self.checks}
        if name not in known:
            names = f"; there are {', '.join(map(repr, known))}"
            raise DataError(f"there is no check {shown(name)}{closest(name, known) or names}")
        return known[name]

    def _assumption(self, name: str) -> dict[str, str]:
        """Sum up the checks of one assumption."""
        own = [each for each in self.checks if each.assumption == name]
        failed = [each for each in own if each.status == FAILS]
        passed = [each for each in own if each.status == PASSES]
        declared = name == UNCONFOUNDEDNESS and self.graph.all_randomised
        if failed:
            status, told = FAILS, failed
        elif declared:
            status, told = DECLARED, passed
        elif any(each.alarms for each in passed) or (passed and name == UNCONFOUNDEDNESS):
            status, told = PASSES, passed
        else:
            status, told = UNTESTED, own
        if not failed:  # what describes the data and is no fault by itself comes first
            told = [
                each for each in own if each.made and not each.alarms and each not in told
            ] + told
        sentence = " ".join(each.sentence for each in told)
        if declared:
            start = "What is shown was assigned at random, as declared" + (
                ", but the data contradict it: " if failed else ". "
            )
            sentence = start + sentence
        elif name == UNCONFOUNDEDNESS and self.randomised and not failed:
            sentence = "What is shown looks randomised. " + sentence
        remedies = dict.fromkeys(each.remedy for each in told if each.remedy)
        remedies = {} if status == PASSES else remedies
        return {
            "assumption": name,
            "says": ASSUMPTIONS[name],
            "status": status,
            "sentence": sentence.strip(),
            "remedy": "; ".join(remedies),
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the evidence of every check against its assumption.

        Parameters
        ----------
        ax
            Where to draw; None: a new figure.
        """
        return draw_audit(self.table, ax)

    def summary(self) -> str:
        """Return the assumptions, each with its status, what was found, and what to do."""
        lines = ["Audit of the assumptions, before any fit"]
        for _, row in self.assumptions.iterrows():
            lines += ["", f"{row['assumption']}: {row['status']}", f"  {row['sentence']}"]
            if row["remedy"]:
                lines.append(f"  -> {row['remedy']}")
        return printable("\n".join(lines), lines=True)

    def section(self) -> pages.Section:
        """Return the audit as a part of an HTML page (`bayes_pref.reporting.html.page`)."""
        return pages.Section("Assumptions", self._parts())

    def page(self) -> str:
        """Return the audit as an HTML document that holds its figures."""
        checks = self.table.drop(columns=["sentence", "remedy"])
        graph = pages.figure(self.graph.plot, "The causal graph")
        identified = pages.items(list(self.graph.identify().table["sentence"]))
        sections = [
            self.section(),
            pages.Section("Causal graph", (graph, identified)),
            pages.Section("Checks", (pages.table(checks.fillna({"p": np.nan})),)),
        ]
        return pages.page("Audit of the assumptions", sections)

    def export(
        self, folder: str | os.PathLike[str], formats: str | Sequence[str] = ("png", "svg")
    ) -> None:
        """Write the audit to a folder: page, tables as CSV, text and figure.

        Parameters
        ----------
        folder
            Where to write; it is made if it does not exist. Files of these names are replaced.
        formats
            Formats of the figure, one or several.

        Raises
        ------
        DataError
            If the folder cannot be written to, or there is no such format.
        """
        endings = picture_formats(formats)
        out = OutputFolder(Path(folder))
        out.text("audit.html", self.page())
        out.text("audit.txt", self.summary() + "\n")
        out.table("audit_checks.csv", self.table, index=False)
        out.table("audit_assumptions.csv", self.assumptions, index=False)
        for ending in endings:
            out.picture(f"audit.{ending}", self.plot)

    def _parts(self) -> tuple[str, ...]:
        rows = [
            [str(row["assumption"]), str(row["status"]), str(row["sentence"]), str(row["remedy"])]
            for _, row in self.assumptions.iterrows()
        ]
        drawn = pages.figure(self.plot, "Evidence of each check against its assumption")
        return (pages.plain_table(rows), drawn)

    def __repr__(self) -> str:
        """Return the summary."""
        return self.summary()

    def _repr_html_(self) -> str:
        """Return the assumptions and the figure, for notebooks."""
        return f"<div>{''.join(self._parts())}</div>"
