"""The laws of choices: their formulas, what is asked of them, and what they refuse."""

from __future__ import annotations

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
from laws import LAWS, LEVELS, Weighing, graded, law_comparisons, outcome_probabilities
from matplotlib import pyplot
from monte_carlo import agree
from scipy.special import entr, expit, log_ndtr
from scipy.stats import beta, chi2, dirichlet, norm

import bayes_pref as bp
from bayes_pref.draws import label
from bayes_pref.models import from_settings
from bayes_pref.models.choice.likelihood import Law, log_outcomes
from bayes_pref.models.choice.settings_and_sites import Outcomes
from bayes_pref.seeding import seeded

PARAMETERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "probit": {"link": "probit"},
    "position": {"position": 0.4},
    "ties": {"tie": -0.7, "position": 0.4},
    "lapse": {"lapse": 0.2},
    "lapse, ties": {"lapse": 0.2, "tie": 0.3},
    "graded": {"cutpoints": np.array([-2.0, -0.3, 0.4, 0.9])},
    "graded, probit, lapse": {"cutpoints": np.array([-1.0, 0.2]), "link": "probit", "lapse": 0.1},
}


def made_law(name: str, samples: int = 3) -> tuple[Law, dict[str, Any]]:
    given = dict(PARAMETERS[name])
    link = given.pop("link", "logit")
    sites = {k: np.repeat(np.asarray(v)[..., None], samples, axis=-1) for k, v in given.items()}
    # The second sample has other parameters than the first, and so on.
    sites = {k: v * np.linspace(1.0, 0.5, samples) for k, v in sites.items()}
    return Law(link, **sites), {k: np.moveaxis(v, -1, 0) for k, v in sites.items()}


