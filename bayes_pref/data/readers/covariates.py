"""What is known of each user beside their choices: one row a user, matched by label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.data.table import FloatArray, Table, TableLike, closest, listed, shown
from bayes_pref.errors import DataError


def per_user(
    covariates: TableLike | None, *, user: str, users: pd.Index[Any]
) -> tuple[FloatArray, tuple[str, ...]]:
    """Covariates in the order of the users.

    Parameters
    ----------
    covariates
        One row a user; a column named like `user`, or else the index, holds the users' labels.
    user
        Name of the user column of the comparisons.
    users
        (u,) labels of the users who made comparisons.

    Returns
    -------
    values, names
        (u, p) raw units, and the p column names; p is 0 without covariates.

    Raises
    ------
    DataError
        If a user is unknown, doubled or missing, or a covariate is not a number or never varies.

    Examples
    --------
    >>> ages = pd.DataFrame({"id": ["b", "a"], "age": [40, 30]})
    >>> per_user(ages, user="id", users=pd.Index(["a", "b"]))
    (array([[30.],
           [40.]]), ('age',))
    """
    if covariates is None:
        return np.empty((len(users), 0)), ()
    table = Table.read(covariates, "covariates")
    labelled = user in table.frame.columns
    labels = pd.Index(table.labels(user) if labelled else table.frame.index)
    place = (
        f"covariates, column {user!r}"
        if labelled
        else f"covariates, index (there is no column {user!r})"
    )
    found = users.get_indexer(labels)
    if (found < 0).all() and not labelled:
        raise DataError(
            f"covariates have no column {user!r} and their index holds none of the users; "
            f"add the column {user!r} with one row a user"
        )
    if (found < 0).any():
        stranger = labels[int(np.argmax(found < 0))]
        remedy = "keep only the users of the comparisons"
        if (found < 0).all():
            remedy = f"nor did any other of its users: the comparisons' are such as {listed(users)}"
        raise DataError(
            f"{place}: user {shown(stranger)} made no comparison"
            + (closest(stranger, users) or f"; {remedy}")
        )
    if labels.has_duplicates:
        doubled = labels[labels.duplicated()][0]
        raise DataError(
            f"{place}: user {shown(doubled)} has more than one row; keep one row a user"
        )
    order = labels.get_indexer(users)
    if (order < 0).any():
        raise DataError(f"{place}: no row for user {listed(users[order < 0])}; add one row a user")
    columns = tuple(column for column in table.frame.columns if column != user)
    if not columns:
        raise DataError(f"covariates have no column besides {user!r}; add one or leave them out")
    values = table.numbers(columns)[order]
    for column, constant in zip(columns, np.ptp(values, axis=0) == 0, strict=True):
        if constant:
            raise DataError(
                f"covariates, column {column!r} is {values[0, columns.index(column)]:g} "
                "for every user, so it explains nothing; leave it out"
            )
    return values, columns
