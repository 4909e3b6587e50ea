"""Text tables, checked line by line before pandas reads their numbers.

pandas reads almost any text: it renames a doubled column, takes the extra field of a longer row
for an index, fills up a shorter row, and reads the user "NA" as missing and the users "7" and "007"
as one. Here each of these raises an error that names the line.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np
import pandas as pd

from bayes_pref.data.expansion import refuse_gzip_bomb
from bayes_pref.errors import DataError, Place
from bayes_pref.messages import shown
from bayes_pref.types import IntArray

_MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>"]


def read_text(path: Path, separator: str, labels: Sequence[str]) -> pd.DataFrame:
    """Read a text; a row's label is the line on which it begins, and the header's line is 1.

    Parameters
    ----------
    path
        The file, gzipped if its name ends in .gz.
    separator
        A comma or a tab.
    labels
        Columns that are read as they are written; in others, numbers are read as numbers.

    Returns
    -------
    frame

    Raises
    ------
    DataError
        If the file is not one table in UTF-8 whose rows all have the fields of the header.
    OSError
        If there is no such file.
    """
    if path.suffix.lower() == ".gz":
        refuse_gzip_bomb(path)
    header, lines = _check_lines(path, separator)
    missing = {name: [""] if name in labels else _MISSING for name in header}
    ambiguous = DataError(
        f"cannot read {path}: its quotes are ambiguous", "write it with every text in quotes"
    )
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
            raise ambiguous from err
    if frame.columns.tolist() != header or len(frame) != len(lines):
        raise ambiguous
    return frame.set_axis(pd.Index(lines, name="line"))


def _check_lines(path: Path, separator: str) -> tuple[list[str], IntArray]:
    """Return the header, and the line on which each row begins."""
    lines, header, begin = [], None, 1
    with _opened(path) as text:
        reader = csv.reader(text, delimiter=separator, strict=True)
        try:
            # A loop over rows: only a reader of single rows knows where each one begins.
            for row in reader:
                if len(row) > 1 or (row and row[0].strip()):
                    if header is None:
                        header = _header(path, row, separator)
                    elif len(row) != len(header):
                        raise _wrong_length(path, begin, len(row), len(header), separator)
                    else:
                        lines.append(begin)
                begin = reader.line_num + 1
        except csv.Error as err:
            raise DataError(
                f"{path}, line {begin}: not a row of a table ({err})", "check its quotes"
            ) from err
    if header is None:
        raise DataError(
            f"{path} is empty: it has no header", "its first line must name the columns"
        )
    return header, np.array(lines, dtype=np.int64)


def _wrong_length(path: Path, line: int, found: int, expected: int, separator: str) -> DataError:
    name, one = {",": ("commas", "a comma"), "\t": ("tabs", "a tab")}[separator]
    return DataError(
        f"{path}, line {line}: {found} field{'s' * (found > 1)}, but the header has {expected}",
        f"fields are separated by {name}, and one that holds {one} needs quotes",
    )


def _header(path: Path, header: list[str], separator: str) -> list[str]:
    """Refuse a header that does not name every column once."""
    if len(header) == 1:
        name = {",": "commas", "\t": "tabs"}[separator]
        raise DataError(
            f"{path} has a single column {shown(header[0])}: it is not a table whose fields are "
            f"separated by {name}",
            "save it as .csv (commas) or .tsv (tabs)",
        )
    for k, column in enumerate(header):
        if not column.strip():
            raise DataError(
                f"{path}: column {k + 1} has no name",
                "name it in the header, or leave it out if it only counts the rows",
            )
    doubled = [column for column, count in Counter(header).items() if count > 1]
    if doubled:
        raise doubled_column(path, doubled[0])
    return header


def doubled_column(path: Path, name: str) -> DataError:
    """Return the error of a table with two columns of one name."""
    return DataError(
        f"has more than one column named {shown(name)}",
        "give every column its own name",
        place=Place(str(path)),
        subject=True,
    )


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """Open a text, gzipped or not; refuse a file that is no text."""
    zipped = path.suffix.lower() == ".gz"
    try:
        with path.open("rb") as file:
            file.read(1)
        opened = gzip.open if zipped else open
        with cast(TextIO, opened(path, "rt", encoding="utf-8-sig", newline="")) as text:
            if "\0" in text.read(4096):
                raise DataError(f"{path} is not a text table", "save it as CSV in UTF-8")
            text.seek(0)
            yield text
    except UnicodeDecodeError as err:
        strange = err.object[err.start : err.start + 1]
        raise DataError(
            f"{path} is not a text table in UTF-8 (byte {strange!r})", "save it as CSV in UTF-8"
        ) from err
    except (gzip.BadGzipFile, EOFError, zlib.error) as err:
        raise DataError(
            f"{path} is not a whole gzip file ({err})", "fetch or make another copy"
        ) from err
