"""Tables beside a saved posterior, whose labels are read as those of the posterior are."""

from __future__ import annotations

from typing import Any

import pandas as pd
from pandas.api import types

from bayes_pref.cli.tables import SourceTable, read_table, whole_number_labels
from bayes_pref.data import Comparisons
from bayes_pref.errors import DataError
from bayes_pref.posterior import Posterior

_ITEMS = ("left", "right", "item", "alternative")


def read_candidates(path: str, posterior: Posterior, file_format: str | None = None) -> SourceTable:
    """Read a table of comparisons in the columns of a posterior.

    Parameters
    ----------
    path, file_format
        The file, and its format where its name does not tell.
    posterior
        Whose users and items it names.
    """
    fitted = posterior.comparisons
    ids = _ITEMS if fitted.catalogue is not None else ()
    table = read_table(path, labels=[fitted.user_name, *ids], file_format=file_format)
    for name, labels in [(fitted.user_name, fitted.users), *((each, _ids(fitted)) for each in ids)]:
        if name in table.frame and types.is_integer_dtype(labels.dtype):
            [table] = whole_number_labels([(table, name)])
    return table


def user_labels(words: Any, posterior: Posterior) -> Any:
    """Return users that were named on the command line by their labels."""
    users = posterior.comparisons.users
    if not isinstance(words, list) or not types.is_integer_dtype(users.dtype):
        return words
    try:
        return [int(word) for word in words]
    except ValueError as err:
        raise DataError(f"--users: {err}", "users are whole numbers here") from err


def _ids(fitted: Comparisons) -> pd.Index[Any]:
    return pd.Index([]) if fitted.catalogue is None else fitted.catalogue.index
