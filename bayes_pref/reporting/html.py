"""HTML pages that hold their figures and need no other file.

Every text is escaped, and control characters in labels are written as escapes of Python's.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot
from pandas.api.types import is_float_dtype, is_numeric_dtype

from bayes_pref.messages import printable
from bayes_pref.plots.style import off_screen

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2329; margin: 2rem auto; max-width: 62rem;
       padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; margin: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0;
         border-bottom: 1px solid #e6e9ec; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
img { max-width: 100%; }
"""


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Parameters
    ----------
    title
        Its heading, as plain text; empty: none.
    parts
        HTML fragments, as the functions of this module return them.
    """

    title: str
    parts: tuple[str, ...]


def escaped(text: object) -> str:
    r"""Return a label as HTML that shows it, inside an element or the quotes of an attribute.

    Examples
    --------
    >>> escaped("<b> isn't\x1b[2J")
    '&lt;b&gt; isn&#x27;t\\x1b[2J'
    """
    return html.escape(printable(text), quote=True)


def page(title: str, sections: Iterable[Section]) -> str:
    """Return a whole HTML document.

    Parameters
    ----------
    title
        The title, as plain text.
    sections
        Its parts, in order.

    Examples
    --------
    >>> text = page("Fit", [Section("Notes", (items(["a < b"]),))])
    >>> "<h2>Notes</h2>" in text, "a &lt; b" in text
    (True, True)
    """
    body = [f"<h1>{escaped(title)}</h1>"]
    for section in sections:
        body += [f"<h2>{escaped(section.title)}</h2>"] if section.title else []
        body += section.parts
    content = "\n".join(body)
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escaped(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body>{content}</body></html>\n"
    )


def paragraph(text: str) -> str:
    """Return a paragraph of plain text."""
    return f"<p>{escaped(text)}</p>"


def items(texts: Sequence[str]) -> str:
    """Return a list of plain texts; nothing if it is empty."""
    lines = "".join(f"<li>{escaped(text)}</li>" for text in texts)
    return f"<ul>{lines}</ul>" if lines else ""


def table(frame: pd.DataFrame) -> str:
    """Return a table with the frame's columns as header; numbers have two decimals.

    Examples
    --------
    >>> table(pd.DataFrame({"user": ["<a>"], "x": [1.234]})).partition("</tr>")[2]
    "<tr><td>&lt;a&gt;</td><td class='number'>1.23</td></tr></table>"
    """
    head = "".join(f"<th>{escaped(name)}</th>" for name in frame.columns)
    columns = [_cells(frame.iloc[:, k]) for k in range(frame.shape[1])]
    rows = "".join(f"<tr>{''.join(cells)}</tr>" for cells in zip(*columns, strict=True))
    return f"<table><tr>{head}</tr>{rows}</table>"


def _cells(column: pd.Series[Any]) -> list[str]:
    """HTML of the cells of a column."""
    if is_float_dtype(column.dtype):
        return [f"<td class='number'>{value:.2f}</td>" for value in column]
    mark = " class='number'" if is_numeric_dtype(column.dtype) else ""
    return [f"<td{mark}>{escaped(value)}</td>" for value in column]


def plain_table(rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """Return a table of plain texts without a header; the first column is in bold.

    Parameters
    ----------
    rows
        Texts of the cells.
    numbers
        Positions of the columns that are aligned to the right.

    Examples
    --------
    >>> plain_table([["undecided", "12"]], numbers=[1])
    "<table><tr><th>undecided</th><td class='number'>12</td></tr></table>"
    """
    lines = []
    for first, *rest in rows:
        cells = [
            f"<td{' class=' + repr('number') if place in numbers else ''}>{escaped(text)}</td>"
            for place, text in enumerate(rest, start=1)
        ]
        lines.append(f"<tr><th>{escaped(first)}</th>{''.join(cells)}</tr>")
    return f"<table>{''.join(lines)}</table>"


def figure(draw: Callable[[], Any], description: str) -> str:
    """Return a figure as an image inside the page.

    Parameters
    ----------
    draw
        Draws a new figure and returns its axes, one or several.
    description
        What the image shows, for readers who do not see it.
    """
    with off_screen():
        drawn, stream = np.ravel(draw())[0].figure, io.BytesIO()
        try:
            drawn.savefig(stream, dpi=130, format="png")
        finally:
            pyplot.close(drawn)
    data = base64.b64encode(stream.getvalue()).decode()
    return f"<p><img alt='{escaped(description)}' src='data:image/png;base64,{data}'></p>"
