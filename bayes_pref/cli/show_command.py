"""``bayes-pref show``: the summary of a saved posterior."""

from __future__ import annotations

from typing import Any

import click

from bayes_pref.cli.command import DONE, Screen, interval_option, json_option
from bayes_pref.cli.subcommand import subcommand


@subcommand(
    "show",
    short_help="Print the summary of a fit again.",
    help="Print the summary of a saved posterior, PATH: a posterior.nc, or its folder.",
    examples=[
        ("Population weights of the fit in the folder run:", "bayes-pref show run"),
        ("The same for a program:", "bayes-pref show run/posterior.nc --json"),
    ],
)
@click.argument("path", metavar="PATH")
@interval_option
@json_option
def show(path: str, interval: float, as_json: bool, **_: Any) -> int:
    """Print the summary."""
    from bayes_pref import settings
    from bayes_pref.cli.saved import load
    from bayes_pref.cli.summary_text import summary_text, summary_values

    settings.interval(interval)
    posterior = load(path)
    screen = Screen(as_json)
    screen.say(summary_text(posterior, interval))
    screen.result(summary_values(posterior, interval))
    return DONE
