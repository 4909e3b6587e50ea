"""The subcommands of ``bayes-pref``: its own, and those of other installed packages.

A package adds subcommands through the entry-point group ``bayes_pref.commands``, each a `Command`::

    [options.entry_points]
    bayes_pref.commands =
        audit = my_package.audit:AUDIT
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import metadata

from bayes_pref.cli.command import Command
from bayes_pref.cli.demo_command import DEMO
from bayes_pref.cli.fit_command import FIT
from bayes_pref.cli.show_command import SHOW
from bayes_pref.errors import BayesPrefError

GROUP = "bayes_pref.commands"
BUILT_IN = (FIT, SHOW, DEMO)


def collect(further: Iterable[Command] = ()) -> dict[str, Command]:
    """Collect the subcommands by name.

    Parameters
    ----------
    further
        Subcommands beside those of this package and of other installed packages.

    Returns
    -------
    commands: by name, in the order of the help

    Raises
    ------
    BayesPrefError
        If two have the same name, or an installed one cannot be imported or is no `Command`.

    Examples
    --------
    >>> list(collect())[:3]
    ['fit', 'show', 'demo']
    """
    commands: dict[str, Command] = {}
    for command in (*BUILT_IN, *installed(), *further):
        if command.name in commands:
            raise BayesPrefError(
                f"two subcommands are named {command.name!r}: rename one, or uninstall its package"
            )
        commands[command.name] = command
    return commands


def installed() -> Iterator[Command]:
    """Load the subcommands that other installed packages offer.

    Raises
    ------
    BayesPrefError
        If one cannot be imported or is no `Command`.
    """
    for entry in metadata.entry_points(group=GROUP):
        package = entry.value if entry.dist is None else entry.dist.name
        try:
            command = entry.load()
        except (ImportError, AttributeError) as err:
            raise BayesPrefError(
                f"the subcommand {entry.name!r} cannot be loaded ({err}): "
                f"update or uninstall the package {package}"
            ) from err
        if not isinstance(command, Command):
            raise BayesPrefError(
                f"the subcommand {entry.name!r} is a {type(command).__name__}, not a "
                f"bayes_pref.cli.Command: update or uninstall the package {package}"
            )
        yield command
