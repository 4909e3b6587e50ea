"""Which labels and names are accepted: those that can be printed, compared, saved and loaded.

A label of another kind is refused when the table is read, and not when an hour of draws is saved.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from bayes_pref.errors import DataError, Place
from bayes_pref.messages import shown

REMEDY = "use text, numbers, truth values or dates, such as frame[column].astype(str)"
_NUMBERS = (int, float)
# Kinds of columns all of whose values are plain: no value needs a look.
_PLAIN_KINDS = "biufmM"


def why_not_plain(label: object) -> str:
    """Say why a label cannot be kept as it is; nothing if it can.

    Examples
    --------
    >>> why_not_plain("ann"), why_not_plain(17), why_not_plain(b"ann")
    ('', '', 'is of type bytes')
    """
    kind = type(label)
    if isinstance(label, np.generic) and label.dtype.kind in "biufU":
        label = label.item()
    if kind is tuple:
        parts = [why_not_plain(part) for part in label]  # type: ignore[attr-defined]
        return next(filter(None, parts), "")
    if isinstance(label, str) and (kind is str or kind is np.str_):
        return why_not_text(label)
    if type(label) in (bool, int, float, dt.date):
        return ""
    if kind in (pd.Timestamp, dt.datetime):
        # In an object column; a column of times has one zone, which is kept.
        return "is a time with a zone of its own" if label.tzinfo else ""  # type: ignore[attr-defined]
    return f"is of type {kind.__name__}"


def why_not_text(text: str) -> str:
    r"""Say why a text cannot be kept in a file: half a character, or a NUL; nothing if it can.

    Examples
    --------
    >>> why_not_text("tea"), why_not_text("te\0a")
    ('', 'holds the character NUL')
    """
    if "\0" in text:
        return "holds the character NUL"
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, as JSON may hold one
        return "holds half a character"
    return ""


def refuse_names(names: Iterable[str], what: str) -> None:
    """Refuse names of columns that a file cannot hold."""
    for name in names:
        reason = why_not_text(name)
        if reason:
            raise DataError(f"the {what} {shown(name)} {reason}", "rename it")


def odd_label(labels: pd.Index[Any] | pd.Series[Any]) -> tuple[int, str] | None:
    """Find the first label that cannot be kept, as its position and the reason.

    Parameters
    ----------
    labels
        None of them missing.

    Examples
    --------
    >>> odd_label(pd.Index(["a", b"b"])), odd_label(pd.Index([1, 2]))
    ((1, "b'b' is of type bytes"), None)
    """
    dtype = labels.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        found = odd_label(pd.Index(dtype.categories))
        if found is None:
            return None
    elif getattr(dtype, "kind", "O") in _PLAIN_KINDS and not types.is_object_dtype(dtype):
        return None
    if _surely_plain(labels.tolist()):
        return None
    bools = numbers = False
    # A loop over labels: each may be of another type.
    for position, label in enumerate(labels):
        reason = "is a tuple, not one value" if type(label) is tuple else why_not_plain(label)
        if reason:
            return position, f"{shown(label)} {reason}"
        if isinstance(label, bool | np.bool_):
            bools = True
        elif isinstance(label, (*_NUMBERS, np.number)):
            numbers = True
        if bools and numbers:  # pandas takes them for one label
            return position, f"{shown(label)} stands among truth values and numbers, and True is 1"
    return None


def refuse_odd_rows(rows: pd.Index[Any], table: str) -> None:
    """Refuse labels of rows that cannot be saved; missing ones can.

    Examples
    --------
    >>> refuse_odd_rows(pd.Index([b"a"]), "")
    Traceback (most recent call last):
    bayes_pref.errors.DataError: the label b'a' of row 0 (counted from 0) is of type bytes; ...
    """
    levels = rows.levels if isinstance(rows, pd.MultiIndex) else [rows]
    for level in levels:
        # The values of a level that has several, or the rows.
        for position, label in enumerate(_doubtful(level)):  # each may be of another type
            reason = why_not_plain(label)
            if reason and label is not None:
                where = "" if len(levels) > 1 else f" of row {position} (counted from 0)"
                raise DataError(
                    f"the label {shown(label)}{where} {reason}",
                    "number the rows with frame.reset_index(drop=True)",
                    place=Place(table) if table else None,
                )
    for name in rows.names:
        if name is not None and why_not_plain(name):
            raise DataError(
                f"the name {shown(name)} of the row labels {why_not_plain(name)}", "rename it"
            )


def _doubtful(index: pd.Index[Any]) -> Iterable[object]:
    """Values that need a look: none where the type of the index answers for all of them."""
    dtype = index.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _doubtful(pd.Index(dtype.categories))
    kind = getattr(dtype, "kind", "O")
    plain = kind in _PLAIN_KINDS and isinstance(dtype, np.dtype | pd.DatetimeTZDtype)
    return () if plain or _surely_plain(index.tolist()) else index


def _surely_plain(labels: list[Any]) -> bool:
    """Whether labels of one ordinary type are plain: a quick look at all of them at once."""
    kinds = set(map(type, labels))
    if kinds == {str}:
        return not why_not_text("".join(labels))
    return kinds <= {int, float} or kinds == {bool}
