"""Statistics of choices that a model should reproduce, for many replications at once.

All take choices (sample, row), 1 where left was chosen. They are built once from the comparisons,
and give nan-free numbers for every replication: what they divide by depends on who was shown what,
never on the choices.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bayes_pref.data import Comparisons

Array = NDArray[np.float64]
Statistic = Callable[[Array], Array]  # choices (sample, row) -> (sample,)

_BLOCK = 2**22


def left_share(choices: Array) -> Array:
    """Share of choices for the left side."""
    return np.asarray(choices.mean(axis=1))


def spread_of_users(comparisons: Comparisons, sign: Array) -> Statistic | None:
    """Sd over users of the share of choices for the side with the higher value.

    Parameters
    ----------
    comparisons
        Who was shown what.
    sign
        (row,) positive where left has the higher value, negative where right has, 0 where neither.

    Users count by their number of rows. None: fewer than two users have any such rows.
    """
    rows = np.flatnonzero(sign)
    user = comparisons.user[rows]
    starts = np.flatnonzero(np.diff(user, prepend=-1))
    if len(starts) < 2:
        return None
    counts = np.diff(np.append(starts, len(rows)))
    toward = sign[rows] > 0

    def spread(choices: Array) -> Array:
        chosen = np.where(toward, choices[:, rows], 1.0 - choices[:, rows])
        sums = np.add.reduceat(chosen, starts, axis=1)
        overall = sums.sum(axis=1, keepdims=True) / len(rows)
        squares = counts * (sums / counts - overall) ** 2
        return np.asarray(np.sqrt(squares.sum(axis=1) / len(rows)))

    return spread


def repeated_pairs(comparisons: Comparisons) -> dict[str, Statistic]:
    """Share of agreeing answers, of one user and of different users, to the same pair.

    A pair is the same whichever side is which, and where its features differ by the same.
    """
    difference = comparisons.difference
    rows = np.flatnonzero(difference.any(axis=1))
    first = (difference[rows] != 0).argmax(axis=1)
    turned = np.take_along_axis(difference[rows], first[:, None], axis=1)[:, 0] < 0
    ahead = np.where(turned[:, None], -difference[rows], difference[rows]) + 0.0  # no -0.0
    pair = np.unique(ahead, axis=0, return_inverse=True)[1].ravel()
    own = np.unique(np.stack([pair, comparisons.user[rows]]), axis=1, return_inverse=True)[
        1
    ].ravel()

    def agreeing(choices: Array, code: NDArray[np.int64]) -> Array:
        """Number of pairs of rows with the same code that agree, (sample,)."""
        order = np.argsort(code, kind="stable")
        starts = np.flatnonzero(np.diff(code[order], prepend=-1))
        counts = np.diff(np.append(starts, len(order)))
        answers = np.where(turned, 1.0 - choices[:, rows], choices[:, rows])[:, order]
        yes = np.add.reduceat(answers, starts, axis=1)
        return np.asarray(_pairs(yes).sum(axis=1) + _pairs(counts - yes).sum(axis=1))

    def total(code: NDArray[np.int64]) -> float:
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
    """Share of cycles (a over b over c over a, by majority) among triads of items compared.

    Of all triads of which each two items were compared; a majority that is even makes no cycle
    (Kendall & Babington Smith 1940, Biometrika 31, count the cycles of one judge). None: the
    comparisons are not of items with a reward each, or there is no such triad.
    """
    items = len(comparisons.features.attributes)
    if not comparisons.features.indicators or items < 3:
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

    def cycles(choices: Array) -> Array:
        lead = np.where(left < right, 2.0 * choices - 1.0, 1.0 - 2.0 * choices)
        order = np.argsort(code, kind="stable")
        starts = np.flatnonzero(np.diff(code[order], prepend=-1))
        majority = np.add.reduceat(lead[:, order], starts, axis=1)
        out = np.empty(len(choices))
        # A loop over blocks of replications, each of which is a matrix of items by items.
        for start in range(0, len(choices), step):
            part = majority[start : start + step]
            beats = np.zeros((len(part), items, items))
            beats[:, cell // items, cell % items] = part > 0
            beats[:, cell % items, cell // items] = part < 0
            out[start : start + step] = np.einsum("sij,sji->s", beats @ beats, beats) / 3.0
        return np.asarray(out / triads)

    return cycles


def _pairs(count: Array | NDArray[np.int64]) -> Array:
    return np.asarray(count * (count - 1.0) / 2.0)
