"""Text tables, checked line by line before pandas reads their numbers.

pandas reads almost any text: it renames a doubled column, takes the extra field of a longer row
for an index, fills up a shorter row, and reads the user "NA" as missing and the users "7" and "007"
as one. What it would mend silently is refused here, with its line.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np
import pandas as pd

from bayes_pref.data.table import IntArray, shown
from bayes_pref.errors import DataError

_MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>"]


def read_text(path: Path, separator: str, labels: Sequence[str]) -> pd.DataFrame:
    """Read a text, labelling each row by the line on which it begins (the header's is 1).

    Parameters
    ----------
    path
        The file, gzipped if its name ends in .gz.
    separator
        A comma or a tab.
    labels
        Columns to leave as they are written; of the others, numbers are read as such.

    Raises
    ------
    DataError
        If it is not one table in UTF-8, whose rows all have the fields that the header names.
    OSError
        If there is no such file.
    """
    header, lines = _check_lines(path, separator)
    missing = {name: [""] if name in labels else _MISSING for name in header}
    ambiguous = f"cannot read {path}: its quotes are ambiguous; write it with every text in quotes"
    with _opened(path) as text:
        try:
            frame = pd.read_csv(
                text,
                sep=separator,
                index_col=False,
                dtype=cast(Any, {name: str for name in header if name in labels}),
                keep_default_na=False,
                na_values=missing,
                low_memory=False,  # or a column's type would change from one part to the next
            )
        except pd.errors.ParserError as err:
            raise DataError(ambiguous) from err
    if frame.columns.tolist() != header or len(frame) != len(lines):
        raise DataError(ambiguous)
    return frame.set_axis(pd.Index(lines, name="line"))


def _check_lines(path: Path, separator: str) -> tuple[list[str], IntArray]:
    """Header of a text table, and the line on which each of its rows begins."""
    name = {",": "commas", "\t": "tabs"}[separator]
    lines, header, begin, reader = [], None, 1, None
    with _opened(path) as text:
        reader = csv.reader(text, delimiter=separator, strict=True)
        try:
            # A loop over rows: only a reader of single rows knows where each one begins.
            for row in reader:
                if len(row) > 1 or (row and row[0].strip()):
                    if header is None:
                        header = _header(path, row, name)
                    elif len(row) != len(header):
                        fields = f"{len(row)} field{'s' * (len(row) > 1)}"
                        raise DataError(
                            f"{path}, line {begin}: {fields}, but the header has {len(header)}; "
                            f"fields are separated by {name}, and one that holds "
                            f"{'a comma' if separator == ',' else 'a tab'} needs quotes"
                        )
                    else:
                        lines.append(begin)
                begin = reader.line_num + 1
        except csv.Error as err:
            raise DataError(
                f"{path}, line {begin}: not a row of a table ({err}); check its quotes"
            ) from err
    if header is None:
        raise DataError(f"{path} is empty: it has no header; its first line must name the columns")
    return header, np.array(lines, dtype=np.int64)


def _header(path: Path, header: list[str], separated: str) -> list[str]:
    """Refuse a header that does not name every column once."""
    if len(header) == 1:
        raise DataError(
            f"{path} has a single column {shown(header[0])}: it is not a table whose fields are "
            f"separated by {separated}; save it as .csv (commas) or .tsv (tabs)"
        )
    for k, column in enumerate(header):
        if not column.strip():
            raise DataError(
                f"{path}: column {k + 1} has no name; name it in the header, "
                "or leave it out if it only counts the rows"
            )
    doubled = [column for column in header if header.count(column) > 1]
    if doubled:
        raise DataError(
            f"{path} has more than one column named {shown(doubled[0])}; "
            "give every column its own name"
        )
    return header


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """Open a text, gzipped or not, and say so if it is none."""
    zipped = path.suffix.lower() == ".gz"
    try:
        with path.open("rb") as file:
            file.read(1)
        opened = gzip.open if zipped else open
        with cast(TextIO, opened(path, "rt", encoding="utf-8-sig", newline="")) as text:
            if "\0" in text.read(4096):
                raise DataError(f"{path} is not a text table; save it as CSV in UTF-8")
            text.seek(0)
            yield text
    except UnicodeDecodeError as err:
        strange = err.object[err.start : err.start + 1]
        raise DataError(
            f"{path} is not a text table in UTF-8 (byte {strange!r}); save it as CSV in UTF-8"
        ) from err
    except (gzip.BadGzipFile, EOFError, zlib.error) as err:
        raise DataError(
            f"{path} is not a whole gzip file ({err}); fetch or make another copy"
        ) from err
