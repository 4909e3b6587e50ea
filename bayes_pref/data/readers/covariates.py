"""Covariates of users: one row a user, matched to the comparisons by label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.data.coding import coded_names, read_coded
from bayes_pref.data.coding_options import CodingOptions
from bayes_pref.data.plain_labels import REMEDY, odd_label
from bayes_pref.data.table import Table, TableLike
from bayes_pref.errors import DataError, Place
from bayes_pref.messages import listed, shown, suggestion
from bayes_pref.types import FloatArray, IntArray


def per_user(
    covariates: TableLike | None,
    *,
    user: str,
    users: pd.Index[Any],
    options: CodingOptions = CodingOptions(),  # noqa: B008 - frozen
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
    options
        How to code columns that are words, by name.

    Returns
    -------
    values, names
        (u, p) raw units, and the p names of the features; p is 0 without covariates.

    Raises
    ------
    DataError
        If a user is unknown, doubled or missing, or a covariate cannot be read or never varies.

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
    order = _order(table, user, users)
    columns = tuple(column for column in table.frame.columns if column != user)
    if not columns:
        raise DataError(
            f"has no column besides {user!r}",
            "add one or leave them out",
            place=Place("covariates"),
            subject=True,
        )
    codings = options.parted(columns)[0].learn_all(table, columns)
    values = read_coded(table, columns, codings)[order]
    columns = coded_names(columns, codings)
    for column, constant in zip(columns, np.ptp(values, axis=0) == 0, strict=True):
        if constant:
            value = values[0, columns.index(column)]
            raise DataError(
                f"is {value:g} for every user, so it explains nothing",
                "leave it out",
                place=Place("covariates", column),
                subject=True,
            )
    return values, columns


def _order(table: Table, user: str, users: pd.Index[Any]) -> IntArray:
    """(u,) positions of the users' rows in the table; refuse users unknown, doubled or missing."""
    labelled = user in table.frame.columns
    labels = pd.Index(table.labels(user) if labelled else table.frame.index)
    place = Place("covariates", user if labelled else None)
    odd = odd_label(labels)
    if odd is not None:
        raise DataError(f"labels of users must be plain values, and {odd[1]}", REMEDY, place=place)
    among = "" if labelled else f" (by the index: there is no column {user!r})"
    unknown = users.get_indexer(labels) < 0
    if unknown.all() and not labelled:
        raise DataError(
            f"covariates have no column {user!r} and their index holds none of the users",
            f"add the column {user!r} with one row a user",
        )
    if unknown.any():
        stranger = labels[int(np.argmax(unknown))]
        remedy = "keep only the users of the comparisons"
        if unknown.all():
            remedy = f"nor did any other of its users: the comparisons' are such as {listed(users)}"
        remedy = suggestion(stranger, users) or remedy
        raise DataError(f"user {shown(stranger)} made no comparison{among}", remedy, place=place)
    if labels.has_duplicates:
        doubled = shown(labels[labels.duplicated()][0])
        raise DataError(
            f"user {doubled} has more than one row{among}", "keep one row a user", place=place
        )
    order = labels.get_indexer(users)
    if (order < 0).any():
        missing = listed(users[order < 0])
        raise DataError(f"no row for user {missing}{among}", "add one row a user", place=place)
    return np.asarray(order, dtype=np.int64)


def covariate_columns(covariates: TableLike | None, user: str) -> tuple[str, ...]:
    """Names of the covariates' columns, as the caller has them.

    Examples
    --------
    >>> covariate_columns(pd.DataFrame({"id": ["b"], "age": [40]}), "id")
    ('age',)
    """
    if covariates is None:
        return ()
    return tuple(
        name for name in Table.read(covariates, "covariates").frame.columns if name != user
    )


def options_beside(
    options: CodingOptions,
    attributes: Sequence[str],
    contexts: Sequence[str],
    covariates: TableLike | None,
    user: str,
) -> tuple[CodingOptions, CodingOptions, CodingOptions]:
    """Return the options of attributes, of contexts and of covariates."""
    columns = set(contexts) | set(covariate_columns(covariates, user))
    beside, rest = options.parted([*columns.difference(attributes)])
    return rest, beside.parted(contexts)[0], beside.parted(covariate_columns(covariates, user))[0]
