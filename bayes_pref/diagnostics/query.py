"""The comparisons that verdicts are asked for: those a posterior was fitted to, or new ones."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons
from bayes_pref.data.table import FloatArray, IntArray, Table, TableLike, listed
from bayes_pref.errors import DataError, DataWarning
from bayes_pref.posterior import Posterior

Candidates: TypeAlias = "Comparisons | TableLike | None"

UNASKED = -1  # code of a user who made none of the fitted comparisons
_FAR = 10.0  # times the largest difference in the data: another unit rather than a wider range


@dataclass(frozen=True, eq=False)
class Pairs:
    """Comparisons, judged or not, as the diagnostics read them.

    Attributes
    ----------
    difference
        (n, d) features of left minus those of right, raw units, interactions included.
    context
        (n, q) contexts, raw units.
    user
        (n,) codes of the users among those of the fitted comparisons; -1: never asked.
    labels
        (n,) the users' labels.
    rows
        (n,) the caller's row labels.
    """

    difference: FloatArray
    context: FloatArray
    user: IntArray
    labels: pd.Index[Any]
    rows: pd.Index[Any]

    def __len__(self) -> int:
        """Return the number of pairs, n."""
        return len(self.difference)


def read_pairs(posterior: Posterior, candidates: Candidates = None) -> Pairs:
    """Read pairs in the features and contexts of a posterior's comparisons.

    Parameters
    ----------
    posterior
        Whose features, contexts and users the pairs are in.
    candidates
        None: the comparisons that were fitted. `Comparisons` with the same features; their choices
        are not used. Or a table with the attributes' differences (left minus right), the contexts
        and, unless all users are new, the user column, named as in the fitted comparisons.

    Returns
    -------
    Pairs

    Raises
    ------
    DataError
        If a column is missing, or a value is missing, infinite or not a number.

    Warns
    -----
    DataWarning
        If a feature or context is so far from what the data hold that its unit must be another.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> from bayes_pref.diagnostics.query import read_pairs
    >>> world = bp.simulate(users=5, features=["length"], seed=0)
    >>> posterior = bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> len(read_pairs(posterior))
    75
    >>> new = pd.DataFrame({"length": [2.0], "context_1": [0.0]}, index=["new"])
    >>> read_pairs(posterior, new).user
    array([-1])
    """
    fitted = posterior.comparisons
    if candidates is None:
        return _of_comparisons(fitted, fitted)
    if isinstance(candidates, Comparisons):
        if candidates.features != fitted.features:
            raise DataError(
                f"comparisons: got the features {listed(candidates.feature_names)} and contexts "
                f"{listed(candidates.features.contexts)}, but the posterior was fitted to "
                f"{listed(fitted.feature_names)} and {listed(fitted.features.contexts)}"
            )
        pairs = _of_comparisons(candidates, fitted)
    else:
        pairs = _of_table(candidates, fitted)
    _warn_of_units(pairs, fitted)
    return pairs


def _of_comparisons(comparisons: Comparisons, fitted: Comparisons) -> Pairs:
    codes = fitted.users.get_indexer(comparisons.users).astype(np.int64)
    return Pairs(
        comparisons.difference,
        comparisons.context,
        codes[comparisons.user],
        comparisons.users[comparisons.user],
        comparisons.rows,
    )


def _of_table(candidates: TableLike, fitted: Comparisons) -> Pairs:
    table = Table.read(candidates, "comparisons")
    features = fitted.features
    table.require([*features.attributes, *features.contexts])
    if not len(table.frame):
        raise DataError("comparisons: the table has no rows; at least 1 is needed")
    context = table.numbers(features.contexts)
    difference = features.expand(table.numbers(features.attributes), context)
    if fitted.user_name in table.frame.columns:
        codes, users = table.codes(fitted.user_name)
        labels = users[codes]
        user = fitted.users.get_indexer(labels).astype(np.int64)
    else:
        labels = pd.Index(["population"] * len(table.frame))
        user = np.full(len(table.frame), UNASKED, dtype=np.int64)
    return Pairs(difference, context, user, labels, table.frame.index)


def _warn_of_units(pairs: Pairs, fitted: Comparisons) -> None:
    """Warn of features and contexts whose values lie far outside of what the data hold."""
    named = (
        ("feature", fitted.feature_names, pairs.difference, fitted.difference),
        ("context", fitted.features.contexts, pairs.context, fitted.context),
    )
    for what, names, new, old in named:
        largest, known = np.abs(new).max(axis=0), np.abs(old).max(axis=0)
        # What never differs in the data has no unit to compare with.
        for column in np.flatnonzero((largest > _FAR * known) & (known > 0)):
            warnings.warn(
                f"comparisons, {what} {names[column]!r}: values reach {largest[column]:.4g}, but "
                f"{known[column]:.4g} in the data that were fitted; check that the unit is the "
                "same, for the answer extrapolates far",
                DataWarning,
                stacklevel=4,
            )
