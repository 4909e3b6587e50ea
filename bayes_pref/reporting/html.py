"""HTML pages that hold their figures, style and script, and need no other file and no network.

Every text is escaped, and control characters in labels are written as escapes of Python's. A page
says which script may run in it: no other one would, whatever a label held.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from matplotlib import pyplot
from pandas.api.types import is_float_dtype, is_numeric_dtype

from bayes_pref.messages import printable
from bayes_pref.plots.style import off_screen

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Parameters
    ----------
    title
        Its heading, as plain text; empty: none.
    parts
        HTML fragments, as the functions of this module return them.
    name
        Its identifier, for links to it; empty: none.
    """

    title: str
    parts: tuple[str, ...]
    name: str = ""


def escaped(text: object) -> str:
    r"""Return a label as HTML that shows it, inside an element or the quotes of an attribute.

    Examples
    --------
    >>> escaped("<b> isn't\x1b[2J")
    '&lt;b&gt; isn&#x27;t\\x1b[2J'
    """
    return html.escape(printable(text), quote=True)


def page(title: str, sections: Iterable[Section], *, script: bool = False) -> str:
    """Return a whole HTML document.

    Parameters
    ----------
    title
        The title, as plain text.
    sections
        Its parts, in order.
    script
        Whether it holds tables that need the script (`reporting.explorer`).

    Examples
    --------
    >>> text = page("Fit", [Section("Notes", (items(["a < b"]),))])
    >>> "<h2>Notes</h2>" in text, "a &lt; b" in text
    (True, True)
    """
    body = [f"<h1>{escaped(title)}</h1>"]
    for section in sections:
        name = f" id='{escaped(section.name)}'" if section.name else ""
        heading = f"<h2>{escaped(section.title)}</h2>" if section.title else ""
        body += [f"<section{name}>{heading}", *section.parts, "</section>"]
    code = _resource("page.js") if script else ""
    body += [f"<script>{code}</script>"] if script else []
    content = "\n".join(body)
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(code)}">'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escaped(title)}</title><style>\n{_resource('page.css')}</style></head>\n"
        f"<body>{content}</body></html>\n"
    )


def _resource(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _policy(code: str) -> str:
    """Return what a page may load and run: pictures in it, its style, and this script."""
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    scripts = f"'sha256-{digest}'" if code else "'none'"
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {scripts}; "
        "base-uri 'none'; form-action 'none'"
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
    "<tr><td>&lt;a&gt;</td><td class='number'>1.23</td></tr></table></div>"
    """
    marks = [" class='number'" if is_numeric_dtype(kind) else "" for kind in frame.dtypes]
    named = zip(marks, frame.columns, strict=True)
    head = "".join(f"<th{mark}>{escaped(name)}</th>" for mark, name in named)
    columns = [_cells(frame.iloc[:, k]) for k in range(frame.shape[1])]
    rows = "".join(f"<tr>{''.join(cells)}</tr>" for cells in zip(*columns, strict=True))
    return f"<div class='scroll'><table><tr>{head}</tr>{rows}</table></div>"


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
    "<table class='plain'><tr><th>undecided</th><td class='number'>12</td></tr></table>"
    """
    lines = []
    for first, *rest in rows:
        cells = [
            f"<td{' class=' + repr('number') if place in numbers else ''}>{escaped(text)}</td>"
            for place, text in enumerate(rest, start=1)
        ]
        lines.append(f"<tr><th>{escaped(first)}</th>{''.join(cells)}</tr>")
    return f"<table class='plain'>{''.join(lines)}</table>"


def facts(entries: Iterable[tuple[str, str]]) -> str:
    """Return names and what is said of each, all plain texts.

    Examples
    --------
    >>> facts([("seed", "0")])
    "<dl class='facts'><dt>seed</dt><dd>0</dd></dl>"
    """
    lines = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(said)}</dd>" for name, said in entries)
    return f"<dl class='facts'>{lines}</dl>"


def cases(entries: Iterable[tuple[str, str, str]]) -> str:
    """Return a list of cases: what each is called, what it is about, and what is said of it.

    Examples
    --------
    >>> cases([("row 3", "price +1", "Confounded.")])  # doctest: +ELLIPSIS
    "<ul class='cases'><li><strong>row 3</strong> <span class='what'>price +1</span>..."
    """
    lines = "".join(
        f"<li><strong>{escaped(name)}</strong> <span class='what'>{escaped(about)}</span>"
        f"{escaped(said)}</li>"
        for name, about, said in entries
    )
    return f"<ul class='cases'>{lines}</ul>"


def links(names: Sequence[str]) -> str:
    """Return a list of links to files that lie beside the page.

    Examples
    --------
    >>> links(["a b.csv"])
    "<ul class='files'><li><a href='a%20b.csv'>a b.csv</a></li></ul>"
    """
    lines = "".join(f"<li><a href='{quote(name)}'>{escaped(name)}</a></li>" for name in names)
    return f"<ul class='files'>{lines}</ul>"


def folded(title: str, content: str) -> str:
    """Return a fragment that is shown when its title is pressed."""
    return f"<details><summary>{escaped(title)}</summary>{content}</details>"


def figures(drawn: Iterable[str]) -> str:
    """Return figures side by side where there is room."""
    return f"<div class='figures'>{''.join(drawn)}</div>"


def figure(
    draw: Callable[[], Any],
    description: str | None = None,
    size: tuple[float, float] | None = None,
) -> str:
    """Return a figure as an image inside the page.

    Parameters
    ----------
    draw
        Draws a new figure and returns its axes, one or several.
    description
        What the image shows, for readers who do not see it; None: the titles of its axes.
    size
        Width and height in inches, for a size of the text; None: as it was drawn.
    """
    with off_screen():
        axes, stream = np.ravel(draw()), io.BytesIO()
        text = _titles(axes) if description is None else description
        try:
            if size is not None:
                axes[0].figure.set_size_inches(size)
            axes[0].figure.savefig(stream, dpi=180, format="png")
        finally:
            pyplot.close(axes[0].figure)
    data = base64.b64encode(stream.getvalue()).decode()
    return f"<figure><img alt='{escaped(text)}' src='data:image/png;base64,{data}'></figure>"


def _titles(axes: Iterable[Any]) -> str:
    """Say what axes show: the title of each, and what is drawn against what."""
    found = []
    for ax in axes:
        title = next(filter(None, map(ax.get_title, ("left", "center", "right"))), "")
        labels = " against ".join(filter(None, (ax.get_ylabel(), ax.get_xlabel())))
        found.append(": ".join(filter(None, (title, labels))))
    return " ".join("; ".join(filter(None, found)).split())
