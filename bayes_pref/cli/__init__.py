"""The command bayes-pref."""

from bayes_pref.cli.command import main

__all__ = ["main"]
