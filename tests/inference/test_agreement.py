"""Every engine draws from the same posterior as every other, and a wrong one is found out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
import pytest
import xarray as xr
from cases import ENGINES, LONG, MODELS, small_comparisons
from monte_carlo import agree, chi_square, flat, largest_allowed, sd_z_scores, z_scores
from scipy.signal import lfilter

import bayes_pref as bp
from bayes_pref.convergence.statistics import effective_sample_size
from bayes_pref.inference.engine import RawDraws

COVARIATES = {"diagonal, covariates": "diagonal", "full, covariates": "full"}
CASES = [*MODELS, *COVARIATES]


def case(name: str) -> tuple[bp.RewardModel, bp.Comparisons]:
    comparisons = small_comparisons(users=6, each=5, covariates=name in COVARIATES)
    return MODELS[COVARIATES.get(name, name)], comparisons


def draws(name: str, engine: bp.Engine, seed: int) -> xr.Dataset:
    with warnings.catch_warnings():  # these tests judge the draws themselves
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        model, comparisons = case(name)
        return model.identified(bp.fit(model, comparisons, engine, seed=seed).draws)


@cache
def fitted(name: str, engine: str) -> xr.Dataset:
    return draws(name, ENGINES[engine].engine, seed=11 + list(ENGINES).index(engine))


def allowed(name: str, engine: str) -> bool:
    entry = ENGINES[engine]
    tried = entry.models is None or name in entry.models
    return tried and entry.engine.unsupported(*case(name)) is None


TRIED = {name: [engine for engine in ENGINES if allowed(name, engine)] for name in CASES}


def takes_long(name: str, pair: tuple[str, ...]) -> bool:
    references = {"NUTS, centred", "NUTS of Pyro"}
    return name in LONG or (name != "pooled" and not references.isdisjoint(pair))


PAIRS = [
    pytest.param(name, *pair, marks=pytest.mark.long if takes_long(name, pair) else ())
    for name, engines in TRIED.items()
    for pair in combinations(engines, 2)
]


def test_every_model_is_fitted_by_two_engines_and_every_engine_fits_a_model() -> None:
    assert [name for name, engines in TRIED.items() if len(engines) < 2] == []
    assert {engine for engines in TRIED.values() for engine in engines} == set(ENGINES)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "one", "other"), PAIRS)
def test_engines_draw_from_the_same_posterior(name: str, one: str, other: str) -> None:
    error = ENGINES[one].error + ENGINES[other].error
    assert agree(fitted(name, one), fitted(name, other), error)


@pytest.mark.long
@pytest.mark.parametrize("name", ["diagonal", "full"])
def test_gibbs_and_nuts_agree_by_a_thousand_effective_draws_each(name: str) -> None:
    engines = (
        bp.Gibbs(draws=8000, warmup=1000, chains=2, progress=False),
        bp.NUTS(draws=4000, warmup=1000, chains=2, progress=False),
    )
    population = [flat(draws(name, engine, seed=5)[["mu", "tau"]]) for engine in engines]
    assert min(effective_sample_size(values).min() for values in population) >= 1000
    assert chi_square(*population) > 0.001


@dataclass(frozen=True, kw_only=True)
class Wrong(bp.Gibbs):
    """Gibbs whose draws are moved by a share of an sd, and shrunk around their means."""

    moved: float = 0.0
    shrunk: float = 1.0

    def run(self, model: bp.RewardModel, comparisons: bp.Comparisons, seed: int) -> RawDraws:
        right = super().run(model, comparisons, seed)

        def wrong(draws: np.ndarray) -> np.ndarray:
            mean, sd = draws.mean(axis=(0, 1)), draws.std(axis=(0, 1))
            return mean + self.moved * sd + self.shrunk * (draws - mean)

        made = {name: wrong(draws) for name, draws in vars(right)["values"].items()}
        return RawDraws(made, right.stats, right.complete)


# Moved by a fifth of an sd, the bounds of a 90 % interval have 7 % outside on one side and 3 % on
# the other; with sds a seventh too small, the interval holds 84 %.
@pytest.mark.slow
@pytest.mark.parametrize("wrong", [{"moved": 0.2}, {"shrunk": 6 / 7}], ids=str)
@pytest.mark.parametrize("name", ["pooled", "full, covariates", "one factor"])
def test_a_wrong_engine_is_found_out(name: str, wrong: dict[str, float]) -> None:
    engine = Wrong(draws=5000, warmup=1000, chains=2, progress=False, **wrong)
    assert not agree(draws(name, engine, seed=1), fitted(name, "NUTS"))


def sample(seed: int) -> np.ndarray:
    """Draws (chain, draw, parameter) of correlated chains of three correlated parameters."""
    noise = np.random.default_rng(seed).normal(size=(2, 500, 3))
    return lfilter([np.sqrt(0.75)], [1, -0.5], noise, axis=1) @ np.array(
        [[1, 0.9, 0], [0, 0.5, -0.8], [0, 0, 0.6]]
    )


def test_scores_are_standard_normal_and_their_squares_chi_square_where_engines_agree() -> None:
    pairs = [(sample(2 * seed), sample(2 * seed + 1)) for seed in range(100)]
    p = np.array([chi_square(a, b) for a, b in pairs])
    # Shares of 100 below a level, within four standard errors.
    for level in (0.1, 0.5, 0.9):
        assert abs((p < level).mean() - level) < 4 * np.sqrt(level * (1 - level) / 100)
    for scores in (z_scores, sd_z_scores):
        largest = max(scores(a, b).max() for a, b in pairs)
        assert largest < largest_allowed(300)
    # A third of an sd, with some 330 effective draws in each: the test has power.
    assert np.median([chi_square(a, b + 0.3) for a, b in pairs]) < 1e-4


def test_an_approximation_is_allowed_its_error_and_no_more() -> None:
    a = sample(0)
    b = sample(1) + 0.15 * a.std(axis=(0, 1))
    assert z_scores(a, b, 0.15).max() < largest_allowed(3)
    assert z_scores(a, b + 0.3 * a.std(axis=(0, 1)), 0.15).max() > largest_allowed(3)
