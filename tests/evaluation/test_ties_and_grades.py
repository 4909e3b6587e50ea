"""Ties and graded answers: scored, replicated and left out, with wrong partners that must fail."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from choice_cases import outcome_probabilities
from made_posteriors import made_comparisons, made_posterior
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import norm

import bayes_pref as bp
from bayes_pref.draws import thin
from bayes_pref.evaluation.integrated_likelihood import user_log_likelihood

Array = NDArray[np.float64]

GIBBS = bp.Gibbs(draws=250, chains=2, warmup=200, progress=False)
CUTS = {"logit": [-1.6, -0.3, 1.1], "probit": [-1.0, -0.2, 0.7]}
LEVELS = ["right much better", "right better", "left better", "left much better"]
KINDS = ("ties", "logit", "probit")
SHARP = "tie", "cutpoints"


def world(kind: str, *, users: int = 70, mean: float = 1.0, spread: float = 1.2) -> bp.Comparisons:
    """20 answers of users who differ, with ties, or graded with either link; pairs seen twice."""
    rng = np.random.default_rng(0)
    names = ["brief", "polite"]
    user = np.repeat(np.arange(users), 20)
    difference = np.repeat(rng.standard_normal((users * 10, 2)), 2, axis=0)
    weights = mean * np.array([1.0, -0.5]) + spread * rng.standard_normal((users, 2))
    eta = (difference * weights[user]).sum(axis=1)
    ties = kind == "ties"
    sites = {"tie": np.array(-0.5)} if ties else {"cutpoints": np.array(CUTS[kind])}
    chance = outcome_probabilities(eta, "probit" if kind == "probit" else "logit", sites)
    place = (rng.random(len(user)) > chance.cumsum(axis=0)[:-1]).sum(axis=0)
    answer = [0.0, 0.5, 1.0] if ties else LEVELS
    frame = pd.DataFrame(difference, columns=names)
    frame = frame.assign(who=user, answer=np.array(answer)[place])
    levels = None if ties else LEVELS
    return bp.Comparisons.from_frame(
        frame, user="who", choice="answer", difference=names, levels=levels
    )


def model(kind: str, shape: type[bp.RewardModel] = bp.HierarchicalReward) -> bp.RewardModel:
    return shape(link="probit") if kind == "probit" else shape()


def fit(model: bp.RewardModel, comparisons: bp.Comparisons) -> bp.Posterior:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return bp.fit(model, comparisons, GIBBS)


def altered(posterior: bp.Posterior, **shifts: float) -> bp.Posterior:
    """The same posterior with parameters moved."""
    moved = {name: posterior.draws[name] + by for name, by in shifts.items()}
    return bp.Posterior(
        posterior.model,
        posterior.comparisons,
        posterior.draws.assign(moved),
        posterior.sample_stats,
        posterior.run,
        posterior.seed,
    )


@pytest.fixture(scope="module")
def halves() -> dict[str, tuple[bp.Comparisons, bp.Comparisons]]:
    return {kind: world(kind).split(by="comparison", test=0.4, seed=1) for kind in KINDS}


@pytest.fixture(scope="module")
def right(halves: dict[str, tuple[bp.Comparisons, bp.Comparisons]]) -> dict[str, bp.Posterior]:
    return {kind: fit(model(kind), train) for kind, (train, _) in halves.items()}


@pytest.fixture(scope="module")
def pooled(halves: dict[str, tuple[bp.Comparisons, bp.Comparisons]]) -> dict[str, bp.Posterior]:
    return {kind: fit(model(kind, bp.PooledReward), train) for kind, (train, _) in halves.items()}


Halves = dict[str, tuple[bp.Comparisons, bp.Comparisons]]
Fits = dict[str, bp.Posterior]


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_the_textbook(kind: str, halves: Halves, right: Fits) -> None:
    posterior, test = right[kind], halves[kind][1].take(np.arange(60))
    found = bp.evaluate(posterior, test)
    weights = posterior.weights_draws().to_numpy().reshape(500, -1, 2)
    place = posterior.comparisons.users.get_indexer(test.users)[test.user]
    eta = (weights[:, place] * test.difference).sum(axis=2)
    (name,) = set(SHARP) & set(posterior.draws)
    sites = {name: posterior.draws[name].to_numpy().reshape(500, 1, -1)}
    if name == "tie":
        sites = {name: sites[name][:, :, 0]}
    chance = outcome_probabilities(eta, posterior.model.link, sites).mean(axis=1).T
    given = np.rint(test.choice * (chance.shape[1] - 1)).astype(int)
    made = np.eye(chance.shape[1])[given]
    rows = found.rows
    assert found.answers is not None
    assert found.shares is not None
    assert np.allclose(found.answers["mean"], chance.ravel())
    assert np.array_equal(found.answers["chosen"], made.ravel())
    assert np.allclose(rows["log_score"], np.log((chance * made).sum(axis=1)))
    assert np.allclose(rows["brier"], ((chance - made) ** 2).sum(axis=1) / 2)
    assert np.array_equal(rows["hit_rate"], chance.argmax(axis=1) == given)
    cumulative = ((chance - made).cumsum(axis=1)[:, :-1] ** 2).mean(axis=1)
    assert np.allclose(rows["rps"], cumulative)
    left = chance[:, (chance.shape[1] + 1) // 2 :].sum(axis=1)
    assert np.allclose(rows["mean"], left)
    assert np.allclose(found.shares["predicted"], chance.mean(axis=0))
    assert np.allclose(found.shares["mean"], made.mean(axis=0))
    by_chance = found.overall.set_index("score")["chance"]
    assert by_chance["log_score"] == pytest.approx(-np.log(chance.shape[1]))
    assert found.shares["answer"].tolist() == (
        LEVELS if name != "tie" else ["right", "tie", "left"]
    )


def outside(found: pd.DataFrame) -> int:
    inside = (found["lower"] <= found["predicted"]) & (found["predicted"] <= found["upper"])
    return int((~inside).sum())


@pytest.mark.parametrize("kind", KINDS)
def test_every_answer_is_calibrated_and_not_with_another_rate_of_them(
    kind: str, halves: Halves, right: Fits, pooled: Fits
) -> None:
    posterior, test = right[kind], halves[kind][1]
    found = bp.evaluate(posterior, test, interval=0.9999)
    assert outside(found.calibration) == 0
    assert found.share_error is not None
    shifted = altered(posterior, **{"tie" if kind == "ties" else "cutpoints": 1.5})
    wrong = bp.evaluate(shifted, test, interval=0.9999)
    assert outside(wrong.calibration) > 3
    assert wrong.share_error is not None
    assert wrong.share_error > 3 * found.share_error
    # Who is predicted by everybody's mean is predicted worse, by more than a few errors.
    everyone = bp.evaluate(pooled[kind], test)
    for score, sign in (("log_score", 1), ("brier", -1), ("rps", -1)):
        gain = sign * (found.rows[score] - everyone.rows[score]).groupby(found.rows["user"]).mean()
        assert gain.mean() > 3 * gain.std() / np.sqrt(len(gain)), score
    assert bp.plots.reliability(found).has_data()


@pytest.mark.parametrize("kind", KINDS)
def test_replications_agree_with_the_right_model_and_not_with_a_wrong_one(
    kind: str, right: Fits, pooled: Fits
) -> None:
    p = bp.posterior_predictive_check(right[kind]).set_index("statistic")["p"]
    assert (p > 0.01).all()
    wrong = bp.posterior_predictive_check(pooled[kind]).set_index("statistic")["p"]
    assert wrong["users' spread: brief"] < 0.01
    shifted = altered(right[kind], **{"tie" if kind == "ties" else "cutpoints": 0.7})
    share = "share of ties" if kind == "ties" else f"share of level {LEVELS[0]}"
    assert bp.posterior_predictive_check(shifted).set_index("statistic")["p"][share] < 0.01


def test_users_who_tie_more_than_others_and_ties_of_any_pair_show() -> None:
    plain = world("ties", users=60)
    rng = np.random.default_rng(0)
    undecided = plain.user % 3 == 0
    tied = np.where(undecided & (rng.random(len(plain)) < 0.5), 0.5, plain.choice)
    p = bp.posterior_predictive_check(fit(model("ties"), replace(plain, choice=tied)))
    assert p.set_index("statistic")["p"]["users' spread: ties"] < 0.01
    decided = world("ties", users=60, mean=3.0, spread=0.0)
    decided = decided.take(decided.choice != 0.5)
    tied = np.where(rng.random(len(decided)) < 0.4, 0.5, decided.choice)
    p = bp.posterior_predictive_check(fit(model("ties"), replace(decided, choice=tied)))
    assert p.set_index("statistic")["p"]["share of ties: nearest half"] < 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_a_user_is_integrated_out_as_by_quadrature(kind: str, right: Fits) -> None:
    posterior = right[kind]
    comparisons = posterior.comparisons.take(posterior.comparisons.user < 6)
    draws = thin(posterior.draws, 8)
    draws = draws.isel(user=slice(0, 6)) if "user" in draws.dims else draws
    population = posterior.model.population(draws, comparisons)
    assert population is not None
    found = user_log_likelihood(posterior.model, population, draws, comparisons)
    nodes = np.linspace(-6, 6, 61)  # narrower than half a user's posterior sd
    z = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
    log_mass = -0.5 * (z**2).sum(axis=1) + 2 * np.log((nodes[1] - nodes[0]) / np.sqrt(2 * np.pi))
    mu = draws["mu"].to_numpy().reshape(-1, 1, 2)
    tau = draws["tau"].to_numpy().reshape(-1, 1, 2)
    name = "tie" if kind == "ties" else "cutpoints"
    own = draws[name].to_numpy().reshape(len(mu), 1, 1, -1)
    sites = {name: own[..., 0] if kind == "ties" else own}

    def exact(sites: dict[str, Array]) -> Array:
        eta = (mu + tau * z) @ comparisons.difference.T
        chance = np.moveaxis(outcome_probabilities(eta, posterior.model.link, sites), 0, -1)
        given = np.rint(comparisons.choice * (chance.shape[-1] - 1)).astype(int)
        made = np.log(np.take_along_axis(chance, given[None, None, :, None], -1)[..., 0] + 1e-300)
        users = np.add.reduceat(made, comparisons.offsets[:-1], axis=2)
        return logsumexp(users + log_mass[None, :, None], axis=1).T

    # Points are added until the relative error would be 0.1, were they independent.
    assert np.abs(found - exact(sites)).max() < 4 * 0.05
    assert abs((found - exact(sites)).mean()) < 0.01
    moved = {name: value + 1.0 for name, value in sites.items()}
    assert np.abs(found - exact(moved)).mean() > 4 * 0.05


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Pareto k")
@pytest.mark.parametrize("by", ["comparison", pytest.param("user", marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", KINDS)
def test_leaving_out_prefers_the_model_that_lets_users_differ(
    kind: str, by: str, right: Fits, pooled: Fits
) -> None:
    found = bp.compare({"pooled": pooled[kind], "hierarchical": right[kind]}, by=by)
    assert found.index[0] == "hierarchical"
    assert found.loc["pooled", "difference"] < -3 * found.loc["pooled", "difference_se"]


def test_sides_that_the_answers_decided_are_folded(right: Fits, halves: Halves) -> None:
    posterior, test = right["ties"], halves["ties"][1]
    flipped = np.where(test.choice < 0.5, -1.0, 1.0)
    winners = replace(
        test,
        difference=flipped[:, None] * test.difference,
        choice=np.maximum(test.choice, 1.0 - test.choice),
        sides="one-sided",
    )
    found, plain = bp.evaluate(posterior, winners), bp.evaluate(posterior, test)
    assert found.folded
    assert found.shares is not None
    assert found.shares["answer"].tolist() == ["the other side", "tie", "the predicted side"]
    assert np.abs(found.shares["mean"] - found.shares["predicted"]).max() < 0.06
    assert np.allclose(found.rows["log_score"], plain.rows["log_score"])


def test_answers_that_have_no_probability_are_refused(right: Fits, halves: Halves) -> None:
    pairs = halves["ties"][1]
    pairs = pairs.take(pairs.choice != 0.5)
    assert len(bp.evaluate(right["ties"], pairs).rows) == len(pairs)
    with pytest.raises(
        bp.DataError, match=r"held_out has the levels 'right.* posterior choices be"
    ):
        bp.evaluate(right["ties"], halves["logit"][1])
    with pytest.raises(bp.DataError, match="held_out has choices between two and the posterior"):
        bp.evaluate(right["logit"], pairs)
    plain = fit(bp.PooledReward(), pairs)
    with pytest.raises(bp.DataError, match=r"ties, the first in row .*, and the .* ties=True"):
        bp.evaluate(plain, halves["ties"][1])


def test_users_are_left_out_of_a_probit_which_has_no_parameters() -> None:
    """Against an average over 100,000 users of each draw: relative errors of about 0.01."""
    comparisons = made_comparisons(rows=12)
    posterior = made_posterior(comparisons, bp.HierarchicalReward(link="probit"), draws=4)
    population = posterior.model.population(posterior.draws, comparisons)
    assert population is not None
    found = user_log_likelihood(posterior.model, population, posterior.draws, comparisons)
    mu, tau = (
        posterior.draws[name].transpose("chain", "draw", "feature").to_numpy().reshape(8, -1)
        for name in ("mu", "tau")
    )
    own = np.random.default_rng(0).normal(size=(100_000, mu.shape[1]))
    rows = comparisons.user == 0
    sign = np.where(comparisons.choice[rows] == 1.0, 1.0, -1.0)
    eta = (mu[0] + own * tau[0]) @ comparisons.difference[rows].T * sign
    assert found[0, 0] == pytest.approx(np.log(norm.cdf(eta).prod(axis=1).mean()), abs=0.05)
