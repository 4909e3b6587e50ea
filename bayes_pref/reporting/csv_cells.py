r"""Cells of CSV files: text that a spreadsheet shows, and never runs.

A spreadsheet takes a cell that begins with = + - @ for a formula, and labels are anybody's. A text
cell that begins with one of these, a tab, a line break or an apostrophe, or that holds a control
character, is written with an apostrophe before it; in it a backslash is doubled, and what is not
printable is escaped (``\x1b``). Numbers, and texts that are plain numbers, stay as they are.

`restored` takes the apostrophes and escapes away again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from pandas.api import types

from bayes_pref.messages import printable

_FORMULA = tuple("=+-@\t\r\n'\uff1d\uff0b\uff0d\uff20")  # the last four: full width
_ESCAPES = {"x": 2, "u": 4, "U": 8}  # letter -> digits
_LETTERS = {"n": "\n", "t": "\t", "r": "\r"}


def neutral(frame: pd.DataFrame, *, index: bool) -> pd.DataFrame:
    """Return a frame to write as CSV, whose texts no spreadsheet takes for formulas.

    Parameters
    ----------
    frame
        What is to be written.
    index
        Whether the index will be written.

    Examples
    --------
    >>> frame = pd.DataFrame({"user": ["=1+1", "ann", "-3"], "mean": [-0.5, 1.0, 2.0]})
    >>> neutral(frame, index=False).to_numpy().tolist()
    [["'=1+1", -0.5], ['ann', 1.0], ['-3', 2.0]]
    """
    columns = {k: _mapped(frame.iloc[:, k], _cell) for k in range(frame.shape[1])}
    made = pd.DataFrame(columns, index=frame.index)
    made.columns = _index(_cell(name) for name in frame.columns)
    if index:
        name = frame.index.name
        made.index = _index(map(_cell, frame.index))
        made.index.name = None if name is None else _cell(name)
    return made


def restored(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame that was read from such a CSV file, with the texts as they were.

    Examples
    --------
    >>> restored(pd.DataFrame({"user": ["'=1+1", "ann"]}))["user"].tolist()
    ['=1+1', 'ann']
    """
    columns = {k: _mapped(frame.iloc[:, k], _read) for k in range(frame.shape[1])}
    made = pd.DataFrame(columns, index=frame.index)
    made.columns = _index(_read(name) for name in frame.columns)
    return made


def _mapped(column: pd.Series[Any], change: Any) -> pd.Series[Any]:
    kept = types.is_numeric_dtype(column.dtype) or types.is_bool_dtype(column.dtype)
    if kept or types.is_datetime64_any_dtype(column.dtype):
        return column
    # Objects: as text of Arrow's, half a character (which a label may hold) would be an error.
    return pd.Series([change(value) for value in column], index=column.index, dtype=object)


def _index(labels: Iterable[Any]) -> pd.Index[Any]:
    return pd.Index(list(labels), dtype=object, tupleize_cols=False)


def _cell(value: Any) -> Any:
    """Write one cell; what is a number, or missing, stays what it is."""
    if types.is_number(value) or types.is_bool(value) or value is None or value is pd.NA:
        return value
    text = str(value)
    shown = printable(text)
    if shown == text and (not text.startswith(_FORMULA) or _is_number(text)):
        return value
    return "'" + printable(text.replace("\\", "\\\\"))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and text == text.strip()


def _read(value: Any) -> Any:
    """Read one cell that `_cell` wrote."""
    if not isinstance(value, str) or not value.startswith("'"):
        return value
    first, *parts = value[1:].split("\\")
    read, doubled = [first], False
    for part in parts:
        if doubled:  # the second of two backslashes
            read.append(part)
            doubled = False
        elif not part:
            read.append("\\")
            doubled = True
        elif part[0] in _ESCAPES:
            end = 1 + _ESCAPES[part[0]]
            read += [chr(int(part[1:end], 16)), part[end:]]
        else:
            read += [_LETTERS.get(part[0], part[0]), part[1:]]
    return "".join(read)
