"""Draws of PG(1, psi) against the distribution's moments and Laplace transform."""

from __future__ import annotations

import numpy as np
import pytest

from bayes_pref.inference.gibbs.kernels.polya_gamma import LARGEST, draw_polya_gamma, right_table

DRAWS = 200_000
# Either piece of the proposal, both samplers of the left one, and both sides of the table's end.
TILTS = [0.0, 1e-3, 0.7, -2.0, 3.1, 3.2, 8.0, 25.0, LARGEST - 1e-3, LARGEST + 1e-3, 300.0]


def draws(psi: float, seed: int = 0) -> np.ndarray:
    omega = np.empty(DRAWS)
    draw_polya_gamma(np.full(DRAWS, psi), omega, right_table(), np.random.default_rng(seed))
    return omega


def mean(psi: float) -> float:
    return 0.25 if psi == 0 else float(np.tanh(psi / 2) / (2 * psi))


def laplace(psi: float, t: float) -> float:
    """E exp(-t omega) = cosh(psi/2) / cosh(sqrt(psi^2/4 + t/2)), written so as not to overflow."""
    a, b = abs(psi) / 2, np.sqrt(psi**2 / 4 + t / 2)
    return float(np.exp(a - b) * (1 + np.exp(-2 * a)) / (1 + np.exp(-2 * b)))


@pytest.mark.parametrize("psi", TILTS)
def test_draws_have_the_mean_and_laplace_transform_of_theory(psi: float) -> None:
    omega = draws(psi)
    # 4.5 standard errors: a false alarm in 150,000 looks.
    assert abs(omega.mean() - mean(psi)) < 4.5 * omega.std() / np.sqrt(DRAWS)
    for t in (0.5, 5.0, 50.0):
        value = np.exp(-t * omega)
        error = value.std() / np.sqrt(DRAWS)
        assert abs(value.mean() - laplace(psi, t)) < 4.5 * error


def test_a_sampler_that_is_wrong_by_one_percent_is_caught() -> None:
    omega = draws(0.7) * 1.01
    assert abs(omega.mean() - mean(0.7)) > 4.5 * omega.std() / np.sqrt(DRAWS)


def test_the_same_seed_gives_the_same_draws() -> None:
    assert np.array_equal(draws(1.0, seed=5), draws(1.0, seed=5))
    assert not np.array_equal(draws(1.0, seed=5), draws(1.0, seed=6))
