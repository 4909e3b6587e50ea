"""Statistics of choices among several alternatives, for posterior predictive checks.

A statistic takes which alternatives are chosen, (sample, alternative), 0 or 1, as the method
`chosen` of `StageAlternatives` gives it. Its denominators depend on the sets alone, never on the
choices.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr

from bayes_pref.data import Comparisons, Ranking
from bayes_pref.evaluation.alternatives import StageAlternatives
from bayes_pref.evaluation.choice_statistics import Statistic
from bayes_pref.posterior.predictions import log_odds
from bayes_pref.types import FloatArray, IntArray

_MOST_LABELS, _OFTEN = 20, 20  # alternatives with a share each, and stages that offer one
_DIGITS = 9  # to which sets are the same


def task_statistics(
    comparisons: Comparisons, listed: StageAlternatives, mean: FloatArray
) -> dict[str, Statistic | None]:
    """The statistics of tasks, by name; None where these tasks have none.

    Parameters
    ----------
    comparisons, listed
        The tasks, and their alternatives.
    mean
        (feature,) mean weights of all users.
    """
    found = _shares(listed)
    common = _favourites(listed, comparisons.difference @ mean)
    found["users' spread: highest mean reward"] = _spread_of_users(listed, common)
    # Of many items, whose shares are left out, too, only what is common to all.
    few = len(comparisons.feature_names) <= _MOST_LABELS or not comparisons.features.indicators
    for k, name in enumerate(comparisons.feature_names if few else ()):
        values = listed.listed(0.0, -comparisons.difference[:, k])
        found[f"users' spread: {name}"] = _spread_of_users(listed, _less_mean(listed, values))
    return found | _repeated_sets(comparisons, listed)


def hit_rates(
    weights: xr.DataArray, comparisons: Comparisons, replicated: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Hit rates of the choices in the data, and of those that each sample replicated.

    A sample predicts with its own weights. A prediction by the posterior means of the weights of
    each user, which were fitted to the choices in the data, would be right more often about these
    than about replicated ones, although the model is right.

    Parameters
    ----------
    weights
        (chain, draw, user, feature) with which choices were replicated.
    comparisons
        The tasks.
    replicated
        (sample, row) choices.

    Returns
    -------
    observed, replicated: (sample,)
    """
    outcome = comparisons.outcome
    assert isinstance(outcome, Ranking)  # as asked for
    together = outcome.tasks(len(comparisons))
    hits = np.zeros((2, len(replicated)))
    for part, eta in log_odds(weights, comparisons.user, comparisons.difference, together):
        starts = np.flatnonzero(np.diff(outcome.stage[part], prepend=-1))
        of = outcome.stage[part] - outcome.stage[part.start]
        value = -eta.T  # (sample, row): of each other alternative; that of the data's choice is 0
        top = np.maximum(np.maximum.reduceat(value, starts, axis=1), 0.0)
        least = top - 1e-12 * top
        favourites = np.add.reduceat((value >= least[:, of]).astype(float), starts, axis=1)
        favourites += least <= 0.0
        other = np.where(replicated[:, part] == 0.0, value, 0.0)
        for kind, chosen in enumerate((np.zeros_like(top), np.add.reduceat(other, starts, axis=1))):
            hits[kind] += ((chosen >= least) / favourites).sum(axis=1)
    observed, again = hits / (outcome.stage[-1] + 1)
    return observed, again


def _favourites(listed: StageAlternatives, eta: FloatArray) -> FloatArray:
    """(m,) 1 for the alternative that is predicted in each stage, shared where several are."""
    top = listed.highest(listed.listed(0.0, -eta)).astype(np.float64)
    return np.asarray(top / np.add.reduceat(top, listed.own)[listed.stage])


def _less_mean(listed: StageAlternatives, values: FloatArray) -> FloatArray:
    """Values (m,) less their mean over the stage."""
    mean = np.add.reduceat(values, listed.own) / np.bincount(listed.stage)
    return np.asarray(values - mean[listed.stage])


def _spread_of_users(listed: StageAlternatives, values: FloatArray) -> Statistic | None:
    """Sd over users, weighted by their stages, of the mean value of what they choose."""
    first = np.flatnonzero(np.diff(listed.user, prepend=-1))
    counts = np.bincount(listed.user[listed.own])
    if len(first) < 2 or not np.ptp(values):
        return None

    def spread(chosen: FloatArray) -> FloatArray:
        sums = np.add.reduceat(chosen * values, first, axis=1)
        overall = sums.sum(axis=1, keepdims=True) / counts.sum()
        squares = counts * (sums / counts - overall) ** 2
        return np.asarray(np.sqrt(squares.sum(axis=1) / counts.sum()))

    return spread


