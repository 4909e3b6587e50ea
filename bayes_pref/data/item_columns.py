"""Items of a table as indicators, where every item has a reward of its own."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_pref.data.features import Features
from bayes_pref.data.indicator_rows import indicator_differences
from bayes_pref.data.readers.catalogue import item_positions
from bayes_pref.data.sparse_rows import LARGE, held, refuse_array
from bayes_pref.data.table import Table
from bayes_pref.types import FloatArray, IntArray


def item_differences(
    catalogue: pd.DataFrame, features: Features, left: IntArray, right: IntArray
) -> FloatArray:
    """(m, k) attributes of the left items minus those of the right, given by position.

    Parameters
    ----------
    catalogue, features
        Those of the fitted comparisons.
    left, right
        (m,) positions in the catalogue; on the right -1 for nothing, whose attributes are 0.
    """
    if features.indicators and catalogue.shape[0] * catalogue.shape[1] > LARGE:
        return held(indicator_differences(left, right, catalogue.shape[1]))
    known = catalogue.to_numpy(np.float64)
    found: FloatArray = known[left] - np.where((right >= 0)[:, None], known[right], 0.0)
    return found


def with_item_columns(
    table: Table, features: Features, catalogue: pd.DataFrame, column: str
) -> Table:
    """Return a table whose items have columns of indicators, as `Features.matrix` reads them.

    Parameters
    ----------
    table
        One row an item, named in `column`; a row of the outside option names none.
    features, catalogue
        Those of the fitted comparisons.
    column
        The column with the items' labels.

    Raises
    ------
    DataError
        If an item is unknown; names the row.

    Examples
    --------
    >>> from bayes_pref.data.readers.catalogue import Catalogue
    >>> drinks = Catalogue.of_labels(pd.Index(["tea", "milk"])).beside(["warm"], {})
    >>> asked = Table.read(pd.DataFrame({"item": ["milk"], "warm": [1.0]}))
    >>> with_item_columns(asked, drinks.features([], None), drinks.frame, "item").frame
       item  warm  tea  milk
    0  milk   1.0  0.0   1.0
    """
    frame, names = table.frame, features.items
    refuse_array((len(frame), len(names)))
    indicators = np.zeros((len(frame), len(names)))
    inside = np.ones(len(frame), dtype=bool)
    for coding in features.codings:
        if coding.kind == "outside" and coding.name in frame.columns:
            inside &= table.numbers([coding.name])[:, 0] == 0.0
    rows = np.flatnonzero(inside)
    named = Table(frame.iloc[rows], table.name)
    never = "it is in none of the fitted comparisons: leave it out"
    indicators[rows, item_positions(named, column, catalogue.index, never)] = 1.0
    columns = pd.DataFrame(indicators, index=frame.index, columns=list(names))
    kept = frame.drop(columns=[name for name in names if name in frame.columns and name != column])
    return Table(pd.concat([kept, columns], axis=1), table.name, table.sides)


def with_item_differences(
    table: Table, features: Features, left: IntArray, right: IntArray
) -> Table:
    """Return a table with columns of indicators of the left item minus those of the right.

    Parameters
    ----------
    table, features
        The table, and the features of the fitted comparisons.
    left, right
        (n,) positions of the items among `features.items`.
    """
    refuse_array((len(left), len(features.items)))
    indicators = np.zeros((len(left), len(features.items)))
    indicators[np.arange(len(left)), left] += 1.0
    indicators[np.arange(len(left)), right] -= 1.0
    kept = table.frame.drop(columns=list(features.items), errors="ignore")
    columns = pd.DataFrame(indicators, index=kept.index, columns=list(features.items))
    return Table(pd.concat([kept, columns], axis=1), table.name, table.sides)
