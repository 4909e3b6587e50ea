"""Choice models of reward models: densities, settings, what follows them, and what they refuse."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyro.poutine as poutine
import pytest
import torch
import xarray as xr
from cases import MODELS, small_comparisons
from choice_cases import CHOICES, choice_comparisons, graded, outcome_probabilities
from matplotlib import pyplot
from scipy.special import entr, expit
from scipy.stats import beta, dirichlet, norm

import bayes_pref as bp
from bayes_pref.draws import label
from bayes_pref.models import from_settings
from bayes_pref.posterior.run import Run
from bayes_pref.seeding import seeded


def log_joint(model: bp.RewardModel, data: bp.Comparisons, sites: dict[str, Any]) -> float:
    values = {k: torch.as_tensor(value, dtype=torch.float64) for k, value in sites.items()}
    return float(
        poutine.trace(poutine.condition(model, data=values)).get_trace(data).log_prob_sum()
    )


@pytest.mark.parametrize("name", CHOICES)
def test_the_density_of_each_choice_model_is_the_formula(name: str) -> None:
    data, model = choice_comparisons(name), CHOICES[name]
    mu, sites = np.array([0.7, -0.2]), {}
    expected = norm.logpdf(mu, 0, 2 / data.feature_scale).sum()
    if "position" in name:
        sites["position"] = 0.3
        expected += norm.logpdf(0.3)
    if "ties" in name:
        sites["tie"] = -0.4
        expected += norm.logpdf(-0.4, -1, 1.5)
    if "lapse" in name:
        sites["lapse"] = 0.1
        expected += beta.logpdf(0.1, 1, 19)
    given = dict(sites)
    if name == "graded":
        shares = np.array([0.1, 0.4, 0.3, 0.2])
        given["level_shares"] = shares
        below = shares.cumsum()[:-1]
        sites["cutpoints"] = np.log(below / (1 - below))
        expected += dirichlet.logpdf(shares, np.ones(4))
    sites = {k: np.asarray(v) for k, v in sites.items()}
    chance = outcome_probabilities(data.difference @ mu, model.link, sites)
    made = np.rint(data.choice * (len(chance) - 1)).astype(int)
    expected += np.log(chance[made, np.arange(len(made))]).sum()
    assert log_joint(model, data, {"mu": mu, **given}) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_declares_the_sites_of_its_choice_model(name: str) -> None:
    plain = MODELS[name]
    cases = [
        (replace(plain, lapse=True, position=True), choice_comparisons("ties")),
        (replace(plain, link="probit", position=False), graded(small_comparisons())),
    ]
    for model, data in cases:
        with seeded(0):
            trace = poutine.trace(model).get_trace(data)
        for variable, dims in model.choice_variables(data).items():
            assert model.variables(data)[variable] == dims
            assert trace.nodes[variable]["value"].ndim == len(dims)
        assert set(model.choice_variables(data)) in ({"position", "tie", "lapse"}, {"cutpoints"})
        assert from_settings(model.settings()) == model


def test_cutpoints_rise_and_are_labelled_by_the_levels_that_they_part() -> None:
    data = choice_comparisons("graded")
    prior = bp.PooledReward().prior_predictive(data, draws=50)
    assert prior.indexes["cutpoint"].tolist() == [
        *("far worse | worse", "worse | better", "better | far better"),
    ]
    assert (prior["cutpoints"].diff("cutpoint") > 0).all()
    assert np.isin(prior["choice"], np.arange(4) / 3).all()


def made_posterior(name: str) -> bp.Posterior:
    """A posterior of few draws, from the prior."""
    data, model = choice_comparisons(name), CHOICES[name]
    prior = model.prior_predictive(data, draws=40, seed=2)
    variables = model.variables(data)
    draws = label({k: prior[k].to_numpy() for k in variables}, variables, data)
    run = Run(engine="none", settings={}, exact=True, joint=True, draws=40, seconds=0.0)
    return bp.Posterior(model, data, draws, xr.Dataset(), run, seed=0)


@pytest.mark.parametrize("name", CHOICES)
def test_answers_and_files_follow_the_choice_model(name: str, tmp_path: Path) -> None:
    posterior = made_posterior(name)
    pairs = pd.DataFrame({"brief": [0.0, 1.0], "polite": [1.0, -2.0]})
    frame = posterior.preference(pairs, users=["u3"])
    mu = posterior.draws["mu"].to_numpy()[0]
    sites = {
        k: posterior.draws[k].to_numpy()[0] for k in posterior.draws if k not in ("mu", "user")
    }
    chance = outcome_probabilities(pairs.to_numpy() @ mu.T, posterior.model.link, sites)
    half = len(chance) // 2
    preferred = chance[-half:].sum(axis=0)
    np.testing.assert_allclose(frame["mean"], preferred.mean(axis=1), rtol=1e-9)
    draws = posterior.preference_draws(pairs, users=["u3"])
    np.testing.assert_allclose(draws.to_numpy()[0, :, 0].T, preferred, rtol=1e-9)
    assert ("tie" in frame) == (len(chance) % 2 == 1)
    if "tie" in frame:
        np.testing.assert_allclose(frame["tie"], chance[half].mean(axis=1), rtol=1e-9)
    entropy = entr(chance).sum(axis=0).mean(axis=1) / np.log(2)
    np.testing.assert_allclose(frame["aleatoric"], entropy, rtol=1e-9)
    likelihood = posterior.idata["log_likelihood"]["choice"].to_numpy()[0]
    rows = outcome_probabilities(
        posterior.comparisons.difference @ mu.T, posterior.model.link, sites
    )
    made = np.rint(posterior.comparisons.choice * (len(rows) - 1)).astype(int)
    np.testing.assert_allclose(likelihood.T, np.log(rows[made, np.arange(len(made))]), 1e-8, 1e-14)
    posterior.save(tmp_path / "file.nc")
    again = bp.Posterior.load(tmp_path / "file.nc")
    assert again.model == posterior.model
    assert again.comparisons.outcome == posterior.comparisons.outcome
    pd.testing.assert_frame_equal(again.preference(pairs), posterior.preference(pairs))
    pd.testing.assert_frame_equal(again.summary(), posterior.summary())
    bp.plots.trace(posterior)
    pyplot.close("all")


def test_a_position_bias_moves_preferences_and_leaves_average_effects() -> None:
    posterior = made_posterior("position")
    same = pd.DataFrame({"brief": [0.0], "polite": [0.0]})
    position = posterior.draws["position"].to_numpy()
    assert posterior.preference(same)["mean"][0] == pytest.approx(expit(position).mean())
    moved = replace(posterior, draws=posterior.draws.assign(position=-posterior.draws["position"]))
    pd.testing.assert_frame_equal(posterior.amce(), moved.amce(), rtol=1e-12)
    assert not np.allclose(posterior.preference(same)["mean"], moved.preference(same)["mean"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"link": "cloglog"}, "PooledReward(link='cloglog'): expected 'logit' or 'probit'"),
        ({"lapse": 0.1}, "PooledReward(lapse=0.1): expected True or False"),
        ({"position": 1}, "PooledReward(position=1): expected True or False"),
        ({"ties": "davidson"}, "PooledReward(ties='davidson'): expected True, False or None"),
        ({"ties": True, "link": "probit"}, "levels=[0, 0.5, 1]"),
        ({"choice": "logit"}, "PooledReward(choice='logit'): expected a choice model, such as"),
        (
            {"choice": bp.Logit(), "lapse": True, "position": True},
            "lapse=True, position=True): choice= says all of it; give lapse and position to the",
        ),
    ],
)
def test_settings_that_are_none_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(bp.ModelError, match=re.escape(message)):
        bp.PooledReward(**settings)


@pytest.mark.parametrize(
    ("settings", "name", "message"),
    [
        ({"link": "probit"}, "ties", "link='probit'): the probit link has no ties; read them as"),
        ({"ties": False}, "ties", "(8 of 30 choices are 0.5, the first in row 1)"),
        ({"choice": bp.Logit(ties=False)}, "ties", "choice=Logit(ties=False, lapse=False"),
        ({"choice": bp.Logit()}, "graded", "is for choices between two, and these are graded"),
        ({"choice": bp.Probit()}, "graded", "is for choices between two, and these are graded"),
        ({"choice": bp.Ordinal()}, "ties", "is for graded answers, and these are choices between"),
        ({"choice": bp.PlackettLuce()}, "ties", "is for rankings, and these are choices between"),
        ({"position": True}, "graded", "cutpoints that need not be symmetric"),
        ({"ties": True}, "graded", "the answers are graded, with 4 levels and no ties"),
    ],
)
def test_choices_that_a_choice_model_cannot_describe_are_refused(
    settings: dict[str, Any], name: str, message: str
) -> None:
    with pytest.raises(bp.ModelError, match=re.escape(message)):
        bp.fit(bp.PooledReward(**settings), choice_comparisons(name))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ties", "and not ties"),
        ("lapse", "and not a lapse rate"),
        ("probit", "and not the probit link"),
        ("graded", "and not graded answers"),
        ("ties, lapse, position", "and not ties and a lapse rate"),
    ],
)
def test_gibbs_names_what_it_cannot_run(name: str, reason: str) -> None:
    model = bp.LowRankReward(rank=1, **CHOICES[name].choice_keywords())
    with pytest.raises(bp.ModelError, match=rf"Gibbs cannot run LowRankReward: .*{reason}"):
        bp.fit(model, choice_comparisons(name), bp.Gibbs())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: bp.Logit(lapse=1), "Logit(lapse=1): expected True or False"),
        (lambda: bp.Logit(ties="few"), "Logit(ties='few'): expected True, False or None"),
        (lambda: bp.Probit(position="left"), "Probit(position='left'): expected True or False"),
        (lambda: bp.PlackettLuce(lapse=1), "PlackettLuce(lapse=1): expected True or False"),
        (lambda: bp.Ordinal(link="cloglog"), "Ordinal(link='cloglog'): expected 'logit' or"),
    ],
)
def test_settings_of_choice_models_are_validated(model: Any, message: str) -> None:
    with pytest.raises(bp.ModelError, match=re.escape(message)):
        model()


@pytest.mark.parametrize(
    ("keywords", "choice", "name"),
    [
        ({}, bp.Logit(), "plain"),
        ({"lapse": True, "position": True}, bp.Logit(lapse=True, position=True), "ties"),
        ({"ties": True}, bp.Logit(ties=True), "plain"),
        ({"link": "probit", "lapse": True}, bp.Probit(lapse=True), "plain"),
        ({"link": "probit"}, bp.Ordinal(link="probit"), "graded"),
    ],
)
def test_shorthand_is_the_choice_model_that_suits_the_data(
    keywords: dict[str, Any], choice: bp.ChoiceModel, name: str
) -> None:
    data = choice_comparisons(name)
    short, explicit = bp.PooledReward(**keywords), bp.PooledReward(choice=choice)
    found = explicit.choice_model(data)
    assert short.choice_model(data) == found == choice.resolve(data.outcome)
    sites = {"mu": np.array([0.7, -0.2]), "tie": -0.4, "lapse": 0.1, "position": 0.3}
    if name == "graded":
        sites["level_shares"] = np.array([0.1, 0.4, 0.3, 0.2])
    assert log_joint(short, data, sites) == log_joint(explicit, data, sites)
    for model in (short, explicit):
        again = from_settings(json.loads(json.dumps(model.settings())))
        assert again == model
        assert bp.PooledReward(**model.choice_keywords()) == model


def test_settings_of_an_older_format_are_read() -> None:
    old = {"model": "PooledReward", "mean_sd": 2.0, "scale": "rms", "link": "probit", "lapse": True}
    assert from_settings(old) == bp.PooledReward(link="probit", lapse=True)
    with pytest.raises(bp.DataError, match="unknown choice model 'Cloglog'"):
        from_settings({"model": "PooledReward", "choice": {"choice_model": "Cloglog"}})
    with pytest.raises(bp.DataError, match="Logit has settings that are unknown"):
        from_settings({"model": "PooledReward", "choice": {"choice_model": "Logit", "nu": 1}})


@pytest.mark.parametrize(
    ("choice", "beyond", "position_sd"),
    [
        (bp.Logit(ties=False), None, None),
        (bp.Logit(ties=False, position=True), None, 1.0),
        (bp.Logit(ties=True, lapse=True), "ties and a lapse rate", None),
        (bp.Probit(lapse=True, position=True), "the probit link and a lapse rate", 1.0),
        (bp.Ordinal(), "graded answers", None),
        (bp.Ordinal(link="probit"), "graded answers and the probit link", None),
        (bp.PlackettLuce(), "rankings", None),
        (bp.PlackettLuce(lapse=True), "rankings and a lapse rate", None),
    ],
)
def test_engines_are_told_what_is_beyond_logistic_choices(
    choice: bp.ChoiceModel, beyond: str | None, position_sd: float | None
) -> None:
    assert choice.beyond_logistic == beyond
    assert choice.is_logistic == (beyond is None)
    assert choice.position_sd == position_sd
