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

from bayes_pref.cli.ask_command import ask
from bayes_pref.cli.audit_command import audit
from bayes_pref.cli.config_command import config
from bayes_pref.cli.demo_command import demo
from bayes_pref.cli.diagnose_command import diagnose
from bayes_pref.cli.evaluate_command import evaluate
from bayes_pref.cli.export_command import export
from bayes_pref.cli.fit_command import fit
from bayes_pref.cli.predict_command import predict
from bayes_pref.cli.recommend_command import recommend
from bayes_pref.cli.report_command import report
from bayes_pref.cli.show_command import show
from bayes_pref.cli.simulate_command import simulate
from bayes_pref.cli.tell_command import tell
from bayes_pref.errors import BayesPrefError

GROUP = "bayes_pref.commands"
BUILT_IN: tuple[click.Command, ...] = (
    demo,
    audit,
    fit,
    show,
    diagnose,
    report,
    evaluate,
    predict,
    recommend,
    ask,
    tell,
    export,
    simulate,
    config,
)


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
    ['demo', 'audit', 'fit']
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
