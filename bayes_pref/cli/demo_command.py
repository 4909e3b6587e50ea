"""``bayes-pref demo``: a fit of a small simulated world, beside its truth."""

from __future__ import annotations

from typing import Any

import click

from bayes_pref.cli.command import DONE, overwrite_option, say
from bayes_pref.cli.subcommand import subcommand


@subcommand(
    "demo",
    short_help="Fit a small simulated world, beside its truth.",
    help="Fit a small simulated world and print the truth beside the estimates.",
    examples=[("In about a minute, with plots in demo/:", "bayes-pref demo")],
)
@click.option(
    "--out", default="demo", show_default=True, metavar="DIR", help="Folder for the plots"
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    metavar="N",
    help="Random seed of the world and the fits",
)
@overwrite_option
def demo(out: str, seed: int, overwrite: bool, **_: Any) -> int:
    """Run the demonstration."""
    from bayes_pref.cli.demo import run_demo
    from bayes_pref.cli.heartbeat import heartbeat
    from bayes_pref.cli.saved import new_folder
    from bayes_pref.cli.screen import paragraph

    folder = new_folder(out, overwrite=overwrite)
    with heartbeat():
        run_demo(folder, seed=seed, progress=True, say=lambda text: say(f"{text}\n"))
    say(paragraph(f"Plots in {folder.path}: {', '.join(folder.written)}"))
    return DONE
