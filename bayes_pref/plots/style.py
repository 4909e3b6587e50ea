"""Style of all plots: colours, axes, legends, and labels that fit.

Colours are those of Okabe & Ito, which any colour vision can tell apart. Labels are the caller's
words: a dollar sign or a backslash in them is text and starts no formula, control characters are
shown as escapes, and a label of any length stays short. Global settings of matplotlib stay.
"""

from __future__ import annotations

import re
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bayes_pref.errors import DataError
from bayes_pref.messages import printable
from bayes_pref.types import FloatArray

AxesArray: TypeAlias = np.ndarray[Any, Any]  # of matplotlib Axes, for which NumPy has no type

POPULATION, CHOSEN, TRUTH = "#0072B2", "#D55E00", "#000000"
USERS, USERS_INTERVAL, GUIDE = "#5F6B76", "#BCC5CE", "#E6E9EC"
GROUPS = (POPULATION, CHOSEN, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SMALL = 8.5  # points; font size of all labels
PANEL = (5.6, 3.6)  # inches, of one panel among several
LITERAL: dict[str, Any] = {"parse_math": False, "usetex": False}  # of a text with labels in it
_LABEL_WIDTH = 30
_LONGEST_LABEL = 120  # characters
_MANY = 500
_LEGEND_INCHES, _LETTER_INCHES, _HANDLE_INCHES = 1.95, 0.066, 0.5  # of an entry


def one_axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Return the caller's axes, or those of a new figure of this size (inches)."""
    if ax is None:
        ax = pyplot.subplots(figsize=size, layout="constrained")[1]
    elif not isinstance(ax, Axes):
        raise DataError(f"ax: got {type(ax).__name__} but expected one matplotlib Axes")
    return tidy(ax)


def panel_axes(ax: Axes | None, title: str) -> Axes:
    """Return the caller's axes, or those of a new figure of a panel's size, with a title."""
    ax = one_axes(ax, PANEL)
    ax.set_title(title, fontsize=SMALL + 1.5, loc="left")
    return ax


def blank(ax: Axes, text: str) -> Axes:
    """Write why there is nothing to draw, instead of a plot."""
    ax.text(0.5, 0.5, wrapped(text, 40), ha="center", va="center", fontsize=SMALL + 1)
    ax.set_axis_off()
    return ax


def many_axes(
    axes: Any, count: int, columns: int, panel: tuple[float, float], *, share_y: bool = False
) -> AxesArray:
    """Return the caller's axes, or `count` of a new figure with this many columns; flat.

    Raises
    ------
    DataError
        If the caller's axes are too few or too many, or not axes.
    """
    if axes is not None:
        flat = np.asarray(axes, dtype=object).ravel()
        if flat.size != count or not all(isinstance(ax, Axes) for ax in flat):
            given = type(flat[0]).__name__ if flat.size else "nothing"
            raise DataError(
                f"axes: {count} matplotlib Axes are needed, one a panel; got {flat.size} of {given}"
            )
    else:
        rows = -(-count // columns)
        size = (panel[0] * columns, panel[1] * rows + 0.6)
        figure = pyplot.figure(figsize=size, layout="constrained")
        flat = np.empty(count, dtype=object)
        for k in range(count):
            shared = flat[0] if share_y and k else None
            flat[k] = figure.add_subplot(rows, columns, k + 1, sharey=shared)
            flat[k].tick_params(labelleft=not share_y or k % columns == 0)
    for ax in flat:
        tidy(ax)
    return flat


def tidy(ax: Axes) -> Axes:
    """Remove the parts of the frame that carry no information."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=SMALL)
    return ax


def legend(ax: Axes, *, own: bool, above: bool = False) -> None:
    """Add a legend: below a figure of our own (`own`), inside axes of the caller.

    `above` raises the upper end of the axis to make room; otherwise the legend goes where it fits.
    """
    handles, labels = ax.get_legend_handles_labels()
    style: dict[str, Any] = {"fontsize": SMALL, "frameon": False}
    if own and isinstance(ax.figure, Figure):
        longest = _LETTER_INCHES * max(map(len, labels), default=0) + _HANDLE_INCHES
        fit = max(1, int(ax.figure.get_figwidth() / max(_LEGEND_INCHES, longest)))
        style |= {"loc": "outside lower center", "ncols": min(fit, len(labels))}
        drawn = ax.figure.legend(handles, labels, **style)
    else:
        drawn = ax.legend(handles, labels, **style, loc="upper left" if above else "best")
    if above and not own:
        share = min(1.5 * SMALL * len(labels) / points(ax)[1], 0.6)
        low, high = ax.get_ylim()
        ax.set_ylim(low, low + (high - low) / (1.0 - 0.8 * share))
    for text in drawn.get_texts():
        text.set(**LITERAL)
    # Thin lines and small markers must be visible in the legend.
    for handle in drawn.legend_handles:
        if isinstance(handle, Line2D):
            handle.set_linewidth(max(handle.get_linewidth(), 1.8))
            handle.set_markersize(max(handle.get_markersize(), 4.5))


def are_many(count: int) -> bool:
    """Whether so many marks are drawn as points of a picture, not as shapes, in vector formats.

    Thousands of shapes would make a file of megabytes that is slow to show.
    """
    return count > _MANY


def name_axes(ax: Axes, across: str | None = None, up: str | None = None) -> None:
    """Label the axes, in lines that are no longer than the axes."""
    if across is not None:
        ax.set_xlabel(fitted(ax, across), fontsize=SMALL + 0.5, **LITERAL)
    if up is not None:
        ax.set_ylabel(up, fontsize=SMALL + 0.5, **LITERAL)


def apart(places: FloatArray, gap: float) -> FloatArray:
    """Move places (n,) up, as little as needed, so that no two are closer than a gap.

    Examples
    --------
    >>> apart(np.array([5.0, 1.0, 1.5]), 1.0)
    array([5., 1., 2.])
    """
    order = np.argsort(places, kind="stable")
    steps = gap * np.arange(len(places))
    moved = np.empty(len(places))
    moved[order] = np.maximum.accumulate(places[order] - steps) + steps
    return moved


def fitted(ax: Axes, text: str) -> str:
    """Wrap a text at the width of the axes."""
    width = max(int(points(ax)[0] / (0.56 * SMALL)), 20)
    return textwrap.fill(cut(text, 3 * _LONGEST_LABEL), width, break_on_hyphens=False)


def points(ax: Axes) -> tuple[float, float]:
    """Width and height of axes before any layout; points."""
    box, inch = ax.get_window_extent(), ax.figure.dpi
    return box.width * 72.0 / inch, box.height * 72.0 / inch


def cut(label: object, most: int = _LONGEST_LABEL) -> str:
    r"""Write a label of the caller as `printable` does, with an ellipsis if it is longer than this.

    Examples
    --------
    >>> print(cut("a\x1b[2J"), cut("abcdefgh", 5))
    a\x1b[2J abcd…
    """
    text = str(label)
    text = printable(text[: most + 1])  # the whole label may be long
    return text if len(text) <= most else f"{text[: most - 1]}…"


def wrapped(label: object, width: int = _LABEL_WIDTH) -> str:
    """Break a long label into lines, where possible after a space, underscore, colon or hyphen.

    Examples
    --------
    >>> print(wrapped("number_of_questions_asked:prompt_is_about_code"))
    number_of_questions_asked:
    prompt_is_about_code
    """
    lines = [""]
    for part in re.findall(r"[^\s_:\-]+[\s_:\-]*|[\s_:\-]+", cut(label)):
        for piece in textwrap.wrap(part, width, drop_whitespace=False, break_on_hyphens=False):
            if len(lines[-1]) + len(piece.rstrip()) > width:
                lines.append("")
            lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


@contextmanager
def off_screen() -> Iterator[None]:
    """Draw into memory: for files, without a window or a screen."""
    before = mpl.get_backend()
    # Notebooks draw into memory, too. Taken away before its first figure, their backend would never
    # learn to show one.
    away = not before.endswith("inline")
    if away:
        mpl.use("agg")
    try:
        with warnings.catch_warnings():
            # A label in a script that the font lacks is drawn as boxes.
            warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
            yield
    finally:
        if away:  # not forced: a backend that cannot be shown was never in use
            mpl.use(before, force=False)
