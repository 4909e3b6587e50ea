"""Features of which the choices can say little: all levels of a factor, and what hardly differs."""

from __future__ import annotations

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import lsmr

from bayes_pref.data.features import Features
from bayes_pref.data.sparse_rows import compressed
from bayes_pref.messages import listed
from bayes_pref.types import FloatArray

_FEW, _SHARE = 10, 0.02  # pairs, and their share: fewer than both are next to none
_MOST_LEVELS = 200  # columns among which whole factors are looked for
_ROUNDING = 1e-8


def doubtful_features(difference: FloatArray, features: Features) -> str:
    """Warn in one sentence of features that hardly differ or are all levels of a factor.

    Parameters
    ----------
    difference
        (n, d) left minus right.
    features
        Their names.

    Returns
    -------
    warning: empty where there is nothing to say

    Examples
    --------
    >>> levels = np.tile(np.eye(3) - np.roll(np.eye(3), 1, axis=0), (4, 1))
    >>> print(doubtful_features(levels, Features(("red", "green", "blue"))))
    'red', 'green' and 'blue' are all levels of a factor: their differences add up to 0 in every
    pair, so that the prior alone tells their common part; leave one of them out
    """
    if features.indicators:  # an item is in few pairs, and the items are all levels by design
        return _constants_of_items(difference, features)
    reasons = []
    for group in _whole_factors(difference):
        names = listed([features.names[column] for column in group])
        reasons.append(
            f"{names} are all levels of a factor: their differences add up to 0 in every pair, so "
            "that the prior alone tells their common part; leave one of them out"
        )
    differs = np.count_nonzero(difference, axis=0)
    few = (differs > 0) & (differs < min(_FEW, _SHARE * len(difference)))
    if few.any():
        names = listed([features.names[column] for column in np.flatnonzero(few)])
        most, several = int(differs[few].max()), bool(few.sum() > 1)
        reasons.append(
            f"{names} {'differ in at most' if several else 'differs in'} "
            f"{most} of {len(difference):,} pairs, so that the prior tells nearly all of the "
            f"{'weights' if several else 'weight'}; leave out what hardly ever differs"
        )
    return "; and ".join(reasons)


def _constants_of_items(difference: FloatArray, features: Features) -> str:
    """Warn of attributes that each item always has alike, beside rewards of the items.

    Examples
    --------
    >>> rows = np.array([[1.0, -1.0, 2.0], [-1.0, 1.0, -2.0]])
    >>> _constants_of_items(rows, Features(("tea", "milk", "price"), indicators=True, beside=1))
    "'price' is a constant of each item, ...
    """
    places = features.level_blocks[0][1]  # the outside option is an item of its own
    beside = np.setdiff1d(np.arange(len(features.attributes)), places).tolist()
    if not beside:
        return ""
    items, others = compressed(difference[:, places]), np.asarray(difference[:, beside])
    sizes = np.sqrt((others**2).sum(axis=0))
    # Least squares: what is a constant of the items is a sum of their indicators in every row.
    fitted = np.column_stack(
        [lsmr(items, column, atol=1e-12, btol=1e-12, maxiter=500)[0] for column in others.T]
    )
    rest = np.sqrt(np.square(others - items @ fitted).sum(axis=0))
    alike = (sizes > 0) & (rest <= 1e-6 * sizes)
    if not alike.any():
        return ""
    several = alike.sum() > 1
    names = listed([features.attributes[beside[k]] for k in np.flatnonzero(alike)])
    return (
        f"{names} {'are constants' if several else 'is a constant'} of each item, so that the "
        f"choices cannot tell {'them' if several else 'it'} from the items' rewards, and the prior "
        "alone divides these; leave out one of the two"
    )


def _is_level(column: FloatArray) -> bool:
    return bool(np.isin(column, (-1.0, 0.0, 1.0)).all())


def _whole_factors(difference: FloatArray) -> list[list[int]]:
    """Columns of 1, 0 and -1 in groups that add up to 0 in every row."""
    n, d = difference.shape
    # A loop over columns, most of which the first rows rule out: a table may be large.
    likely = [k for k in range(d) if _is_level(difference[:100, k])]
    levels = np.array([k for k in likely if difference[:, k].any() and _is_level(difference[:, k])])
    if not 2 <= len(levels) <= min(_MOST_LEVELS, n / 4):  # few rows depend on one another by chance
        return []
    columns = difference[:, levels]
    values, vectors = np.linalg.eigh(columns.T @ columns)
    null = vectors[:, values < _ROUNDING * values[-1]]
    # Of separate factors, the projector on what is always 0 has a block each, all of it 1 / size.
    projector = null @ null.T
    count, group = connected_components(np.abs(projector) > _ROUNDING, directed=False)
    found = []
    for code in range(count):
        inside = np.flatnonzero(group == code)
        block = projector[np.ix_(inside, inside)]
        if len(inside) > 1 and np.allclose(block, 1 / len(inside), atol=1e-6):
            found.append([int(levels[column]) for column in inside])
    return found