@pytest.mark.parametrize("name", PARAMETERS)
def test_probabilities_are_the_textbooks(name: str) -> None:
    law, sites = made_law(name)
    eta = np.random.default_rng(0).normal(0, 3, (4, 3))
    found = law.probabilities(eta)
    expected = outcome_probabilities(eta, law.link, sites)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(found.sum(axis=0), 1.0, rtol=1e-12)
    half = len(found) // 2
    np.testing.assert_allclose(law.preferred(eta), expected[-half:].sum(axis=0), rtol=1e-9)
    tied = law.tied(eta)
    assert (tied is None) == (len(found) % 2 == 0)
    if tied is not None:
        np.testing.assert_allclose(tied, expected[half], rtol=1e-9)
    choice = np.arange(4) % len(found) / (len(found) - 1)
    made = expected[np.arange(4) % len(found), np.arange(4)]
    np.testing.assert_allclose(law.log_likelihood(eta, choice), np.log(made), rtol=1e-9)
    both = [outcome_probabilities(sign * eta, law.link, sites) for sign in (1, -1)]
    gap = [each[-half:].sum(axis=0) - each[:half].sum(axis=0) for each in both]
    np.testing.assert_allclose(law.advantage(eta), (gap[0] - gap[1]) / 2, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", PARAMETERS)
def test_drawn_choices_follow_the_probabilities(name: str) -> None:
    law, _ = made_law(name, samples=1)
    eta = np.full((20_000, 1), 0.3)
    chance = law.probabilities(eta[:1])[:, 0, 0]
    with seeded(1):
        tensor = torch.tensor(np.log(np.tile(chance[:, None], 20_000)))
        of_pyro = Outcomes(tensor).sample().numpy()
    values = np.arange(len(chance)) / (len(chance) - 1)
    for drawn in (law.draw(eta, np.random.default_rng(0))[:, 0], of_pyro):
        assert np.isin(drawn, values).all()  # to the last bit: Comparisons check for them
        counts = (drawn[:, None] == values).sum(axis=0)
        expected = 20_000 * chance
        statistic = ((counts - expected) ** 2 / expected).sum()
        assert chi2.sf(statistic, len(chance) - 1) > 1e-4


@pytest.mark.parametrize("name", PARAMETERS)
def test_log_probabilities_and_gradients_stay_finite_far_out(name: str) -> None:
    given = {k: torch.as_tensor(v) for k, v in PARAMETERS[name].items() if k != "link"}
    eta = torch.tensor([-60.0, -5.0, 0.0, 5.0, 60.0], dtype=torch.float64, requires_grad=True)
    found = log_outcomes(eta, PARAMETERS[name].get("link", "logit"), **given)
    found.sum().backward()
    assert torch.isfinite(found).all()
    assert torch.isfinite(eta.grad).all()


def test_the_probit_link_is_exact_in_both_tails() -> None:
    eta = torch.linspace(-80, 6, 1000, dtype=torch.float64, requires_grad=True)
    found = log_outcomes(eta, "probit")[1]
    found.sum().backward()
    x = eta.detach().numpy()
    np.testing.assert_allclose(found.detach(), log_ndtr(x), rtol=1e-10)
    np.testing.assert_allclose(eta.grad, np.exp(norm.logpdf(x) - log_ndtr(x)), rtol=1e-9)


def test_a_batch_of_laws_broadcasts_against_choices() -> None:
    eta = torch.linspace(-2, 2, 15, dtype=torch.float64).reshape(3, 5)
    law = Outcomes(log_outcomes(eta, "logit", tie=torch.tensor(0.1, dtype=torch.float64)))
    choice = torch.tensor([0.0, 0.5, 1.0, 0.5, 0.0])
    each = [Outcomes(law.log_probabilities[:, k]).log_prob(choice) for k in range(3)]
    torch.testing.assert_close(law.log_prob(choice), torch.stack(each))
    assert law.expand((2, 3, 5)).log_prob(choice).shape == (2, 3, 5)


def log_joint(model: bp.RewardModel, data: bp.Comparisons, sites: dict[str, Any]) -> float:
    values = {k: torch.as_tensor(value, dtype=torch.float64) for k, value in sites.items()}
    return float(
        poutine.trace(poutine.condition(model, data=values)).get_trace(data).log_prob_sum()
    )


@pytest.mark.parametrize("name", LAWS)
def test_the_density_of_each_law_is_the_formula(name: str) -> None:
    data, model = law_comparisons(name), LAWS[name]
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
def test_every_model_declares_the_sites_of_its_law(name: str) -> None:
    plain = MODELS[name]
    cases = [
        (replace(plain, lapse=True, position=True), law_comparisons("ties")),
        (replace(plain, link="probit", position=False), graded(small_comparisons())),
    ]
    for model, data in cases:
        with seeded(0):
            trace = poutine.trace(model).get_trace(data)
        for variable, dims in model.law_variables(data).items():
            assert model.variables(data)[variable] == dims
            assert trace.nodes[variable]["value"].ndim == len(dims)
        assert set(model.law_variables(data)) in ({"position", "tie", "lapse"}, {"cutpoints"})
        assert from_settings(model.settings()) == model


def test_cutpoints_rise_and_are_labelled_by_the_levels_that_they_part() -> None:
    data = law_comparisons("graded")
    prior = bp.PooledReward().prior_predictive(data, draws=50)
    assert prior.indexes["cutpoint"].tolist() == [
        *("far worse | worse", "worse | better", "better | far better"),
    ]
    assert (prior["cutpoints"].diff("cutpoint") > 0).all()
    assert np.isin(prior["choice"], np.arange(4) / 3).all()


def made_posterior(name: str) -> bp.Posterior:
    """A posterior of few draws, from the prior."""
    data, model = law_comparisons(name), LAWS[name]
    prior = model.prior_predictive(data, draws=40, seed=2)
    variables = model.variables(data)
    draws = label({k: prior[k].to_numpy() for k in variables}, variables, data)
    return bp.Posterior(model, data, draws, xr.Dataset(), {"name": "none"}, seed=0)


@pytest.mark.parametrize("name", LAWS)
def test_answers_and_files_follow_the_law(name: str, tmp_path: Path) -> None:
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
    assert again.comparisons.levels == posterior.comparisons.levels
    pd.testing.assert_frame_equal(again.preference(pairs), posterior.preference(pairs))
    pd.testing.assert_frame_equal(again.summary(), posterior.summary())
    bp.plots.trace(posterior)
    pyplot.close("all")


def test_a_left_hand_effect_moves_preferences_and_leaves_average_effects() -> None:
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
    ],
)
def test_settings_that_are_none_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(bp.ModelError, match=re.escape(message)):
        bp.PooledReward(**settings)


@pytest.mark.parametrize(
    ("settings", "name", "message"),
    [
        ({"link": "probit"}, "ties", "link='probit') has no ties: 8 of 30 choices are 0.5"),
        ({"ties": False}, "ties", "ties=False) has no ties: 8 of 30 choices are 0.5, the first"),
        ({"position": True}, "graded", "cutpoints that need not be symmetric"),
        ({"ties": True}, "graded", "the answers are graded, with 4 levels and no ties"),
    ],
)
def test_choices_that_a_law_cannot_describe_are_refused(
    settings: dict[str, Any], name: str, message: str
) -> None:
    with pytest.raises(bp.ModelError, match=re.escape(message)):
        bp.fit(bp.PooledReward(**settings), law_comparisons(name))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ties", "here is ties"),
        ("lapse", "here is a lapse rate"),
        ("probit", "here is the probit link"),
        ("graded", "here is graded answers"),
        ("ties, lapse, position", "here is ties and a lapse rate"),
    ],
)
def test_gibbs_names_what_it_cannot_run(name: str, reason: str) -> None:
    with pytest.raises(bp.ModelError, match=rf"Gibbs cannot run PooledReward: .*{reason}"):
        bp.fit(LAWS[name], law_comparisons(name), bp.Gibbs())


@pytest.mark.parametrize(("name", "what"), [("probit", "probit"), ("graded", "4 levels")])
def test_verdicts_on_other_scales_are_refused(name: str, what: str) -> None:
    with pytest.raises(bp.ModelError, match=rf"diagnose judges .*{what}"):
        bp.diagnose(made_posterior(name))


