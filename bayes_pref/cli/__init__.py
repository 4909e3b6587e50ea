"""The command ``bayes-pref``, and what a subcommand from another package needs."""

from bayes_pref.cli.command import Command
from bayes_pref.cli.entry import main

__all__ = ["Command", "main"]
