"""``bayes-pref tell``: answers to the questions of a session."""

from __future__ import annotations

import click

from bayes_pref.cli.command import DONE, Screen, json_option
from bayes_pref.cli.groups import format_option
from bayes_pref.cli.subcommand import subcommand


@subcommand(
    "tell",
    short_help="Tell answers to the questions of a session.",
    help="Tell answers to the questions of a session, and say what is resolved.\n\n"
    "ANSWERS is a table with the columns question, the number that bayes-pref ask gave, and "
    "answer: left, right or tie, or 1, 0 or 0.5; of sets the label of the alternative chosen.",
    examples=[
        ("Answers in a table:", "bayes-pref tell --state session.nc answers.csv"),
        (
            "Two answers, and a question that nobody will answer:",
            "bayes-pref tell --state session.nc --answer 1=left --answer 2=right --drop 3",
        ),
    ],
)
@click.argument("answers", metavar="[ANSWERS]", required=False)
@click.option("--state", required=True, metavar="FILE", help="File of the session")
@click.option(
    "--answer", "spoken", multiple=True, metavar="QUESTION=ANSWER", help="One answer; repeatable"
)
@click.option("--drop", multiple=True, type=int, metavar="QUESTION", help="Give up a question")
@format_option
@json_option
def tell(
    answers: str | None,
    state: str,
    spoken: tuple[str, ...],
    drop: tuple[int, ...],
    file_format: str | None,
    as_json: bool,
) -> int:
    """Tell answers."""
    from bayes_pref.cli.saved_session import tell_answers

    screen = Screen(as_json)
    session = tell_answers(state, answers, file_format, spoken, drop)
    screen.say(repr(session))
    if len(session.targets):
        screen.say(f"\n{session.targets.to_string(index=False, float_format='{:.3g}'.format)}")
    screen.result(
        {"targets": session.targets, "pending": session.pending, "history": session.history}
    )
    return DONE
