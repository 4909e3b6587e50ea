"""Means of the probability that left is preferred, over Gaussian rewards, against quadrature."""

from __future__ import annotations

import numpy as np
import pytest
from choice_cases import outcome_probabilities
from numpy.typing import NDArray

import bayes_pref as bp
from bayes_pref.logistic_normal import expected_win

Array = NDArray[np.float64]

SAMPLES = 40
MODELS: dict[str, bp.ChoiceModel] = {
    "ties": bp.Logit(ties=True),
    "ties, lapse, position": bp.Logit(ties=True, lapse=True, position=True),
    "lapse": bp.Logit(lapse=True),
    "probit": bp.Probit(lapse=True, position=True),
    "four levels": bp.Ordinal(),
    "five levels": bp.Ordinal(lapse=True),
    "five levels, probit": bp.Ordinal(link="probit"),
}


def parameters(name: str) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    model, made = MODELS[name], {}
    if isinstance(model, bp.Ordinal):
        cuts = 3 if "four" in name else 4
        made["cutpoints"] = np.sort(rng.normal(0.4, 1.5, (cuts, SAMPLES)), axis=0)
    elif getattr(model, "ties", False):
        made["tie"] = rng.normal(-0.5, 2.0, SAMPLES)
    if getattr(model, "position", False):
        made["position"] = rng.normal(0.0, 0.5, SAMPLES)
    if model.lapse:
        made["lapse"] = rng.uniform(0.02, 0.2, SAMPLES)
    return made


def by_quadrature(name: str, mean: Array, variance: Array) -> Array:
    """A sum over 4,001 nodes of the textbook's probabilities."""
    nodes = np.linspace(-9, 9, 4001)
    mass = np.exp(-0.5 * nodes**2)
    eta = mean[..., None] + np.sqrt(variance)[..., None] * nodes
    sites = {
        site: np.moveaxis(value, 0, -1)[..., None, :] if site == "cutpoints" else value[:, None]
        for site, value in parameters(name).items()
    }
    probit = getattr(MODELS[name], "link", "logit") == "probit" or name == "probit"
    chance = outcome_probabilities(eta, "probit" if probit else "logit", sites)
    preferred = chance[(len(chance) + 1) // 2 :].sum(axis=0)
    return np.asarray(preferred @ (mass / mass.sum()))


@pytest.mark.parametrize("name", MODELS)
def test_the_mean_probability_of_left_is_that_of_quadrature(name: str) -> None:
    rng = np.random.default_rng(1)
    mean = rng.normal(0.0, 2.0, (6, SAMPLES))
    variance = rng.uniform(0.0, 4.0, (6, SAMPLES)) ** 2
    variance[0] = 0.0
    choices = MODELS[name].at(**parameters(name))
    assert choices.has_formula
    exact = by_quadrature(name, mean, variance)
    found = choices.expected_preferred(mean, variance)
    np.testing.assert_allclose(found, exact, rtol=0, atol=2e-8)
    # The wrong partner, everyone's probability at the mean, is told apart.
    assert np.abs(choices.preferred(mean) - exact).max() > 0.01


def test_wins_in_the_far_tails_are_certain_or_out_of_the_question() -> None:
    mean = np.array([-5000.0, 5000.0, 0.0, -800.0])
    variance = np.array([1.0, 1.0, 45.0**2, 9.0])
    found = expected_win(mean, variance, np.full(4, -1.0))
    assert np.isfinite(found).all()
    assert found[[0, 1, 3]] == pytest.approx([0.0, 1.0, 0.0])
    assert 0.48 < found[2] < 0.5


def test_a_choice_model_without_a_formula_is_integrated() -> None:
    plain = bp.Logit(ties=True).at(tie=np.zeros(3))
    slow = bp.Logit(ties=True).at(tie=np.zeros(3))
    object.__setattr__(slow, "mean_preferred", None)
    mean, variance = np.linspace(-2, 2, 6).reshape(2, 3), np.full((2, 3), 1.5)
    assert not slow.has_formula
    np.testing.assert_allclose(
        slow.expected_preferred(mean, variance),
        plain.expected_preferred(mean, variance),
        rtol=0,
        atol=1e-5,
    )
