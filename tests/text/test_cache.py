"""Embeddings are cached by encoder and text, batch by batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from text_votes import encode, read, votes

import bayes_pref as bp


class Counting:
    """An encoder that counts its texts and may stop."""

    def __init__(self, stop_after: int = 10**9) -> None:
        self.count, self.stop_after = 0, stop_after

    def __call__(self, texts: list[str]) -> Any:
        if self.count >= self.stop_after:
            raise KeyboardInterrupt
        self.count += len(texts)
        return encode(texts)


def test_a_cache_resumes_after_an_interrupt_and_a_bar_shows_long_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = votes(500)
    texts = {r[name] for r in records for name in ("chosen", "rejected")}
    stopped = Counting(stop_after=400)
    settings = {"user": "who", "components": 2, "surface": ["length"], "cache": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        bp.text.comparisons(records, encoder=stopped, **settings)
    assert "encoding" in capsys.readouterr().err
    rest = Counting()
    found = bp.text.comparisons(records, encoder=rest, **settings)
    # All that was encoded is kept; the identity of each encoder cost three probes.
    assert (stopped.count - 3) + (rest.count - 3) == len(texts)
    once_more = Counting()
    again = bp.text.comparisons(records, encoder=once_more, **settings)
    assert once_more.count == 3
    np.testing.assert_array_equal(again.difference, found.difference)
    assert not list(tmp_path.glob("*.tmp"))


def test_another_encoder_or_a_damaged_file_never_gets_cached_numbers(tmp_path: Path) -> None:
    records = votes()
    first = read(records, cache=tmp_path)
    other = read(records, cache=tmp_path, encoder=lambda texts: encode(texts) ** 2)
    assert not np.allclose(np.abs(other.difference), np.abs(first.difference))
    path = sorted(tmp_path.glob("*.npz"))[0]
    first_path = tmp_path / f"{bp.text.Encoder(encode).identity}-damaged.npz"
    first_path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(bp.DataWarning, match="damaged"):
        again = read(records, cache=tmp_path)
    np.testing.assert_array_equal(again.difference, first.difference)
