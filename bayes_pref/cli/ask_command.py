"""``bayes-pref ask``: the next questions of a session that a file holds."""

from __future__ import annotations

import click

from bayes_pref.cli.command import DONE, Screen, json_option, overwrite_option, sample_option
from bayes_pref.cli.groups import DIAGNOSE, ENGINE, RECOMMEND, THRESHOLDS, format_option
from bayes_pref.cli.option_groups import ChosenOptions
from bayes_pref.cli.subcommand import subcommand


@subcommand(
    "ask",
    short_help="Ask the next questions of a session, which a file holds.",
    help="Ask the next questions of a session, which a file holds.\n\n"
    "The first call starts the session from PATH, what bayes-pref fit wrote, with its goal and "
    "CANDIDATES; later calls need the file alone. bayes-pref tell takes the answers.",
    groups=(RECOMMEND, DIAGNOSE, THRESHOLDS, ENGINE),
    examples=[
        (
            "Start a session about all users' mean weights with 5 questions:",
            "bayes-pref ask --state session.nc run --goal population --n 5 --out questions.csv",
        ),
        ("The next 5, once answers were told:", "bayes-pref ask --state session.nc --n 5"),
    ],
)
@click.argument("path", metavar="[PATH]", required=False)
@click.argument("candidates", metavar="[CANDIDATES]", required=False)
@click.option("--state", required=True, metavar="FILE", help="File of the session")
@click.option("--out", metavar="FILE", help="Table of the questions: .csv, .jsonl, .parquet, .xlsx")
@overwrite_option
@format_option
@sample_option
@json_option
def ask(
    path: str | None,
    candidates: str | None,
    state: str,
    out: str | None,
    overwrite: bool,
    file_format: str | None,
    sample: int,
    as_json: bool,
    **groups: ChosenOptions,
) -> int:
    """Ask questions."""
    from bayes_pref.cli.saved import new_file
    from bayes_pref.cli.saved_session import ask_next
    from bayes_pref.cli.screen import paragraph
    from bayes_pref.cli.writing import write_frame

    screen = Screen(as_json)
    target = None if out is None else new_file(out, overwrite=overwrite)
    found = ask_next(state, path, candidates, file_format, groups, sample)
    table = found.questions.to_string(index=False, float_format="{:.3g}".format)
    screen.say(f"{paragraph(found.sentence)}\n\n{table}")
    if target is not None:
        write_frame(target, found.questions)
        screen.say(f"\nWritten to {target}")
    screen.say(f"\nThe session is {state}; tell answers with bayes-pref tell --state {state}")
    screen.result({"sentence": found.sentence, "questions": found.questions})
    return DONE
