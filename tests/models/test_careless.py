"""People who answer everything at random: density, predictions, settings, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyro.poutine as poutine
import pytest
import torch
from cases import small_comparisons
from choice_cases import choice_comparisons, outcome_probabilities
from made_posteriors import made_comparisons, made_posterior
from scipy.special import expit
from scipy.stats import beta, norm
from stage_cases import stage_comparisons

import bayes_pref as bp
from bayes_pref.evaluation.integrated_likelihood import user_log_likelihood
from bayes_pref.models import from_settings

CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "ties, lapse, position": {"lapse": True, "position": True},
    "graded": {},
    "tasks": {},
    "tasks, lapse": {"lapse": True},
}
SITES = {"lapse": 0.1, "position": 0.3, "tie": -0.4}
SHARES = np.array([0.1, 0.4, 0.3, 0.2])


def data_of(name: str) -> bp.Comparisons:
    return stage_comparisons() if "tasks" in name else choice_comparisons(name)


def by_hand(
    name: str, data: bp.Comparisons, eta: np.ndarray, sites: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users, and probabilities of their answers by the rewards and at random, one an answer."""
    if "tasks" in name:
        starts = data.outcome.observations(len(data))
        chosen = 1 / (1 + np.add.reduceat(np.exp(-eta), starts[:-1]))
        even = 1 / (1 + np.diff(starts))
        lapse = sites.get("lapse", 0.0)
        return data.user[starts[:-1]], (1 - lapse) * chosen + lapse * even, even
    chance = outcome_probabilities(eta, "logit", sites)
    made = np.rint(data.choice * (len(chance) - 1)).astype(int)
    return data.user, chance[made, np.arange(len(made))], np.full(len(made), 1 / len(chance))


@pytest.mark.parametrize("name", CASES)
def test_the_density_sums_over_who_answers_at_random(name: str) -> None:
    data = data_of(name)
    model = bp.PooledReward(reliability=True, **CASES[name])
    mu, share, pick = np.array([0.7, -0.2]), 0.2, np.zeros(data.n_users)
    sites = {k: np.asarray(v) for k, v in SITES.items() if k in model.variables(data)}
    given = {"mu": mu, "careless_share": share, "pick": pick, **sites}
    expected = norm.logpdf(mu, 0, 2 / data.feature_scale).sum() + beta.logpdf(share, 1, 9)
    expected += data.n_users * norm.logpdf(0.0)
    expected += beta.logpdf(0.1, 1, 19) * ("lapse" in sites)
    expected += norm.logpdf(0.3) * ("position" in sites)
    expected += norm.logpdf(-0.4, -1, 1.5) * ("tie" in sites)
    if name == "graded":
        given["level_shares"] = SHARES
        below = SHARES.cumsum()[:-1]
        sites["cutpoints"] = np.log(below / (1 - below))
        expected += np.log(6.0)  # a uniform Dirichlet of four
    user, meant, even = by_hand(name, data, data.difference @ mu, sites)
    of_users = [np.bincount(user, np.log(each), minlength=data.n_users) for each in (meant, even)]
    log_careless = np.log(share) + of_users[1]
    total = np.logaddexp(np.log(1 - share) + of_users[0], log_careless)
    values = {k: torch.as_tensor(v, dtype=torch.float64) for k, v in given.items()}
    trace = poutine.trace(poutine.condition(model, data=values)).get_trace(data)
    assert float(trace.log_prob_sum()) == pytest.approx(expected + total.sum(), rel=1e-10)
    # Phi(pick) is one half: who is more likely to answer at random than not is said to.
    chance = np.exp(log_careless - total)
    np.testing.assert_array_equal(trace.nodes["careless"]["value"].numpy(), chance > 0.5)


