"""Pictures of a command: what the others and the text say does not depend on any of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bayes_pref.cli.command import warn
from bayes_pref.errors import BayesPrefError
from bayes_pref.reporting.folder import OutputFolder


def draw_into(folder: OutputFolder, pictures: dict[str, Callable[[], Any]]) -> None:
    """Write pictures; say on stderr which of them could not be drawn, and draw the others.

    Parameters
    ----------
    folder
        Where they go.
    pictures
        By file name, functions that draw a new figure and return its axes.

    Raises
    ------
    BayesPrefError
        If the folder cannot be written to.
    """
    for name, draw in pictures.items():
        try:
            folder.picture(name, draw)
        except BayesPrefError:
            raise
        except Exception as err:  # noqa: BLE001 - another version of a plotting library raises anything
            warn(f"{name} could not be drawn ({type(err).__name__}: {err})")
