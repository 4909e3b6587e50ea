"""The end of the demonstration: the verdicts of `diagnose`, beside the truth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bayes_pref.cli.screen import grid, paragraph, section
from bayes_pref.diagnostics.report import Report
from bayes_pref.simulation.world import Truth

_SHOWN = 5


def flagged(report: Report, truth: Truth) -> Iterator[str]:
    """Yield the sections on the verdicts of a report.

    Parameters
    ----------
    report
        Report on comparisons of a simulated world.
    truth
        Truth of that world.

    Yields
    ------
    section
        Plain text.
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
        "Verdicts on the comparisons",
        grid(["verdict", "comparisons", "share"], rows),
        *report.notes,
    )


def _sentences(report: Report, facts: pd.DataFrame) -> str:
    title = "Confounded comparisons"
    worst = report.examples("confounded", len(report.comparisons))
    worst = worst[~worst["user"].duplicated()].head(_SHOWN)  # one of each user
    if worst.empty:
        return section(title, "None was found.")
    lines = []
    for place, row in worst.iterrows():
        true = facts.loc[int(str(place))]
        lines += [
            paragraph(f"{row['user']}, row {row['row']}: {row['sentence']}", "  ", "    "),
            paragraph(
                f"In truth {100 * true['p_obs']:.0f} % of the users who see it would choose left, "
                f"and {100 * true['p_do']:.0f} % of all users.",
                "    ",
            ),
        ]
    return section(title, "\n".join(lines))


def _score(report: Report, facts: pd.DataFrame) -> str:
    found = (report.comparisons["verdict"] == "confounded").to_numpy()
    shifted = facts["shift"].abs().to_numpy() > report.thresholds.shift
    error = report.comparisons["p_do"].to_numpy() - facts["p_do"].to_numpy()
    right = int((found & shifted).sum())
    return section(
        "Verdicts and the truth",
        f"{int(found.sum()):,} comparisons are flagged as confounded; for {right:,} of them the "
        f"true shift is larger than {report.thresholds.shift:g}. It is larger for "
        f"{int(shifted.sum()):,} of all {len(found):,} comparisons. The probability that a user of "
        "the population chooses left has an error of "
        f"{float(np.sqrt(np.mean(error**2))):.3f} (rms).",
    )
