"""``bayes-pref fit``: from a table of choices to a folder of results."""

from __future__ import annotations

import argparse
from pathlib import Path

from bayes_pref.cli.command import Command, add_interval

_COLUMNS = {
    "--difference": "features as differences, left minus right",
    "--left": "features of the left item, instead of --difference",
    "--right": "the same features of the right item, in the same order",
    "--features": "names for the features, in the order of their columns",
    "--context": "what both sides share, such as traits of the prompt",
}
# In a study of 946 users and 14 features, R-hat falls below 1.01 for every parameter after some
# 4,000 sweeps of each chain. Thinned by 4, its draws take 0.1 gigabytes on the disk.
_NUMBERS = {
    "--draws": (1000, "draws of each chain"),
    "--thin": (4, "thinning interval, in sweeps"),
    "--warmup": (500, "warmup sweeps of each chain, discarded"),
    "--chains": (4, "number of chains, with overdispersed initial values"),
    "--seed": (0, "random seed"),
}


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Infer the reward function of every user from a table of comparisons."
    parser.epilog = (
        "Without --difference or --left, every column that is not the user, the choice or a "
        "context is a difference, left minus right."
    )
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="comparisons: .csv, .tsv (also .gz) or .parquet"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the results"
    )
    _add_columns(parser.add_argument_group("columns of FILE"))
    _add_model(parser.add_argument_group("model and sampling"))


def _add_columns(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--user", required=True, metavar="COLUMN", help="who chose")
    group.add_argument(
        "--choice", required=True, metavar="COLUMN", help="1 = left was preferred, 0 = right"
    )
    group.add_argument(
        "--frequency", metavar="COLUMN", help="how often an answer was given; each counts"
    )
    group.add_argument(
        "--survey-weight",
        metavar="COLUMN",
        help="how many people a user stands for: kept for averages over users, not in the fit",
    )
    for option, text in _COLUMNS.items():
        group.add_argument(option, nargs="+", default=[], metavar="COLUMN", help=text)
    group.add_argument(
        "--sides",
        choices=["as-shown", "toss"],
        default="as-shown",
        help="toss: the winner is written first, so which side is left is drawn anew; as-shown "
        "(the default): sides were settled before the answers",
    )
    group.add_argument(
        "--interactions", action="store_true", help="let every weight vary with the contexts"
    )
    group.add_argument(
        "--covariates",
        type=Path,
        metavar="FILE",
        help="another table: one row a user, a column named as --user, every other a number",
    )


def _add_model(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--model",
        choices=["pooled", "diagonal", "full"],
        default="diagonal",
        help="the same weights for all users; or weights of each user, whose deviations from the "
        "population mean are independent (diagonal, the default) or correlated (full)",
    )
    group.add_argument(
        "--scale",
        choices=["rms", "raw"],
        default="rms",
        help="priors are for features divided by their typical difference (rms, the default), "
        "or for raw features",
    )
    for option, (default, text) in _NUMBERS.items():
        group.add_argument(
            option, type=int, default=default, metavar="N", help=f"{text} ({default})"
        )
    group.add_argument(
        "--cores", type=int, metavar="N", help="chains at once (as many as there are cores)"
    )
    add_interval(group)


def _run(options: argparse.Namespace) -> int:
    from bayes_pref.cli.fitting import fit_table

    return fit_table(options)


FIT = Command(
    "fit", "infer the reward function of every user from a table of choices", _add_arguments, _run
)
