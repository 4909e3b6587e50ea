"""Rows grouped by user: what every reader does once it knows the differences of the attributes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.data.coding_options import CodingOptions
from bayes_pref.data.feature_scale import constant_features
from bayes_pref.data.features import Features
from bayes_pref.data.outcome import Outcome
from bayes_pref.data.plain_labels import refuse_names, refuse_odd_rows
from bayes_pref.data.read_only import read_only
from bayes_pref.data.readers.covariates import per_user
from bayes_pref.data.readers.row_weights import UNWEIGHTED, RowWeights
from bayes_pref.data.redundancy import doubtful_features
from bayes_pref.data.sides import (
    AS_SHOWN,
    ONE_SIDED,
    TOSS,
    SidesReader,
    bytes_of,
    one_sided_warning,
)
from bayes_pref.data.sparse_rows import taken_rows, turned_rows
from bayes_pref.data.table import Table, TableLike
from bayes_pref.errors import DataError, DataWarning
from bayes_pref.messages import listed
from bayes_pref.types import FloatArray

EVERYONE = "everyone"  # the one user of votes without a column of users


def one_user(table: Table) -> tuple[Table, str]:
    """Return the table with a column of users, all of them the same, and its name.

    Examples
    --------
    >>> table, user = one_user(Table.read(pd.DataFrame({"user": [1]})))
    >>> user, table.frame[user].tolist()
    ('_user', ['everyone'])
    """
    user = "user"
    while user in table.frame.columns:
        user = f"_{user}"
    return replace(table, frame=table.frame.assign(**{user: EVERYONE})), user


def group_rows(
    table: Table,
    features: Features,
    attributes: FloatArray,
    *,
    user: str,
    choice: str,
    outcome: Outcome,
    sides: SidesReader,
    pairs: tuple[Sequence[bytes], Sequence[bytes]] | None = None,
    right: FloatArray | None = None,
    catalogue: pd.DataFrame | None = None,
    covariates: TableLike | None = None,
    weights: RowWeights = UNWEIGHTED,
    options: CodingOptions = CodingOptions(),  # noqa: B008 - frozen
) -> dict[str, Any]:
    """Group the rows of a table by user, users in order of first appearance.

    Parameters
    ----------
    table
        n rows with the columns of the user, the choice and the contexts.
    features
        How attributes and contexts become features.
    attributes
        (n, k) left minus right, raw units.
    user, choice
        Names of these columns.
    outcome
        What the choice is.
    sides
        Whether sides are kept or tossed.
    pairs
        (n,) bytes that tell the left and the right items apart; None: their attributes do.
    right
        (n, k) attributes of the right item, where both sides are known.
    catalogue
        Attributes of the items, indexed by item label, where comparisons came as items.
    covariates
        One row a user, as `Comparisons.from_frame` takes it.
    weights
        Columns of frequencies, of survey weights and of what was randomised. A row that counts n
        times is repeated, under its label; of a task all rows are, and each copy is a task.
    options
        How to code covariates that are words, by name.

    Returns
    -------
    parts: the fields of `Comparisons` by name

    Raises
    ------
    DataError
        If the user, the choice, a context or a covariate cannot be used as it stands.
    """
    # An item may be called like a column.
    own = features.attributes[len(features.items) :]
    reserved = [name for name in (user, choice) if name in own]
    if reserved:
        raise DataError(
            f"feature {reserved[0]!r} is also the name of the user or the choice column",
            "rename the column, or the feature with features=[...]",
        )
    times = weights.frequencies(table)
    if times is not None:
        at, outcome = outcome.repeated(times)
        table = replace(table, frame=table.frame.iloc[at])
        attributes, right = attributes[at], None if right is None else right[at]
        if pairs is not None:
            pairs = ([pairs[0][row] for row in at], [pairs[1][row] for row in at])
    survey_weights, assigned = weights.of_users(table, user), weights.assigned(table)
    refuse_names([user, choice], "column")
    refuse_odd_rows(table.frame.index, table.name)
    codes, users = table.codes(user)
    choices = outcome.read(table, choice)
    contexts = table.numbers(features.contexts)
    if sides.sides == TOSS:
        names = features.attributes
        ours, theirs = pairs or (bytes_of(attributes, names), bytes_of(-attributes, names))
        beside = bytes_of(contexts, features.contexts)
        turned = sides.exchanged(users[codes], beside, ours, theirs)
        if right is not None:
            right = np.where(turned[:, None], right + attributes, right)
        attributes = turned_rows(attributes, turned)
        choices = np.where(turned, outcome.mirrored(choices), choices)
    covariate_values, covariate_names = per_user(
        covariates, user=user, users=users, options=options
    )
    refuse_names(covariate_names, "covariate")
    order = np.argsort(codes, kind="stable")
    return {
        "difference": taken_rows(features.expand(attributes, contexts), order),
        "choice": read_only(choices[order]),
        "user": read_only(codes[order]),
        "users": users,
        "features": features,
        "context": read_only(contexts[order]),
        "covariates": read_only(covariate_values),
        "covariate_names": covariate_names,
        "rows": table.frame.index[order],
        "catalogue": catalogue,
        "user_name": user,
        "choice_name": choice,
        "outcome": outcome.take(order),
        "right": None if right is None else read_only(right[order]),
        "sides": sides.of(choices) if outcome.rowwise else AS_SHOWN,
        "survey_weights": None if survey_weights is None else read_only(survey_weights),
        "randomised": None if assigned is None else read_only(assigned[order]),
    }


def warn_of_limits(parts: Mapping[str, Any], *, stacklevel: int) -> None:
    """Warn of one-sided answers, features that never differ, and users with one comparison."""
    if parts["sides"] == ONE_SIDED:
        warnings.warn(one_sided_warning(parts["choice"]), DataWarning, stacklevel=stacklevel)
    users, constant = parts["users"], constant_features(parts["difference"], parts["features"])
    doubt = doubtful_features(parts["difference"], parts["features"])
    if doubt:
        warnings.warn(doubt, DataWarning, stacklevel=stacklevel)
    if constant:
        warnings.warn(
            "features that never differ within a pair cancel, and their weights come from the "
            f"prior alone: {listed(constant)}; leave them out, or record pairs in which "
            "they differ",
            DataWarning,
            stacklevel=stacklevel,
        )
    single = users[np.bincount(parts["user"]) == 1]
    if len(single):
        warnings.warn(
            f"{len(single):,} of {len(users):,} users made a single comparison "
            f"({listed(single, limit=3)}): their own rewards rest mostly on other users",
            DataWarning,
            stacklevel=stacklevel,
        )
