"""Votes are read from files, tables and lists; an error names the line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from text_votes import read, votes, written

import bayes_pref as bp


def test_a_file_a_frame_and_a_list_give_the_same_comparisons(tmp_path: Path) -> None:
    records = votes()
    path = written(tmp_path, records)
    packed = tmp_path / "votes.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    first = read(records)
    for other in (path, packed, pd.DataFrame(records)):
        again = read(other)
        np.testing.assert_array_equal(again.difference, first.difference)
        np.testing.assert_array_equal(again.choice, first.choice)
    assert read(path).rows.tolist() == [n + 1 for n in first.rows]  # lines count from 1
    assert first.feature_names == ("length", "component_1", "component_2")


def test_sides_that_the_data_know_are_kept_and_ties_are_ties() -> None:
    names = {"left": "response_a", "right": "response_b", "winner": "winner"}
    pairs = [{"who": "ann", "prompt": "?", "response_a": "tea tea", "response_b": "milk."}]
    winners = ["response_a", "b", "tie", "model_b", 1, 0.5, "Left", "tie (bothbad)"]
    records = [pairs[0] | {"winner": winner} for winner in winners]
    found = read(records, **names, components=1)
    assert found.choice.tolist() == [1, 0, 0.5, 0, 1, 0.5, 1, 0.5]
    assert (found.difference[:, 0] > 0).all()
    with pytest.raises(bp.DataError, match="record 0 has winner 'both'; expected 'left', 'right'"):
        read([pairs[0] | {"winner": "both"}], **names)


def test_files_that_are_not_utf_8_or_not_json_are_refused_by_line(tmp_path: Path) -> None:
    path = written(tmp_path, votes(20))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[16] = lines[16].replace(b"Ask", "Frägt".encode("latin-1"))
    path.write_bytes(b"".join(lines))
    with pytest.raises(bp.DataError, match=r"line 17 of votes.jsonl is not UTF-8"):
        read(path)
    lines[16] = b"{broken\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(bp.DataError, match=r"line 17 of votes.jsonl is not JSON"):
        read(path)
    lines[16] = b"[1, 2]\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(bp.DataError, match=r"line 17 of votes.jsonl is not an object"):
        read(path)
    with pytest.raises(bp.DataError, match=r"cannot read .*nowhere.jsonl: No such file"):
        read(tmp_path / "nowhere.jsonl")


def test_records_that_no_vote_can_tell_apart_are_left_out_when_asked() -> None:
    records = votes(20)
    records[3] |= {"chosen": "tea", "rejected": "tea"}
    records[4] |= {"chosen": ""}
    with pytest.warns(bp.DataWarning, match="2 of 20 records are left out: record 3 has two ident"):
        found = read(records, skip=True)
    assert sorted(found.rows) == [n for n in range(20) if n not in (3, 4)]
