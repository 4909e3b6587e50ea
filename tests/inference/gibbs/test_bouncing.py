"""Trajectories of the population bounce off zero: reversible, and of the same energy."""

from __future__ import annotations

import numpy as np

from bayes_pref.inference.gibbs.kernels.hmc import kick_and_drift

NOBODY = np.empty(0, dtype=np.int64)


def test_scales_bounce_off_zero_and_the_way_back_is_the_way_there() -> None:
    rng = np.random.default_rng(0)
    bounced = 0
    for _ in range(200):
        root = rng.standard_normal((5, 5))
        whiten = root @ root.T / 5.0 + 0.1 * np.eye(5)
        theta, momentum = np.abs(rng.normal(0.0, 0.5, 5)), rng.standard_normal(5)
        start, first, nothing = theta.copy(), momentum.copy(), np.zeros(5)
        positive = np.array([1, 3])
        kick_and_drift(whiten, nothing, 0.0, 2.0, momentum, theta, positive)
        assert (theta[positive] >= 0.0).all()
        np.testing.assert_allclose(momentum @ momentum, first @ first)
        bounced += not np.allclose(momentum, first)
        momentum *= -1.0
        kick_and_drift(whiten, nothing, 0.0, 2.0, momentum, theta, positive)
        np.testing.assert_allclose(theta, start, atol=1e-9)
        np.testing.assert_allclose(momentum, -first, atol=1e-9)
    assert bounced > 50


def test_without_walls_a_drift_is_a_straight_line() -> None:
    rng = np.random.default_rng(1)
    whiten, theta, momentum = np.eye(3), rng.standard_normal(3), rng.standard_normal(3)
    end = theta + 1.5 * momentum
    kick_and_drift(whiten, np.zeros(3), 0.0, 1.5, momentum, theta, NOBODY)
    np.testing.assert_allclose(theta, end)
