"""Expected choice probabilities agree with quadrature on a fine grid."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from bayes_pref.logistic_normal import expected_choice


def test_quadrature_agrees_with_a_fine_grid() -> None:
    mean, sd = (grid.ravel() for grid in np.meshgrid([-4.0, -0.5, 0.0, 2.0], [0.0, 0.7, 5.0, 8.0]))
    z = np.linspace(-12, 12, 40_001)
    weight = np.exp(-0.5 * z**2)
    exact = expit(mean[:, None] + sd[:, None] * z) @ weight / weight.sum()
    error = np.abs(expected_choice(mean, sd**2) - exact)
    assert error[sd <= 5].max() < 1e-8
    assert error.max() < 1e-5


def test_quadrature_holds_in_the_tails_and_for_any_spread() -> None:
    mean = np.array([-700.0, -40.0, 40.0, -3.0, 3.0, 1.0, 800.0, -800.0])
    np.testing.assert_allclose(expected_choice(mean, np.zeros(8)), expit(mean), rtol=1e-12)
    # E sigmoid(Normal(m, 1)) is exp(m + 1/2) far below zero.
    far = expected_choice(np.array([-30.0]), np.ones(1))
    np.testing.assert_allclose(far, np.exp(-29.5), rtol=1e-6)
    sd = np.geomspace(0.01, 1e4, 60)
    for centre in (0.0, 2.0):
        one, other = (expected_choice(np.full(60, m), sd**2) for m in (centre, -centre))
        np.testing.assert_allclose(one + other, 1.0, atol=1e-12)  # whatever the spread
    assert np.isnan(expected_choice(np.array([np.nan, 0.0]), np.array([1.0, np.nan]))).all()
