"""A folder for results: checked before any work; each file is written completely or not at all."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot

from bayes_pref.errors import DataError
from bayes_pref.plots.style import off_screen
from bayes_pref.reporting.csv_cells import neutral
from bayes_pref.whole_files import write_whole


@dataclass(frozen=True)
class OutputFolder:
    """A folder that exists and is writable, and the names of the files written to it.

    Parameters
    ----------
    path
        The folder; it is made, with its parents, if it does not exist.
    remedy
        What to do where it cannot be written to, for the message.

    Raises
    ------
    DataError
        If it cannot be made or written to.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     folder = OutputFolder(Path(parent, "run"))
    ...     folder.table("weights.csv", pd.DataFrame({"mean": [1.5]}), index=False)
    ...     (folder.path / "weights.csv").read_text().split()
    ['mean', '1.5']
    """

    path: Path
    remedy: str = "choose another folder"
    written: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Check the folder now, before a long fit whose results could not be saved."""
        with self._refusals(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass

    def table(self, name: str, frame: pd.DataFrame, *, index: bool) -> None:
        """Write a frame as CSV, in which no text is a formula to a spreadsheet (`csv_cells`)."""
        cells = neutral(frame, index=index)
        self._write(name, lambda: _encoded(cells.to_csv(index=index)))

    def text(self, name: str, text: str) -> None:
        """Write text as UTF-8."""
        self._write(name, lambda: _encoded(text))

    def contents(self, name: str, made: bytes) -> None:
        """Write the contents of a file."""
        self._write(name, lambda: made)

    def saved(self, name: str, save: Callable[[Path], object]) -> None:
        """Call a function that writes a complete file itself, such as `Posterior.save`."""
        save(self.path / name)
        self.written.append(name)

    def picture(self, name: str, draw: Callable[[], Any]) -> None:
        """Write a figure in the format of the file's ending.

        Parameters
        ----------
        name
            The file's name, such as ``users.png`` or ``users.svg``.
        draw
            Draws a new figure and returns its axes, one or several.
        """

        def drawn() -> bytes:
            with off_screen():
                figure = np.ravel(draw())[0].figure
                try:
                    image = io.BytesIO()
                    figure.savefig(image, dpi=150, format=Path(name).suffix[1:])
                    return image.getvalue()
                finally:
                    pyplot.close(figure)

        self._write(name, drawn)

    def _write(self, name: str, contents: Callable[[], bytes]) -> None:
        target = self.path / name
        with self._refusals(target):
            made = contents()
            write_whole(target, lambda: [made])
        self.written.append(name)

    @contextmanager
    def _refusals(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as err:
            reason = err.strerror or str(err)
            raise DataError(f"cannot write to {path}: {reason}; {self.remedy}") from err


def _encoded(text: str) -> bytes:
    """Encode text as UTF-8; half a character, as a label may hold, is written as its number."""
    return text.encode("utf-8", "backslashreplace")
