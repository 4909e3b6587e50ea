"""Features of texts are saved and loaded with the comparisons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from text_votes import encode, read, votes

import bayes_pref as bp


def test_saved_comparisons_still_know_how_texts_become_features(tmp_path: Path) -> None:
    comparisons = read(votes(), prompt_components=1, context=None)
    posterior = bp.fit(
        bp.PooledReward(), comparisons, bp.Gibbs(draws=400, chains=4, progress=False)
    )
    posterior.save(tmp_path / "posterior.nc")
    loaded = bp.Posterior.load(tmp_path / "posterior.nc")
    assert loaded.comparisons.text is not None
    np.testing.assert_array_equal(loaded.comparisons.right, comparisons.right)
    with pytest.raises(bp.DataError, match="know no encoder"):  # a function has no place in a file
        loaded.reward_model()("?", ["tea"])
    assert comparisons.text is not None
    again = loaded.comparisons.text.with_encoder(encode)
    pd.testing.assert_frame_equal(
        again.frame(["?"], ["tea"]), comparisons.text.frame(["?"], ["tea"])
    )
