"""Ranks of true values are uniform where engine and model agree, and not where they do not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from altered_engines import Altered, FromFunction
from cases import LONG, MODELS, VARIANTS, small_comparisons
from matplotlib import pyplot

import bayes_pref as bp
from bayes_pref.evaluation.sbc import LIKELIHOOD
from bayes_pref.evaluation.uniformity import (
    cumulative_counts,
    simultaneous_band,
    uniformity_p_values,
)

REPLICATIONS = 120
LEVEL = 1e-3  # of all quantities of a model together


def comparisons() -> bp.Comparisons:
    return small_comparisons(users=8, each=5, covariates=True)


def gibbs(**settings: float) -> dict[str, float]:
    return {"draws": 50, "warmup": 200, "thin": 6, "chains": 2, "progress": False} | settings


@dataclass(frozen=True, kw_only=True)
class Shrunk(bp.Gibbs):
    """Gibbs whose posteriors are too narrow around the right means."""

    by: float = 0.5

    def prepare(self, model: bp.RewardModel, comparisons: bp.Comparisons) -> bp.Program:
        def narrow(draws: np.ndarray) -> np.ndarray:
            mean = draws.mean(axis=(0, 1))
            return mean + self.by * (draws - mean)

        return Altered(super().prepare(model, comparisons), narrow)


@dataclass(frozen=True, kw_only=True)
class Believing(bp.Gibbs):
    """Gibbs that takes users to differ as much again as the model says."""

    times: float = 2.0

    def prepare(self, model: bp.RewardModel, comparisons: bp.Comparisons) -> bp.Program:
        other = replace(model, spread_sd=self.times * model.spread_sd)
        return super().prepare(other, comparisons)


@dataclass(frozen=True, kw_only=True)
class Idle(bp.Gibbs):
    """No engine at all: draws from the prior, whatever the choices."""

    def prepare(self, model: bp.RewardModel, comparisons: bp.Comparisons) -> bp.Program:
        def draw(seed: int) -> bp.RawDraws:
            prior = model.prior_predictive(comparisons, draws=self.draws, seed=seed)
            names = model.variables(comparisons)
            return bp.RawDraws({name: prior[name].to_numpy() for name in names}, {})

        return FromFunction(draw)


# Their sweeps are tried on the prior, or their draws against quadrature or NUTS, every time.
CALIBRATED_LONG = {*LONG, "pooled", "one factor"}
CALIBRATED = [
    pytest.param(name, marks=pytest.mark.long if name in CALIBRATED_LONG else ())
    for name in MODELS
    if name not in VARIANTS
]


@pytest.mark.slow
@pytest.mark.parametrize("name", CALIBRATED)
def test_the_default_engine_of_each_model_is_calibrated(name: str) -> None:
    # Coefficients of covariates mix slowest where contexts share their cause.
    engine = bp.Gibbs(**gibbs(thin=12 if "shared cause" in name else 6))
    assert (
        type(engine).__name__
        == bp.sbc(MODELS[name], comparisons(), replications=1, progress=False).engine["name"]
    )
    found = bp.sbc(
        MODELS[name], comparisons(), engine, replications=REPLICATIONS // 2, seed=1, progress=False
    )
    assert found.passed(LEVEL), found.summary()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("diagonal", Shrunk),
        pytest.param("diagonal", Believing, marks=pytest.mark.long),
        pytest.param("two factors, no noise", Believing, marks=pytest.mark.long),
    ],
)
def test_a_wrong_engine_is_found_out(name: str, wrong: type[bp.Gibbs]) -> None:
    found = bp.sbc(
        MODELS[name],
        comparisons(),
        wrong(**gibbs()),
        replications=2 * REPLICATIONS,
        seed=1,
        progress=False,
    )
    assert not found.passed(LEVEL), found.summary()


def test_an_engine_that_ignores_the_data_is_found_out_by_the_likelihood_alone() -> None:
    found = bp.sbc(
        MODELS["diagonal"], comparisons(), Idle(draws=60), replications=25, seed=1, progress=False
    )
    p_values = found.summary()["p_value"]
    assert p_values[LIKELIHOOD] < LEVEL / len(p_values)
    assert p_values.drop(LIKELIHOOD).min() > LEVEL / len(p_values)


def test_the_result_depends_on_the_seed_alone_and_names_its_quantities() -> None:
    settings = {"replications": 3, "progress": False, "users": ["u2", "u5"]}
    one, two, other = (
        bp.sbc(MODELS["full"], comparisons(), bp.Gibbs(**gibbs()), seed=seed, **settings)
        for seed in (4, 4, 5)
    )
    pd.testing.assert_frame_equal(one.ranks, two.ranks)
    assert not one.ranks.equals(other.ranks)
    assert list(one.ranks) == [
        *("mu[brief]", "mu[polite]", "tau[brief]", "tau[polite]", "B[brief, age]"),
        *("B[polite, age]", "correlation[brief, polite]", "weights[u2, brief]"),
        *("weights[u2, polite]", "weights[u5, brief]", "weights[u5, polite]", LIKELIHOOD),
    ]


def test_correlated_draws_and_other_models_are_pointed_out() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Slow(bp.Gibbs):
        def prepare(self, model: bp.RewardModel, comparisons: bp.Comparisons) -> bp.Program:
            right = super().prepare(model, comparisons)
            return Altered(right, lambda draws: np.repeat(draws, 5, axis=1))

    with pytest.warns(bp.ConvergenceWarning, match=r"autocorrelation 0\.\d+ \(threshold 0.3\)"):
        bp.sbc(
            bp.PooledReward(),
            comparisons(),
            Slow(draws=30, chains=1),
            replications=5,
            progress=False,
        )
    with pytest.raises(bp.ModelError, match=r"replications must be a whole number"):
        bp.sbc(bp.PooledReward(), comparisons(), replications=0)


@pytest.mark.parametrize("largest", [9, 99])
def test_p_values_of_uniform_ranks_are_uniform_and_the_band_holds_them(largest: int) -> None:
    ranks = np.random.default_rng(0).integers(0, largest + 1, (50, 20_000))
    p_values = uniformity_p_values(ranks, largest)
    for level in (0.01, 0.1, 0.5):
        # Discrete: at most the level; four standard errors above, and not conservative by half.
        share = (p_values <= level).mean()
        assert level / 2 < share < level + 4 * np.sqrt(level / 20_000)
    low, high = simultaneous_band(50, largest, 0.9)
    counts = cumulative_counts(ranks, largest)
    inside = ((low <= counts) & (counts <= high)).all(axis=1).mean()
    assert 0.9 - 4 * np.sqrt(0.09 / 20_000) < inside < 0.95


def made(ranks: np.ndarray) -> bp.SBC:
    names = [f"q{k}" for k in range(ranks.shape[1])]
    return bp.SBC(
        ranks=pd.DataFrame(ranks, columns=names),
        largest=99,
        autocorrelation=pd.Series(0.0, index=names),
        model={"model": "PooledReward"},
        engine={"name": "Gibbs"},
        seed=0,
        seconds=1.0,
    )


def test_summary_and_repr_say_what_is_wrong() -> None:
    rng = np.random.default_rng(0)
    uniform, high = rng.integers(0, 100, 200), rng.integers(60, 100, 200)
    narrow = np.where(rng.random(200) < 0.5, 0, 99)
    found = made(np.stack([uniform, high, narrow], axis=1))
    table = found.summary()
    assert table.loc["q1", "mean"] > 0.7
    assert table.loc["q2", "inside_90"] == 0.0
    assert table["p_value"].lt(1e-6).tolist() == [False, True, True]
    assert repr(found).endswith("3 quantities, 200 replications; ranks do not look uniform>")
    assert repr(made(uniform[:, None])).endswith("ranks look uniform>")


def test_the_picture_shows_which_curves_leave_the_band() -> None:
    rng = np.random.default_rng(0)
    found = made(np.stack([rng.integers(0, 100, 200), rng.integers(30, 100, 200)], axis=1))
    axes = bp.plots.calibration(found)
    assert [ax.get_title() for ax in axes] == ["q0", "q1, outside"]
    np.testing.assert_allclose(axes[1].lines[1].get_ydata(), found.difference()["q1"])
    assert axes[1].lines[1].get_ydata().min() < -0.2
    pyplot.close(axes[0].figure)
    with pytest.raises(bp.DataError, match=r"not what bp\.sbc"):
        bp.plots.calibration(found.ranks)  # type: ignore[arg-type]
    with pytest.raises(bp.DataError, match="probability must be a number between 0 and 1"):
        bp.plots.calibration(found, probability=1.0)
