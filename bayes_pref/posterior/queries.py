"""Queries as arrays: users, items and comparisons, given by label or by features."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array

from bayes_pref.data import Comparisons
from bayes_pref.data.item_columns import item_differences, with_item_columns
from bayes_pref.data.sparse_rows import held
from bayes_pref.data.table import Table, TableLike
from bayes_pref.errors import DataError
from bayes_pref.messages import closest, shown
from bayes_pref.types import FloatArray

Labels: TypeAlias = "Hashable | Sequence[Hashable] | pd.Index[Any] | pd.Series[Any] | NDArray[Any]"
Users: TypeAlias = "Labels | None"
Items: TypeAlias = "TableLike | Labels | None"

POPULATION, AVERAGE = "population", "average"
_LISTS = (list, tuple, range, set, frozenset, pd.Index, pd.Series, np.ndarray)


def is_average(users: Users) -> bool:
    """Whether users are asked for by the word for their average."""
    return isinstance(users, str) and users == AVERAGE


def user_positions(users: Users, known: pd.Index) -> NDArray[np.intp]:
    """Positions of users among those known.

    Parameters
    ----------
    users
        A label, a list of labels, or None for every user.
    known
        (u,) labels of the users.

    Raises
    ------
    DataError
        If a label is unknown.

    Examples
    --------
    >>> import pandas as pd
    >>> user_positions(["b", "a"], pd.Index(["a", "b"]))
    array([1, 0])
    """
    if users is None:
        return np.arange(len(known))
    return _positions(_as_list(users, known), known, "user")


def item_matrix(
    items: Items, comparisons: Comparisons, argument: str = "items", *, differences: bool = False
) -> tuple[FloatArray, pd.Index]:
    """Features (m, d) of items, and their labels.

    Parameters
    ----------
    items
        A table with the attributes (and the contexts that interact with any), of which the column
        ``item`` may stand for items with a reward each; item labels, where
        the comparisons have a catalogue; None for the whole catalogue.
    comparisons
        The data, which hold the features and the catalogue.
    argument
        Name of the caller's argument, for messages.
    differences
        Whether a table holds differences of items.

    Raises
    ------
    DataError
        If an item is unknown, a column is missing, or there is no catalogue to look items up in.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> import pandas as pd
    >>> votes = pd.DataFrame(
    ...     {
    ...         "who": [1, 1, 2, 2],
    ...         "a": ["tea", "milk", "tea", "milk"],
    ...         "b": ["milk", "tea", "milk", "tea"],
    ...         "chosen": [1, 0, 1, 1],
    ...     }
    ... )
    >>> comparisons = bp.Comparisons.from_items(
    ...     votes, user="who", left="a", right="b", choice="chosen"
    ... )
    >>> item_matrix("milk", comparisons)[0]
    array([[0., 1.]])
    """
    if is_table(items):
        table = Table.read(cast(TableLike, items), argument)
        features, catalogue = comparisons.features, comparisons.catalogue
        named = "item" in table.frame.columns and "item" not in features.columns
        by_name = named and not set(features.items) & set(table.frame.columns)
        if features.indicators and by_name and catalogue is not None and not differences:
            table = with_item_columns(table, features, catalogue, "item")
        frame = table.frame
        features.require(table)
        labels = pd.Index(frame["item"]) if named else frame.index
        read = features.difference_matrix if differences else features.matrix
        return read(frame), _flat(labels)
    catalogue = comparisons.catalogue
    if catalogue is None:
        asked = "are needed" if items is None else f"{shown(items)} cannot be looked up"
        raise DataError(
            f"{argument} {asked}: these comparisons have no catalogue of items; pass a frame with "
            f"the columns {', '.join(comparisons.features.columns[:5])}"
            f"{', ...' if len(comparisons.features.columns) > 5 else ''}"
        )
    if comparisons.features.interactions:
        raise DataError(
            f"{argument}: the reward of an item depends on its context here; pass a frame with the "
            "items' attributes and the context columns"
        )
    places = np.arange(len(catalogue))
    if items is not None:
        wanted = _as_list(items, catalogue.index)
        places = _positions(wanted, catalogue.index, "item")
    nothing = np.full(len(places), -1)
    matrix = item_differences(catalogue, comparisons.features, places, nothing)
    return matrix, _flat(catalogue.index[places])


def item_contrasts(comparisons: Comparisons, baseline: Hashable) -> FloatArray:
    """Weights relative to those of one item, (d, d) by which weights are multiplied.

    Where items have rewards of their own these, and their products with contexts, become those of
    the item minus those of the baseline; other weights stay.

    Parameters
    ----------
    comparisons
        The data.
    baseline
        Label of the item.

    Raises
    ------
    DataError
        If items have no reward of their own, or the item is unknown.
    """
    features, catalogue = comparisons.features, comparisons.catalogue
    if not features.indicators or catalogue is None:
        raise DataError(
            "baseline= names an item, and here items have no rewards of their own",
            "compare items with posterior.preference(left, right)",
        )
    place = int(_positions([baseline], catalogue.index, "item")[0])
    made = eye_array(comparisons.n_features, format="csr")
    for items, every in features.level_blocks:
        entries = np.ones(len(every)), (every, np.full(len(every), items[place]))
        made = csr_array(made - csr_array(entries, shape=made.shape))
    return held(made)


def difference_matrix(
    left: Items, right: Items, comparisons: Comparisons
) -> tuple[FloatArray, pd.Index]:
    """Feature differences (m, d), left minus right, and a label for each comparison.

    Parameters
    ----------
    left, right
        Items as for `item_matrix`, equally many. With `right` None, `left` holds differences.
    comparisons
        The data, which hold the features and the catalogue.

    Raises
    ------
    DataError
        As `item_matrix`, and if the sides differ in length or in context.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> import pandas as pd
    >>> world = bp.simulate(users=5, features=["length"], contexts=0, seed=0)
    >>> pair = pd.DataFrame({"length": [3.0]}, index=["x"]), pd.DataFrame({"length": [1.0]})
    >>> difference_matrix(*pair, world.comparisons)[0]
    array([[2.]])
    """
    if right is None:
        if not is_table(left):
            raise DataError("right is missing: without it, left must be a frame of differences")
        return item_matrix(left, comparisons, "left", differences=True)
    if is_table(left) and is_table(right):
        return _table_differences(cast(TableLike, left), cast(TableLike, right), comparisons)
    ours, labels = item_matrix(left, comparisons, "left")
    theirs, others = item_matrix(right, comparisons, "right")
    _same_length(len(ours), len(theirs))
    pairs = zip(labels, others, strict=True)
    return ours - theirs, pd.Index([f"{one} or {other}" for one, other in pairs])


def row_users(left: Items, comparisons: Comparisons) -> tuple[NDArray[np.intp], pd.Index] | None:
    """Find the user of each row of a table of items or differences.

    Parameters
    ----------
    left
        What `preference` takes.
    comparisons
        The data, which hold the users and the name of their column.

    Returns
    -------
    positions, labels: (n,) positions of the users, -1 where one is new, and their labels; None if
        this is no table with a column of users

    Raises
    ------
    DataError
        If a row has no user.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> comparisons = bp.simulate(users=5, features=["length"], contexts=0, seed=0).comparisons
    >>> asked = pd.DataFrame({"user": [comparisons.users[2], "new"], "length": [1.0, 2.0]})
    >>> row_users(asked, comparisons)[0]
    array([ 2, -1])
    """
    if not is_table(left):
        return None
    table = Table.read(cast(TableLike, left), "left")
    name = comparisons.user_name
    if name not in table.frame.columns or name in comparisons.features.columns:
        return None
    labels = pd.Index(list(table.labels(name)), tupleize_cols=False)
    return comparisons.users.get_indexer(labels).astype(np.intp), labels


def _table_differences(
    left: TableLike, right: TableLike, comparisons: Comparisons
) -> tuple[FloatArray, pd.Index]:
    """Differences of two tables, which share their contexts."""
    used = list(dict.fromkeys(context for _, context in comparisons.features.interactions))
    one, other = Table.read(left, "left"), Table.read(right, "right")
    _same_length(len(one.frame), len(other.frame))
    if used:
        one.require(used)
        context = one.numbers(used)
        given = [name for name in used if name in other.frame.columns]
        apart = other.numbers(given) != context[:, [used.index(name) for name in given]]
        if apart.any():
            row, column = np.argwhere(apart)[0]
            raise DataError(
                f"right, column {given[column]!r}: row {shown(other.frame.index[row])} differs "
                "from left; both sides of a comparison have the same context"
            )
        other = Table(other.frame.assign(**dict(zip(used, context.T, strict=True))), "right")
    theirs, _ = item_matrix(other.frame, comparisons, "right")
    ours, labels = item_matrix(one.frame, comparisons, "left")
    return ours - theirs, labels


def _same_length(left: int, right: int) -> None:
    if left != right:
        raise DataError(f"left has {left} rows and right has {right}; pair them one to one")


def is_table(items: object) -> bool:
    """Whether this is a table, and no list of labels."""
    if isinstance(items, pd.Series | pd.Index):
        return False  # they have the Arrow interface too, but are lists of labels
    interfaces = ("__arrow_c_stream__", "__dataframe__")
    return isinstance(items, pd.DataFrame) or any(hasattr(items, name) for name in interfaces)


def _as_list(labels: Any, known: pd.Index) -> list[Hashable]:
    """Labels as a list; a tuple is a single label if it is a known label."""
    if isinstance(labels, tuple) and labels in known:
        return [labels]
    return list(labels) if isinstance(labels, _LISTS) else [labels]


def _positions(labels: list[Hashable], known: pd.Index, what: str) -> NDArray[np.intp]:
    try:
        found = known.get_indexer(pd.Index(labels, tupleize_cols=False)) if labels else np.array([])
    except TypeError as err:
        raise DataError(f"a {what} is named by a label or a list of labels: {err}") from err
    if (found < 0).any():
        label = labels[int(np.argmax(found < 0))]
        raise DataError(f"unknown {what} {shown(label)}{_hint(label, known)}")
    return found.astype(np.intp)


def _hint(label: Hashable, known: pd.Index) -> str:
    near = closest(label, known)
    return near or f"; {what_is_known(known)}"


def what_is_known(known: pd.Index) -> str:
    """``the 946 known ones are 'a', 'b', ...``, for messages."""
    few = ", ".join(shown(label) for label in known[:3])
    return f"the {len(known):,} known are {few}{', ...' if len(known) > 3 else ''}"


def _flat(labels: pd.Index) -> pd.Index:
    return labels.to_flat_index() if labels.nlevels > 1 else labels
