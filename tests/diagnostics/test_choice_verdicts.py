"""Verdicts for every choice model between two: units, information, separation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from choice_cases import CHOICES, choice_comparisons
from made_posteriors import made_posterior
from scipy.special import expit
from scipy.stats import norm

import bayes_pref as bp
from bayes_pref.data import Comparisons, GradedChoice
from bayes_pref.diagnostics.identifiability.most_information import most_information
from bayes_pref.diagnostics.identifiability.separable_rows import separate_answers
from bayes_pref.diagnostics.identifiability.separation import separate
from bayes_pref.diagnostics.query import read_query
from bayes_pref.posterior import Posterior

LINEAR = ["preference", "identifiability", "borrowing", "overlap"]


def posterior_of(name: str) -> Posterior:
    made = made_posterior(choice_comparisons(name), CHOICES[name])
    draws = made.draws
    shape, dims = (draws.sizes["chain"], draws.sizes["draw"]), ("chain", "draw")
    own = {"tie": -1.0, "lapse": 0.05, "position": 0.2}
    if name == "graded":
        cuts = np.broadcast_to([-1.5, -0.2, 1.0], (*shape, 3))
        draws = draws.assign(cutpoints=((*dims, "cutpoint"), cuts))
    for each, value in own.items():
        if each in CHOICES[name].variables(made.comparisons):
            draws = draws.assign({each: (dims, np.full(shape, value))})
    return replace(made, model=CHOICES[name], draws=draws)


@pytest.mark.parametrize("name", CHOICES)
def test_every_choice_model_gets_a_verdict(name: str) -> None:
    rows = bp.diagnose(posterior_of(name), assessments=LINEAR, progress=False).comparisons
    assert rows["verdict"].isin(bp.VERDICTS).all()
    assert rows[["mean", "sd", "prior_share", "reference_sd"]].notna().all(axis=None)
    if name == "graded":
        assert bp.diagnose(posterior_of(name), assessments=LINEAR).wording.choose.endswith("better")


def test_a_probit_unit_is_worth_what_changes_a_probability_near_one_half_as_much() -> None:
    small = 1e-4
    unit = bp.Probit().log_odds_per_unit
    assert expit(unit * small) - 0.5 == pytest.approx(norm.cdf(small) - 0.5, rel=1e-6)
    assert bp.Ordinal(link="probit").log_odds_per_unit == unit
    assert bp.Logit(ties=True).log_odds_per_unit == bp.Ordinal().log_odds_per_unit == 1.0
    probit = posterior_of("probit")
    logit = replace(probit, model=bp.PooledReward())
    stated, plain = (
        bp.diagnose(each, assessments=["preference"]).comparisons["mean"]
        for each in (probit, logit)
    )
    np.testing.assert_allclose(stated, unit * plain)


@pytest.mark.parametrize("name", CHOICES)
def test_no_answer_is_more_informative_than_the_most(name: str) -> None:
    posterior = posterior_of(name)
    unit = posterior.model.choice_model(posterior.comparisons).log_odds_per_unit
    sizes = posterior.comparisons.feature_scale
    most = most_information(posterior, sizes)
    share = (most**2).sum(axis=1) / ((posterior.comparisons.difference / sizes) ** 2).sum(axis=1)
    distribution = posterior.model.choice_distribution(posterior.draws, posterior.comparisons)
    eta = np.random.default_rng(0).normal(scale=4.0, size=(2000, 1)).clip(-12, 12)
    one = distribution.take(slice(0, 1))
    worst = max(
        -one.derivatives(eta, np.full(2000, choice))[2].min()
        for choice in np.arange(one.n_outcomes) / (one.n_outcomes - 1)
    )
    # The largest curvature is sought on a grid, and is flat at its top.
    assert worst / unit**2 <= share.min() * (1 + 1e-3)
    # It is no idle bound: some answer comes close to it.
    assert worst / unit**2 > 0.9 * share.max()


def differences(seed: int = 0, size: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(size, 2))


def answered(rows: np.ndarray, choice: np.ndarray, levels: int | None = None) -> Comparisons:
    made = choice_comparisons("lapse", users=6, each=10)
    outcome = made.outcome if levels is None else GradedChoice(levels)
    return replace(made, difference=rows, choice=choice, right=None, outcome=outcome)


def test_graded_answers_are_separated_where_cutpoints_order_them_all() -> None:
    rows, ones = differences(), np.ones(2)
    level = np.searchsorted([-1.0, 0.2, 0.9], rows @ [1.0, -0.5])
    assert separate_answers(answered(rows, level / 3, 4), ones).directions.shape == (2, 2)
    # One answer out of its order among many, and nothing is; as one choice, it is not noticed.
    place = int(np.argmax(rows @ [1.0, -0.5]))
    level[place] = 0
    assert separate_answers(answered(rows, level / 3, 4), ones).directions.shape == (2, 0)


def test_the_likelihood_of_graded_answers_rises_along_the_vector_found() -> None:
    rows = differences(1)
    level = np.searchsorted([-1.0, 0.2, 0.9], rows @ [1.0, -0.5])
    found = separate_answers(answered(rows, level / 3, 4), np.ones(2)).vector
    eta = rows @ found
    cuts = np.array([(eta[level <= k].max() + eta[level > k].min()) / 2 for k in range(3)])

    def log_likelihood(size: float) -> float:
        at = {"cutpoints": torch.tensor(size * cuts)}
        logs = bp.Ordinal().log_outcomes(torch.tensor(size * eta), at).numpy()
        return float(logs[level, np.arange(len(level))].sum())

    scale = 1.0 / np.abs(eta).mean()
    sizes = [log_likelihood(scale * size) for size in (1.0, 10.0, 100.0, 1e5)]
    assert sizes == sorted(sizes)
    assert sizes[-1] > -1e-3


def test_ties_are_separated_where_they_are_the_small_differences() -> None:
    rows, ones = differences(2), np.ones(2)
    eta = rows @ [1.0, -0.5]
    choice = np.where(np.abs(eta) < 0.4, 0.5, (eta > 0).astype(float))
    assert separate_answers(answered(rows, choice), ones).directions.shape == (2, 2)
    # Taking ties for equalities would not see it.
    assert separate(rows, choice).directions.shape == (2, 0)
    choice[int(np.argmax(np.abs(eta)))] = 0.5  # a tie beyond every difference that decides
    assert separate_answers(answered(rows, choice), ones).directions.shape == (2, 0)


def test_a_lapse_rate_changes_nothing_about_separation() -> None:
    rows = differences(3)
    data = answered(rows, (rows[:, 0] > 0).astype(float))
    for name in ("lapse", "probit"):
        posterior = replace(posterior_of(name), comparisons=data)
        report = bp.diagnose(posterior, assessments=["preference", "identifiability"])
        assert (report.comparisons["verdict"] == "separated").all()
    assert len(read_query(posterior)) == 60
