"""p_do without contexts: what all users would choose, by the posterior at hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_comparisons, made_posterior, pooled_posterior
from scipy.special import expit, softmax
from set_data import chosen_sets

import bayes_pref as bp
from bayes_pref.diagnostics.confounding.choice_shares import choices_of_pairs
from bayes_pref.diagnostics.confounding.population_share import shares_of_all
from bayes_pref.diagnostics.query import read_query
from bayes_pref.draws import stacked
from bayes_pref.types import FloatArray

USERS = 5000  # simulated in each of 20 draws
ERROR = 4.5 * 0.5 / np.sqrt(20 * USERS)


def without_contexts(**more: Any) -> bp.Comparisons:
    """Comparisons as `made_comparisons` makes them, whose contexts nobody recorded."""
    made = made_comparisons(**more)
    roles: dict[str, Any] = {"user": "user", "choice": "chosen"}
    roles["difference"] = list(made.features.attributes)
    if made.covariate_names:
        values = pd.DataFrame(made.covariates, columns=list(made.covariate_names))
        roles["covariates"] = values.assign(user=made.users)
    return bp.Comparisons.from_frame(made.to_frame().drop(columns="hard"), **roles)


def simulated(
    posterior: bp.Posterior, difference: FloatArray, users: int
) -> tuple[FloatArray, FloatArray]:
    """Shares of users drawn from the population that would choose left; of the mean user."""
    rng, comparisons = np.random.default_rng(0), posterior.comparisons
    population = posterior.model.population(posterior.draws, comparisons)
    assert population is not None
    rounds = users // comparisons.n_users
    parts = [population.draw(comparisons.n_users, rng) for _ in range(rounds)]
    weights = np.concatenate(parts, axis=1)
    choices = choices_of_pairs(posterior, posterior.draws)
    eta = np.einsum("nd,sud->nus", difference, weights)
    middle = np.einsum("nd,sd->ns", difference, weights.mean(axis=1))
    return choices.preferred(eta).mean(axis=(1, 2)), choices.preferred(middle).mean(axis=1)


@pytest.mark.parametrize(
    "model",
    [
        bp.HierarchicalReward(),
        bp.HierarchicalReward(covariance="full", link="probit"),
        bp.HierarchicalReward(lapse=True),
        bp.LowRankReward(rank=2),
        bp.MixtureReward(components=2),
        bp.HierarchicalReward(constraints={"tone": "negative"}),
    ],
    ids=["diagonal", "full", "lapse", "low rank", "mixture", "signs"],
)
def test_shares_are_those_of_simulated_users(model: bp.RewardModel) -> None:
    has_signs = bool(getattr(model, "constraints", None))
    covariates = isinstance(model, bp.HierarchicalReward) and not has_signs
    draws = 200 if has_signs else 20
    data = without_contexts(covariates=covariates)
    posterior = made_posterior(data, model, chains=1, draws=draws)
    if has_signs:
        posterior = signed(posterior)
    elif covariates:  # what these add is taken for Gaussian, so that it must be small
        posterior = replace(posterior, draws=posterior.draws.assign(B=0.03 * posterior.draws["B"]))
    elif isinstance(model, bp.MixtureReward):
        posterior = with_shares(posterior)
    query = read_query(posterior)
    everyone, middle = simulated(posterior, query.difference, USERS * 20 // draws)
    # With signs the package draws users, too: 64 in each of 200 draws.
    error = np.hypot(ERROR, 4.5 * 0.5 / np.sqrt(200 * 64)) if has_signs else ERROR
    found = shares_of_all(posterior, query)
    np.testing.assert_allclose(found, everyone, atol=error)
    assert np.abs(found - middle).max() > 2 * error  # who takes the mean user errs


def with_shares(posterior: bp.Posterior) -> bp.Posterior:
    """The posterior with shares of two components that sum to one."""
    share = expit(posterior.draws["share"])
    return replace(posterior, draws=posterior.draws.assign(share=share / share.sum("component")))


def signed(posterior: bp.Posterior) -> bp.Posterior:
    """The posterior with a mean of the sign that its model asks for."""
    mu = posterior.draws["mu"]
    negative = mu.where(mu["feature"] != "tone", -np.abs(mu) - 0.1)
    return replace(posterior, draws=posterior.draws.assign(mu=negative))


def test_of_a_pooled_model_it_is_the_chance_of_everybody() -> None:
    posterior = pooled_posterior(without_contexts())
    query = read_query(posterior)
    eta = query.difference @ stacked(posterior.draws, "mu", "feature").T
    np.testing.assert_allclose(shares_of_all(posterior, query), expit(eta).mean(axis=1))


def test_shares_of_a_set_sum_to_one_and_are_those_of_simulated_users() -> None:
    posterior = made_posterior(chosen_sets(), chains=1, draws=20)
    query = read_query(posterior)
    found = shares_of_all(posterior, query)
    np.testing.assert_allclose(found.reshape(-1, 3).sum(axis=1), 1.0)
    population = posterior.model.population(posterior.draws, posterior.comparisons)
    assert population is not None
    weights = population.draw(USERS, np.random.default_rng(1))
    rows = query.difference[:30]
    eta = np.einsum("nd,sud->nsu", rows, weights).reshape(10, 3, 20, -1) * 2 / 3
    # 64 quasi-random users a draw are off by less than as many random ones.
    error = 4.5 * 0.5 / np.sqrt(20 * 64)
    np.testing.assert_allclose(
        found[:30], softmax(eta, axis=1).mean(axis=(2, 3)).ravel(), atol=error
    )


def test_where_the_population_is_unknown_the_fitted_users_stand_for_it() -> None:
    world = bp.simulate(users=8, features=2, contexts=0, randomised=0.5, seed=0)
    model = bp.HierarchicalReward(observational_bias=True)
    posterior = made_posterior(world.comparisons, model, chains=1, draws=20)
    query = read_query(posterior)
    weights = stacked(posterior.draws, "weights", "user", "feature")
    eta = np.einsum("nd,sud->nsu", query.difference, weights)
    np.testing.assert_allclose(shares_of_all(posterior, query), expit(eta).mean(axis=(1, 2)))


@pytest.mark.parametrize("alternatives", [2, 3])
def test_diagnose_gives_p_do_and_says_that_the_rest_is_unknown(alternatives: int) -> None:
    data = without_contexts()
    if alternatives == 3:
        frame = bp.simulate(users=6, features=2, contexts=0, alternatives=3, seed=0)
        data = frame.comparisons
    report = bp.diagnose(made_posterior(data), assessments=["preference", "confounding"])
    rows = report.comparisons
    assert rows["p_do"].between(0.0, 1.0).all()
    unknown = ["p_obs", "shift", "shift_lower", "shift_upper", "p_confounded"]
    assert rows[unknown].isna().all(axis=None)
    assert report.permutation_p is None
    assert report.exposure_posterior is None
    assert not (rows["verdict"] == "confounded").any()
    assert "confounding cannot be assessed: no context" in report.notes[0].lower()
    assert report.notes[1].startswith("p_do is what all users would choose by this posterior")


def test_new_rows_have_a_p_do_too() -> None:
    posterior = made_posterior(without_contexts())
    table = pd.DataFrame({"length": [0.0, 1.0], "tone": [0.0, 0.0], "tact": [0.0, 0.0]})
    report = bp.diagnose(posterior, table, assessments=["preference", "confounding"])
    assert report.comparisons["p_do"][0] == pytest.approx(0.5)
    assert report.comparisons["p_do"][1] != pytest.approx(0.5)


ENGINE = bp.Gibbs(draws=300, warmup=300, chains=2, cores=1, thin=2, progress=False)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayes_pref.errors.ConvergenceWarning")
@pytest.mark.parametrize("bias", [0.0, 1.5])
def test_a_randomised_share_without_contexts_corrects_the_log(bias: float) -> None:
    world = bp.simulate(
        users=80,
        features=1,
        contexts=0,
        comparisons=20,
        randomised=0.5,
        observational_bias=bias,
        seed=5,
    )
    plain = bp.fit(bp.HierarchicalReward(), world.comparisons, ENGINE)
    report = bp.diagnose(
        plain, assessments=["preference", "confounding"], engine=ENGINE, progress=False
    )
    rows = report.comparisons
    truth = world.truth.comparisons["p_do"].to_numpy()
    uncorrected = np.abs(shares_of_all(plain, read_query(plain)) - truth).mean()
    corrected = np.abs(rows["p_do"] - truth).mean()
    assert report.exposure_posterior is not None
    assert "observational_bias" in report.exposure_posterior.draws
    assert "G" not in report.exposure_posterior.draws
    found = rows["verdict"].value_counts()
    if bias:
        assert corrected < 0.5 * uncorrected
        assert report.results["randomised_p"] < 0.001
        assert found.reindex(["cleared", "confounded"]).sum() > 40
        assert (rows.loc[rows["verdict"] == "cleared", "randomised_needed"] == 0).all()
        said = rows.loc[rows["verdict"] == "confounded", "sentence"]
        assert said.str.startswith("By the log users would choose left").all()
    else:
        assert report.results["randomised_p"] > 0.01
        assert found.reindex(["cleared", "confounded"]).sum() == 0
    assert "by the comparisons that were not assigned at random" in " ".join(report.notes)
