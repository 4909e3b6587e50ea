"""The command ``bayes-pref``, and what a subcommand from another package needs."""

from bayes_pref.cli.entry import main
from bayes_pref.cli.subcommand import Subcommand, subcommand

__all__ = ["Subcommand", "main", "subcommand"]
