"""The end of the demonstration: comparisons to distrust, each with its sentence and the truth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bayes_pref.cli.screen import grid, paragraph, section
from bayes_pref.diagnostics.report import Report
from bayes_pref.simulation.world import Truth

_SHOWN = 5


def flagged(report: Report, truth: Truth) -> Iterator[str]:
    """Yield the sections on what the report says, beside what is true.

    Parameters
    ----------
    report
        Of comparisons of the world.
    truth
        Of the world.
    """
    facts = truth.comparisons.loc[report.comparisons["row"]].reset_index(drop=True)
    yield _verdicts(report)
    yield _sentences(report, facts)
    yield _score(report, facts)


def _verdicts(report: Report) -> str:
    counts = report.counts()
    rows = [
        [str(name), f"{found['comparisons']:,}", f"{100 * found['share']:.0f} %"]
        for name, found in counts.iterrows()
    ]
    return section(
        "What each comparison can answer",
        grid(["verdict", "comparisons", "share"], rows),
        *report.notes,
    )


def _sentences(report: Report, facts: pd.DataFrame) -> str:
    title = "Comparisons that are confounded, and why"
    worst = report.examples("confounded", len(report.comparisons))
    worst = worst[~worst["user"].duplicated()].head(_SHOWN)  # one a person: others are alike
    if worst.empty:
        return section(title, "None was found.")
    lines = []
    for place, row in worst.iterrows():
        true = facts.loc[int(str(place))]
        lines += [
            paragraph(f"{row['user']}, row {row['row']}: {row['sentence']}", "  ", "    "),
            paragraph(
                f"In truth {100 * true['p_obs']:.0f} % of those who are shown it, and "
                f"{100 * true['p_do']:.0f} % of all.",
                "    ",
            ),
        ]
    return section(title, "\n".join(lines))


def _score(report: Report, facts: pd.DataFrame) -> str:
    found = (report.comparisons["verdict"] == "confounded").to_numpy()
    shifted = facts["shift"].abs().to_numpy() > report.threshold
    error = report.comparisons["p_do"].to_numpy() - facts["p_do"].to_numpy()
    right = int((found & shifted).sum())
    return section(
        "Is that true?",
        f"{int(found.sum()):,} comparisons are flagged as confounded, and for {right:,} of them "
        f"the truth shifts by more than {report.threshold:g}. It does so for "
        f"{int(shifted.sum()):,} of all {len(found):,}. What people in general would choose is "
        f"estimated within {float(np.sqrt(np.mean(error**2))):.3f} (rms).",
    )
