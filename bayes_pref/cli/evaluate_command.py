"""``bayes-pref evaluate``: how well fits predict."""

from __future__ import annotations

import click

from bayes_pref.cli.command import DONE, Screen, json_option, sample_option
from bayes_pref.cli.groups import DATA, EVALUATE, LOO, format_option
from bayes_pref.cli.option_groups import ChosenOptions
from bayes_pref.cli.subcommand import subcommand


@subcommand(
    "evaluate",
    short_help="Score how well a fit predicts, and compare fits.",
    help="Score how well a fit predicts, and compare fits.\n\n"
    "PATHS are what bayes-pref fit wrote. One alone is scored without refitting, by leaving out a "
    "comparison or a user at a time (PSIS-LOO); several are compared so, the best first. With "
    "--held-out a fit is scored on other answers, which are read as the fitted ones were.",
    groups=(EVALUATE, LOO, DATA),
    lenient=("data",),
    examples=[
        ("Leave out one comparison at a time:", "bayes-pref evaluate run"),
        (
            "Which of two models predicts new users better:",
            "bayes-pref evaluate run run_full --by user",
        ),
        (
            "Answers that the fit has not seen, in a file like the first:",
            "bayes-pref evaluate run --held-out later.csv --json",
        ),
    ],
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--held-out", metavar="FILE", help="Answers that were not fitted")
@format_option
@sample_option
@json_option
def evaluate(
    paths: tuple[str, ...],
    held_out: str | None,
    file_format: str | None,
    sample: int,
    as_json: bool,
    evaluate: ChosenOptions,
    loo: ChosenOptions,
    data: ChosenOptions,
) -> int:
    """Evaluate fits."""
    from bayes_pref.cli.scoring import compared, held_out_scores, left_out_scores
    from bayes_pref.errors import DataError

    screen = Screen(as_json)
    if held_out is not None:
        if len(paths) > 1:
            raise DataError("--held-out scores one fit", "name one PATH")
        text, values = held_out_scores(paths[0], held_out, file_format, data, evaluate)
    elif len(paths) > 1:
        text, values = compared(paths, loo, sample)
    else:
        text, values = left_out_scores(paths[0], loo, sample)
    screen.say(text)
    screen.result(values)
    return DONE
