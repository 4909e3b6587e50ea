"""Subgroups of users: by a covariate, or by a label for each user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons
from bayes_pref.data.survey_weights import shares
from bayes_pref.errors import DataError
from bayes_pref.messages import closest, listed, shown
from bayes_pref.types import FloatArray, IntArray

By: TypeAlias = "str | pd.Series[Any] | None"

_MOST = 20  # groups


@dataclass(frozen=True, eq=False)
class Subgroup:
    """Some of the users, and how much each counts.

    Attributes
    ----------
    label
        What they have in common; None for all users.
    users
        (g,) their positions.
    shares
        (g,) their shares in averages, which sum to 1.
    """

    label: Any
    users: IntArray
    shares: FloatArray


def everyone(comparisons: Comparisons) -> Subgroup:
    """Return all users as one group."""
    return Subgroup(None, np.arange(comparisons.n_users), comparisons.user_shares)


def subgroups(by: By, comparisons: Comparisons) -> list[Subgroup]:
    """Divide users into groups; None: all are one.

    Parameters
    ----------
    by
        The name of a covariate, or a Series of labels indexed by user: truth values, text,
        categories or numbers, of which every distinct one is a group. Users whose label is missing
        are in no group.
    comparisons
        The data.

    Raises
    ------
    DataError
        If there is no such covariate, a user has no label, a group has nobody, or there is one
        group only, or too many.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> data = bp.simulate(users=4, seed=0).comparisons
    >>> old = pd.Series([True, False, True, True], index=data.users)
    >>> [(group.label, group.users.tolist()) for group in subgroups(old, data)]
    [(False, [1]), (True, [0, 2, 3])]
    """
    if by is None:
        return [everyone(comparisons)]
    labels, name = _labels(by, comparisons)
    if isinstance(labels.dtype, pd.CategoricalDtype):
        groups: Sequence[Any] = list(labels.cat.categories)
    elif pd.api.types.is_bool_dtype(labels):
        groups = [False, True]
    else:
        distinct = labels.dropna().unique()
        try:
            groups = sorted(distinct)
        except TypeError:
            groups = list(distinct)
    if len(groups) > _MOST:
        raise DataError(
            f"by: {name} has {len(groups)} different values", "cut it into groups, as by pd.cut"
        )
    members = [np.flatnonzero((labels == group).to_numpy(dtype=bool)) for group in groups]
    empty = [group for group, users in zip(groups, members, strict=True) if not len(users)]
    if empty or not len(groups):
        whom = f"group {shown(empty[0])}" if empty else "any group"
        raise DataError(f"by: nobody is in {whom} of {name}", "leave out a group without users")
    if len(groups) == 1:
        raise DataError(f"by: all users are in the group {shown(groups[0])} of {name}")
    weights = comparisons.user_shares
    found = []
    for group, users in zip(groups, members, strict=True):  # a loop over groups
        if not weights[users].any():
            raise DataError(
                f"by: the users in the group {shown(group)} of {name} all have the survey weight 0",
                "leave out a group that stands for nobody",
            )
        found.append(Subgroup(_plain(group), users, shares(weights[users])))
    return found


def _labels(by: object, comparisons: Comparisons) -> tuple[pd.Series[Any], str]:
    """(u,) labels in the order of the users, and what they are called."""
    users = comparisons.users
    if isinstance(by, str):
        names = comparisons.covariate_names
        if by not in names:
            known = f"; the covariates are {listed(names, limit=20)}" if names else ""
            hint = closest(by, names) or known or "; the comparisons have none: give a Series"
            raise DataError(f"by: there is no covariate {by!r}{hint}")
        values = comparisons.covariates[:, names.index(by)]
        return pd.Series(values, index=users), repr(by)
    if not isinstance(by, pd.Series):
        raise DataError(
            f"by: got {type(by).__name__}",
            "give the name of a covariate, or a Series indexed by user",
        )
    if not by.index.is_unique:
        doubled = shown(by.index[by.index.duplicated()][0])
        raise DataError(f"by: user {doubled} has more than one label")
    place = by.index.get_indexer(users)
    if (place < 0).any():
        missing = listed(users[place < 0], limit=3)
        raise DataError(f"by: the Series has no label for user {missing}", "index it by user")
    return by.iloc[place], "by" if by.name is None else repr(by.name)


def _plain(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label
