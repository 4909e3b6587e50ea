"""Comparisons from Parquet, one file or a folder of them, of which only what is needed is read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import pandas as pd

from bayes_pref.data.readers.frame import FrameReader
from bayes_pref.data.table import column_names
from bayes_pref.errors import DataError
from bayes_pref.messages import listed, suggestion

_ENDINGS = (".parquet", ".pq")
_ONE = ("user", "choice", "frequency", "survey_weight", "randomised")
_SEVERAL = ("difference", "left", "right", "context")


class ParquetReader(FrameReader):
    """The constructor `from_parquet` of `Comparisons`."""

    @classmethod
    def from_parquet(
        cls,
        path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        user: str,
        choice: str,
        users: Iterable[Any] | None = None,
        **options: Any,
    ) -> Self:
        """Read comparisons from Parquet files with one row a comparison; needs pyarrow.

        The result is that of `from_frame` of all files' rows, one file after the other. Files are
        mapped into memory, and of each only the columns that are named are read, and of `users`
        only the groups of rows that may hold them. The rows of a user may be in several files.

        Parameters
        ----------
        path
            A file, a folder (all its .parquet and .pq files, also in folders below, by name), or a
            list of files.
        user, choice
            Columns as in `from_frame`.
        users
            Labels of the users to read; None: all. Of files that are sorted by user only a part is
            then read.
        **options
            Every other argument of `from_frame`.

        Returns
        -------
        comparisons: rows numbered over all files from 0, or over those of `users`

        Raises
        ------
        DataError
            As `from_frame`; if pyarrow is missing, there is no file, or one is damaged or vanishes
            while it is read; and if a column is missing in a file or has another type than in the
            first one: names the file and the column.

        Examples
        --------
        >>> import tempfile
        >>> import bayes_pref as bp
        >>> frame = bp.simulate(users=6, features=["length"], contexts=0, seed=0).frame
        >>> columns = {"user": "user", "choice": "choice", "difference": ["length"]}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     frame[:30].to_parquet(Path(folder, "a.parquet"))
        ...     frame[30:].to_parquet(Path(folder, "b.parquet"))
        ...     comparisons = bp.Comparisons.from_parquet(folder, **columns)
        >>> len(comparisons) == len(frame), comparisons.n_users
        (True, 6)
        """
        named = {"user": user, "choice": choice, **options}
        columns = [str(named[role]) for role in _ONE if named.get(role) is not None]
        columns += [name for role in _SEVERAL for name in column_names(named.get(role))]
        wanted = None if users is None else list(users)
        table = _read(_files(path), list(dict.fromkeys(columns)), str(user), wanted)
        return cls.from_frame(table, user=user, choice=choice, **options)


def _files(path: Any) -> list[Path]:
    """The files that are meant, in order."""
    if isinstance(path, Sequence) and not isinstance(path, str):
        found = [Path(each) for each in path]
    elif Path(path).is_dir():
        found = sorted(each for each in Path(path).rglob("*") if each.suffix.lower() in _ENDINGS)
    else:
        found = [Path(path)]
    if not found:
        raise DataError(f"{path} holds no .parquet file", "name a folder that does, or a file")
    return found


def _read(
    files: Sequence[Path], columns: Sequence[str], user: str, users: list[Any] | None
) -> pd.DataFrame:
    """Read these columns of all files."""
    try:
        arrow, parquet = (import_module(f"pyarrow{part}") for part in ("", ".parquet"))
    except ImportError as err:
        raise DataError(
            "reading Parquet needs pyarrow", "install it with pip install 'bayes-pref[scale]'"
        ) from err
    first: dict[str, Any] = {}
    for file in files:  # before anything is read
        _check(
            file,
            _whole(file, lambda file=file: parquet.read_schema(file)),
            columns,
            first,
            files[0],
        )
    known = None
    if users is not None:
        try:
            known = [(user, "in", arrow.array(users, type=_plain(first[user])).to_pylist())]
        except (TypeError, ValueError, arrow.ArrowException) as err:
            raise DataError(
                f"users: column {user!r} holds {first[user]}", f"not {listed(users)}"
            ) from err
    parts = [
        _whole(
            file,
            lambda file=file: parquet.read_table(
                file, columns=columns, filters=known, memory_map=True, partitioning=None
            ),
        )
        for file in files
    ]
    whole = arrow.concat_tables(parts).replace_schema_metadata(None)
    del parts
    # Column by column, each freed from Arrow's memory as it has become one of pandas.
    frame: pd.DataFrame = whole.to_pandas(split_blocks=True, self_destruct=True)
    return frame


def _plain(kind: Any) -> Any:
    """The type of the values of a column, which may be a dictionary of them."""
    return getattr(kind, "value_type", kind)


def _check(
    file: Path, schema: Any, columns: Sequence[str], first: dict[str, Any], leader: Path
) -> None:
    """Refuse a file that lacks a column, or has it of another type than the first file."""
    for name in columns:
        if name not in schema.names:
            near = suggestion(name, schema.names) or f"it has {listed(schema.names, limit=20)}"
            raise DataError(f"{file} has no column {name!r}", near)
        kind = schema.field(name).type
        if first.setdefault(name, kind) != kind:
            raise DataError(
                f"{file}: column {name!r} holds {kind}, and {first[name]} in {leader}",
                "write all files with the same types",
            )


def _whole(file: Path, read: Any) -> Any:
    """Read something of a file; say in a sentence what became of one that cannot be read."""
    try:
        return read()
    except FileNotFoundError as err:
        raise DataError(
            f"{file} is not there, or no longer", "check the path, and that nothing removes files"
        ) from err
    except (OSError, ValueError, TypeError, NotImplementedError) as err:
        raise DataError(
            f"{file} is not a whole Parquet file", "fetch or make another copy"
        ) from err
