"""Which rows show the same pair, whichever item is on the left."""

from __future__ import annotations

import numpy as np

from bayes_pref.data.comparisons import Comparisons
from bayes_pref.types import IntArray, Mask


def same_pairs(comparisons: Comparisons) -> tuple[IntArray, IntArray, Mask]:
    """Find the rows that show the same pair: their differences are equal up to the sides.

    Parameters
    ----------
    comparisons
        Pairs; the rows of choices among several are no pairs of their own.

    Returns
    -------
    rows, pair, turned: (m,) positions of the rows whose sides differ in anything, codes of their
        pairs from 0, and whether left and right are exchanged in comparison with other such rows

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_pref as bp
    >>> shown = pd.DataFrame({"who": 1, "price": [2.0, -2.0, 0.0], "chosen": [1, 0, 1]})
    >>> asked = bp.Comparisons.from_frame(shown, user="who", choice="chosen", difference=["price"])
    >>> [found.tolist() for found in same_pairs(asked)]
    [[0, 1], [0, 0], [False, True]]
    """
    difference = comparisons.difference
    rows = np.flatnonzero(difference.any(axis=1))
    first = (difference[rows] != 0).argmax(axis=1)
    turned = np.take_along_axis(difference[rows], first[:, None], axis=1)[:, 0] < 0
    ahead = np.where(turned[:, None], -difference[rows], difference[rows]) + 0.0  # no -0.0
    pair = np.unique(ahead, axis=0, return_inverse=True)[1].ravel()
    return rows, pair, turned
