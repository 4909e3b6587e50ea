"""The options of the command ``bayes-pref``, and what it says of them."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

SAVED = "posterior.nc"

_COLUMNS = {
    "--difference": "features as differences, left minus right",
    "--left": "features of the left item, instead of --difference",
    "--right": "the same features of the right item, in the same order",
    "--features": "names for the features, in the order of their columns",
    "--context": "what both sides share, such as traits of the prompt",
}
# A study of 946 people and 14 features needs some 4,000 sweeps a chain for every R-hat to be below
# 1.01; kept one in four, they fit into a file of half a gigabyte.
_NUMBERS = {
    "--draws": (1000, "kept of each chain"),
    "--thin": (4, "sweeps for each draw kept"),
    "--warmup": (500, "sweeps of each chain thrown away first"),
    "--chains": (4, "started far apart"),
    "--seed": (0, "the same seed gives the same draws"),
}


def build_parser() -> argparse.ArgumentParser:
    """Describe the command; `command` in what it parses is the part that was asked for."""
    parser = argparse.ArgumentParser(
        prog="bayes-pref",
        description="Each person's reward function from their choices, with honest uncertainty.",
    )
    version = import_module("bayes_pref").__version__
    parser.add_argument("--version", action="version", version=f"bayes-pref {version}")
    commands = parser.add_subparsers(
        title="commands", dest="command", required=True, metavar="COMMAND"
    )
    _add_fit(
        commands.add_parser(
            "fit",
            help="learn everyone's reward function from a table of choices",
            description="Learn everyone's reward function from a table with one row a comparison.",
            epilog="Without --difference or --left, every column that is not the user, the choice "
            "or a context is taken for a difference, left minus right.",
        )
    )
    show = commands.add_parser("show", help="print the summary of a saved posterior")
    show.add_argument("path", type=Path, metavar="PATH", help=f"a {SAVED}, or its folder")
    _add_interval(show)
    demo = commands.add_parser(
        "demo", help="fit a small simulated world and print what is true beside what is found"
    )
    demo.add_argument(
        "--out", type=Path, default=Path("demo"), metavar="DIR", help="folder for plots (demo)"
    )
    demo.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the world and of the fits (0)"
    )
    return parser


def _add_fit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="comparisons: .csv, .tsv (also .gz) or .parquet"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the results"
    )
    columns = parser.add_argument_group("columns of FILE")
    columns.add_argument("--user", required=True, metavar="COLUMN", help="who chose")
    columns.add_argument(
        "--choice", required=True, metavar="COLUMN", help="1 = left was preferred, 0 = right"
    )
    for option, text in _COLUMNS.items():
        columns.add_argument(option, nargs="+", default=[], metavar="COLUMN", help=text)
    columns.add_argument(
        "--interactions", action="store_true", help="let every weight vary with the contexts"
    )
    columns.add_argument(
        "--covariates",
        type=Path,
        metavar="FILE",
        help="another table: one row a user, a column named as --user, every other a number",
    )
    model = parser.add_argument_group("model and sampling")
    model.add_argument(
        "--model",
        choices=["pooled", "diagonal", "full"],
        default="diagonal",
        help="the same weights for all; or everyone's own, whose deviations from the population "
        "are independent of each other (diagonal, the default) or correlated (full)",
    )
    model.add_argument(
        "--scale",
        choices=["rms", "raw"],
        default="rms",
        help="priors are for features divided by their typical difference (rms, the default), "
        "or for features as they are",
    )
    for option, (default, text) in _NUMBERS.items():
        model.add_argument(
            option, type=int, default=default, metavar="N", help=f"{text} ({default})"
        )
    model.add_argument(
        "--cores", type=int, metavar="N", help="chains at once (as many as there are cores)"
    )
    _add_interval(model)


def _add_interval(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--interval",
        type=float,
        default=0.9,
        metavar="P",
        help="probability inside credible intervals (0.9)",
    )
