"""Tables that a subcommand writes: the name of a file tells its format."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pandas as pd

from bayes_pref.cli.tables import format_of
from bayes_pref.errors import DataError
from bayes_pref.reporting.csv_cells import neutral
from bayes_pref.reporting.workbook import workbook
from bayes_pref.whole_files import write_whole


def write_frame(path: Path, frame: pd.DataFrame, file_format: str | None = None) -> None:
    """Write a table, completely or not at all.

    Parameters
    ----------
    path
        The file.
    frame
        Its rows, without the index.
    file_format
        One of `groups.FORMATS`; None: what the file's name tells.

    Raises
    ------
    DataError
        If the name tells no format, or the file cannot be written.
    """
    chosen = file_format or format_of(path)
    if chosen is None:
        raise DataError(
            f"cannot write {path}: its name tells no known format",
            "end it in .csv, .tsv, .jsonl, .parquet or .xlsx",
        )
    _write(path, _contents(frame, chosen))


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, completely or not at all.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    _write(path, text.encode("utf-8", "backslashreplace"))


def _write(path: Path, contents: bytes) -> None:
    try:
        write_whole(path, lambda: [contents])
    except OSError as err:
        raise DataError(
            f"cannot write {path}: {err.strerror or err}", "choose another path with --out"
        ) from err


def print_frame(frame: pd.DataFrame, file_format: str | None = None) -> None:
    """Print a table on stdout; as CSV unless it is to be another format."""
    contents = _contents(frame, file_format or "csv")
    sys.stdout.flush()
    sys.stdout.buffer.write(contents)
    sys.stdout.buffer.flush()


def _contents(frame: pd.DataFrame, file_format: str) -> bytes:
    if file_format == "parquet":
        buffer = io.BytesIO()
        try:
            frame.to_parquet(buffer, index=False)
        except ImportError as err:
            raise DataError(
                "writing Parquet needs pyarrow", "install it with pip install 'bayes-pref[scale]'"
            ) from err
        return buffer.getvalue()
    if file_format == "xlsx":
        return workbook({"table": frame})
    if file_format == "jsonl":
        text = frame.to_json(orient="records", lines=True, double_precision=15)
    else:
        separator = {"csv": ",", "tsv": "\t"}[file_format]
        text = neutral(frame, index=False).to_csv(index=False, sep=separator)
    return text.encode("utf-8", "backslashreplace")
