"""The command ``bayes-pref``: from a table of choices to the reward function of every user."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module

from bayes_pref.cli.command import INTERRUPTED, REFUSED, Command, stop
from bayes_pref.cli.registry import collect
from bayes_pref.errors import BayesPrefError


def main(arguments: Sequence[str] | None = None, *, commands: Iterable[Command] = ()) -> int:
    """Run the command.

    Parameters
    ----------
    arguments
        What follows the command's name; None: the arguments of this process.
    commands
        Subcommands beside those of this package and of other installed packages.

    Returns
    -------
    status: 0; 2 for an error that the user can mend, told in one line on stderr; 130 after Ctrl-C

    Examples
    --------
    >>> main(["fit", "no-such.csv", "--user", "who", "--choice", "won", "--out", "run"])
    2
    """
    try:
        known = collect(commands)
        options = build_parser(known).parse_args(arguments)
        return known[options.command].run(options)
    except BayesPrefError as err:
        return stop(str(err), REFUSED)
    except MemoryError:
        return stop(
            "not enough memory for so many draws; keep fewer with --draws, or one in N with "
            "--thin N",
            REFUSED,
        )
    except KeyboardInterrupt:
        return stop("interrupted; what was not written yet is lost", INTERRUPTED)
    except BrokenPipeError:
        # The reader has gone, as `head` does; at exit, flushing would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def build_parser(commands: Mapping[str, Command]) -> argparse.ArgumentParser:
    """Build the parser, whose result has the subcommand's name in `command`."""
    parser = argparse.ArgumentParser(
        prog="bayes-pref",
        description="Infer the reward function of every user from their choices, with its "
        "uncertainty.",
    )
    version = import_module("bayes_pref").__version__
    parser.add_argument("--version", action="version", version=f"bayes-pref {version}")
    parts = parser.add_subparsers(
        title="commands", dest="command", required=True, metavar="COMMAND"
    )
    for name, command in commands.items():
        command.add_arguments(
            parts.add_parser(
                name,
                help=command.help,
                description=f"{command.help[:1].upper()}{command.help[1:]}.",
            )
        )
    return parser
