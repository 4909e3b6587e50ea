"""``bayes-pref export``: a table of a saved posterior, in a format of another program."""

from __future__ import annotations

from typing import Any

import click

from bayes_pref.cli.command import DONE, interval_option, overwrite_option, say
from bayes_pref.cli.groups import FORMATS
from bayes_pref.cli.option_types import WordType
from bayes_pref.cli.subcommand import subcommand

# Methods of a posterior that give a table with intervals, and two that give all draws.
TABLES = (
    "weights",
    "summary",
    "amce",
    "importance",
    "marginal_means",
    "membership",
    "part_worths",
    "polarisation",
    "reliability",
)
IDATA = "idata"


@subcommand(
    "export",
    short_help="Write a table of a fit for another program.",
    help="Write a table of a fit for another program.\n\n"
    "PATH is what bayes-pref fit wrote. TABLE is the name of a method of Posterior: weights (of "
    "every user), summary (of the population), amce, importance, marginal_means, part_worths, "
    "polarisation, membership or reliability; or idata, all draws as a NetCDF file for ArviZ. "
    "Weights are log-odds per unit of a feature.",
    examples=[
        ("Weights of every user, as CSV:", "bayes-pref export run weights"),
        (
            "One row a user with a column a feature, for a spreadsheet or R:",
            "bayes-pref export run weights --wide --out weights.csv",
        ),
        ("All draws, for ArviZ:", "bayes-pref export run idata --out draws.nc"),
    ],
)
@click.argument("path", metavar="PATH")
@click.argument("table", metavar="TABLE", type=WordType([*TABLES, IDATA]))
@click.option("--wide", is_flag=True, help="Of weights: one row a user, their means only")
@click.option(
    "--out", metavar="FILE", help="File to write: .csv, .tsv, .jsonl, .parquet, .xlsx; of idata .nc"
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(FORMATS),
    help="Format where FILE does not tell (default: csv)",
)
@overwrite_option
@interval_option
def export(
    path: str,
    table: str,
    wide: bool,
    out: str | None,
    file_format: str | None,
    overwrite: bool,
    interval: float,
) -> int:
    """Export a table."""
    from bayes_pref.cli.saved import load, new_file
    from bayes_pref.cli.writing import print_frame, write_frame
    from bayes_pref.errors import DataError

    target = None if out is None else new_file(out, overwrite=overwrite)
    posterior = load(path)
    if table == IDATA:
        if target is None:
            raise DataError("idata is a file of draws", "name it with --out FILE.nc")
        posterior.idata.to_netcdf(str(target))
        say(f"Written to {target}")
        return DONE
    frame = _frame(posterior, table, interval, wide=wide)
    if target is None:
        print_frame(frame, file_format)
    else:
        write_frame(target, frame, file_format)
        say(f"Written to {target}: {len(frame):,} rows")
    return DONE


def _frame(posterior: Any, table: str, interval: float, *, wide: bool) -> Any:
    """Return a table of the posterior, `wide` with one row a user."""
    from bayes_pref.errors import DataError

    found = getattr(posterior, table)(interval=interval)
    if not wide:
        return found.reset_index() if table == "summary" else found
    if table != "weights":
        raise DataError("--wide is for weights", "leave it out")
    features = list(posterior.comparisons.feature_names)
    rows = found.pivot(index="user", columns="feature", values="mean")
    return rows.loc[found["user"].unique(), features].rename_axis(columns=None).reset_index()
