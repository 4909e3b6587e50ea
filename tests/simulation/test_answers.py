"""Ties and lapses have their expected shares."""

from __future__ import annotations

import numpy as np

from bayes_pref.simulation import simulate

# Standard errors that a true statement may be off by chance: each test makes at most some dozens
# of them, and a normal deviate exceeds 4.5 once in 150,000.
LIMIT = 4.5


def test_ties_have_the_share_asked_for_and_davidsons_shape() -> None:
    world = simulate(users=4_000, ties=0.2, lapses=0.1, seed=6)
    truth, choice = world.truth.comparisons, world.comparisons.choice
    tie, n = (choice == 0.5).astype(float), len(choice)
    np.testing.assert_array_equal(tie, truth["kind"] == "tie")
    # Given the weights the ties are independent, with variance at most that of equal chances.
    assert abs(tie.mean() - 0.2) < LIMIT * np.sqrt(0.2 * 0.8 / n)

    answered = (truth["kind"] != "lapse").to_numpy()
    p = truth["probability"].to_numpy()[answered]
    tie, choice = tie[answered], choice[answered]
    # nu sqrt(left right) / (left + right + nu sqrt(left right)), Davidson's own form.
    chance = world.truth.nu * np.sqrt(p * (1 - p)) / (1 + world.truth.nu * np.sqrt(p * (1 - p)))
    distance = np.abs(p - 0.5) - np.abs(p - 0.5).mean()
    error = np.sqrt((distance**2 * chance * (1 - chance)).sum())
    assert abs((tie - chance) @ distance) < LIMIT * error
    assert abs((tie - tie.mean()) @ distance) > 2 * LIMIT * error
    decided = tie == 0
    error = np.sqrt((p * (1 - p))[decided].sum())
    assert abs((choice - p)[decided].sum()) < LIMIT * error


def test_lapses_have_the_share_asked_for_and_ignore_preferences() -> None:
    world = simulate(users=4_000, lapses=0.3, seed=7)
    truth, choice = world.truth.comparisons, world.comparisons.choice
    lapsed, n = (truth["kind"] == "lapse").to_numpy(), len(choice)
    p = truth["probability"].to_numpy()
    assert set(truth["kind"]) == {"lapse", "choice"}
    assert abs(lapsed.mean() - 0.3) < LIMIT * np.sqrt(0.3 * 0.7 / n)
    assert abs(choice[lapsed].mean() - 0.5) < LIMIT * 0.5 / np.sqrt(lapsed.sum())
    slope = (choice - 0.5) * (p - 0.5)
    error = 0.5 * np.sqrt(((p - 0.5) ** 2)[lapsed].sum())
    assert abs(slope[lapsed].sum()) < LIMIT * error
    assert slope[~lapsed].sum() > 2 * LIMIT * error
    assert (simulate(users=20).truth.comparisons["kind"] == "choice").all()
