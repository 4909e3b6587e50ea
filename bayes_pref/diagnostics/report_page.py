"""The page of a report: counts, examples, figures, every comparison and user, and how it was made.

It is one HTML file without any network: `reporting.html` has its parts, `reporting.explorer` the
tables that sort and filter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.diagnostics.pairs import Pairs
from bayes_pref.diagnostics.verdicts import Verdict
from bayes_pref.diagnostics.wording import Wording
from bayes_pref.messages import printable
from bayes_pref.reporting import html as pages
from bayes_pref.reporting.explorer import (
    Explorer,
    level_column,
    number_column,
    sentence_column,
)
from bayes_pref.types import IntArray

_MOST_ROWS = 25_000  # of the table of comparisons: the page stays below some 5 MB
_FIGURE = (4.4, 3.2)  # inches: text of this size reads on a phone, too
_FOLDED = 12  # rows from which a further table is folded
_BOUNDS = {"mean": ("lower", "upper"), "shift": ("shift_lower", "shift_upper")}
_TITLES = {
    "row": "row",
    "mean": "log-odds",
    "sd": "log-odds, sd",
    "lower": "log-odds, lower",
    "upper": "log-odds, upper",
    "p_do": "p_do (all users)",
    "p_obs": "p_obs (users who see it)",
    "shift": "shift",
    "shift_lower": "shift, lower",
    "shift_upper": "shift, upper",
    "p_confounded": "probability of a shift",
    "prior_share": "share of the prior",
    "reference_sd": "reference sd",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class ReportPage:
    """What a page shows.

    Parameters
    ----------
    title
        The report's.
    comparisons, users
        Its tables, as `Report.comparisons` and `Report.users`.
    counts
        Number and share of each verdict that was given, as `Report.counts`.
    verdicts
        Those that could be given.
    examples
        The most severe comparisons of each problem, indexed by place in `comparisons`.
    pairs
        What each comparison was about.
    wording
        What sentences call what is compared.
    notes
        Sentences of the report.
    figures
        Each draws a figure and returns its axes.
    tables
        Further tables by name.
    facts
        How the report was made.
    files
        Names of files beside the page.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> import bayes_pref as bp
    >>> "How this was made" in bp.diagnose(posterior, progress=False).page()
    True
    """

    title: str
    comparisons: pd.DataFrame
    users: pd.DataFrame
    counts: pd.DataFrame
    verdicts: Sequence[Verdict]
    examples: Mapping[str, pd.DataFrame]
    pairs: Pairs
    wording: Wording
    notes: Sequence[str]
    figures: Sequence[Callable[[], Any]]
    tables: Mapping[str, pd.DataFrame]
    facts: Sequence[tuple[str, str]]
    files: Sequence[str]

    def html(self) -> str:
        """Return the HTML document."""
        rows = self._most_severe()
        sections = [pages.Section("", (self._lead(), self._counted()))]
        sections += [self._problem(name, frame) for name, frame in self.examples.items()]
        if self.notes:
            sections.append(pages.Section("Notes", (pages.items(self.notes),)))
        if self.figures:
            drawn = pages.figures(pages.figure(draw, size=_FIGURE) for draw in self.figures)
            sections.append(pages.Section("Figures", (drawn,)))
        sections.append(self._all_comparisons(rows))
        sections.append(self._all_users())
        for name, frame in self.tables.items():
            if len(frame):
                sections.append(pages.Section(name.capitalize(), (_perhaps_folded(frame),)))
        made = (pages.facts(self.facts),)
        sections.append(pages.Section("How this was made", made, "made"))
        if self.files:
            sections.append(pages.Section("Files beside this page", (pages.links(self.files),)))
        return pages.page(self.title, sections, script=True)

    def _lead(self) -> str:
        """Say in a line what the report is about, how old it is, and where the rest stands."""
        facts = dict(self.facts)
        said = f"{facts['data']}. {facts['software']}, {facts['written']}."
        link = "<a href='#made'>How this was made</a>"
        return f"<p class='quiet'>{pages.escaped(said)} {link}.</p>"

    def _counted(self) -> str:
        """The number of each verdict, what it means, and a link that shows its comparisons."""
        problems = self._problems
        lines = []
        for name, found in self.counts.iterrows():
            share = 100 * found["share"]
            mark = " class='problem'" if name in problems else ""
            lines.append(
                f"<li{mark} style='--share:{share:.2f}%'><a href='#comparisons-section' "
                f"data-verdict='{pages.escaped(name)}'>{pages.escaped(name)}</a>"
                f"<span class='number'>{found['comparisons']:,} ({share:.0f} %)</span>"
                f"<span class='meaning'>{pages.escaped(found['meaning'])}</span></li>"
            )
        return f"<ul class='counts'>{''.join(lines)}</ul>"

    @property
    def _problems(self) -> tuple[str, ...]:
        """The verdicts given that call for action."""
        return tuple(self.examples)

    def _problem(self, name: str, frame: pd.DataFrame) -> pages.Section:
        """The most severe comparisons with a problem, each with its pair."""
        keys = [key for key in ("row", "alternative", "user") if key in frame]
        words = [self.wording.row if key == "row" else key for key in keys]
        called = [
            ", ".join(
                f"{word} {printable(label)}" for word, label in zip(words, labels, strict=True)
            )
            for labels in frame[keys].itertuples(index=False, name=None)
        ]
        about = self.pairs.texts(frame.index.tolist())
        entries = zip(called, about, frame["sentence"], strict=True)
        count = int(self.counts["comparisons"][name])
        title = f"{name.capitalize()}: {len(frame):,} of {count:,}"
        return pages.Section(title, (pages.cases(entries),))

    def _most_severe(self) -> IntArray:
        """Places of the rows of the page, the most severe first, in the order of the verdicts."""
        verdict, places = self.comparisons["verdict"], []
        for each in self.verdicts:
            these = np.flatnonzero(verdict == each.name)
            if each.severity is not None and these.size:
                these = these[_descending(each.severity(self.comparisons.iloc[these]))]
            places.append(these)
        return np.concatenate(places)[:_MOST_ROWS]

    def _all_comparisons(self, rows: IntArray) -> pages.Section:
        """Every comparison, or the most severe of very many."""
        frame = self.comparisons.iloc[rows]
        severity = number_column("severity", "severity", np.arange(len(rows)), hidden=True)
        place = number_column("place", "order of the data", rows, hidden=True)
        columns = [severity, place]
        answers = self.pairs.answers
        for name in frame.columns:
            if _empty(frame, name):
                continue
            columns.append(self._column(str(name), frame[name]))
            if name == "user" and answers is not None:
                chosen = [answers[row] for row in rows.tolist()]
                columns.append(level_column("answer", "answer", chosen))
        severity["title"] = "severity (problems first)"
        names = {column["name"] for column in columns}
        shown = ("row", "alternative", "user", "answer", "verdict", "mean", "shift")
        some = [name for name in shown if name in names]
        table = Explorer(
            name="comparisons",
            noun=self.wording.rows,
            rows=len(rows),
            columns=tuple(columns),
            shown=tuple(some),
            sort="severity",
            wide="what was compared, and why",
            problems=self._problems,
            pairs=self.pairs.data(rows),
        )
        title = f"All {self.wording.rows}"
        parts = [_SIDES if "alternative" not in frame else _SETS]
        if len(rows) < len(self.comparisons):
            total = len(self.comparisons)
            parts.append(f"These are the {len(rows):,} most severe of {total:,}.")
        hints = [f"<p class='quiet'>{pages.escaped(' '.join([*parts, _KEYS]))}</p>"]
        return pages.Section(title, (*hints, table.html()), "comparisons-section")

    def _column(self, name: str, values: pd.Series[Any]) -> dict[str, Any]:
        title = self.wording.row if name == "row" else _TITLES.get(name, name.replace("_", " "))
        if name == "sentence":
            return sentence_column(name, title, values.tolist())
        if name == "verdict":
            order = [verdict.name for verdict in self.verdicts]
            return level_column(name, title, values.tolist(), ordered=order)
        if name in ("row", "alternative", "user") or not pd.api.types.is_numeric_dtype(
            values.dtype
        ):
            return level_column(name, title, values.tolist())
        return number_column(name, title, values, bounds=_BOUNDS.get(name))

    def _all_users(self) -> pages.Section:
        """Every user, with how much was learned and the number of each verdict."""
        known = [name for name in self.users.columns if not _empty(self.users, name)]
        columns = tuple(self._column(str(name), self.users[name]) for name in known)
        table = Explorer(
            name="users",
            noun="users",
            rows=len(self.users),
            columns=columns,
            shown=tuple(column["name"] for column in columns),
        )
        hint = "Press a user to see the comparisons that this user made."
        return pages.Section("All users", (f"<p class='quiet'>{hint}</p>", table.html()))


_SIDES = "Differences are those of the left side minus the right."
_SETS = "Differences are those of the alternative minus the mean of the others in its set."
_KEYS = (
    "Press a heading to sort, “all numbers” for the rest of a row. "
    "Keys: / searches, n and p turn the page."
)


def _descending(size: pd.Series[float]) -> IntArray:
    return np.argsort(-size.to_numpy(dtype=np.float64), kind="stable")


def _empty(frame: pd.DataFrame, name: Any) -> bool:
    """Whether a column holds nothing, as where an assessment could not be made."""
    return bool(frame[name].isna().all())


def _perhaps_folded(frame: pd.DataFrame) -> str:
    table = pages.table(frame)
    return table if len(frame) <= _FOLDED else pages.folded(f"{len(frame):,} rows", table)
