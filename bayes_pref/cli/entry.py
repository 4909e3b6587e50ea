"""The command ``bayes-pref``: from a table of choices to the reward function of every user."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

import click

from bayes_pref.cli.command import INTERRUPTED, REFUSED, stop
from bayes_pref.cli.registry import collect
from bayes_pref.errors import BayesPrefError


class _Commands(click.Group):
    """The subcommands; what ends one of them early is told in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the subcommands, in the order in which they are used."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a subcommand; what ends it early is told in one line."""
        try:
            return super().invoke(ctx)
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


def main(arguments: Sequence[str] | None = None, *, commands: Iterable[click.Command] = ()) -> int:
    """Run the command.

    Parameters
    ----------
    arguments
        What follows the command's name; None: the arguments of this process.
    commands
        Subcommands beside those of this package and of other installed packages.

    Returns
    -------
    status: 0; 1 for a result that ``--fail-on`` names; 2 for an error that the user can mend, told
    in one line on stderr; 130 after Ctrl-C

    Examples
    --------
    >>> main(["fit", "no-such.csv", "--user", "who", "--choice", "won", "--out", "run"])
    2
    """
    try:
        words = None if arguments is None else list(arguments)
        status = build_group(commands).main(words, "bayes-pref", standalone_mode=False)
    except BayesPrefError as err:
        return stop(str(err), REFUSED)
    except click.exceptions.NoArgsIsHelpError as err:
        print(err.format_message(), file=sys.stderr)
        return REFUSED
    except click.ClickException as err:
        return stop(_told(err), REFUSED)
    except click.Abort:
        return stop("interrupted; what was not written yet is lost", INTERRUPTED)
    except BrokenPipeError:
        # The reader has gone, as `head` does; at exit, flushing would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status if isinstance(status, int) else 0


def _told(error: click.ClickException) -> str:
    """Return what is wrong with the options, and where they are described."""
    message = error.format_message().rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    return message if context is None else f"{message} (see {context.command_path} --help)"


def build_group(commands: Iterable[click.Command] = ()) -> click.Group:
    """Build the command with its subcommands.

    Raises
    ------
    BayesPrefError
        If two subcommands have the same name, or an installed one cannot be used.
    """
    group = _Commands(
        "bayes-pref",
        commands=collect(commands),
        no_args_is_help=True,
        # Options may be written as Python's parameters are, with underscores.
        context_settings={
            "token_normalize_func": _with_hyphens,
            "max_content_width": 100,
            "help_option_names": ["-h", "--help"],
        },
        help="Infer the reward function of every user from their choices, with its uncertainty.",
        epilog="bayes-pref COMMAND --help describes a command, with examples.",
    )
    version = click.version_option(
        import_module("bayes_pref").__version__, message="%(prog)s %(version)s"
    )
    return version(group)


def _with_hyphens(word: str) -> str:
    return word.replace("_", "-")
