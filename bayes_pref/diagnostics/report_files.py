"""What a report says: counts, examples, a summary, figures, a page, a folder, a workbook."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import pandas as pd
from matplotlib.figure import Figure

from bayes_pref import settings
from bayes_pref.diagnostics.pairs import Pairs
from bayes_pref.diagnostics.provenance import provenance
from bayes_pref.diagnostics.query import Query
from bayes_pref.diagnostics.report_page import ReportPage
from bayes_pref.diagnostics.thresholds import Thresholds
from bayes_pref.diagnostics.verdicts import Verdict
from bayes_pref.diagnostics.wording import Wording
from bayes_pref.errors import DataError
from bayes_pref.messages import closest, listed, printable, shown
from bayes_pref.plots.style import PANEL, many_axes
from bayes_pref.posterior import Posterior
from bayes_pref.reporting.folder import OutputFolder
from bayes_pref.reporting.formats import picture_formats
from bayes_pref.reporting.workbook import workbook

_EXAMPLES = 3  # of each problem


class ReportFiles:
    """Base of `Report`: what it says in words, figures and files."""

    comparisons: pd.DataFrame
    users: pd.DataFrame
    notes: tuple[str, ...]
    tables: Mapping[str, pd.DataFrame]
    figures: Mapping[str, Any]
    verdicts: tuple[Verdict, ...]
    thresholds: Thresholds
    interval: float
    posterior: Posterior
    query: Query
    seed: int

    @property
    def wording(self) -> Wording:
        """What sentences and figures call what is compared."""
        return self.query.wording

    def counts(self) -> pd.DataFrame:
        """Count the verdicts: one row for each that was given, in order of precedence.

        Returns
        -------
        frame: indexed by verdict; `comparisons`, `share` (0 to 1), `meaning`
        """
        names = [verdict.name for verdict in self.verdicts]
        found = self.comparisons["verdict"].value_counts().reindex(names).dropna()
        frame = pd.DataFrame({"comparisons": found.astype(int), "share": found / found.sum()})
        frame["meaning"] = [self._verdict(str(name)).meaning for name in frame.index]
        return frame

    def examples(self, verdict: str, count: int = _EXAMPLES) -> pd.DataFrame:
        """Return the most severe comparisons with a verdict.

        Parameters
        ----------
        verdict
            Its name, such as one of `bayes_pref.VERDICTS`.
        count
            Number of rows.

        Returns
        -------
        frame: rows of `comparisons`

        Raises
        ------
        DataError
            If there is no such verdict, or `count` is no whole number.
        """
        severity = self._verdict(verdict).severity
        count = settings.argument("count", count, settings.whole(0))
        rows = self.comparisons[self.comparisons["verdict"] == verdict]
        if severity is not None:
            order = severity(rows).sort_values(ascending=False, kind="stable")
            rows = rows.loc[order.index]
        return rows.head(count)

    def _verdict(self, name: str) -> Verdict:
        known = {verdict.name: verdict for verdict in self.verdicts}
        if name not in known:
            names = listed(known, limit=len(known), last="or")
            raise DataError(f"verdict must be {names}, got {shown(name)}{closest(name, known)}")
        return known[name]

    def _problems(self) -> list[Verdict]:
        """The verdicts given that call for action."""
        given = self.counts().index
        return [verdict for verdict in self.verdicts if verdict.problem and verdict.name in given]

    def _keys(self) -> list[str]:
        """Columns that say what a row is about."""
        return [name for name in ("row", "alternative", "user") if name in self.comparisons]

    def summary(self) -> str:
        """Summarise in plain text: the number of each verdict, and examples of the problems.

        Returns
        -------
        text: several lines
        """
        users = self.comparisons["user"].nunique()
        lines = [f"{self._title()} by {users:,} users", ""]
        for name, found in self.counts().iterrows():
            share = 100.0 * found["share"]
            lines.append(f"  {printable(name):<15}{found['comparisons']:>8,}  {share:>3.0f} %")
        for verdict in self._problems():
            lines += ["", f"{verdict.name}: {verdict.meaning}."]
            for _, row in self.examples(verdict.name).iterrows():
                *keys, said = (printable(row[key]) for key in (*self._keys(), "sentence"))
                named = zip((self.wording.row, *self._keys()[1:]), keys, strict=True)
                lines.append(f"  {', '.join(f'{what} {key}' for what, key in named)}: {said}")
        lines += ["", *(f"- {printable(note)}" for note in self.notes)] if self.notes else []
        return "\n".join(lines)

    def plot(self, axes: Any = None) -> Figure:
        """Draw all figures of the report as panels of one.

        By default these are the shift of each comparison; users who see a pair against all users;
        the share of the prior in each direction; and the overlap of users with contexts.

        Parameters
        ----------
        axes
            One matplotlib Axes a panel to draw into; None: a new figure.

        Returns
        -------
        figure
        """
        if not self.figures:
            raise DataError("no assessment of this report has a figure")
        flat = many_axes(axes, len(self.figures), min(2, len(self.figures)), PANEL)
        for draw, ax in zip(self.figures.values(), flat, strict=True):
            draw(self, ax)
        return cast(Figure, flat[0].figure)

    def export(
        self, folder: str | os.PathLike[str], formats: str | Sequence[str] = ("png", "svg")
    ) -> None:
        """Write the report to a folder: tables as CSV, figures, text, and an HTML page.

        ``report.html`` holds its figures and needs no other file. Every file is written
        completely or not at all.

        Parameters
        ----------
        folder
            Where to write; it is made if it does not exist. Files of these names are replaced.
        formats
            Formats of the figures, one or several: any that matplotlib can write.

        Raises
        ------
        DataError
            If the folder cannot be written to, or there is no such format; nothing is written then.

        Notes
        -----
        Labels in the CSV files are written so that no spreadsheet takes them for formulas: one that
        begins with ``=``, ``+``, ``-`` or ``@`` has an apostrophe before it, and control characters
        are escaped. ``bayes_pref.reporting.csv_cells.restored(pd.read_csv(path))`` has the labels
        as they were.
        """
        endings = picture_formats(formats)
        out = OutputFolder(Path(folder))
        tables = {"comparisons": self.comparisons, "users": self.users, **self.tables}
        names = ["report", *self.figures] if self.figures else []
        pictures = [f"{name}.{ending}" for ending in endings for name in names]
        files = ["summary.txt", *(f"{name}.csv" for name in tables), *pictures]
        out.text("report.html", self.page(files))
        out.text("summary.txt", self.summary() + "\n")
        for name, frame in tables.items():
            out.table(f"{name}.csv", frame, index=False)
        for picture in pictures:
            name = picture.rpartition(".")[0]
            draw = self.figures.get(name)
            out.picture(picture, partial(draw, self, None) if draw else lambda: self.plot().axes)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the report as one HTML page that needs no other file and no network.

        Parameters
        ----------
        path
            The file; an existing one is replaced.

        Raises
        ------
        DataError
            If it cannot be written.

        Examples
        --------
        With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

        >>> import tempfile
        >>> report = bp.diagnose(posterior, progress=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report.to_html(Path(folder, "report.html"))
        ...     Path(folder, "report.html").stat().st_size > 10_000
        True
        """
        target = Path(path)
        OutputFolder(target.parent).text(target.name, self.page())

    def to_excel(self, path: str | os.PathLike[str]) -> None:
        """Write the tables as one Excel workbook: counts, comparisons, users and the others.

        Texts are written so that none is a formula, as in the CSV files of `export`.

        Parameters
        ----------
        path
            The file, .xlsx; an existing one is replaced.

        Raises
        ------
        DataError
            If openpyxl is missing, a table has more rows than a sheet, or it cannot be written.

        Examples
        --------
        With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

        >>> import pandas as pd, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "report.xlsx")
        ...     bp.diagnose(posterior, progress=False).to_excel(path)
        ...     list(pd.read_excel(path, sheet_name=None))[:3]
        ['verdicts', 'comparisons', 'users']
        """
        counts = self.counts().rename_axis("verdict").reset_index()
        tables = {"verdicts": counts, "comparisons": self.comparisons, "users": self.users}
        target = Path(path)
        OutputFolder(target.parent).contents(target.name, workbook({**tables, **self.tables}))

    def page(self, files: Sequence[str] = ()) -> str:
        """Return the report as an HTML document that holds its figures and all rows.

        The counts of the verdicts come first, then examples of the problems, the figures, and
        tables of all comparisons and users that can be searched, filtered and sorted. Of more than
        25,000 comparisons the most severe are there.

        Parameters
        ----------
        files
            Names of files beside the page, to link to.
        """
        return ReportPage(
            title=self._title(),
            comparisons=self.comparisons,
            users=self.users,
            counts=self.counts(),
            verdicts=self.verdicts,
            examples={each.name: self.examples(each.name) for each in self._problems()},
            pairs=Pairs(self.query, self.posterior.comparisons),
            wording=self.wording,
            notes=self.notes,
            figures=[partial(draw, self, None) for draw in self.figures.values()],
            tables=self.tables,
            facts=provenance(self.posterior, self.thresholds, self.interval, self.seed),
            files=files,
        ).html()

    def _title(self) -> str:
        return f"Report on {len(self.comparisons):,} {self.wording.rows}"
