"""Whether the parts of `Comparisons` fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref import settings
from bayes_pref.data.sides import SIDES
from bayes_pref.data.sparse_rows import compressed, is_sparse
from bayes_pref.data.survey_weights import check_survey_weights
from bayes_pref.errors import DataError, Place
from bayes_pref.types import FloatArray, IntArray, Mask


def check_parts(parts: Mapping[str, Any]) -> None:
    """Refuse parts that do not fit together.

    Parameters
    ----------
    parts
        The fields of `Comparisons` by name, arrays of their types.

    Raises
    ------
    DataError
        Names the part, and where a value is wrong its column and row.
    """
    features, users, rows = parts["features"], parts["users"], parts["rows"]
    n, u, covariates = len(parts["choice"]), len(users), parts["covariate_names"]
    shapes = {
        "difference": (n, len(features.names)),
        "choice": (n,),
        "user": (n,),
        "context": (n, len(features.contexts)),
        "covariates": (u, len(covariates)),
        "rows": (n,),
    }
    if parts["right"] is not None:
        shapes["right"] = (n, len(features.attributes))
    if parts["survey_weights"] is not None:
        shapes["survey_weights"] = (u,)
    if parts["randomised"] is not None:
        shapes["randomised"] = (n,)
    for name, expected in shapes.items():
        found = parts[name].shape
        if found != expected:
            raise DataError(f"{name} has shape {found}, but {expected} fits the other parts")
    if not n:
        raise DataError("no comparisons: at least 1 row is needed")
    settings.argument("sides", parts["sides"], settings.one_of(*SIDES))
    _check_users(parts["user"], users)
    _check_finite("feature", features.names, parts["difference"], rows)
    _check_finite("context", features.contexts, parts["context"], rows)
    _check_finite("covariate", covariates, parts["covariates"], users)
    if parts["survey_weights"] is not None:
        check_survey_weights(parts["survey_weights"], users)
    if parts["randomised"] is not None:
        _check_tasks(parts["randomised"], parts["outcome"].tasks(n), rows)


def _check_tasks(randomised: Mask, task: IntArray, rows: pd.Index[Any]) -> None:
    """Refuse tasks of which some rows were assigned at random and others not."""
    first = np.flatnonzero(np.diff(task, prepend=-1))
    apart = randomised != randomised[first][task]
    if apart.any():
        raise DataError(
            "randomised differs between the rows of a task",
            "mark all rows of a task, or none",
            place=Place.of_row("", None, int(np.argmax(apart)), rows),
        )


def _check_users(user: IntArray, users: pd.Index[Any]) -> None:
    """Refuse codes that are not sorted or leave a user out, and labels that repeat."""
    count = len(users)
    if not np.array_equal(np.unique(user), np.arange(count)) or (np.diff(user) < 0).any():
        raise DataError(f"user must hold each code from 0 to {count - 1}, in nondecreasing order")
    if users.has_duplicates:
        raise DataError("users must be different labels")


def _check_finite(
    what: str, names: Sequence[str], values: FloatArray, labels: pd.Index[Any]
) -> None:
    """Refuse missing and infinite values; name the column and the row."""
    if is_sparse(values):
        rows = compressed(values)
        at = np.flatnonzero(~np.isfinite(rows.data))[:1]
        place = [(np.searchsorted(rows.indptr, k, side="right") - 1, rows.indices[k]) for k in at]
    else:
        place = [(row, column) for row, column in np.argwhere(~np.isfinite(values))[:1]]
    for row, column in place:
        raise DataError(
            f"{what} {names[column]!r} is missing or too large for a float",
            "drop the row or use another unit",
            place=Place.of_row("", None, int(row), labels),
        )
