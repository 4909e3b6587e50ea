"""How engines are compared: which are, and how far the comparison can be trusted."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import CASES, GROUPS, case, draws, tried
from cases import ENGINES
from monte_carlo import chi_square, flat, largest_allowed, sd_z_scores, z_scores
from scipy.signal import lfilter

import bayes_pref as bp
from bayes_pref.convergence.statistics import effective_sample_size


def test_every_model_is_fitted_by_two_engines_and_every_engine_fits_a_model() -> None:
    found = {name: tried(name) for name in CASES}
    assert [name for name, engines in found.items() if len(engines) < 2] == []
    assert {engine for engines in found.values() for engine in engines} == set(ENGINES)
    assert sorted(name for group in GROUPS.values() for name in group) == sorted(CASES)


@pytest.mark.long
@pytest.mark.parametrize("name", ["diagonal", "full"])
def test_gibbs_and_nuts_agree_by_a_thousand_effective_draws_each(name: str) -> None:
    engines = (
        bp.Gibbs(draws=8000, warmup=1000, chains=2, progress=False),
        bp.NUTS(draws=4000, warmup=1000, chains=2, progress=False),
    )
    population = [
        flat(draws(name, engine.prepare(*case(name)), seed=5)[["mu", "tau"]]) for engine in engines
    ]
    assert min(effective_sample_size(values).min() for values in population) >= 1000
    assert chi_square(*population) > 0.001


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
