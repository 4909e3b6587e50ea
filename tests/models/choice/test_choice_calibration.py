"""Posteriors of each choice model against exact draws from the prior, weighed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from choice_cases import CHOICES, Weighing, choice_comparisons
from monte_carlo import agree

import bayes_pref as bp
from bayes_pref.draws import label

# Nearly every parameter of a choice model; the others are compared by make test-long.
EVERY_TIME = {"ties, lapse, position"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in EVERY_TIME else pytest.mark.long) for name in CHOICES],
)
def test_nuts_agrees_with_weighed_draws_from_the_prior_and_not_with_wrong_ones(name: str) -> None:
    data = choice_comparisons(name)
    found = bp.fit(CHOICES[name], data, bp.NUTS(draws=1000, chains=2, progress=False), seed=1)
    # Few draws of many candidates: hardly any is drawn twice, so that they are independent.
    right = Weighing(draws=500, chains=2, candidates=400_000)
    wrong = replace(right, steepness=1.7)
    variables = CHOICES[name].variables(data)
    for engine, same in ((right, True), (wrong, False)):
        drawn = label(engine.prepare(CHOICES[name], data).run(2).sites, variables, data)
        assert agree(drawn, found.draws) == same


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("name", CHOICES)
def test_each_choice_model_is_calibrated(name: str) -> None:
    engine = Weighing(draws=60, chains=1)
    data = choice_comparisons(name, users=5, each=4)
    found = bp.sbc(CHOICES[name], data, engine, replications=100, seed=3, progress=False)
    assert found.passed(1e-3), found.summary()


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("ties", {"tie_mean": 0.5}),
        ("lapse", {"lapse_mean": 0.25}),
        ("position", {"position_sd": 0.3}),
        ("probit", {"steepness": 1.7}),  # the logistic model in place of the probit
        ("graded", {"steepness": 0.6}),
    ],
)
def test_a_wrong_prior_or_choice_model_is_found_out(name: str, wrong: dict[str, float]) -> None:
    engine = Weighing(draws=60, chains=1, **wrong)
    data = choice_comparisons(name, users=5, each=4)
    found = bp.sbc(CHOICES[name], data, engine, replications=200, seed=3, progress=False)
    assert not found.passed(1e-3), found.summary()
