"""Which rows show the same pair, whichever item is on the left."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from bayes_pref.data.comparisons import Comparisons
from bayes_pref.data.sparse_rows import compressed, is_sparse, row_keys
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
    if is_sparse(difference):
        return _of_sparse(compressed(difference))
    rows = np.flatnonzero(difference.any(axis=1))
    first = (difference[rows] != 0).argmax(axis=1)
    turned = np.take_along_axis(difference[rows], first[:, None], axis=1)[:, 0] < 0
    ahead = np.where(turned[:, None], -difference[rows], difference[rows]) + 0.0  # no -0.0
    pair = np.unique(ahead, axis=0, return_inverse=True)[1].ravel()
    return rows, pair, turned


def _of_sparse(difference: csr_array) -> tuple[IntArray, IntArray, Mask]:
    """`same_pairs` of rows without their zeros, whose entries are in the order of the columns."""
    starts, columns, values = difference.indptr, difference.indices, difference.data
    rows = np.flatnonzero(np.diff(starts))
    turned = values[starts[rows]] < 0
    signs = np.ones(len(starts) - 1)
    signs[rows[turned]] = -1.0
    ahead = values * np.repeat(signs, np.diff(starts))
    keys = row_keys(csr_array((ahead, columns, starts), difference.shape))[rows]
    return rows, pd.factorize(keys)[0].astype(np.int64), turned
