"""The demonstration: a fit to simulated users of an assistant, beside the truth."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from bayes_pref import plots
from bayes_pref.cli.demo_flags import flagged
from bayes_pref.cli.demo_report import Fits, opposite_users, report
from bayes_pref.cli.pictures import draw_into
from bayes_pref.cli.screen import paragraph
from bayes_pref.diagnostics.diagnose import diagnose
from bayes_pref.diagnostics.report import Report
from bayes_pref.errors import ConvergenceWarning
from bayes_pref.inference.fit import fit
from bayes_pref.inference.gibbs.gibbs import Gibbs
from bayes_pref.models import HierarchicalReward, PooledReward
from bayes_pref.reporting.folder import OutputFolder
from bayes_pref.simulation import assistant_world
from bayes_pref.simulation.world import World

HELD_OUT = 0.2  # share of each user's comparisons


def run_demo(
    folder: OutputFolder,
    *,
    seed: int,
    say: Callable[[str], None],
    draws: int = 2000,
    progress: bool = False,
) -> None:
    """Simulate a world, fit two models, print the estimates beside the truth, and draw them.

    Parameters
    ----------
    folder
        Folder for the plots.
    seed
        Random seed of the world, of the held-out comparisons and of the fits.
    say
        Prints a part of the text.
    draws
        Draws of each chain.
    progress
        Whether to show progress bars.
    """
    world = assistant_world(seed=seed)
    train, held_out = world.comparisons.split(by="comparison", test=HELD_OUT, seed=seed)
    say(_introduction(world, len(train), len(held_out)))
    engine = Gibbs(draws=draws, progress=progress)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # printed beside the numbers
        pooled = fit(PooledReward(), train, engine, seed=seed)
        hierarchical = fit(HierarchicalReward(), train, engine, seed=seed)
    fits = Fits(pooled, hierarchical, held_out, world.truth)
    users = opposite_users(fits.true_weights[list(train.features.attributes)])
    for section in report(fits, users):
        say(section)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # printed in the report's notes
        verdicts = diagnose(hierarchical, seed=seed, progress=progress)
    for section in flagged(verdicts, world.truth):
        say(section)
    _draw(folder, fits, users[0], verdicts)


def _introduction(world: World, learned: int, held_out: int) -> str:
    features, truth = world.comparisons.features, world.truth
    [context] = features.contexts
    correlation = float((truth.coupling[context] / truth.tau).abs().mean())
    *most, last = features.attributes
    text = [
        f"{len(truth.weights)} users write prompts to an assistant and choose between two answers "
        f"to each. Answers differ in {', '.join(most)} and {last}. The weights of these features "
        f"differ between users, and with how {context} the prompt is (interactions such as "
        f"{features.names[-1]}). Users write their own prompts, and those who write more {context} "
        f"prompts also have other weights (correlation {correlation:.1f} with each weight). The "
        "world is simulated, so the truth is known.",
        f"Two models are fitted to {learned:,} comparisons; {held_out:,} more by the same users "
        "are held out. In the pooled model all users have the same weights; in the hierarchical "
        "model each user has their own, drawn from a population.",
    ]
    title = "Answers of an assistant, chosen by the users who wrote the prompts"
    return "\n\n".join([f"{title}\n{'=' * len(title)}", *map(paragraph, text)])


def _draw(folder: OutputFolder, fits: Fits, user: str, verdicts: Report) -> None:
    posterior, truth, own = fits.hierarchical, fits.truth, fits.true_weights
    pictures: dict[str, Callable[[], Any]] = {
        "population.png": lambda: plots.population(posterior, units="raw", truth=truth.mu),
        "users.png": lambda: plots.users(posterior, user, units="raw", truth=own),
        "heterogeneity.png": lambda: plots.heterogeneity(posterior, units="raw", truth=truth.tau),
        "trace.png": lambda: plots.trace(posterior),
        "report.png": lambda: verdicts.plot().axes,
    }
    draw_into(folder, pictures)
