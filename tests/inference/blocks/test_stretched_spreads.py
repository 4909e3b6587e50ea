"""Coordinates of spreads: the same density, closer to a Gaussian."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from bayes_pref.inference.gibbs.blocks.stretched_spreads import StretchedSpreads

PLACE = slice(1, 4)
THETA = np.array([0.3, 0.7, -0.5, 1.2, -2.0])


def stretched(*powers: float) -> StretchedSpreads:
    spreads = StretchedSpreads(PLACE)
    spreads.power[...] = powers
    return spreads


def log_density(theta: np.ndarray) -> float:
    return float(-0.5 * theta @ theta + np.sin(theta).sum() - (theta**4).sum())


def test_coordinates_are_theta_until_powers_are_chosen() -> None:
    spreads = StretchedSpreads(PLACE)
    theta = THETA * np.array([1.0, 0.0, 1.0, 1.0, 1.0])
    assert np.array_equal(spreads.coordinates(theta), theta)
    assert np.array_equal(spreads.theta(theta), theta)
    gradient = np.arange(5.0)
    volume, found = spreads.pulled_back(theta, gradient)
    assert volume == 0.0
    assert np.array_equal(found, gradient)


def test_theta_comes_back_and_the_gradient_is_that_of_the_density_of_u() -> None:
    spreads = stretched(1.3, 2.0, 1.0)
    u = spreads.coordinates(THETA)
    np.testing.assert_allclose(spreads.theta(u), THETA, rtol=1e-14)
    assert np.array_equal(u[[0, 3, 4]], THETA[[0, 3, 4]])

    def density(at: np.ndarray) -> float:
        theta = spreads.theta(at)
        return log_density(theta) + spreads.pulled_back(theta, theta)[0]

    slopes = [
        (spreads.theta(u + step)[k] - THETA[k]) / 1e-7 for k, step in enumerate(1e-7 * np.eye(5))
    ]
    np.testing.assert_allclose(spreads.slopes(THETA), slopes, rtol=1e-5)
    assert spreads.pulled_back(THETA, THETA)[0] == pytest.approx(np.log(slopes).sum(), rel=1e-5)
    _, found = spreads.pulled_back(THETA, approx_fprime(THETA, log_density, 1e-7))
    np.testing.assert_allclose(found, approx_fprime(u, density, 1e-7), rtol=1e-4)


def test_powers_make_a_density_symmetric_and_a_spread_that_may_be_zero_stays() -> None:
    """Gaussian in tau, in tau^1.5 and in tau^2; in tau^2, one sd from zero."""
    powers, sd_of_u = np.array([1.0, 1.5, 2.0, 2.0]), np.array([0.1, 0.1, 0.1, 0.5])
    signs = np.array([1.0, -1.0, 1.0, 1.0])
    spreads = StretchedSpreads(slice(0, 4))
    sd = sd_of_u / powers  # at tau 1, of either sign
    third = -3.0 * powers**2 * (powers - 1.0) / sd_of_u**2 * signs
    spreads.choose(signs, sd, third * sd**3)
    np.testing.assert_allclose(spreads.power, [1.0, 1.5, 2.0, 1.0], rtol=1e-12)
    spreads.choose(np.ones(4), np.full(4, 0.1), np.array([0.5, -5.0, np.nan, -0.1]))
    np.testing.assert_allclose(spreads.power, [1.0, 2.0, 1.0, 1.0 + 1.0 / 3.0], rtol=1e-12)
