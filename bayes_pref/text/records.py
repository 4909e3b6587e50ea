"""Votes on texts, read strictly from files, tables and lists; an error names the line or row."""

from __future__ import annotations

import gzip
import json
import os
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from bayes_pref.data.choice_words import side_of
from bayes_pref.data.expansion import refuse_gzip_bomb
from bayes_pref.data.sides import exchange
from bayes_pref.data.table import Table, TableLike
from bayes_pref.errors import DataError, DataWarning
from bayes_pref.messages import listed, shown
from bayes_pref.text.conversations import split

Records: TypeAlias = str | os.PathLike[str] | TableLike | Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Fields:
    """Names of the fields of a record; without `winner`, `left` is the chosen response."""

    prompt: str
    left: str
    right: str
    winner: str | None

    def side(self, record: Mapping[str, Any]) -> float:
        """Return 1 if left was preferred, 0 if right, 0.5 for a tie.

        Raises
        ------
        DataError
            If the winner is none of these.
        """
        if self.winner is None:
            return 1.0
        value = record[self.winner]
        side = side_of(value, (self.left, self.right))
        if side is None:
            raise DataError(
                f"has winner {shown(value)}; expected 'left', 'right' or 'tie' ('a' and 'b', "
                f"{self.left!r} and {self.right!r}), or 1, 0 or 0.5"
            )
        return side


class Votes(NamedTuple):
    """Valid votes.

    Attributes
    ----------
    frame
        (n, 4) `prompt`, `left`, `right` (text) and `choice`, under the caller's row labels (line
        numbers of a file).
    records
        (n, ...) the records themselves, in the same rows.
    rows
        (n,) positions among all records.
    swapped
        (n,) whether left and right were exchanged.
    where
        (n,) where each record stands in the data, for messages.
    """

    frame: pd.DataFrame
    records: pd.DataFrame
    rows: np.ndarray[Any, np.dtype[np.intp]]
    swapped: np.ndarray[Any, np.dtype[np.bool_]]
    where: list[str]


def read_votes(
    records: Records, fields: Fields, *, seed: int, skip: bool, toss: bool = False
) -> Votes:
    """Read votes.

    Parameters
    ----------
    records
        A JSON lines file (also ``.gz``), a table, or a list of dictionaries.
    fields
        Names of the fields.
    seed
        Random seed of the sides where they are tossed: a hash of seed, prompt and both responses
        decides, independently of who won.
    skip
        Whether to leave out records without two different responses, with a warning, instead of
        raising an error.

    toss
        Whether to toss the sides. Where the data tell only which response was chosen, they are
        tossed in any case.

    Raises
    ------
    DataError
        For the first invalid record; names its line.
    """
    found, labels, place = _read(records)
    kept, swapped, usable, reasons = [], [], [], []
    # A loop over records: their formats may differ.
    for n, record in enumerate(found):
        where = place.format(shown(labels[n]))
        absent = [name for name in (fields.left, fields.right, fields.winner) if name is not None]
        absent = [name for name in absent if _missing(record.get(name))]
        if absent:
            known = listed([name for name in record if not _missing(record[name])], limit=12)
            raise DataError(f"{where} has no {absent[0]!r}; its fields are {known}")
        try:
            prompt = record.get(fields.prompt)
            prompt = None if _missing(prompt) else prompt
            pair = split(prompt, record[fields.left], record[fields.right])
            choice = fields.side(record)
        except DataError as err:
            raise DataError(f"{where} {err}") from err
        reason = _unusable(pair.left, pair.right, fields)
        if reason and not skip:
            raise DataError(f"{where} {reason}", "mend it, or leave such lines out with skip=True")
        if reason:
            reasons.append(f"{where} {reason}")
            continue
        swap = (toss or fields.winner is None) and _exchange(seed, *pair)
        left, right = (pair.right, pair.left) if swap else (pair.left, pair.right)
        kept.append((pair.prompt, left, right, 1.0 - choice if swap else choice))
        swapped.append(swap)
        usable.append(n)
    if reasons:
        warnings.warn(
            f"{len(reasons):,} of {len(found):,} records are left out: {reasons[0]}",
            DataWarning,
            stacklevel=3,
        )
    if not kept:
        raise DataError("no records: at least 1 that can be used is needed")
    index = labels[usable]
    # Objects: the text type of pandas has no place for half a character, which JSON may hold.
    frame = pd.DataFrame(
        kept, columns=["prompt", "left", "right", "choice"], index=index, dtype=object
    )
    return Votes(
        frame.astype({"choice": np.float64}),
        pd.DataFrame([found[n] for n in usable], index=index, dtype=object),
        np.array(usable, dtype=np.intp),
        np.array(swapped),
        [place.format(shown(labels[n])) for n in usable],
    )


def _unusable(left: str, right: str, fields: Fields) -> str:
    for text, name in ((left, fields.left), (right, fields.right)):
        if not text:
            return f"has an empty response in {name!r}"
    return "has two identical responses, which no vote can tell apart" if left == right else ""


def _exchange(seed: int, *texts: str) -> bool:
    """Whether two responses to a prompt are exchanged."""
    prompt, one, other = (text.encode("utf-8", "surrogatepass") for text in texts)
    return exchange(seed, prompt, one, other)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NA


def _read(records: Records) -> tuple[list[dict[str, Any]], pd.Index, str]:
    """All records as dictionaries, their labels, and a template for where a record stands."""
    if isinstance(records, str | os.PathLike):
        found, lines = read_json_lines(Path(records))
        return found, pd.Index(lines, name="line"), f"line {{}} of {Path(records).name}"
    if isinstance(records, Sequence):
        copied: list[dict[str, Any]] = []
        for n, record in enumerate(records):
            if not isinstance(record, Mapping):
                raise DataError(f"record {n} is {type(record).__name__}; expected a dictionary")
            copied.append(dict(record))
        return copied, pd.RangeIndex(len(copied)), "record {}"
    frame = Table.read(records, "records").frame
    names = [str(name) for name in frame.columns]
    rows = frame.itertuples(index=False, name=None)
    return [dict(zip(names, row, strict=True)) for row in rows], frame.index, "row {}"


def read_json_lines(path: Path) -> tuple[list[dict[str, Any]], list[int]]:
    """Read a file of JSON objects, one a line, also gzipped; empty lines are left out.

    Returns
    -------
    records, lines: the objects, and the numbers of their lines

    Raises
    ------
    DataError
        If the file cannot be read, or a line is no JSON object; names the line.
    """
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        if zipped:
            refuse_gzip_bomb(path)
        raw = path.read_bytes()
        if zipped:
            raw = gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as err:
        raise DataError(f"cannot read {path}: {getattr(err, 'strerror', None) or err}") from err
    found, numbers = [], []
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError as err:
            raise DataError(
                f"line {number} of {path.name} is not UTF-8 (byte {err.start} of the line)",
                "save the file as UTF-8",
            ) from err
        except json.JSONDecodeError as err:
            raise DataError(
                f"line {number} of {path.name} is not JSON ({err.msg} at column {err.colno})",
                "expected one object a line",
            ) from err
        except (RecursionError, ValueError) as err:  # nested too deeply; a number too long
            raise DataError(
                f"line {number} of {path.name} cannot be read as JSON ({err})",
                "expected one object a line",
            ) from err
        if not isinstance(record, dict):
            raise DataError(f"line {number} of {path.name} is not an object with named fields")
        found.append(record)
        numbers.append(number)
    return found, numbers
