"""A session of questions and answers in a file, from the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from bayes_pref.cli.asking_next import asked_users, labels_in, source_for
from bayes_pref.cli.candidates import read_candidates
from bayes_pref.cli.heartbeat import heartbeat
from bayes_pref.cli.option_groups import ChosenOptions
from bayes_pref.cli.sampled_users import with_draws
from bayes_pref.cli.saved import load
from bayes_pref.cli.tables import frame_of, read_table
from bayes_pref.elicitation.recommendation import Recommendation
from bayes_pref.elicitation.sessions.elicitation import Elicitation
from bayes_pref.errors import DataError

_OF_ASK = ("n", "users", "per_user")


def ask_next(
    state: str,
    path: str | None,
    candidates: str | None,
    file_format: str | None,
    groups: Mapping[str, ChosenOptions],
    sample: int,
) -> Recommendation:
    """Ask the next questions of a session, and save it.

    Parameters
    ----------
    state
        File of the session.
    path, candidates, file_format
        For a new session: a saved posterior, and a table of pairs that could be asked.
    groups
        What was chosen of `recommend`, and of the diagnosis that the goal "flagged" needs.
    sample
        For a new session: how many users, of a posterior that holds a summary of them.

    Raises
    ------
    DataError
        If there is no session and no posterior to start one from, or both.
    """
    given = dict(groups["recommend"].given)
    if Path(state).exists():
        setting = [name for name in given if name not in _OF_ASK]
        if path is not None or setting:
            what = "PATH" if path is not None else f"--{setting[0]}"
            raise DataError(
                f"{state} holds a session already, which {what} would change",
                "leave it out, or start another session with another --state",
            )
        session = Elicitation.load(state)
    else:
        session = _started(state, path, candidates, file_format, groups, sample)
    asked: dict[str, Any] = {name: given[name] for name in _OF_ASK if name in given}
    if "users" in asked:
        asked["users"] = asked_users(asked["users"], session.posterior)
    with heartbeat():
        found = session.ask(**asked)
    session.save(state)
    return found


def _started(
    state: str,
    path: str | None,
    candidates: str | None,
    file_format: str | None,
    groups: Mapping[str, ChosenOptions],
    sample: int,
) -> Elicitation:
    """Start a session from a fit, with the options of the command."""
    if path is None:
        raise DataError(f"there is no session {state}", "name a fit to start one from")
    posterior = load(path)
    table = None if candidates is None else read_candidates(candidates, posterior, file_format)
    given = groups["recommend"].given
    own = {name: value for name, value in given.items() if name not in _OF_ASK}
    users = asked_users(given.get("users"), posterior)
    posterior = with_draws(posterior, sample, labels_in(users))
    source = source_for(own.get("goal"), posterior, groups)
    with heartbeat(), nullcontext() if table is None else table.naming_lines():
        return Elicitation(source, frame_of(table), **own)


def tell_answers(
    state: str,
    answers: str | None,
    file_format: str | None,
    spoken: Sequence[str],
    drop: Sequence[int],
) -> Elicitation:
    """Take answers into a session, and save it.

    Parameters
    ----------
    state
        File of the session.
    answers, file_format
        A table of answers.
    spoken
        Single answers, each ``question=answer``.
    drop
        Questions that nobody will answer.

    Raises
    ------
    DataError
        If there is no such session, or an answer is none to a pending question.
    """
    if answers is None and not spoken and not drop:
        raise DataError("there is nothing to tell", "name a table of answers, --answer or --drop")
    session = Elicitation.load(state)
    with heartbeat():
        if answers is not None:
            table = read_table(answers, labels=["answer"], file_format=file_format)
            with table.naming_lines():
                session.tell(_understood(table.frame))
        if spoken:
            session.tell(dict(map(_one, spoken)))
        if drop:
            session.drop(list(drop))
    session.save(state)
    return session


def _understood(frame: Any) -> Any:
    """Return a table whose answers are numbers where they are written so."""
    if "answer" not in frame:
        return frame
    return frame.assign(answer=[_answer(word) for word in frame["answer"]])


def _one(text: str) -> tuple[int, Any]:
    question, _, answer = text.partition("=")
    try:
        return int(question), _answer(answer)
    except ValueError as err:
        raise click.UsageError(
            f"--answer {text}: {question!r} is no number of a question; write 1=left"
        ) from err


def _answer(word: Any) -> Any:
    """Return an answer as the number that it may be."""
    try:
        number = float(word)
    except (TypeError, ValueError):
        return word
    return int(number) if number.is_integer() else number
