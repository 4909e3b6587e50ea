"""Choices of tasks at posterior draws: a choice between two is a task, and so is a ranking.

Rows of a stage have no probability of their own, and the stages of a task belong together: the
places of a ranking, or the best and the worst of a set.
"""

from __future__ import annotations

import numpy as np

from bayes_pref.data import Outcome, Ranking
from bayes_pref.models.choice.choice_distribution import ChoiceDistribution
from bayes_pref.models.choice.stage_choices import draw_stages, log_stages
from bayes_pref.types import FloatArray


def log_tasks(
    choices: ChoiceDistribution, eta: FloatArray, choice: FloatArray, outcome: Outcome
) -> FloatArray:
    """Log probability of what was chosen in each task, (task, sample).

    Parameters
    ----------
    choices
        Distribution of choices; of stages, that of two alternatives.
    eta
        (row, sample) log-odds of rows that hold whole tasks.
    choice, outcome
        (row,) choices, and the outcome of these rows.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> ranked = Ranking([0, 0, 1], task=[0, 0])  # three alternatives in order
    >>> eta = np.zeros((3, 1))
    >>> np.exp(log_tasks(bp.PlackettLuce().at(), eta, np.ones(3), ranked)).round(3)
    array([[0.167]])
    """
    if not isinstance(outcome, Ranking):
        return choices.log_likelihood(eta, choice)
    assert outcome.task is not None  # as validated
    first = np.flatnonzero(np.diff(outcome.task, prepend=-1))
    stages = log_stages(eta, outcome.stage, choice, choices.stage_lapse(outcome.stage))
    return np.add.reduceat(stages, first, axis=0)


def draw_rows(
    choices: ChoiceDistribution, eta: FloatArray, outcome: Outcome, rng: np.random.Generator
) -> FloatArray:
    """Draw choices, in the values of `Comparisons.choice`, (row, sample).

    Each stage is drawn for the alternatives that it offers in the data, whichever were drawn in the
    stages before it.

    Parameters
    ----------
    choices, eta, outcome
        As for `log_tasks`.
    rng
        Source of random numbers.
    """
    if isinstance(outcome, Ranking):
        return draw_stages(eta, outcome.stage, rng, choices.stage_lapse(outcome.stage))
    return choices.draw(eta, rng)