@pytest.mark.parametrize(("name", "what"), [("ties", "ties"), ("lapse", "a lapse rate")])
def test_confounding_is_not_assessed_where_choices_are_not_logistic(name: str, what: str) -> None:
    report = bp.diagnose(made_posterior(name), progress=False)
    assert any(re.match(rf"Confounding cannot be assessed: .*{what}", n) for n in report.notes)
    assert report.comparisons["shift"].isna().all()
    assert report.comparisons["prior_share"].notna().all()


def test_graded_answers_keep_their_levels() -> None:
    data = graded(small_comparisons())
    assert data.levels == tuple(LEVELS)
    assert not data.has_ties
    assert set(data.to_frame()["choice"]) <= set(LEVELS)
    again = bp.Comparisons.from_frame(
        data.to_frame(),
        user="person",
        choice="choice",
        difference=["brief", "polite"],
        levels=data.levels,
    )
    np.testing.assert_array_equal(again.choice, data.choice)
    for part in (data.take(np.arange(20)), *data.split(seed=1), data["u3"]):
        assert part.levels == data.levels
    assert "% far better" in repr(data)


def test_levels_may_be_a_number_and_three_are_no_ties() -> None:
    frame = pd.DataFrame({"who": [1, 1, 2, 2], "x": [1.0, 2, -1, 1], "c": [1, 3, 2, 3]})
    made = bp.Comparisons.from_frame(frame, user="who", choice="c", difference=["x"], levels=3)
    assert made.choice.tolist() == [0.0, 1.0, 0.5, 1.0]
    assert not made.has_ties
    assert list(bp.PooledReward().variables(made)) == ["mu", "cutpoints"]
    ties = bp.Comparisons.from_frame(
        frame.assign(c=(frame["c"] - 1) / 2), user="who", choice="c", difference=["x"]
    )
    assert list(bp.PooledReward().variables(ties)) == ["mu", "tie"]


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (2, "levels must be 3 to 7 in number, got 2"),
        (8, "levels must be 3 to 7 in number, got 8"),
        ("five", "levels must be a number of levels or their labels"),
        (True, "levels must be a number of levels or their labels"),
        (["a", "b", "a"], "levels must be different labels, got 'a', 'b' and 'a'"),
        (["a", "b", None], "levels must be text or numbers, got None"),
        (["1", "2", "3"], "column 'c': unknown level 1 in row 'p'; the levels are '1', '2' and"),
        (3, "column 'c': unknown level 4 in row 'q'; the levels are 1, 2 and 3"),
    ],
)
def test_levels_that_cannot_be_read_are_refused(levels: Any, message: str) -> None:
    frame = pd.DataFrame({"who": [1, 1], "x": [1.0, 2.0], "c": [1, 4]}, index=["p", "q"])
    with pytest.raises(bp.DataError, match=re.escape(message)):
        bp.Comparisons.from_frame(frame, user="who", choice="c", difference=["x"], levels=levels)
    with pytest.raises(bp.DataError, match="choice must hold 0, 1 / 3"):
        replace(law_comparisons("graded"), choice=np.full(30, 0.5))


@pytest.mark.slow
@pytest.mark.parametrize("name", LAWS)
def test_nuts_agrees_with_weighed_draws_from_the_prior_and_not_with_wrong_ones(name: str) -> None:
    data = law_comparisons(name)
    found = bp.fit(LAWS[name], data, bp.NUTS(draws=1000, chains=2, progress=False), seed=1)
    # Few draws of many candidates: hardly any is drawn twice, so that they are independent.
    right = Weighing(draws=500, chains=2, candidates=400_000)
    wrong = replace(right, steepness=1.7)
    variables = LAWS[name].variables(data)
    for engine, same in ((right, True), (wrong, False)):
        drawn = label(vars(engine.run(LAWS[name], data, 2))["values"], variables, data)
        assert agree(drawn, found.draws) == same


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("name", LAWS)
def test_each_law_is_calibrated(name: str) -> None:
    engine = Weighing(draws=60, chains=1)
    data = law_comparisons(name, users=5, each=4)
    found = bp.sbc(LAWS[name], data, engine, replications=100, seed=3, progress=False)
    assert found.passed(1e-3), found.summary()


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("ties", {"tie_mean": 0.5}),
        ("lapse", {"lapse_mean": 0.25}),
        ("position", {"position_sd": 0.3}),
        ("probit", {"steepness": 1.7}),  # the logistic law in probit's clothes
        ("graded", {"steepness": 0.6}),
    ],
)
def test_a_wrong_prior_or_law_is_found_out(name: str, wrong: dict[str, float]) -> None:
    engine = Weighing(draws=60, chains=1, **wrong)
    data = law_comparisons(name, users=5, each=4)
    found = bp.sbc(LAWS[name], data, engine, replications=200, seed=3, progress=False)
    assert not found.passed(1e-3), found.summary()
