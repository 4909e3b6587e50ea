"""``bayes-pref fit``: from a table of choices to a folder of results."""

from __future__ import annotations

from typing import Any

import click

from bayes_pref.cli.command import fail_option, interval_option, json_option, overwrite_option
from bayes_pref.cli.groups import DATA, ENGINE, FIT, MODEL, format_option
from bayes_pref.cli.subcommand import subcommand


@subcommand(
    "fit",
    short_help="Infer the reward function of every user from a table of choices.",
    help="Infer the reward function of every user from a table of choices.\n\n"
    "FILE is .csv, .tsv, .jsonl (all also .gz), .parquet or .xlsx (its first sheet); - is the "
    "standard input. Of pairs, "
    "without --difference or --left, every column that has no other role is a difference, left "
    "minus right. Several columns are separated by commas.",
    groups=(DATA, MODEL, ENGINE, FIT),
    examples=[
        (
            "Differences of features, one row a comparison:",
            "bayes-pref fit votes.csv --user who --choice won --out run",
        ),
        (
            "Both sides, a context, and weights that depend on it:",
            "bayes-pref fit votes.csv --user who --choice won --left words_a,tone_a --right "
            "words_b,tone_b --features words,tone --context technical --interactions all --out run",
        ),
        (
            "Choice tasks with a brand, correlated weights and longer chains:",
            "bayes-pref fit tasks.csv --from tasks --user who --task id --choice chosen "
            "--attributes brand,price --covariance full --draws 4000 --out run",
        ),
        (
            "Rankings, and users who differ along two factors:",
            "bayes-pref fit ranks.csv --from rankings --user who --ranking id --item drink "
            "--data.rank place --model LowRankReward --model.rank 2 --out run",
        ),
        (
            "Votes on texts, as JSON lines from another program:",
            "bayes-pref fit - --format jsonl --from text --user who --surface length,lists "
            "--out run",
        ),
    ],
)
@click.argument("file", metavar="FILE")
@click.option("--out", required=True, metavar="DIR", help="Folder for the results")
@overwrite_option
@format_option
@interval_option
@fail_option
@json_option
def fit(**options: Any) -> int:
    """Fit a model."""
    from bayes_pref.cli.fitting import fit_table

    return fit_table(**options)
