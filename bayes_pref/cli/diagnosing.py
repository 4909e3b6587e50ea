"""A diagnosis from the command line, and what of it calls for attention."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from bayes_pref.cli.candidates import read_candidates
from bayes_pref.cli.command import CONVERGENCE, failing
from bayes_pref.cli.fitting import possible_engines
from bayes_pref.cli.groups import DATA
from bayes_pref.cli.heartbeat import heartbeat
from bayes_pref.cli.option_groups import ChosenOptions, with_options
from bayes_pref.cli.sampled_users import named_users, with_draws
from bayes_pref.cli.saved import load
from bayes_pref.cli.tables import SourceTable, frame_of
from bayes_pref.diagnostics.diagnose import diagnose
from bayes_pref.diagnostics.report import Report
from bayes_pref.diagnostics.thresholds import Thresholds
from bayes_pref.diagnostics.verdicts import VERDICTS
from bayes_pref.errors import ConvergenceWarning
from bayes_pref.posterior import Posterior
from bayes_pref.reporting.folder import OutputFolder


def diagnosed(
    path: str,
    candidates: str | None,
    file_format: str | None,
    groups: Mapping[str, ChosenOptions],
    sample: int,
    fail_on: str = "",
) -> tuple[frozenset[str], Report]:
    """Diagnose a saved posterior.

    Parameters
    ----------
    path
        A posterior, or its folder.
    candidates, file_format
        A table of comparisons to judge, and its format; None: the fitted ones.
    groups
        What was chosen of `diagnose`, its thresholds and the engine.
    sample
        How many users, of a posterior that holds a summary of them.
    fail_on
        Names of verdicts, and of "convergence".

    Returns
    -------
    named, report: what `fail_on` names, and the report
    """
    named = failing(fail_on, [*VERDICTS, CONVERGENCE])
    posterior = load(path)
    table = None if candidates is None else read_candidates(candidates, posterior, file_format)
    posterior = with_draws(posterior, sample, named_users(frame_of(table), posterior))
    return named, diagnosed_posterior(posterior, table, groups)


def diagnosed_posterior(
    posterior: Posterior, table: SourceTable | None, groups: Mapping[str, ChosenOptions]
) -> Report:
    """Diagnose a posterior, as `diagnosed`; its comparisons, or those of a table."""
    engine = groups["engine"]
    thresholds = Thresholds(**groups["thresholds"].given)
    given = dict(groups["diagnose"].given)
    if engine.owner is not None or engine.given:
        given["engine"] = possible_engines(engine)[0]
    with heartbeat(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # among the notes of the report
        if table is None:
            return diagnose(posterior, thresholds=thresholds, progress=True, **given)
        with table.naming_lines():
            return diagnose(posterior, table.frame, thresholds=thresholds, progress=True, **given)


def attention(report: Report) -> set[str]:
    """Return the verdicts that were given, and whether a check of convergence failed."""
    fits = [report.posterior, report.results.get("exposure_posterior")]
    failed = any(fit is not None and fit.findings for fit in fits)
    return {*map(str, report.counts().index), *([CONVERGENCE] if failed else [])}


def told(report: Report) -> str:
    """Return the summary of a report, with what it advises as options of the command."""
    return with_options(report.summary(), DATA.parameters_of(None))


def report_values(report: Report) -> dict[str, Any]:
    """Return a report for programs."""
    results = {
        name: value
        for name, value in report.results.items()
        if value is None or isinstance(value, str | int | float)
    }
    return {
        "counts": report.counts()["comparisons"].to_dict(),
        "notes": report.notes,
        **results,
        "comparisons": report.comparisons,
        "users": report.users,
    }


def write_tables(folder: OutputFolder, report: Report) -> None:
    """Write the tables of a report, and its text."""
    folder.text("summary.txt", report.summary() + "\n")
    for name, frame in {
        "comparisons": report.comparisons,
        "users": report.users,
        **report.tables,
    }.items():
        folder.table(f"{name}.csv", frame, index=False)