@pytest.mark.parametrize("name", CASES)
def test_prior_predictive_choices_are_random_of_those_who_are_said_to_answer_so(name: str) -> None:
    data = data_of(name)
    model = bp.PooledReward(reliability=True, mean_sd=50.0, scale="raw", **CASES[name])
    prior = model.prior_predictive(data, draws=400, seed=1)
    careless = prior["careless"].to_numpy()[0]
    eta = prior["mu"].to_numpy()[0] @ data.difference.T
    choice = prior["choice"].to_numpy()[0]
    if "tasks" in name:  # the alternative of the highest reward is chosen in nearly all tasks
        best = np.minimum.reduceat(eta, np.arange(0, len(data), 2), axis=1)
        chosen = np.minimum.reduceat(choice, np.arange(0, len(data), 2), axis=1)
        user, kept = data.user[::2], best > 0
        right, chance = np.where(kept, chosen, np.nan), 1 / 3
    else:
        user = data.user
        right, chance = (choice > 0.5) == (eta > 0), 0.5
        right = np.where(choice == 0.5, np.nan, right)
    of_rows = careless[:, user] > 0
    heeding, random = np.nanmean(right[~of_rows]), np.nanmean(right[of_rows])
    assert heeding > 0.85
    count = np.isfinite(right[of_rows]).sum()
    # Rows of a draw share mu, so that the error is larger than that of as many coins.
    assert abs(random - chance) < 8 * np.sqrt(chance * (1 - chance) / count)
    expected = prior["careless_share"].to_numpy()[0]
    error = np.sqrt((expected * (1 - expected)).mean() / careless.size)
    assert abs(careless.mean() - expected.mean()) < 4.5 * error
    # As many would be said to answer at random whatever they chose, in a wrong model.
    assert np.ptp(careless.mean(axis=0)) < 0.2


def of_careless(model: bp.RewardModel, data: bp.Comparisons, careless: Any) -> bp.Posterior:
    """A made posterior with these indicators (user,) in all draws, or with some of them."""
    posterior = made_posterior(data, model, chains=1)
    draws = posterior.draws
    shape = draws["careless"].shape
    share = 0.0 * draws["careless_share"] + 0.25
    drawn = draws["careless"].copy(data=np.broadcast_to(careless, shape).astype(float))
    return replace(posterior, draws=draws.assign(careless=drawn, careless_share=share))


def test_answers_are_predicted_by_rewards_or_at_random_and_rewards_are_as_they_were() -> None:
    data = made_comparisons()
    who = np.array([0, 1, 0, 0])
    both = of_careless(bp.HierarchicalReward(reliability=True), data, who)
    heeding = of_careless(bp.HierarchicalReward(reliability=True), data, 0 * who)
    pairs = pd.DataFrame(np.eye(3), columns=["length", "tone", "tact"], index=list("abc"))
    of_all, of_heeding = (each.preference(pairs) for each in (both, heeding))
    random = (of_all["user"] == data.users[1]).to_numpy()
    np.testing.assert_array_equal(of_all["mean"][random], 0.5)
    pd.testing.assert_frame_equal(of_all[~random], of_heeding[~random])
    pd.testing.assert_frame_equal(both.reward(pairs), heeding.reward(pairs))
    drawn = both.preference_draws(pairs, users=[data.users[1], data.users[0]])
    assert (drawn.isel(user=0) == 0.5).all()
    assert not (drawn.isel(user=1) == 0.5).any()
    # Rows for their own users, of whom one is new.
    asked = pairs.assign(user=[data.users[1], "new", data.users[0]])
    with pytest.warns(bp.DataWarning, match="new to the posterior"):
        own = both.preference(asked).set_index("user")["mean"]
    expected = of_all.set_index(["user", "comparison"])["mean"]
    assert own[data.users[1]] == 0.5
    assert own[data.users[0]] == pytest.approx(expected[data.users[0], "c"])
    # Averages over users count them in.
    average = both.preference(pairs, users="average")["mean"].to_numpy()
    each = of_all["mean"].to_numpy().reshape(4, 3).mean(axis=0)
    np.testing.assert_allclose(average, each)
    some = of_heeding["mean"].to_numpy().reshape(4, 3).mean(axis=0)
    assert np.abs(average - some).max() > 1e-3
    np.testing.assert_allclose(
        both.amce()["mean"],
        np.mean([_effects(both, k) * (1 - who[k]) for k in range(4)], axis=0),
    )


