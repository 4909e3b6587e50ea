"""What better informed analysts make of the flags' worlds: their posteriors are the right ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from monte_carlo import largest_allowed, mean_and_error
from scipy.stats import chi2

import flags
from flag_study import reach, worlds
from flag_study.metrics import OURS
from flag_study.replicate import LONG_CHAINS


def on_a_grid(world: worlds.Confounded, exposure: np.ndarray, left: float) -> np.ndarray:
    """Mean and sd of mu and G of a single attribute, by sums over both and over users' weights.

    Given Theta a weight is Normal(mu + G m_i, V + G^2 v), with exposure m_i known up to `left` = v.
    """
    rows, choice = world.comparisons.difference[:, 0], world.comparisons.choice
    nodes = np.linspace(-5, 5, 61)
    mass = np.exp(-0.5 * nodes**2) / np.exp(-0.5 * nodes**2).sum()
    mu, coupling = np.meshgrid(np.linspace(-3, 3, 121), np.linspace(-1.5, 1.5, 91), indexing="ij")
    sd = np.sqrt(world.population.own[0, 0] + coupling**2 * left)
    scale = np.abs(world.population.coupling[0])
    density = -0.5 * mu**2 - 0.5 * (coupling / scale) ** 2
    for user in range(world.comparisons.n_users):
        weights = mu[..., None] + coupling[..., None] * exposure[user] + sd[..., None] * nodes
        log_p = np.zeros_like(weights)
        for n in np.flatnonzero(world.comparisons.user == user):
            log_p -= np.logaddexp(0.0, -(2 * choice[n] - 1) * rows[n] * weights)
        density += np.log(np.exp(log_p) @ mass)
    probability = np.exp(density - density.max())
    probability /= probability.sum()
    theta = np.stack([mu, coupling])
    mean = (probability * theta).sum(axis=(1, 2))
    sd = np.sqrt((probability * (theta - mean[:, None, None]) ** 2).sum(axis=(1, 2)))
    return np.stack([mean, sd])


def test_the_informed_analyst_has_the_posterior_of_a_grid() -> None:
    world = worlds.simulated(4, users=25, comparisons=6, features=1)
    draws = reach._from_choices(world, np.random.default_rng(0))[None, :, :, 0]
    mean, error = mean_and_error(draws)
    square, square_error = mean_and_error((draws - draws.mean(axis=1)) ** 2)
    exposure, left = reach._known_exposure(world)
    right = on_a_grid(world, exposure, left)
    bound = largest_allowed(4)
    assert (np.abs(mean - right[0]) < bound * error).all()
    assert (np.abs(square - right[1] ** 2) < bound * square_error).all()
    # Without the contexts, there is nothing to learn of the coupling.
    wrong = on_a_grid(world, np.zeros_like(exposure), 1.0)
    assert np.abs(mean - wrong[0])[1] > bound * error[1]


def test_known_exposure_is_the_regression_on_the_mean_context() -> None:
    world = worlds.simulated(0, users=20_000, comparisons=3)
    # Users are in the order of the truth, for both are sorted by label.
    exposure, left = reach._known_exposure(world)
    error = world.exposure - exposure
    # 4.5 standard errors of a covariance and of a variance.
    assert abs(np.mean(error * exposure)) < 4.5 * np.sqrt(left * exposure.var() / len(error))
    assert abs(error.var() - left) < 4.5 * left * np.sqrt(2 / len(error))


def test_the_all_knowing_are_off_by_as_much_as_they_say() -> None:
    def distance(world: worlds.Confounded) -> float:
        draws = reach._from_weights(world, np.random.default_rng(0)).reshape(-1, 8)
        truth = np.concatenate([world.population.mu, world.population.coupling])
        off = draws.mean(axis=0) - truth
        return float(off @ np.linalg.solve(np.cov(draws.T), off))

    made = [worlds.simulated(seed) for seed in range(20)]
    # The prior counts for little beside 200 users, nor does the error of 1,000 draws: 5 %.
    low, high = 0.95 * chi2.isf([1 - 1e-4, 1e-4], 8 * len(made)) * [1, 1 / 0.95**2]
    assert low < sum(map(distance, made)) < high
    mixed = [replace(world, exposure=world.exposure[::-1]) for world in made]
    assert sum(map(distance, mixed)) > high


def test_choices_without_end_tell_what_the_weights_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "_SWEEPS", 400)
    world = worlds.simulated(2, users=40, comparisons=500, features=2)
    answers = reach.answers(world, 0.001, 0)
    informed, all_knowing = answers[reach.INFORMED], answers[reach.ALL_KNOWING]
    assert all_knowing.p_do_sd is not None
    # 500 answers know a weight to about 0.1, where users differ by 0.7.
    gap = np.abs(informed.p_do - all_knowing.p_do)
    assert (gap < all_knowing.p_do_sd).mean() > 0.95
    assert np.abs(0.5 - all_knowing.p_do).max() > 5 * gap.max()


def test_the_report_sets_what_is_within_reach_beside_the_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reach, "_SWEEPS", 200)
    asked = ["--reach", "--replications", "1", "--jobs", "1", "--out", str(tmp_path)]
    assert flags.main([*asked, "--worlds", "small"]) == 0
    _, _, found = capsys.readouterr().out.partition("## What is within reach")
    for method in (OURS, LONG_CHAINS, reach.INFORMED, reach.ALL_KNOWING):
        # A line in each of the two tables.
        assert (
            sum(line.split("|")[2].strip() == method for line in found.splitlines() if "|" in line)
            == 2
        )
    records = pd.read_csv(tmp_path / "flags.csv").set_index(["method", "figure"])["value"]
    known = records[reach.ALL_KNOWING]
    assert known["p_do rmse"] < records[OURS]["p_do rmse"]
    assert known["p_do sd"] > 0
    assert known["sensitivity at 0.9"] >= known["sensitivity"]
