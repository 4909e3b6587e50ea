"""The command shows the saved posterior of every model."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import sweep
from cases import MODELS, small_comparisons
from choice_cases import choice_comparisons
from made_posteriors import made_votes

import bayes_pref as bp
from bayes_pref.cli import main

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::bayes_pref.DataWarning"),
]

_GIBBS = bp.Gibbs(draws=20, warmup=20, chains=2, cores=1, progress=False)
_NUTS = bp.NUTS(draws=20, warmup=20, chains=1, cores=1, progress=False)
_SVI = bp.SVI(draws=20, steps=50, progress=False)
_SAMPLE = ("pooled", "mixture", "items")


def cases() -> dict[str, tuple[bp.RewardModel, bp.Comparisons, bp.Engine]]:
    """A model, data and an engine, by name."""
    every = {name: (model, small_comparisons(), _GIBBS) for name, model in MODELS.items()}
    every["items"] = bp.HierarchicalReward(), made_votes(), _GIBBS
    every["representation"] = bp.RepresentationReward(size=2), both_sides(), _SVI
    every["rankings"] = bp.HierarchicalReward(), rankings(), _NUTS
    for name in ("graded", "ties"):
        every[name] = bp.HierarchicalReward(), choice_comparisons(name), _NUTS
    every["approximate"] = bp.PooledReward(), small_comparisons(), _SVI
    return every if sweep.WHOLE else {name: every[name] for name in _SAMPLE}


def both_sides() -> bp.Comparisons:
    """Comparisons of which both sides are known, and not only their difference."""
    frame = small_comparisons().to_frame().assign(nothing=0.0, zero=0.0)
    sides = {"left": ["brief", "polite"], "right": ["nothing", "zero"]}
    return bp.Comparisons.from_frame(
        frame, user="person", choice="choice", features=["brief", "polite"], **sides
    )


def rankings() -> bp.Comparisons:
    """Six rankings of three drinks, two a user."""
    drinks = ["tea", "milk", "mate"]
    rows = [
        (k % 3, k, drink, (place + k) % 3 + 1)
        for k in range(6)
        for place, drink in enumerate(drinks)
    ]
    frame = pd.DataFrame(rows, columns=["who", "id", "drink", "place"])
    return bp.Comparisons.from_rankings(frame, user="who", ranking="id", item="drink", rank="place")


def test_the_saved_posterior_of_every_model_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = cases()
    for name, (model, comparisons, engine) in found.items():
        posterior = bp.fit(model, comparisons, engine, seed=0)
        posterior.save(tmp_path / "posterior.nc")
        status = main(["show", str(tmp_path / "posterior.nc")])
        shown = capsys.readouterr().out
        assert status == 0, name
        assert "Population weights" in shown, name
        for feature in posterior.comparisons.feature_names:
            assert feature in shown, name
        if isinstance(model, bp.MixtureReward):
            assert shown.count("% of users:") == model.components
    sweep.report("models shown", len(found), len(found))
