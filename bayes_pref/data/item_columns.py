"""Items of a table as indicators, where every item has a reward of its own."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_pref.data.features import Features
from bayes_pref.data.readers.catalogue import item_positions
from bayes_pref.data.table import Table
from bayes_pref.types import IntArray


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
    indicators = np.zeros((len(left), len(features.items)))
    indicators[np.arange(len(left)), left] += 1.0
    indicators[np.arange(len(left)), right] -= 1.0
    kept = table.frame.drop(columns=list(features.items), errors="ignore")
    columns = pd.DataFrame(indicators, index=kept.index, columns=list(features.items))
    return Table(pd.concat([kept, columns], axis=1), table.name, table.sides)