def _effects(posterior: bp.Posterior, user: int) -> np.ndarray:
    weights = posterior.weights_draws().isel(user=user).to_numpy().reshape(-1, 3)
    return np.asarray((2 * expit(weights) - 1).mean(axis=0))


def test_a_new_user_answers_at_random_as_often_as_the_share() -> None:
    made = of_careless(bp.HierarchicalReward(reliability=True), made_comparisons(), np.zeros(4))
    surely = made.draws.assign(mu=50.0 + 0.0 * made.draws["mu"], tau=1e-6 + 0.0 * made.draws["tau"])
    many = replace(
        made, draws=surely.isel(draw=np.tile(np.arange(50), 80)).assign_coords(draw=np.arange(4000))
    )
    pairs = pd.DataFrame(np.eye(3), columns=["length", "tone", "tact"])
    found = many.preference(pairs, users="population")["mean"]
    # Three in four surely choose left, and one tosses a coin.
    np.testing.assert_allclose(found, 0.875, atol=4.5 * 0.5 * np.sqrt(0.1875 / 4000))


@pytest.mark.parametrize("name", CASES)
def test_likelihoods_by_task_and_by_user_are_those_by_hand(name: str) -> None:
    data = data_of(name)
    model = bp.HierarchicalReward(reliability=True, **CASES[name])
    who = np.arange(data.n_users) % 2
    posterior = of_careless(model, data, who)
    weights = posterior.weights_draws().transpose("user", "feature", "chain", "draw").to_numpy()
    weights = weights.reshape(*weights.shape[:2], -1)
    eta = np.einsum("nd,nds->ns", data.difference, weights[data.user])
    sites = {k: posterior.draws[k].to_numpy()[0] for k in SITES if k in posterior.draws}
    if name == "graded":
        sites["cutpoints"] = posterior.draws["cutpoints"].to_numpy()[0]
    user, meant, even = (
        by_hand(name, data, eta, sites) if "tasks" not in name else (_of_tasks(data, eta, sites))
    )
    even = even[:, None] if even.ndim == 1 else even
    expected = np.where(who[user, None] == 1, even, meant)
    found = posterior.idata["log_likelihood"]["choice"].to_numpy()[0].T
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-8)
    draws = posterior.draws
    population = model.population(draws, data)
    assert population is not None
    heeding = user_log_likelihood(
        replace(model, reliability=False), population, draws.drop_vars("careless_share"), data
    )
    at_random = np.bincount(user, np.log(even[:, 0]), minlength=data.n_users)[:, None]
    mixed = np.logaddexp(np.log(0.75) + heeding, np.log(0.25) + at_random)
    found = user_log_likelihood(model, population, draws, data)
    np.testing.assert_allclose(found, mixed, rtol=1e-9)
    assert not np.allclose(found, heeding, rtol=1e-3)


