"""``bayes-pref demo``: a fit of a small simulated world, beside its truth."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bayes_pref.cli.command import DONE, Command, say


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path("demo"), metavar="DIR", help="folder for plots (demo)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="random seed of the world and the fits (0)"
    )


def _run(options: argparse.Namespace) -> int:
    from bayes_pref.cli.demo import run_demo
    from bayes_pref.cli.screen import paragraph
    from bayes_pref.reporting.folder import OutputFolder

    folder = OutputFolder(options.out, "choose another folder with --out")
    progress = sys.stderr.isatty()
    run_demo(folder, seed=options.seed, progress=progress, say=lambda text: say(f"{text}\n"))
    say(paragraph(f"Plots in {folder.path}: {', '.join(folder.written)}"))
    return DONE


DEMO = Command(
    "demo",
    "fit a small simulated world and print the truth beside the estimates",
    _add_arguments,
    _run,
)
