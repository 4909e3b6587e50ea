"""A report as one HTML page that holds its pictures and needs no other file."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib import pyplot

from bayes_pref.diagnostics.verdicts import MEANINGS
from bayes_pref.plots import report_panels as panels
from bayes_pref.plots.style import off_screen

if TYPE_CHECKING:
    from bayes_pref.diagnostics.report import Report

_ROWS = 12  # of each verdict that calls for action
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


def page(report: Report) -> str:
    """Write the page.

    Parameters
    ----------
    report
        What to write of.

    Returns
    -------
    html: a whole document
    """
    parts = [
        f"<h1>What {len(report.comparisons):,} comparisons can and cannot answer</h1>",
        _counts(report),
        f"<p><img alt='{panels.DESCRIPTION}' src='{_picture(report)}'></p>",
    ]
    if report.notes:
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in report.notes)
        parts.append(f"<h2>Notes</h2><ul>{notes}</ul>")
    given = report.counts()["comparisons"]
    for name in ("unidentifiable", "confounded", "separated"):
        if name in given.index:
            rows, total = report.examples(name, _ROWS)[["row", "user", "sentence"]], given[name]
            parts.append(f"<h2>{name.capitalize()}: {len(rows):,} of {total:,}</h2>{_table(rows)}")
    if len(report.directions):
        parts.append(f"<h2>What the data never separate</h2>{_table(report.directions)}")
    parts.append("<p>All rows are in comparisons.csv, all users in users.csv beside this page.</p>")
    body = "\n".join(parts)
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>Report</title><style>{_STYLE}</style></head>\n<body>{body}</body></html>\n"
    )


def _counts(report: Report) -> str:
    rows = "".join(
        f"<tr><th>{name}</th><td class='number'>{found['comparisons']:,}</td>"
        f"<td class='number'>{100 * found['share']:.0f} %</td>"
        f"<td>{html.escape(MEANINGS[str(name)])}</td></tr>"
        for name, found in report.counts().iterrows()
    )
    return f"<table>{rows}</table>"


def _table(frame: pd.DataFrame) -> str:
    return frame.to_html(index=False, border=0, float_format="{:.2f}".format, escape=True)


def _picture(report: Report) -> str:
    """Draw the panels as the data of an image."""
    with off_screen():
        figure, stream = report.plot(), io.BytesIO()
        try:
            figure.savefig(stream, dpi=130, format="png")
        finally:
            pyplot.close(figure)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
