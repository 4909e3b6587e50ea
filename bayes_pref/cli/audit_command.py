"""``bayes-pref audit``: the assumptions of a study, checked on its data before any fit."""

from __future__ import annotations

import click

from bayes_pref.cli.command import (
    DONE,
    NEEDS_ATTENTION,
    Screen,
    fail_option,
    json_option,
    overwrite_option,
)
from bayes_pref.cli.groups import AUDIT, DATA, format_option
from bayes_pref.cli.option_groups import ChosenOptions
from bayes_pref.cli.subcommand import subcommand


@subcommand(
    "audit",
    short_help="Check the assumptions of a study on its data, before any fit.",
    help="Check the assumptions of a study on its data, before any fit, and say of those that "
    "cannot be checked what to record.\n\nFILE as of bayes-pref fit.",
    groups=(AUDIT, DATA),
    examples=[
        (
            "Assumptions that the data contradict:",
            "bayes-pref audit votes.csv --user who --choice won",
        ),
        (
            "A page in a folder, and status 1 if one of these fails:",
            "bayes-pref audit votes.csv --user who --choice won --context technical --out audit "
            "--fail-on unconfoundedness,positivity",
        ),
        (
            "With the settings of an earlier fit:",
            "bayes-pref audit votes.csv --config run/config.toml",
        ),
    ],
)
@click.argument("file", metavar="FILE")
@click.option("--out", metavar="DIR", help="Folder for the page, tables and the picture")
@overwrite_option
@format_option
@fail_option
@json_option
def audit(
    file: str,
    out: str | None,
    overwrite: bool,
    file_format: str | None,
    fail_on: str,
    as_json: bool,
    audit: ChosenOptions,
    data: ChosenOptions,
) -> int:
    """Audit a table."""
    from bayes_pref.assumptions.auditing import audit as audited
    from bayes_pref.assumptions.check import ASSUMPTIONS
    from bayes_pref.cli.command import failing
    from bayes_pref.cli.heartbeat import heartbeat
    from bayes_pref.cli.reading import described, read_data
    from bayes_pref.cli.saved import new_folder

    screen = Screen(as_json)
    named = failing(fail_on, map(_plain, ASSUMPTIONS))
    folder = None if out is None else new_folder(out, overwrite=overwrite)
    read = read_data(file, data, file_format)
    with heartbeat():
        found = audited(read.comparisons, **audit.given)
    screen.say(f"{described(read, file, data)}\n\n{found.summary()}")
    if folder is not None:
        found.export(folder.path)
        screen.say(f"\nThe page is {folder.path / 'audit.html'}.")
    screen.result({"failed": found.failed, "assumptions": found.assumptions, "checks": found.table})
    return NEEDS_ATTENTION if named.intersection(map(_plain, found.failed)) else DONE


def _plain(assumption: str) -> str:
    """Return the name of an assumption without its remark in parentheses."""
    return assumption.split(" (")[0]
