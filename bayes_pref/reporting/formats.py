"""Formats of pictures, checked before anything is drawn or written."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.backend_bases import FigureCanvasBase

from bayes_pref.errors import DataError
from bayes_pref.messages import closest, listed, shown


def picture_formats(formats: str | Sequence[str]) -> tuple[str, ...]:
    """Return the endings of pictures' names, each one that matplotlib can write.

    Parameters
    ----------
    formats
        One or several, with or without a dot.

    Raises
    ------
    DataError
        If there is no such format.

    Examples
    --------
    >>> picture_formats("png"), picture_formats(["svg", ".pdf"])
    (('png',), ('svg', 'pdf'))
    """
    known = FigureCanvasBase.get_supported_filetypes()
    if not isinstance(formats, str | Sequence):
        raise DataError(f"formats must be names such as 'png', got {shown(formats)}")
    endings = []
    for name in [formats] if isinstance(formats, str) else formats:
        ending = name.removeprefix(".") if isinstance(name, str) else name
        if ending not in known:
            raise DataError(
                f"formats: no picture can be written as {shown(name)}"
                f"{closest(name, known) or '; known are ' + listed(known, limit=len(known))}"
            )
        endings.append(str(ending))
    return tuple(endings)
