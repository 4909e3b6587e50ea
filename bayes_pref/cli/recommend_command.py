"""``bayes-pref recommend``: which questions to ask next, and of whom."""

from __future__ import annotations

from typing import Any

import click

from bayes_pref.cli.command import DONE, Screen, json_option, overwrite_option, sample_option
from bayes_pref.cli.groups import DIAGNOSE, ENGINE, RECOMMEND, THRESHOLDS, format_option
from bayes_pref.cli.option_groups import ChosenOptions
from bayes_pref.cli.subcommand import subcommand


@subcommand(
    "recommend",
    short_help="Say which questions to ask next, and of whom.",
    help="Say which questions to ask next, and of whom.\n\n"
    "PATH is what bayes-pref fit wrote. CANDIDATES is a table of pairs that could be asked, in the "
    "columns of the fitted ones; without it these are pairs that were shown to somebody, and pairs "
    "that differ in one attribute.",
    groups=(RECOMMEND, DIAGNOSE, THRESHOLDS, ENGINE),
    examples=[
        ("The next 20 questions about users' own weights:", "bayes-pref recommend run"),
        (
            "Which answers would settle the comparisons that are confounded:",
            "bayes-pref recommend run --goal flagged --n 50 --out questions.csv",
        ),
        (
            "About one contrast, among pairs of your own that have a cost:",
            "bayes-pref recommend run pairs.csv --goal length=1 --cost minutes",
        ),
    ],
)
@click.argument("path", metavar="PATH")
@click.argument("candidates", metavar="[CANDIDATES]", required=False)
@click.option("--out", metavar="FILE", help="Table of the questions: .csv, .jsonl, .parquet, .xlsx")
@overwrite_option
@format_option
@sample_option
@json_option
def recommend(
    path: str,
    candidates: str | None,
    out: str | None,
    overwrite: bool,
    file_format: str | None,
    sample: int,
    as_json: bool,
    **groups: ChosenOptions,
) -> int:
    """Recommend questions."""
    from bayes_pref.cli.asking_next import recommended
    from bayes_pref.cli.saved import new_file
    from bayes_pref.cli.writing import write_frame

    screen = Screen(as_json)
    target = None if out is None else new_file(out, overwrite=overwrite)
    found = recommended(path, candidates, file_format, groups, sample)
    screen.say(_text(found.sentence, found.questions))
    if target is not None:
        write_frame(target, found.questions)
        screen.say(f"\nWritten to {target}")
    screen.result(
        {"sentence": found.sentence, "questions": found.questions, "targets": found.targets}
    )
    return DONE


def _text(sentence: str, questions: Any) -> str:
    from bayes_pref.cli.screen import paragraph

    table = questions.to_string(index=False, float_format="{:.3g}".format)
    return f"{paragraph(sentence)}\n\n{table}"
