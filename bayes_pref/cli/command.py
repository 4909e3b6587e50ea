"""One subcommand of ``bayes-pref``: its options, and what it runs.

A module that defines a subcommand imports little, so that ``bayes-pref --help`` is fast: what is
slow to import, such as a sampler, is imported inside `run`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from bayes_pref.messages import printable

DONE = 0
REFUSED = 2
INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended
SAVED = "posterior.nc"  # a posterior in a folder of results


@dataclass(frozen=True)
class Command:
    """A subcommand.

    Parameters
    ----------
    name
        What is typed after ``bayes-pref``.
    help
        One line for the list of subcommands, in lower case and without a full stop.
    add_arguments
        Adds the subcommand's options to its parser.
    run
        Takes the parsed options and returns the exit status: `DONE`, `REFUSED` or `INTERRUPTED`. A
        `BayesPrefError` that it raises becomes one line on stderr and the status `REFUSED`.

    Examples
    --------
    >>> from bayes_pref.cli import main
    >>> def add_path(parser):
    ...     _ = parser.add_argument("path")
    >>> def print_path(options):
    ...     print(options.path)
    ...     return DONE
    >>> main(["echo", "posterior.nc"], commands=[Command("echo", "print", add_path, print_path)])
    posterior.nc
    0
    """

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def add_interval(parser: argparse._ActionsContainer) -> None:
    """Add the option for the probability inside credible intervals."""
    parser.add_argument(
        "--interval",
        type=float,
        default=0.9,
        metavar="P",
        help="probability inside credible intervals (0.9)",
    )


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
