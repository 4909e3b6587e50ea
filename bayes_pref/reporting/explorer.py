"""Tables of a page that sort, filter and turn pages: their rows as compact JSON, for ``page.js``.

Rows are written by columns. Numbers are whole multiples of a power of ten, texts are places in a
list of different ones, and sentences are places in a list of their forms with the numbers apart: a
report of 15,000 rows takes a few megabytes. Every text is data: the script shows it as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.messages import printable
from bayes_pref.reporting.html import escaped
from bayes_pref.types import FloatArray

SEPARATOR = "\x1f"  # stands for a number in a form; control characters in labels are escaped
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_DIGITS, _MOST_DIGITS = 3, 6  # decimals


@dataclass(frozen=True, kw_only=True)
class Explorer:
    """A table to search, filter and sort.

    Parameters
    ----------
    name
        Its identifier in the page.
    noun
        What its rows are, in the plural.
    rows
        Number of rows.
    columns
        As `number_column`, `level_column` and `sentence_column` return them. "user" and "verdict"
        are filters, too.
    shown
        Names of the columns that have a column on the page.
    sort
        Name of the column that the rows are sorted by at first.
    wide
        Heading of a last column with the pair and the sentence of a row; None: there is none.
    problems
        Verdicts that are pointed out.
    pairs
        What differs in the pair of each row, for ``page.js``; None: the rows are no pairs.

    Examples
    --------
    >>> ages = number_column("age", "age", np.array([31.0, 4.25]))
    >>> table = Explorer(name="people", noun="people", rows=2, columns=(ages,), shown=("age",))
    >>> '"values":[31000,4250]' in table.html()
    True
    """

    name: str
    noun: str
    rows: int
    columns: tuple[Mapping[str, Any], ...]
    shown: tuple[str, ...]
    sort: str = ""
    wide: str | None = None
    problems: tuple[str, ...] = ()
    pairs: Mapping[str, Any] | None = None

    def html(self) -> str:
        """Return the place of the table, its rows, and what stands there without scripts."""
        data = {
            "noun": self.noun,
            "rows": self.rows,
            "columns": self.columns,
            "shown": self.shown,
            "sort": self.sort or self.columns[0]["name"],
            "wide": self.wide,
            "problems": self.problems,
            "pairs": self.pairs,
        }
        return (
            f"<div class='explorer' id='{escaped(self.name)}'></div>"
            "<noscript><p>This table needs JavaScript, which is switched off here.</p></noscript>"
            f"<script type='application/json' id='{escaped(self.name)}-data'>"
            f"{embedded(data)}</script>"
        )


def embedded(data: Any) -> str:
    r"""Return JSON that can stand in a script element: nothing in it ends the element.

    Examples
    --------
    >>> embedded({"user": "</script><b>"})
    '{"user":"\\u003c/script>\\u003cb>"}'
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def number_column(
    name: str,
    title: str,
    values: Any,
    *,
    bounds: tuple[str, str] | None = None,
    hidden: bool = False,
) -> dict[str, Any]:
    """Return a column of numbers; what is missing or infinite is shown as a dash.

    Parameters
    ----------
    name, title
        What other columns and what people call it.
    values
        (n,) numbers.
    bounds
        Names of the columns that hold an interval to show beside it.
    hidden
        Whether it is there for sorting alone.

    Examples
    --------
    >>> column = number_column("mean", "log-odds", [0.25, np.nan])
    >>> column["values"], column["scale"]
    ([250, None], 1000)
    """
    given = np.asarray(values, dtype=np.float64)
    known = np.isfinite(given)
    finite = given[known]
    whole = bool((finite == np.round(finite)).all())
    digits = 0 if whole else _decimals(finite)
    exact = np.where(known, given, 0.0) * 10.0**digits
    scaled = np.round(exact)
    if digits == _DIGITS:  # of which the table shows one less, as sentences do
        scaled = np.where(scaled % 10 == 5, scaled + _away_from(scaled, exact), scaled)
    # Whole numbers beyond 2^53 are no longer apart in a browser either.
    numbers = scaled.astype(np.int64).tolist() if np.abs(scaled).max(initial=0) < 2**53 else None
    entries = scaled.tolist() if numbers is None else numbers
    column: dict[str, Any] = {
        "name": printable(name),
        "title": printable(title),
        "kind": "number",
        "digits": digits,
        "scale": 10**digits,
        "values": [value if there else None for value, there in zip(entries, known, strict=True)],
    }
    if bounds is not None:
        column["bounds"] = bounds
    return column | ({"hidden": True} if hidden else {})


def _away_from(halves: FloatArray, exact: FloatArray) -> FloatArray:
    """Return the sign of what was rounded off, so that rounding again goes the way of the number.

    14.8448 is 14.845 with three decimals, which would become 14.85 and not 14.84.
    """
    apart = exact - halves
    return np.where(np.abs(apart) > 1e-6, np.sign(apart), 0.0)


def _decimals(finite: np.ndarray[Any, Any]) -> int:
    """Decimals to show numbers with: more than usual where all are small, but not 0."""
    largest = float(np.abs(finite).max(initial=0.0))
    if largest >= 1e6:
        return 0
    if not 10.0**-_MOST_DIGITS < largest < 0.01:
        return _DIGITS
    return min(_DIGITS - int(np.floor(np.log10(largest))), _MOST_DIGITS)


def level_column(
    name: str, title: str, values: Sequence[Any], *, ordered: Sequence[str] = ()
) -> dict[str, Any]:
    """Return a column of texts, of which many may be the same.

    Parameters
    ----------
    name, title
        What other columns and what people call it.
    values
        (n,) labels.
    ordered
        The different texts in the order to sort them by; empty: as in a dictionary.

    Examples
    --------
    >>> column = level_column("user", "user", ["ann", "bob", "ann"])
    >>> column["levels"], column["values"]
    (['ann', 'bob'], [0, 1, 0])
    """
    codes, levels = pd.factorize(np.array([printable(value) for value in values], dtype=object))
    column = {"name": printable(name), "title": printable(title), "kind": "level"}
    if len(ordered):
        names = [each for each in map(printable, ordered) if each in set(levels)]
        places = pd.Index(names).get_indexer(pd.Index(levels))
        return column | {"levels": names, "values": places[codes].tolist(), "ordered": True}
    return column | {"levels": levels.tolist(), "values": codes.tolist()}


def sentence_column(name: str, title: str, values: Sequence[Any]) -> dict[str, Any]:
    r"""Return a column of sentences, with the numbers apart from the few forms of the rest.

    Examples
    --------
    >>> column = sentence_column("sentence", "why", ["Shift 0.25.", "Shift 1.5."])
    >>> column["templates"], column["values"], column["numbers"]
    (['Shift \x1f.'], [0, 0], ['0.25', '1.5'])
    """
    texts = [printable(value) for value in values]
    forms = np.array([_NUMBER.sub(SEPARATOR, text) for text in texts], dtype=object)
    codes, templates = pd.factorize(forms)
    return {
        "name": printable(name),
        "title": printable(title),
        "kind": "sentence",
        "templates": templates.tolist(),
        "values": codes.tolist(),
        "numbers": [" ".join(_NUMBER.findall(text)) for text in texts],
    }
