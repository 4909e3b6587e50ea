"""Parquet files are read as the frame of all their rows, and what is amiss names its file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import bayes_pref as bp

COLUMNS: dict[str, Any] = {
    "user": "user",
    "choice": "choice",
    "left": ["price_a", "brand_a"],
    "right": ["price_b", "brand_b"],
    "context": ["hard"],
    "interactions": [("price", "hard")],
}


def votes(rows: int = 90) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "user": [f"u{k % 7}" for k in range(rows)],
            "price_a": rng.uniform(1.0, 9.0, rows),
            "price_b": rng.uniform(1.0, 9.0, rows),
            "brand_a": rng.choice(list("AB"), rows),
            "brand_b": rng.choice(list("AB"), rows),
            "hard": rng.normal(size=rows),
            "choice": rng.integers(0, 2, rows),
            "unused": "x",
        }
    )


def written(folder: Path, frame: pd.DataFrame) -> Path:
    for name, part in zip(
        ("b", "a/first", "c"), np.array_split(np.arange(len(frame)), 3), strict=True
    ):
        path = folder / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        frame.iloc[part].to_parquet(path, row_group_size=10)
    return folder


def same(one: bp.Comparisons, other: bp.Comparisons) -> None:
    for name in ("difference", "choice", "user", "context", "right"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.features == other.features
    assert one.users.tolist() == other.users.tolist()
    assert one.rows.tolist() == other.rows.tolist()


def test_a_folder_is_the_frame_of_its_files(tmp_path: Path) -> None:
    frame = votes()
    folder = written(tmp_path, frame)
    found = bp.Comparisons.from_parquet(folder, **COLUMNS)
    ordered = pd.concat([frame[30:60], frame[:30], frame[60:]], ignore_index=True)  # by name
    same(found, bp.Comparisons.from_frame(ordered, **COLUMNS))
    one = bp.Comparisons.from_parquet(folder / "b.parquet", **COLUMNS)
    same(one, bp.Comparisons.from_frame(frame[:30], **COLUMNS))
    listed = bp.Comparisons.from_parquet([folder / "b.parquet", folder / "c.parquet"], **COLUMNS)
    parts = pd.concat([frame[:30], frame[60:]], ignore_index=True)
    same(listed, bp.Comparisons.from_frame(parts, **COLUMNS))


def test_some_users_are_read_alone(tmp_path: Path) -> None:
    frame = votes().sort_values("user", ignore_index=True)
    frame.to_parquet(tmp_path / "sorted.parquet", row_group_size=10)
    found = bp.Comparisons.from_parquet(tmp_path, users=["u2", "u5"], **COLUMNS)
    wanted = frame[frame["user"].isin(["u2", "u5"])].reset_index(drop=True)
    same(found, bp.Comparisons.from_frame(wanted, **COLUMNS))
    numbered = frame.assign(user=frame["user"].str[1:].astype(int))
    numbered.to_parquet(tmp_path / "sorted.parquet")
    assert bp.Comparisons.from_parquet(tmp_path, users=range(2), **COLUMNS).users.tolist() == [0, 1]
    with pytest.raises(bp.DataError, match="users: column 'user' holds int64; not 'u2'"):
        bp.Comparisons.from_parquet(tmp_path, users=["u2"], **COLUMNS)


def test_mixed_files_are_refused_by_name(tmp_path: Path) -> None:
    frame = votes()
    folder = written(tmp_path, frame)
    frame[60:].assign(hard="much").to_parquet(folder / "c.parquet")
    with pytest.raises(bp.DataError, match=r"c\.parquet: column 'hard' holds (large_)?string, and"):
        bp.Comparisons.from_parquet(folder, **COLUMNS)
    frame[60:].drop(columns="hard").to_parquet(folder / "c.parquet")
    with pytest.raises(bp.DataError, match=r"c\.parquet has no column 'hard'"):
        bp.Comparisons.from_parquet(folder, **COLUMNS)
    (folder / "c.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(bp.DataError, match=r"c\.parquet is not a whole Parquet file"):
        bp.Comparisons.from_parquet(folder, **COLUMNS)


def test_a_file_that_vanishes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(tmp_path, votes())
    read = pq.read_table

    def vanishing(file: Path, **options: Any) -> Any:
        if file.name == "b.parquet":
            file.unlink()
        return read(file, **options)

    monkeypatch.setattr(pq, "read_table", vanishing)
    with pytest.raises(bp.DataError, match=r"b\.parquet is not there, or no longer"):
        bp.Comparisons.from_parquet(folder, **COLUMNS)


def test_what_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(bp.DataError, match=r"holds no \.parquet file"):
        bp.Comparisons.from_parquet(tmp_path, **COLUMNS)
    with pytest.raises(bp.DataError, match=r"votes\.parquet is not there"):
        bp.Comparisons.from_parquet(tmp_path / "votes.parquet", **COLUMNS)
    folder = written(tmp_path, votes())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(bp.DataError, match=r"needs pyarrow; .*'bayes-pref\[scale\]'"):
        bp.Comparisons.from_parquet(folder, **COLUMNS)
