"""The demonstration: an assistant's answers judged by those who asked, beside the truth.

Every number that it prints is measured in that run, and so is the verdict of every sentence.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_pref import plots
from bayes_pref.data import Comparisons
from bayes_pref.errors import ConvergenceWarning
from bayes_pref.inference.fit import fit
from bayes_pref.inference.gibbs import Gibbs
from bayes_pref.models import HierarchicalReward, PooledReward
from bayes_pref.models.likelihood import probability
from bayes_pref.output_folder import OutputFolder
from bayes_pref.posterior import Posterior
from bayes_pref.predictions import log_odds
from bayes_pref.screen import grid, paragraph
from bayes_pref.simulate import assistant_world
from bayes_pref.world import Truth

Floats = NDArray[np.float64]

_HELD_OUT = 0.2
_INTERVAL = 0.9


@dataclass(frozen=True)
class Fits:
    """The two fits to the training part, and what they are measured against.

    Parameters
    ----------
    pooled, hierarchical
        Fitted to the same comparisons.
    held_out
        Comparisons of the same users that neither has seen.
    truth
        Of the world they came from.
    """

    pooled: Posterior
    hierarchical: Posterior
    held_out: Comparisons
    truth: Truth

    @property
    def both(self) -> dict[str, Posterior]:
        """The fits by name, the naive one first."""
        return {"pooled": self.pooled, "hierarchical": self.hierarchical}

    @property
    def facts(self) -> pd.DataFrame:
        """True probabilities of the held-out comparisons, in their order."""
        return self.truth.comparisons.loc[self.held_out.rows]


def run_demo(
    folder: OutputFolder, *, seed: int, progress: bool, say: Callable[[str], None]
) -> None:
    """Simulate, fit, compare with the truth, and draw.

    Parameters
    ----------
    folder
        Where the pictures go.
    seed
        Of the world, of the split and of the fits.
    progress
        Whether to show progress bars.
    say
        Takes each part of the text as soon as it is known.
    """
    world = assistant_world(seed=seed)
    train, held_out = world.comparisons.split(by="comparison", test=_HELD_OUT, seed=seed)
    say(_introduction(world.comparisons, train, world.truth))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told below, beside the numbers
        pooled, hierarchical = (
            fit(model, train, Gibbs(progress=progress), seed=seed)
            for model in (PooledReward(), HierarchicalReward())
        )
    fits = Fits(pooled, hierarchical, held_out, world.truth)
    people = opposite_people(fits)
    for part in (_sampling, _population, _weights, _predictions, _people_in_general):
        say(part(fits))
        if part is _population:
            say(_people(fits, people))
    _draw(folder, fits, people[0])
