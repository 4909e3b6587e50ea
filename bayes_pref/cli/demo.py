"""The demonstration: an assistant's answers judged by those who asked, beside the truth."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from bayes_pref import plots
from bayes_pref.cli.demo_flags import flagged
from bayes_pref.cli.demo_report import Fits, opposite_people, report
from bayes_pref.cli.screen import paragraph
from bayes_pref.diagnostics.diagnose import diagnose
from bayes_pref.errors import ConvergenceWarning
from bayes_pref.inference.fit import fit
from bayes_pref.inference.gibbs.gibbs import Gibbs
from bayes_pref.models import HierarchicalReward, PooledReward
from bayes_pref.reporting.folder import OutputFolder
from bayes_pref.simulation import assistant_world
from bayes_pref.simulation.world import World

HELD_OUT = 0.2  # of each person's comparisons


def run_demo(
    folder: OutputFolder,
    *,
    seed: int,
    say: Callable[[str], None],
    draws: int = 2000,
    progress: bool = False,
) -> None:
    """Simulate, fit, set the estimates beside the truth, and draw.

    Parameters
    ----------
    folder
        Where the plots go.
    seed
        Of the world, of what is held out, and of the fits.
    say
        Takes each part of the text as soon as it is known.
    draws
        Kept of each chain.
    progress
        Whether to show progress bars.
    """
    world = assistant_world(seed=seed)
    train, held_out = world.comparisons.split(by="comparison", test=HELD_OUT, seed=seed)
    say(_introduction(world, len(train), len(held_out)))
    engine = Gibbs(draws=draws, progress=progress)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said below, beside the numbers
        pooled = fit(PooledReward(), train, engine, seed=seed)
        hierarchical = fit(HierarchicalReward(), train, engine, seed=seed)
    fits = Fits(pooled, hierarchical, held_out, world.truth)
    people = opposite_people(fits.true_weights[list(train.features.attributes)])
    for section in report(fits, people):
        say(section)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # in the report's notes
        verdicts = diagnose(hierarchical, seed=seed, progress=progress)
    for section in flagged(verdicts, world.truth):
        say(section)
    _draw(folder, fits, people[0])
    folder.picture("report.png", lambda: verdicts.plot().axes)


def _introduction(world: World, learned: int, held_out: int) -> str:
    features, truth = world.comparisons.features, world.truth
    [context] = features.contexts
    correlation = float((truth.coupling[context] / truth.tau).abs().mean())
    *most, last = features.attributes
    text = [
        f"{len(truth.weights)} people write prompts to an assistant and say which of two answers "
        f"they prefer. Answers differ in {', '.join(most)} and {last}. What each is worth differs "
        f"from person to person, and with how {context} the prompt is ({features.names[-1]} and "
        f"the like). Everyone writes their own prompts, and people who write more {context} ones "
        f"also have other tastes (correlation {correlation:.1f} with each weight). The world is "
        "simulated, so the truth is known.",
        f"Two models learn from {learned:,} comparisons; {held_out:,} more by the same people are "
        "held out. The pooled model gives everyone the same weights; the hierarchical model gives "
        "everyone their own, drawn from a population.",
    ]
    title = "An assistant's answers, judged by the people who asked"
    return "\n\n".join([f"{title}\n{'=' * len(title)}", *map(paragraph, text)])


def _draw(folder: OutputFolder, fits: Fits, person: str) -> None:
    posterior, truth, own = fits.hierarchical, fits.truth, fits.true_weights
    folder.picture("population.png", lambda: plots.population(posterior, truth=truth.mu))
    folder.picture("users.png", lambda: plots.users(posterior, person, truth=own))
    folder.picture("heterogeneity.png", lambda: plots.heterogeneity(posterior, truth=truth.tau))
    folder.picture("trace.png", lambda: plots.trace(posterior))