def _of_tasks(
    data: bp.Comparisons, eta: np.ndarray, sites: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    found = [
        by_hand("tasks", data, eta[:, k], {n: v[k] for n, v in sites.items()})
        for k in range(eta.shape[1])
    ]
    return found[0][0], np.stack([each[1] for each in found], axis=1), found[0][2]


def test_replications_of_who_answers_at_random_are_random() -> None:
    data = stage_comparisons(users=4, each=50)
    posterior = of_careless(bp.HierarchicalReward(reliability=True), data, [0, 1, 0, 0])
    surely = 40.0 * np.sign(posterior.draws["weights"])
    posterior = replace(posterior, draws=posterior.draws.assign(weights=surely))
    replicated = posterior.idata["posterior_predictive"]["choice"].to_numpy()[0]
    first = replicated.reshape(len(replicated), -1, 2).min(axis=2)  # the one chosen in the data
    mine = data.user[::2] == 1
    error = np.sqrt(2 / 9 / first[:, mine].size)
    assert abs(first[:, mine].mean() - 1 / 3) < 4.5 * error
    assert np.abs(first[:, ~mine].mean(axis=0) - 0.5).mean() > 0.4  # nearly always the same


def test_the_share_at_random_is_all_or_the_lapses() -> None:
    data = made_comparisons()
    careless = np.zeros((1, 50, 4))
    careless[0, :40, 1], careless[0, :5, 2] = 1.0, 1.0
    plain = of_careless(bp.HierarchicalReward(reliability=True), data, careless)
    found = plain.reliability()
    np.testing.assert_allclose(found["mean"], [0.0, 0.8, 0.1, 0.0])
    np.testing.assert_allclose(found["mostly"], found["mean"])
    np.testing.assert_allclose(found["lapse"], 0.25)
    model = bp.HierarchicalReward(reliability=True, lapse=True)
    lapsing = of_careless(model, data, careless)
    alone = replace(
        lapsing,
        model=bp.HierarchicalReward(lapse=True),
        draws=lapsing.draws.drop_vars(["careless", "careless_share"]),
    )
    of_lapses = alone.reliability()["mean"].to_numpy()
    both = lapsing.reliability()
    assert both["mean"].iloc[0] == pytest.approx(of_lapses[0])
    assert 0.8 < both["mean"].iloc[1] < 0.8 + 0.2
    lapse = lapsing.draws["lapse"].mean().item()
    np.testing.assert_allclose(both["lapse"], 0.25 + 0.75 * lapse)


@pytest.mark.parametrize("sure", [True, False])
def test_the_report_names_who_answers_at_random(sure: bool) -> None:
    careless = np.zeros((1, 50, 4))
    careless[0, : 49 if sure else 40, 1] = 1.0
    model = bp.HierarchicalReward(reliability=True)
    posterior = of_careless(model, made_comparisons(), careless)
    asked = {"assessments": ["answering"], "verdicts": ["not assessed"], "progress": False}
    notes = bp.diagnose(posterior, **asked).notes
    assert any("look random ('ann')" in note for note in notes) == sure


def test_choices_asked_about_other_rows_than_they_are_of_are_refused() -> None:
    choices = replace(bp.Logit().at(), careless=np.zeros((4, 3)))
    with pytest.raises(ValueError, match="take those of_users"):
        choices.preferred(np.zeros((5, 3)))


def test_the_setting_goes_with_any_choice_model_and_is_kept() -> None:
    data = small_comparisons()
    with_choice = bp.HierarchicalReward(choice=bp.Logit(lapse=True), reliability=True)
    for model in (bp.HierarchicalReward(reliability=True), with_choice):
        assert from_settings(json.loads(json.dumps(model.settings()))) == model
        assert bp.HierarchicalReward(**model.choice_keywords()) == model
        assert model.variables(data)["careless"] == ("user",)
        assert model.with_exposure(data).reliability
    assert bp.PooledReward(reliability=True).with_exposure(data).reliability
    assert bp.PooledReward(reliability=True).variables(data)["careless_share"] == ()
    assert "reliability" not in bp.HierarchicalReward().settings()
    with pytest.raises(bp.ModelError, match="reliability=1"):
        bp.HierarchicalReward(reliability=1)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (bp.MixtureReward(components=2, reliability=True), "leave reliability out"),
        (bp.RepresentationReward(size=2, reliability=True), "leave reliability out"),
    ],
)
def test_models_that_cannot_have_such_people_say_so(model: bp.RewardModel, message: str) -> None:
    with pytest.raises(bp.ModelError, match=message):
        model.check(small_comparisons())


def test_gibbs_names_what_it_cannot_run() -> None:
    model = bp.LowRankReward(rank=1, reliability=True)
    with pytest.raises(bp.ModelError, match="people who answer at random with Gaussian users"):
        bp.fit(model, small_comparisons(), bp.Gibbs())


def test_new_users_who_may_answer_at_random_take_a_new_fit() -> None:
    posterior = made_posterior(model=bp.HierarchicalReward(reliability=True))
    with pytest.raises(bp.ModelError, match=r"people who answer at random.*in a new fit only"):
        bp.add_users(posterior, made_comparisons(["new"]))
