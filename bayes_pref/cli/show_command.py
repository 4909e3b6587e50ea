"""``bayes-pref show``: the summary of a saved posterior."""

from __future__ import annotations

import argparse
from pathlib import Path

from bayes_pref.cli.command import DONE, SAVED, Command, add_interval, say


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, metavar="PATH", help=f"a {SAVED}, or its folder")
    add_interval(parser)


def _run(options: argparse.Namespace) -> int:
    from bayes_pref import settings
    from bayes_pref.cli.summary_text import summary_text
    from bayes_pref.posterior import Posterior

    settings.interval(options.interval)
    path = options.path / SAVED if options.path.is_dir() else options.path
    say(summary_text(Posterior.load(path), options.interval))
    return DONE


SHOW = Command("show", "print the summary of a saved posterior", _add_arguments, _run)
