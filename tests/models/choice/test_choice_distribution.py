"""Distributions of choices: formulas, tails, derivatives and draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from choice_cases import outcome_probabilities
from scipy.special import log_ndtr
from scipy.stats import chi2, norm

import bayes_pref as bp
from bayes_pref.models.choice import ChoiceDistribution
from bayes_pref.models.choice.outcome_distribution import OutcomeDistribution
from bayes_pref.models.choice.plackett_luce import stage_likelihood
from bayes_pref.models.choice.stage_choices import (
    draw_stages,
    log_stages,
    others,
    stage_information,
)
from bayes_pref.seeding import seeded

CASES: dict[str, tuple[bp.ChoiceModel, dict[str, Any]]] = {
    "plain": (bp.Logit(), {}),
    "probit": (bp.Probit(), {}),
    "position": (bp.Logit(position=True), {"position": 0.4}),
    "probit, position": (bp.Probit(position=True), {"position": 0.4}),
    "ties": (bp.Logit(ties=True, position=True), {"tie": -0.7, "position": 0.4}),
    "lapse": (bp.Logit(lapse=True), {"lapse": 0.2}),
    "lapse, ties": (bp.Logit(lapse=True, ties=True), {"lapse": 0.2, "tie": 0.3}),
    "graded": (bp.Ordinal(), {"cutpoints": np.array([-2.0, -0.3, 0.4, 0.9])}),
    "graded, probit, lapse": (
        bp.Ordinal(link="probit", lapse=True),
        {"cutpoints": np.array([-1.0, 0.2]), "lapse": 0.1},
    ),
    "two items of a ranking": (bp.PlackettLuce(), {}),
    "two items of a ranking, lapse": (bp.PlackettLuce(lapse=True), {"lapse": 0.2}),
}


def at_draws(name: str, samples: int = 3) -> tuple[ChoiceDistribution, str, dict[str, Any]]:
    """A distribution at draws, its link, and the draws with the sample first."""
    model, given = CASES[name]
    sites = {k: np.repeat(np.asarray(v)[..., None], samples, axis=-1) for k, v in given.items()}
    # The second sample has other parameters than the first, and so on.
    sites = {k: v * np.linspace(1.0, 0.5, samples) for k, v in sites.items()}
    link = "probit" if "probit" in name else "logit"
    return model.at(**sites), link, {k: np.moveaxis(v, -1, 0) for k, v in sites.items()}


@pytest.mark.parametrize("name", CASES)
def test_probabilities_are_the_textbooks(name: str) -> None:
    choices, link, sites = at_draws(name)
    eta = np.random.default_rng(0).normal(0, 3, (4, 3))
    found = choices.probabilities(eta)
    expected = outcome_probabilities(eta, link, sites)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(found.sum(axis=0), 1.0, rtol=1e-12)
    half = len(found) // 2
    np.testing.assert_allclose(choices.preferred(eta), expected[-half:].sum(axis=0), rtol=1e-9)
    tied = choices.tied(eta)
    assert (tied is None) == (len(found) % 2 == 0)
    if tied is not None:
        np.testing.assert_allclose(tied, expected[half], rtol=1e-9)
    choice = np.arange(4) % len(found) / (len(found) - 1)
    made = expected[np.arange(4) % len(found), np.arange(4)]
    np.testing.assert_allclose(choices.log_likelihood(eta, choice), np.log(made), rtol=1e-9)
    both = [outcome_probabilities(sign * eta, link, sites) for sign in (1, -1)]
    gap = [each[-half:].sum(axis=0) - each[:half].sum(axis=0) for each in both]
    np.testing.assert_allclose(choices.advantage(eta), (gap[0] - gap[1]) / 2, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_drawn_choices_follow_the_probabilities(name: str) -> None:
    choices, _, _ = at_draws(name, samples=1)
    eta = np.full((20_000, 1), 0.3)
    chance = choices.probabilities(eta[:1])[:, 0, 0]
    with seeded(1):
        tensor = torch.tensor(np.log(np.tile(chance[:, None], 20_000)))
        of_pyro = OutcomeDistribution(tensor).sample().numpy()
    values = np.arange(len(chance)) / (len(chance) - 1)
    for drawn in (choices.draw(eta, np.random.default_rng(0))[:, 0], of_pyro):
        assert np.isin(drawn, values).all()  # to the last bit: Comparisons check for them
        counts = (drawn[:, None] == values).sum(axis=0)
        expected = 20_000 * chance
        statistic = ((counts - expected) ** 2 / expected).sum()
        assert chi2.sf(statistic, len(chance) - 1) > 1e-4


@pytest.mark.parametrize("name", CASES)
def test_log_probabilities_and_gradients_stay_finite_far_out(name: str) -> None:
    model, values = CASES[name]
    given = {k: torch.as_tensor(v) for k, v in values.items()}
    eta = torch.tensor([-60.0, -5.0, 0.0, 5.0, 60.0], dtype=torch.float64, requires_grad=True)
    found = model.log_outcomes(eta, given)
    found.sum().backward()
    assert torch.isfinite(found).all()
    assert torch.isfinite(eta.grad).all()


def test_the_probit_link_is_exact_in_both_tails() -> None:
    eta = torch.linspace(-80, 6, 1000, dtype=torch.float64, requires_grad=True)
    found = bp.Probit().log_outcomes(eta, {})[1]
    found.sum().backward()
    x = eta.detach().numpy()
    np.testing.assert_allclose(found.detach(), log_ndtr(x), rtol=1e-10)
    np.testing.assert_allclose(eta.grad, np.exp(norm.logpdf(x) - log_ndtr(x)), rtol=1e-9)


def test_a_batch_of_distributions_broadcasts_against_choices() -> None:
    eta = torch.linspace(-2, 2, 15, dtype=torch.float64).reshape(3, 5)
    tie = torch.tensor(0.1, dtype=torch.float64)
    batch = OutcomeDistribution(bp.Logit(ties=True).log_outcomes(eta, {"tie": tie}))
    choice = torch.tensor([0.0, 0.5, 1.0, 0.5, 0.0])
    each = [OutcomeDistribution(batch.log_probabilities[:, k]).log_prob(choice) for k in range(3)]
    torch.testing.assert_close(batch.log_prob(choice), torch.stack(each))
    assert batch.expand((2, 3, 5)).log_prob(choice).shape == (2, 3, 5)


def finite_differences(function: Any, at: np.ndarray, step: float) -> np.ndarray:
    """Central differences of fourth order of a function of each entry alone."""
    near, far = (function(at + k * step) - function(at - k * step) for k in (1, 2))
    return np.asarray((8 * near - far) / (12 * step))


@pytest.mark.parametrize("scale", [0.01, 1.0, 10.0, 30.0])
@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_finite_differences(name: str, scale: float) -> None:
    choices, _, _ = at_draws(name)
    eta = np.random.default_rng(1).uniform(-scale, scale, (12, 3))
    choice = np.arange(12) % choices.n_outcomes / (choices.n_outcomes - 1)
    found = choices.derivatives(eta, choice)
    likelihood = choices.log_likelihood(eta, choice)
    np.testing.assert_allclose(found[0], likelihood, rtol=1e-12, atol=1e-15)
    step = 1e-3
    for order in range(2):
        # Rounding of the values over the step, and the fifth derivative times the step's power.
        allowed = 20e-15 * (1.0 + np.abs(found[order]).max()) / step + 100 * step**4

        def below(at: np.ndarray, order: int = order) -> np.ndarray:
            return choices.derivatives(at, choice)[order]

        expected = finite_differences(below, eta, step)
        np.testing.assert_allclose(found[order + 1], expected, rtol=1e-7, atol=allowed)
    # The wrong partner: derivatives at the other side's eta.
    wrong = choices.derivatives(-eta, choice)[1]
    assert not np.allclose(wrong, found[1], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("scale", [0.01, 1.0, 10.0, 100.0])
def test_derivatives_of_stages_are_those_of_finite_differences(scale: float) -> None:
    stage = np.array([0, 0, 0, 1, 2, 2])
    eta = np.random.default_rng(2).uniform(-scale, scale, (6, 4))
    choice = np.array([1.0, 0.0, 1.0, 1.0, 1.0, 1.0])  # of the first stage, the second other one
    gradient = others(eta, stage) + (choice - 1.0)[:, None]
    design = np.broadcast_to(np.eye(6)[:, None], (6, 4, 6))
    hessian = -stage_information(others(eta, stage), design, stage)
    step = 1e-3
    # As above: rounding over the step, and the error of the differences.
    allowed = 20e-15 * (1.0 + scale) / step + 100 * step**4
    for row in range(6):
        shift = step * np.eye(6)[row][:, None]

        def total(by: float, shift: np.ndarray = shift) -> np.ndarray:
            return log_stages(eta + by * shift, stage, choice).sum(axis=0)

        def slopes(by: float, shift: np.ndarray = shift) -> np.ndarray:
            return others(eta + by * shift, stage).T

        for function, found in ((total, gradient[row]), (slopes, hessian[:, row])):
            near, far = (function(k) - function(-k) for k in (1, 2))
            expected = (8 * near - far) / (12 * step)
            np.testing.assert_allclose(found, expected, rtol=1e-7, atol=allowed)


STAGE = np.array([0, 0, 0, 1, 2, 2])


def of_alternatives(eta: np.ndarray, lapse: float) -> list[np.ndarray]:
    """Probabilities of the alternatives of each stage, the one on the left first, by softmax."""
    found = []
    for stage in range(3):
        odds = np.exp(np.append(0.0, -eta[stage == STAGE]))
        found.append((1 - lapse) * odds / odds.sum() + lapse / len(odds))
    return found


@pytest.mark.parametrize("lapse", [0.0, 0.3])
def test_lapses_make_the_alternatives_of_a_stage_equally_likely(lapse: float) -> None:
    eta = np.random.default_rng(3).normal(0, 2, (6, 2))
    chance = of_alternatives(eta[:, 1], lapse)
    given = np.array([0.1, lapse])
    first = np.exp(log_stages(eta, STAGE, lapse=given))[:, 1]
    np.testing.assert_allclose(first, [each[0] for each in chance])
    other = others(eta, STAGE, given)[:, 1]
    np.testing.assert_allclose(other, np.concatenate([each[1:] for each in chance]))
    # As data, the second other alternative of the first stage is chosen.
    choice = np.array([1.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    made = [chance[0][2], chance[1][0], chance[2][0]]
    np.testing.assert_allclose(log_stages(eta, STAGE, choice, given)[:, 1], np.log(made))
    of_pyro = stage_likelihood(STAGE, torch.tensor(lapse, dtype=torch.float64))
    rows = of_pyro(torch.tensor(eta[:, 1])).log_prob(torch.tensor(choice)).numpy()
    np.testing.assert_allclose(np.add.reduceat(rows, [0, 3, 4]), np.log(made))
    # One draw of the first stage with another lapse rate has another probability.
    assert abs(np.exp(log_stages(eta, STAGE, lapse=given))[0, 0] - first[0]) > 1e-3


def test_the_slope_of_stages_with_lapses_is_that_of_finite_differences() -> None:
    eta = torch.tensor(np.random.default_rng(4).normal(0, 2, 6), requires_grad=True)
    lapse = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    choice = torch.tensor([1.0, 1.0, 1.0, 0.0, 1.0, 1.0], dtype=torch.float64)

    def total(eta: torch.Tensor, lapse: torch.Tensor) -> torch.Tensor:
        return stage_likelihood(STAGE, lapse)(eta).log_prob(choice).sum()

    assert torch.autograd.gradcheck(total, (eta, lapse))


def test_drawn_stages_with_lapses_follow_the_probabilities() -> None:
    eta, count = np.array([1.0, -0.5, 2.0, 0.7, -1.0, 1.5]), 20_000
    chance = of_alternatives(eta, 0.4)
    many = np.tile(eta[:, None], count)
    rng = np.random.default_rng(5)
    with seeded(5):
        lapse = torch.tensor(0.4, dtype=torch.float64)
        of_pyro = stage_likelihood(STAGE, lapse)(torch.tensor(many.T)).sample().numpy().T
    of_other = of_alternatives(eta, 0.0)
    for drawn in (draw_stages(many, STAGE, rng, np.full(count, 0.4)), of_pyro):
        for stage in range(3):
            lost = 1.0 - drawn[stage == STAGE]
            counts = np.append(count - lost.sum(), lost.sum(axis=1))
            p = [
                chi2.sf(((counts - count * each) ** 2 / (count * each)).sum(), len(each) - 1)
                for each in (chance[stage], of_other[stage])
            ]
            assert p[0] > 1e-4
            assert p[1] < 1e-4
