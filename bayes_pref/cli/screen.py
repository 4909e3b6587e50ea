"""Layout of plain text of at most 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

import numpy as np

WIDTH = 100
_SHORTEST_NAME = 12


def paragraph(text: str, indent: str = "", hanging: str | None = None) -> str:
    """Break a text into lines of at most `WIDTH` columns."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        break_on_hyphens=False,
        expand_tabs=False,  # eight spaces for each: wrapping takes the square of their number
    )


def grid(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int] = (0,)
) -> str:
    """Lay out cells in columns, indented by two; columns in `left` are aligned to the left.

    Names in the first column are shortened if the line would be longer than `WIDTH`.

    Examples
    --------
    >>> print(grid(["feature", "true"], [["length", "-0.40"], ["tone", "1.25"]]))
      feature   true
      length   -0.40
      tone      1.25
    """
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(header))]
    room = WIDTH - sum(2 + width for width in widths[1:]) - 2
    widths[0] = min(widths[0], max(room, _SHORTEST_NAME))
    lines = []
    for name, *others in cells:
        padded = [
            cell.ljust(width) if k in left else cell.rjust(width)
            for k, (cell, width) in enumerate(
                zip([_shortened(name, widths[0]), *others], widths, strict=True)
            )
        ]
        lines.append(f"  {'  '.join(padded)}".rstrip())
    return "\n".join(lines)


def section(title: str, *parts: str) -> str:
    """Put a title over parts: grids, which are kept, and sentences, which are broken into lines."""
    texts = [part if part.startswith("  ") else paragraph(part, "  ") for part in parts]
    return "\n\n".join([f"{title}\n{'-' * len(title)}", *texts])


def rounded(values: Iterable[float], sd: float) -> list[str]:
    """Format numbers to the first digit of their uncertainty, with two decimals at least.

    Examples
    --------
    >>> rounded([1.23456, -0.5], 0.07), rounded([0.0225], 0.005), rounded([2e-7], 1e-8)
    (['1.23', '-0.50'], ['0.022'], ['2.0e-07'])
    """
    decimals = -int(np.floor(np.log10(sd))) if sd > 0.0 else 2
    style = f".{max(decimals, 2)}f" if decimals <= 6 else ".1e"
    return [format(value, style) for value in values]


def _shortened(name: str, width: int) -> str:
    if len(name) <= width:
        return name
    end = (width - 3) // 2
    return f"{name[: width - 3 - end]}...{name[-end:]}"
