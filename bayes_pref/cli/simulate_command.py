"""``bayes-pref simulate``: answers of users whose weights are known."""

from __future__ import annotations

import click

from bayes_pref.cli.command import DONE, overwrite_option, say
from bayes_pref.cli.groups import SIMULATE
from bayes_pref.cli.option_groups import ChosenOptions
from bayes_pref.cli.subcommand import subcommand


@subcommand(
    "simulate",
    short_help="Simulate answers of users, and keep the true parameters.",
    help="Simulate answers of users, and keep the true parameters.\n\n"
    "Without --out, the answers are printed as CSV. With it, they are choices.csv in the folder, "
    "the covariates of users people.csv, and the truth files whose names begin with true_.",
    groups=(SIMULATE,),
    examples=[
        (
            "A study of 100 users that is confounded on purpose:",
            "bayes-pref simulate --users 100 --features length,warmth --contexts technical "
            "--confounding 0.7 --out world",
        ),
        (
            "Tasks of three alternatives with a brand, printed:",
            "bayes-pref simulate --alternatives 3 --categories brand=A,B,C --features price",
        ),
    ],
)
@click.option("--out", metavar="DIR", help="Folder for the answers and the truth")
@overwrite_option
def simulate(out: str | None, overwrite: bool, simulate: ChosenOptions) -> int:
    """Simulate a world."""
    from bayes_pref.cli.saved import new_folder
    from bayes_pref.cli.writing import print_frame
    from bayes_pref.simulation import simulate as simulated

    if out is None:
        print_frame(simulated(**simulate.given).frame)
        return DONE
    folder = new_folder(out, overwrite=overwrite)
    world = simulated(**simulate.given)
    folder.table("choices.csv", world.frame, index=False)
    if world.covariates is not None:
        folder.table("people.csv", world.covariates.rename_axis("user"), index=True)
    truth = world.truth
    population = truth.mu.to_frame("mean").assign(sd=truth.tau)
    folder.table("true_weights.csv", truth.weights.rename_axis("user"), index=True)
    folder.table("true_population.csv", population.rename_axis("feature"), index=True)
    folder.table("true_comparisons.csv", truth.comparisons, index=True)
    say(f"{world!r}\n\nWritten to {folder.path}: {', '.join(folder.written)}")
    return DONE
