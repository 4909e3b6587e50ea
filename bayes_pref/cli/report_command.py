"""``bayes-pref report``: a page that can be sent, with tables and pictures."""

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
    "report",
    short_help="Write the verdicts as one HTML page, with tables and pictures.",
    help="Write the verdicts as one HTML page, with tables and pictures.\n\n"
    "PATH is what bayes-pref fit wrote; CANDIDATES as of bayes-pref diagnose. The page, "
    "report.html, needs no other file and no network.",
    groups=(DIAGNOSE, THRESHOLDS, ENGINE),
    examples=[
        ("A page on all comparisons of a fit:", "bayes-pref report run --out report"),
        (
            "With pictures for print, and 5 % false ones among those called confounded:",
            "bayes-pref report run --out report --pictures pdf --fdr 0.05",
        ),
    ],
)
@click.argument("path", metavar="PATH")
@click.argument("candidates", metavar="[CANDIDATES]", required=False)
@click.option("--out", metavar="DIR", required=True, help="Folder for the page")
@click.option(
    "--pictures",
    metavar="FORMAT,...",
    default="png,svg",
    show_default=True,
    help="Formats of the pictures",
)
@overwrite_option
@format_option
@sample_option
@fail_option
@json_option
def report(
    path: str,
    candidates: str | None,
    out: str,
    pictures: str,
    overwrite: bool,
    file_format: str | None,
    sample: int,
    fail_on: str,
    as_json: bool,
    **groups: ChosenOptions,
) -> int:
    """Write a report."""
    from bayes_pref.cli.diagnosing import attention, diagnosed, report_values, told
    from bayes_pref.cli.heartbeat import heartbeat
    from bayes_pref.cli.saved import new_folder
    from bayes_pref.reporting.formats import picture_formats

    screen = Screen(as_json)
    formats = picture_formats(pictures.split(","))
    folder = new_folder(out, overwrite=overwrite)
    named, found = diagnosed(path, candidates, file_format, groups, sample, fail_on)
    with heartbeat():
        found.export(folder.path, formats)
    screen.say(f"{told(found)}\n\nThe page is {folder.path / 'report.html'}.")
    screen.result({"page": str(folder.path / "report.html"), **report_values(found)})
    return NEEDS_ATTENTION if attention(found) & named else DONE
