"""The subcommands of ``bayes-pref``: its own, and those of other installed packages.

A package adds subcommands through the entry-point group ``bayes_pref.commands``, each a
`click.Command`, of which `bayes_pref.cli.subcommand` makes one with Python's parameters as
options::

    [options.entry_points]
    bayes_pref.commands =
        audit = my_package.audit:audit
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import metadata

import click

from bayes_pref.cli.demo_command import demo
from bayes_pref.cli.fit_command import fit
from bayes_pref.cli.show_command import show
from bayes_pref.errors import BayesPrefError

GROUP = "bayes_pref.commands"
BUILT_IN: tuple[click.Command, ...] = (demo, fit, show)


def collect(further: Iterable[click.Command] = ()) -> dict[str, click.Command]:
    """Collect the subcommands by name.

    Parameters
    ----------
    further
        Subcommands beside those of this package and of other installed packages.

    Returns
    -------
    commands: by name

    Raises
    ------
    BayesPrefError
        If two have the same name, or an installed one cannot be imported or is no subcommand.

    Examples
    --------
    >>> list(collect())[:3]
    ['demo', 'fit', 'show']
    """
    commands: dict[str, click.Command] = {}
    for command in (*BUILT_IN, *installed(), *further):
        if str(command.name) in commands:
            raise BayesPrefError(
                f"two subcommands are named {command.name!r}: rename one, or uninstall its package"
            )
        commands[str(command.name)] = command
    return commands


def installed() -> Iterator[click.Command]:
    """Load the subcommands that other installed packages offer.

    Raises
    ------
    BayesPrefError
        If one cannot be imported or is no subcommand.
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
        if not isinstance(command, click.Command):
            raise BayesPrefError(
                f"the subcommand {entry.name!r} is a {type(command).__name__}, not a "
                f"click.Command: update or uninstall the package {package}"
            )
        yield command