def _shares(listed: StageAlternatives) -> dict[str, Statistic | None]:
    """Shares of alternatives among the stages that offer them, if these are few and often shown."""
    found: dict[str, Statistic | None] = {}
    if not listed.named:
        return found
    both = listed.worst.any() and not listed.worst.all()
    for worst in (False, True):
        of_kind = np.flatnonzero(listed.worst == worst)
        codes, labels = pd.factorize(listed.label[of_kind])
        if not len(labels) or len(labels) > _MOST_LABELS or len(codes) < _OFTEN * len(labels):
            continue
        how = f" as {'worst' if worst else 'best'}" if both or worst else ""
        for code, label in enumerate(labels):
            found[f"share of {label}{how}"] = _share(of_kind[codes == code])
    return found


def _share(places: IntArray) -> Statistic:
    return lambda chosen: np.asarray(chosen[:, places].mean(axis=1))


def _repeated_sets(
    comparisons: Comparisons, listed: StageAlternatives
) -> dict[str, Statistic | None]:
    """Share of agreeing answers, of one user and of different users, to the same set."""
    same, answer = same_sets(comparisons, listed)
    user = comparisons.user[listed.starts]
    own = np.unique(np.stack([same, user]), axis=1, return_inverse=True)[1].ravel()
    own_answer = np.unique(np.stack([answer, listed.user]), axis=1, return_inverse=True)[1]

    def agreeing(code: IntArray) -> Callable[[FloatArray], FloatArray]:
        """Number of pairs of stages with the same set and the same answer, (sample,)."""
        by_code = np.argsort(code, kind="stable")
        starts = np.flatnonzero(np.diff(code[by_code], prepend=-1))

        def count(chosen: FloatArray) -> FloatArray:
            found = np.add.reduceat(chosen[:, by_code], starts, axis=1)
            return np.asarray(_pairs(found).sum(axis=1))

        return count

    within_users = float(_pairs(np.bincount(own)).sum())
    across = float(_pairs(np.bincount(same)).sum()) - within_users
    of_own, of_all = agreeing(own_answer.ravel()), agreeing(answer.ravel())
    found: dict[str, Statistic | None] = {}
    if within_users:
        found["agreement of a user's answers to the same set"] = lambda chosen: (
            of_own(chosen) / within_users
        )
    if across:
        found["agreement of different users about the same set"] = lambda chosen: (
            (of_all(chosen) - of_own(chosen)) / across
        )
    return found


def same_sets(comparisons: Comparisons, listed: StageAlternatives) -> tuple[IntArray, IntArray]:
    """Find the stages that offer the same set, and the alternatives that are the same in it.

    Parameters
    ----------
    comparisons, listed
        The tasks, and their alternatives.

    Returns
    -------
    sets, answers: (s,) codes of the stages' sets, and (m,) codes of sets and alternatives together

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=5, alternatives=3, contexts=0, seed=0)
    >>> listed = StageAlternatives.of(world.comparisons)
    >>> sets, answers = same_sets(world.comparisons, listed)
    >>> len(sets) == len(listed.own), len(answers) == 3 * len(sets)
    (True, True)
    """
    same, order = _sets(comparisons, listed)
    within = np.arange(len(order)) - listed.own[listed.stage[order]]
    place = np.empty_like(within)  # of each alternative, in the order of its set
    place[order] = within
    both = np.stack([same[listed.stage], place])
    return same, np.unique(both, axis=1, return_inverse=True)[1].ravel()


def _sets(comparisons: Comparisons, listed: StageAlternatives) -> tuple[IntArray, IntArray]:
    """(s,) codes of the stages' sets, and (m,) alternatives by stage and in the set's order.

    Sets are the same where their alternatives differ from one another in the same way.
    """
    toward = np.where(listed.worst[listed.other], 1.0, -1.0)
    scale = np.where(comparisons.feature_scale > 0, comparisons.feature_scale, 1.0)
    relative = (toward[:, None] * comparisons.difference / scale).T
    profile = listed.listed(0.0, relative)  # (feature, alternative), from the one of the data
    # From the mean of the set, which is the same whichever of its alternatives was chosen.
    profile = np.stack([_less_mean(listed, values) for values in profile])
    rounded = np.round(profile, _DIGITS) + 0.0  # no -0.0
    order = np.lexsort((*rounded[::-1], listed.stage))
    sizes = np.bincount(listed.stage)
    same, taken = np.empty(len(sizes), dtype=np.int64), 0
    # A loop over the few sizes of sets.
    for size in np.unique(sizes):
        stages = np.flatnonzero(sizes == size)
        places = order[listed.own[stages][:, None] + np.arange(size)]
        key = rounded[:, places].transpose(1, 2, 0).reshape(len(stages), -1)
        worst = listed.worst[listed.own[stages]][:, None]
        codes = np.unique(np.hstack([key, worst]), axis=0, return_inverse=True)[1].ravel()
        same[stages] = taken + codes
        taken += int(codes.max()) + 1
    return same, order


def _pairs(count: FloatArray | IntArray) -> FloatArray:
    return np.asarray(count * (count - 1.0) / 2.0)
