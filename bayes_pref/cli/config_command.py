"""``bayes-pref config``: every setting with its meaning and default, as a configuration file."""

from __future__ import annotations

import click

from bayes_pref.cli.command import DONE, overwrite_option, say
from bayes_pref.cli.groups import (
    AUDIT,
    DATA,
    DIAGNOSE,
    ENGINE,
    EVALUATE,
    FIT,
    LOO,
    MODEL,
    PREDICT,
    RECOMMEND,
    SIMULATE,
    THRESHOLDS,
)
from bayes_pref.cli.option_groups import ChosenOptions
from bayes_pref.cli.subcommand import subcommand

_FITTING = (DATA, MODEL, ENGINE, FIT)
_BEYOND = (DIAGNOSE, THRESHOLDS, EVALUATE, LOO, PREDICT, RECOMMEND, AUDIT, SIMULATE)


@subcommand(
    "config",
    short_help="Print every setting with its meaning and default, in TOML.",
    help="Print every setting with its meaning and default, in TOML. What is given as an option is "
    "set, all else stands there as a comment. Any subcommand reads the file with --config.",
    groups=_FITTING,
    lenient=("data", "model", "engine", "fit"),
    examples=[
        (
            "A file to start from, and a fit with it:",
            "bayes-pref config --user who --choice won --out study.toml",
        ),
        (
            "Settings of choice tasks and of a model with factors:",
            "bayes-pref config --from tasks --model LowRankReward",
        ),
    ],
)
@click.option("--out", metavar="FILE", help="File to write instead of printing")
@overwrite_option
def config(out: str | None, overwrite: bool, **groups: ChosenOptions) -> int:
    """Print a configuration file."""
    from bayes_pref.cli.toml_files import every_text

    head = '# file = "votes.csv"\n# out = "run"\n# interval = 0.9\n'
    fitting = [
        every_text(group, groups[group.name].owner or group.default, groups[group.name].given)
        for group in _FITTING
    ]
    text = "\n".join([head, *fitting, *(every_text(group, None, {}) for group in _BEYOND)])
    if out is None:
        say(text.rstrip())
        return DONE
    from bayes_pref.cli.saved import new_file
    from bayes_pref.cli.writing import write_text

    target = new_file(out, overwrite=overwrite)
    write_text(target, text)
    say(f"Written to {target}")
    return DONE
