"""What an answer tells: closed forms against simulation and quadrature."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import entr, expit

import bayes_pref as bp
from bayes_pref.elicitation.answer_information import AnswerInformation

CASES = [(0.0, 0.3), (0.0, 4.0), (1.0, 1.0), (-2.0, 2.0), (3.0, 1.0)]


def nodes(mean: float, variance: float) -> tuple[np.ndarray, np.ndarray]:
    """Points of eta with their probabilities."""
    points, mass = np.polynomial.hermite_e.hermegauss(80)
    return mean + np.sqrt(variance) * points, mass / mass.sum()


@pytest.mark.parametrize(("mean", "variance"), CASES)
@pytest.mark.parametrize("choice", ["logit", "lapses", "ties", "grades"])
def test_the_variance_falls_as_the_closed_form_says(
    mean: float, variance: float, choice: str
) -> None:
    """Against the posterior variance after every answer, averaged over them."""
    eta, mass = nodes(mean, variance)
    choices = {
        "logit": bp.Logit().at(),
        "lapses": bp.Logit(lapse=True).at(lapse=np.array([0.2])),
        "ties": bp.Logit(ties=True).at(tie=np.array([0.5])),
        "grades": bp.Ordinal().at(cutpoints=np.array([[-1.5], [-0.5], [0.4], [1.5]])),
    }[choice]
    after = 0.0
    for chance in choices.probabilities(eta[:, None])[..., 0]:
        weight = mass * chance
        total = weight.sum()
        centre = (weight * eta).sum() / total
        after += total * (weight * (eta - centre) ** 2).sum() / total
    fell = variance**2 * AnswerInformation(choices).gain(np.array(mean), np.array(variance))
    assert fell == pytest.approx(variance - after, rel=0.01)


@pytest.mark.parametrize(("mean", "variance"), CASES)
def test_the_mutual_information_is_that_of_quadrature(mean: float, variance: float) -> None:
    """Entropy of the answer, less its mean entropy given eta."""
    eta, mass = nodes(mean, variance)
    p = expit(eta)
    all_told = (mass * p).sum()
    exact = entr(all_told) + entr(1 - all_told) - (mass * (entr(p) + entr(1 - p))).sum()
    found = AnswerInformation().mutual_information(np.array(mean), np.array(variance))
    assert found == pytest.approx(exact, abs=0.001)


def test_the_precision_leaves_the_expected_variance() -> None:
    """An observation of that precision leaves what an answer is expected to leave."""
    answers, mean, variance = AnswerInformation(), 0.7, 1.9
    left = variance - variance**2 * float(answers.gain(np.array(mean), np.array(variance)))
    assert 1 / (1 / variance + answers.precision(mean, variance)) == pytest.approx(left)
