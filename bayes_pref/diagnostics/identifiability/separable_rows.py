"""Separation for every kind of answer: what they require of a direction, as signed rows.

The likelihood does not decrease along b, however far, where
    pairs                (2 choice - 1) d . b >= 0,
    choices among several    (x chosen - x other) . b >= 0, and the other way round for the worst,
    graded answers       level k lies between its cutpoints, g_k <= d . b <= g_(k + 1), for some
                         increasing change g of the cutpoints along with b,
    ties                 |d . b| <= t at ties, (2 choice - 1) d . b >= max(t, 0) at the others, for
                         some change t of the tie parameter (twice it, in Davidson's model).
Graded answers and ties are the same linear program with the parameters as further features: the
answers are separated where ties, or middle levels, lie between the others along b. The link does
not matter. With a lapse rate the likelihood has a lower bound and may rise towards infinity
although some answers disagree: what is said to be separated is, but not all that is is found.
"""

from __future__ import annotations

import numpy as np

from bayes_pref.data import Comparisons, GradedChoice, Ranking
from bayes_pref.diagnostics.identifiability.separation import Separation, separate
from bayes_pref.diagnostics.task_sets import chosen_rows
from bayes_pref.types import FloatArray, IntArray

_NOTHING = 1e-7  # length of the part of a unit vector that is rounding


def separate_answers(
    comparisons: Comparisons, units: FloatArray, guess: FloatArray | None = None
) -> Separation:
    """Find the directions in which the answers do not bound the size of the weights.

    Parameters
    ----------
    comparisons
        The fitted comparisons, of any outcome.
    units
        (d,) units of the scaled features.
    guess
        (d,) weights on scaled features that may agree with every answer; they only save time.

    Returns
    -------
    Separation, on scaled features

    Examples
    --------
    >>> import bayes_pref as bp
    >>> comparisons = bp.simulate(users=20, seed=0).comparisons
    >>> separate_answers(comparisons, comparisons.feature_scale).directions.shape
    (4, 0)
    """
    outcome, choice = comparisons.outcome, comparisons.choice
    if isinstance(outcome, Ranking):
        return separate(chosen_rows(comparisons) / units, np.ones(len(comparisons)), guess)
    rows = comparisons.difference / units
    if isinstance(outcome, GradedChoice):
        last = len(outcome.levels) - 1
        return _with_cutpoints(rows, np.rint(choice * last).astype(np.int64), last)
    if (choice == 0.5).any():
        return _with_ties(rows, choice)
    return separate(rows, choice, guess)


def never_chosen(comparisons: Comparisons) -> str | None:
    """Return the name of an outside option that was offered and never chosen; None otherwise.

    Its weight has no lower bound, so that all that is compared with it is separated.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_pref as bp
    >>> shown = pd.DataFrame({"who": 1, "id": [1, 1, 2, 2], "price": [3, 1, 2, 4]})
    >>> tasks = bp.Comparisons.from_tasks(
    ...     shown.assign(bought=[0, 1, 1, 0]),
    ...     user="who",
    ...     task="id",
    ...     choice="bought",
    ...     attributes=["price"],
    ...     none=True,
    ... )
    >>> never_chosen(tasks)
    'none'
    """
    features, choice = comparisons.features, comparisons.choice
    names = [coding.name for coding in features.codings if coding.kind == "outside"]
    if not names:
        return None
    if isinstance(comparisons.outcome, Ranking):
        toward = chosen_rows(comparisons)
    else:
        toward = (2.0 * choice - 1.0)[:, None] * comparisons.difference
    gained = toward[:, features.attributes.index(names[0])]
    offered = comparisons.difference[:, features.attributes.index(names[0])] != 0
    return names[0] if offered.any() and (gained[offered] < 0).all() else None


def _with_cutpoints(rows: FloatArray, level: IntArray, last: int) -> Separation:
    """Separation of levels 0 to `last` of rows (n, d)."""
    cut = np.eye(last)
    below, above = level < last, level > 0
    required = [
        np.hstack([-rows[below], cut[level[below]]]),
        np.hstack([rows[above], -cut[level[above] - 1]]),
        np.hstack([np.zeros((last - 1, rows.shape[1])), cut[1:] - cut[:-1]]),
    ]
    return _of_features(np.vstack(required), rows.shape[1])


def _with_ties(rows: FloatArray, choice: FloatArray) -> Separation:
    """Separation of pairs (n, d) with ties."""
    tied = choice == 0.5
    signed = (2.0 * choice[~tied] - 1.0)[:, None] * rows[~tied]
    one, tie = np.ones((len(signed), 1)), np.ones((int(tied.sum()), 1))
    required = [
        np.hstack([signed, 0.0 * one]),
        np.hstack([signed, -one]),
        np.hstack([rows[tied], tie]),
        np.hstack([-rows[tied], tie]),
    ]
    return _of_features(np.vstack(required), rows.shape[1])


def _of_features(required: FloatArray, d: int) -> Separation:
    """Separation by rows of d features and further parameters: the part of the features."""
    found = separate(required, np.ones(len(required)))
    left, size, _ = np.linalg.svd(found.directions[:d], full_matrices=False)
    return Separation(left[:, size > _NOTHING], found.vector[:d])
