"""Statistics of choices for posterior predictive checks, for many replications at once.

A statistic takes choices (sample, row), 1 where left was chosen, 0.5 of a tie and k / (K - 1) of
level k, and is built once from the comparisons. Its denominators depend on the comparisons alone,
never on the choices, so that every replication has a finite value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.data.same_pairs import same_pairs
from bayes_pref.types import FloatArray, IntArray, Samples

Statistic = Callable[[FloatArray], FloatArray]  # choices (sample, row) -> (sample,)

MANY = 1_000  # items: beyond them there is no statistic of each, nor of their triads
_BLOCK = 2**22
_SAME = 1e-9  # levels are thirds, fourths, ..., which are rounded


def left_share(choices: FloatArray) -> FloatArray:
    """Share of choices for the left side, of which a tie is half of one."""
    return np.asarray(choices.mean(axis=1))


def share_of(answer: float, rows: Samples = slice(None)) -> Statistic:
    """Share of all choices that are one answer, in some of the rows.

    Examples
    --------
    >>> share_of(0.5)(np.array([[0.5, 1.0], [0.0, 1.0]]))
    array([0.5, 0. ])
    """

    def share(choices: FloatArray) -> FloatArray:
        made = np.abs(choices[:, rows] - answer) < _SAME
        return np.asarray(made.sum(axis=1) / choices.shape[1])

    return share


def spread_of_shares(comparisons: Comparisons, answers: Sequence[float]) -> Statistic | None:
    """Sd over users of the share of their choices that are one of some answers."""
    spread = spread_of_users(comparisons, np.ones(len(comparisons)))
    if spread is None:
        return None

    def of_answers(choices: FloatArray) -> FloatArray:
        made = np.zeros(choices.shape)
        for answer in answers:  # at most all levels
            made += np.abs(choices - answer) < _SAME
        return spread(made)

    return of_answers


def spread_of_users(comparisons: Comparisons, sign: FloatArray) -> Statistic | None:
    """Sd over users of the share of choices for the side with the higher value.

    Parameters
    ----------
    comparisons
        The comparisons.
    sign
        (row,) positive where left has the higher value, negative where right has, 0 where neither.

    Returns
    -------
    The statistic, in which users are weighted by their number of rows with a sign other than 0;
    None if fewer than two users have any.
    """
    rows = np.flatnonzero(sign)
    user = comparisons.user[rows]
    starts = np.flatnonzero(np.diff(user, prepend=-1))
    if len(starts) < 2:
        return None
    counts = np.diff(np.append(starts, len(rows)))
    toward = sign[rows] > 0

    def spread(choices: FloatArray) -> FloatArray:
        chosen = np.where(toward, choices[:, rows], 1.0 - choices[:, rows])
        sums = np.add.reduceat(chosen, starts, axis=1)
        overall = sums.sum(axis=1, keepdims=True) / len(rows)
        squares = counts * (sums / counts - overall) ** 2
        return np.asarray(np.sqrt(squares.sum(axis=1) / len(rows)))

    return spread


def repeated_pairs(
    comparisons: Comparisons, answers: Sequence[float] = (0.0, 1.0)
) -> dict[str, Statistic]:
    """Share of agreeing answers, of one user and of different users, to the same pair.

    Two rows have the same pair where their feature differences are equal up to the sides.

    Parameters
    ----------
    comparisons
        The comparisons.
    answers
        All possible answers, as `Comparisons.choice` has them.
    """
    rows, pair, turned = same_pairs(comparisons)
    own = np.unique(np.stack([pair, comparisons.user[rows]]), axis=1, return_inverse=True)[
        1
    ].ravel()

    def agreeing(choices: FloatArray, code: IntArray) -> FloatArray:
        """Number of pairs of rows with the same code and the same answer, (sample,)."""
        order = np.argsort(code, kind="stable")
        starts = np.flatnonzero(np.diff(code[order], prepend=-1))
        given = np.where(turned, 1.0 - choices[:, rows], choices[:, rows])[:, order]
        found = np.zeros(len(choices))
        for answer in answers:  # at most all levels
            made = (np.abs(given - answer) < _SAME).astype(np.float64)
            found += _pairs(np.add.reduceat(made, starts, axis=1)).sum(axis=1)
        return found

    def total(code: IntArray) -> float:
        return float(_pairs(np.bincount(code)).sum()) if len(code) else 0.0

    within, across = total(own), total(pair) - total(own)
    found: dict[str, Statistic] = {}
    if within:
        found["agreement of a user's answers to the same pair"] = lambda choices: (
            agreeing(choices, own) / within
        )
    if across:
        found["agreement of different users about the same pair"] = lambda choices: (
            (agreeing(choices, pair) - agreeing(choices, own)) / across
        )
    return found


def cyclic_triads(comparisons: Comparisons) -> Statistic | None:
    """Share of triads of items with cyclic majorities: a over b, b over c, c over a.

    Among all triads in which each pair of items was compared; a tied majority makes no cycle
    (Kendall & Babington Smith 1940, Biometrika 31, count the cycles of one judge). None where the
    items have no reward of their own or are thousands, or where there is no such triad.
    """
    items = len(comparisons.features.items)
    if not 3 <= items <= MANY:
        return None
    indicators = comparisons.difference[:, :items]
    left, right = indicators.argmax(axis=1), indicators.argmin(axis=1)
    met = np.zeros((items, items))
    met[left, right] = met[right, left] = 1.0
    triads = np.trace(met @ met @ met) / 6.0
    if not triads:
        return None
    low, high = np.minimum(left, right), np.maximum(left, right)
    cell, code = np.unique(low * items + high, return_inverse=True)
    step = max(1, _BLOCK // items**2)

    def cycles(choices: FloatArray) -> FloatArray:
        """(replication,) share of triads with cyclic majorities."""
        lead = np.where(left < right, 2.0 * choices - 1.0, 1.0 - 2.0 * choices)
        order = np.argsort(code, kind="stable")
        starts = np.flatnonzero(np.diff(code[order], prepend=-1))
        majority = np.add.reduceat(lead[:, order], starts, axis=1)
        out = np.empty(len(choices))
        # A loop over blocks of replications, each of which takes a matrix of items by items.
        for start in range(0, len(choices), step):
            part = majority[start : start + step]
            beats = np.zeros((len(part), items, items))
            beats[:, cell // items, cell % items] = part > 0
            beats[:, cell % items, cell // items] = part < 0
            out[start : start + step] = np.einsum("sij,sji->s", beats @ beats, beats) / 3.0
        return np.asarray(out / triads)

    return cycles


def _pairs(count: FloatArray | IntArray) -> FloatArray:
    return np.asarray(count * (count - 1.0) / 2.0)
