"""What every subcommand says, and how: exit statuses, text, results for machines."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

import click

from bayes_pref.errors import DataError
from bayes_pref.messages import closest, printable

DONE = 0
NEEDS_ATTENTION = 1  # done, and something that --fail-on names was found
REFUSED = 2
INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended
SAVED = "posterior.nc"  # a posterior in a folder of results
CONVERGENCE = "convergence"  # what --fail-on calls a check of convergence that failed
CONFIG = "config.toml"  # the settings that it was made with

interval_option = click.option(
    "--interval",
    type=click.FLOAT,
    default=0.9,
    show_default=True,
    metavar="P",
    help="Probability inside credible intervals",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON instead of text"
)
fail_option = click.option(
    "--fail-on",
    metavar="NAME,...",
    default="",
    help="End with status 1 if one of these was found, such as convergence",
)
sample_option = click.option(
    "--sample",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    metavar="N",
    help="Of a fit that keeps a summary of users: how many of them, drawn at random",
)
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Write into a folder, or over a file, that exists"
)


def failing(fail_on: str, known: Iterable[str]) -> frozenset[str]:
    """Return what ``--fail-on`` names.

    Parameters
    ----------
    fail_on
        Names, separated by commas.
    known
        The names that there are.

    Raises
    ------
    DataError
        If a name is unknown.

    Examples
    --------
    >>> failing("confounded,convergance", ["confounded", "convergence"])
    Traceback (most recent call last):
    bayes_pref.errors.DataError: --fail-on: there is no 'convergance'; did you mean 'convergence'?
    """
    known = list(known)
    names = frozenset(name.strip() for name in fail_on.split(",") if name.strip())
    for name in sorted(names.difference(known)):
        there = closest(name, known) or f"; there are {', '.join(known)}"
        raise DataError(f"--fail-on: there is no {name!r}{there}")
    return names


@dataclass(frozen=True)
class Screen:
    """Where a subcommand says what it found: as text, or at its end as JSON.

    Parameters
    ----------
    as_json
        Whether only `result` is printed.
    """

    as_json: bool

    def say(self, text: str) -> None:
        """Print text on stdout, unless the result is to be JSON."""
        if not self.as_json:
            say(text)

    def result(self, values: Mapping[str, Any]) -> None:
        """Print the result as JSON, if that was asked for."""
        if self.as_json:
            print(json.dumps(plain(values), indent=1, ensure_ascii=True), flush=True)


def plain(value: Any) -> Any:
    """Return a value as JSON has it: a frame as a list of its rows, NaN and infinity as null.

    Examples
    --------
    >>> import numpy as np
    >>> plain({"mean": np.float64(0.5), "users": ("a", 2), "p": float("nan")})
    {'mean': 0.5, 'users': ['a', 2], 'p': None}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if hasattr(value, "to_dict"):  # a frame
        return plain(value.to_dict("records"))
    if hasattr(value, "tolist"):  # a scalar or an array of NumPy
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | None) else str(value)


def _for(stream: TextIO, text: str) -> str:
    """Escape the characters that a stream cannot write, such as an umlaut in ASCII."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def say(text: str) -> None:
    """Print on stdout, at once; labels in the text do nothing to the terminal."""
    print(_for(sys.stdout, printable(text, lines=True)), flush=True)


def warn(message: str) -> None:
    """Print in one line on stderr what went wrong."""
    text = printable(" ".join(message.split()))
    print(_for(sys.stderr, f"bayes-pref: {text}"), file=sys.stderr, flush=True)


def stop(message: str, status: int) -> int:
    """Print in one line on stderr why the command stops; return the status."""
    warn(message)
    return status
