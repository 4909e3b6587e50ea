"""``bayes-pref predict``: what each user would choose, row by row."""

from __future__ import annotations

import click

from bayes_pref.cli.command import DONE, overwrite_option, say
from bayes_pref.cli.groups import PREDICT, format_option
from bayes_pref.cli.option_groups import ChosenOptions
from bayes_pref.cli.subcommand import subcommand


@subcommand(
    "predict",
    short_help="Predict the choice in each row of a table, for the row's own user.",
    help="Predict the choice in each row of a table, for the row's own user.\n\n"
    "PATH is what bayes-pref fit wrote. TABLE has the columns that the fitted one had; the choice "
    "is not needed. One row out for each row in: of pairs, the probability that left is chosen, of "
    "tasks, that the alternative is. Without a column of users, all rows are predicted for the "
    "population.",
    groups=(PREDICT,),
    examples=[
        ("Probabilities beside the rows, as CSV:", "bayes-pref predict run new_pairs.csv"),
        (
            "From another program, as JSON lines:",
            "bayes-pref predict run - --format jsonl --new-users population --out predicted.jsonl",
        ),
    ],
)
@click.argument("path", metavar="PATH")
@click.argument("table", metavar="TABLE")
@click.option("--out", metavar="FILE", help="File to write: .csv, .tsv, .jsonl, .parquet or .xlsx")
@overwrite_option
@format_option
def predict(
    path: str,
    table: str,
    out: str | None,
    overwrite: bool,
    file_format: str | None,
    predict: ChosenOptions,
) -> int:
    """Predict choices."""
    import pandas as pd

    from bayes_pref.cli.candidates import read_candidates
    from bayes_pref.cli.sampled_users import drawn, named_users
    from bayes_pref.cli.saved import load, new_file
    from bayes_pref.cli.writing import print_frame, write_frame

    target = None if out is None else new_file(out, overwrite=overwrite)
    posterior = load(path)
    read = read_candidates(table, posterior, file_format)
    if posterior.users is not None:
        posterior = drawn(posterior, sample=1, named=named_users(read.frame, posterior))
    with read.naming_lines():
        found = posterior.predict(read.frame, **predict.given)
    known = read.frame.drop(columns=[name for name in read.frame if name in found])
    found = pd.concat([found, known], axis=1)
    if target is None:
        print_frame(found)
    else:
        write_frame(target, found)
        say(f"Written to {target}: {len(found):,} rows")
    return DONE
