"""``bayes-pref diagnose``: a verdict on each comparison."""

from __future__ import annotations

import click

from bayes_pref.cli.command import (
    DONE,
    NEEDS_ATTENTION,
    Screen,
    fail_option,
    json_option,
    overwrite_option,
    sample_option,
)
from bayes_pref.cli.groups import DIAGNOSE, ENGINE, THRESHOLDS, format_option
from bayes_pref.cli.option_groups import ChosenOptions
from bayes_pref.cli.subcommand import subcommand


@subcommand(
    "diagnose",
    short_help="Say of each comparison whether it is confounded or cannot be identified.",
    help="Say of each comparison whether it is confounded or cannot be identified, and why.\n\n"
    "PATH is what bayes-pref fit wrote. CANDIDATES is a table of other comparisons, answered or "
    "not, with the columns of the fitted ones (differences, contexts, the user column); without it "
    "the fitted comparisons are judged.",
    groups=(DIAGNOSE, THRESHOLDS, ENGINE),
    examples=[
        ("Verdicts on all comparisons of a fit:", "bayes-pref diagnose run"),
        (
            "Tables in a folder, and status 1 if anything is confounded or unidentifiable:",
            "bayes-pref diagnose run --out verdicts "
            "--fail-on confounded,unidentifiable,convergence",
        ),
        (
            "Pairs that nobody has judged, and a shift that matters of 0.05:",
            "bayes-pref diagnose run new_pairs.csv --shift 0.05",
        ),
    ],
)
@click.argument("path", metavar="PATH")
@click.argument("candidates", metavar="[CANDIDATES]", required=False)
@click.option("--out", metavar="DIR", help="Folder for the tables, one row a comparison or a user")
@overwrite_option
@format_option
@sample_option
@fail_option
@json_option
def diagnose(
    path: str,
    candidates: str | None,
    out: str | None,
    overwrite: bool,
    file_format: str | None,
    sample: int,
    fail_on: str,
    as_json: bool,
    **groups: ChosenOptions,
) -> int:
    """Diagnose a posterior."""
    from bayes_pref.cli.diagnosing import attention, diagnosed, report_values, told, write_tables
    from bayes_pref.cli.saved import new_folder

    screen = Screen(as_json)
    folder = None if out is None else new_folder(out, overwrite=overwrite)
    named, report = diagnosed(path, candidates, file_format, groups, sample, fail_on)
    screen.say(told(report))
    if folder is not None:
        write_tables(folder, report)
        screen.say(f"\nWritten to {folder.path}: {', '.join(folder.written)}")
    screen.result(report_values(report))
    return NEEDS_ATTENTION if attention(report) & named else DONE
