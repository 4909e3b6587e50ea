"""A cause in common of what users are shown and prefer: its density, its draws, its shift."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from cases import MODELS, small_comparisons
from scipy.special import expit, log_softmax
from scipy.stats import halfnorm, multivariate_normal, norm
from test_models import log_choices, log_joint

import bayes_pref as bp
from bayes_pref.diagnostics.confounding import shared_shift
from bayes_pref.diagnostics.confounding.confounding_shift import assess
from bayes_pref.diagnostics.confounding.shared_shift import joint_shifts
from bayes_pref.diagnostics.query import Query, read_query
from bayes_pref.models.shared_cause import Indicators


def quiet(model: bp.RewardModel, comparisons: bp.Comparisons, engine: bp.Engine) -> bp.Posterior:
    with warnings.catch_warnings():  # the tests judge the draws themselves
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return bp.fit(model, comparisons, engine, seed=1)


def short() -> bp.Gibbs:
    return bp.Gibbs(draws=400, warmup=300, chains=2, progress=False)


def two_contexts() -> bp.Comparisons:
    frame = small_comparisons(covariates=True).to_frame()
    frame["long"] = np.random.default_rng(5).normal(size=len(frame)) + 0.5 * frame["hard"]
    return bp.Comparisons.from_frame(
        frame,
        user="person",
        choice="choice",
        difference=["brief", "polite"],
        context=["hard", "long"],
    )


def topics(*, reference: bool) -> bp.Comparisons:
    """Indicators of three topics; with a reference, the third has no column."""
    frame = small_comparisons().to_frame()
    topic = np.random.default_rng(6).integers(3, size=len(frame))
    names = ["code", "law"] if reference else ["code", "law", "art"]
    for k, name in enumerate(names):
        frame[name] = (topic == k).astype(float)
    return bp.Comparisons.from_frame(
        frame, user="person", choice="choice", difference=["brief", "polite"], context=names
    )


def test_the_density_of_numbers_is_the_formula() -> None:
    comparisons = two_contexts()
    rng = np.random.default_rng(0)
    mu, tau, coupling = rng.normal(size=2), rng.uniform(0.3, 1, 2), rng.normal(size=(2, 2))
    a, between, within = rng.normal(size=2), rng.uniform(0.3, 1, 2), rng.uniform(0.5, 2, 2)
    s, weights, rho = rng.normal(size=(10, 2)), rng.normal(size=(10, 2)), 0.4
    alike = np.array([[1, rho], [rho, 1]])
    lkj = np.log(0.75 * (1 - rho**2))  # LKJ(2) in two dimensions
    place = (a + s)[comparisons.user]
    contexts = multivariate_normal(cov=np.outer(within, within) * alike)
    expected = (
        norm.logpdf(mu, 0, 2).sum()
        + halfnorm.logpdf(tau).sum()
        + norm.logpdf(coupling).sum()
        + norm.logpdf(a).sum()
        + halfnorm.logpdf(np.append(between, within)).sum()
        + 2 * lkj
        + multivariate_normal(cov=np.outer(between, between) * alike).logpdf(s).sum()
        + norm.logpdf(weights, mu + s @ coupling.T, tau).sum()
        + contexts.logpdf(comparisons.context - place).sum()
        + log_choices(comparisons, weights)
    )
    sites = {"mu": mu, "tau": tau, "Gamma": coupling, "a": a, "between": between, "s": s}
    sites |= {"within": within, "weights": weights}
    for part in ("between", "within"):
        sites[f"{part}_correlation_factor"] = np.linalg.cholesky(alike)
    model = bp.SharedCauseReward(scale="raw")
    assert log_joint(model, comparisons, **sites) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("reference", [True, False])
def test_indicators_have_the_probability_of_their_category(reference: bool) -> None:
    logits = torch.tensor([[0.3, -1.0], [2.0, 0.5]], dtype=torch.float64)
    indicators = Indicators(logits, rest=reference)
    full = np.column_stack([logits, np.zeros(2)]) if reference else logits.numpy()
    expected = log_softmax(full, axis=1)
    for k in range(full.shape[1]):
        value = torch.tensor(np.tile(np.eye(3)[k, :2], (2, 1)))
        np.testing.assert_allclose(indicators.log_prob(value), expected[:, k], rtol=1e-10)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = torch.stack([indicators.sample() for _ in range(4000)]).mean(0).numpy()
    assert (np.abs(drawn - np.exp(expected[:, :2])) < 4.5 * np.sqrt(0.25 / 4000)).all()


@pytest.mark.parametrize("reference", [True, False])
def test_contexts_that_are_indicators_are_taken_for_categories(reference: bool) -> None:
    comparisons, model = topics(reference=reference), bp.SharedCauseReward()
    assert model.categories(comparisons)
    assert "within" not in model.variables(comparisons)
    with pytest.raises(bp.ModelError, match="indicators"):
        short().prepare(model, comparisons)
    prior = model.prior_predictive(comparisons, draws=20, seed=0)
    assert np.isin(prior["context"], (0, 1)).all()
    assert prior["context"].sum("context").max() <= 1
    assert prior["context"].any()
    assert not bp.SharedCauseReward(contexts="numbers").categories(comparisons)


@cache
def confounded() -> tuple[bp.World, bp.Posterior, bp.Posterior]:
    world = bp.simulate(users=200, comparisons=15, features=3, confounding=0.6, seed=4)
    joint = quiet(bp.SharedCauseReward(), world.comparisons, short())
    coupled = quiet(bp.HierarchicalReward(exposure=True), world.comparisons, short())
    return world, joint, coupled


@pytest.mark.slow
def test_the_joint_model_and_the_coupled_one_agree_on_the_shift() -> None:
    world, joint, coupled = confounded()
    ours = joint_shifts(joint, read_query(joint))
    theirs = assess(coupled, read_query(coupled)).comparisons
    truth = world.truth.comparisons
    # Both read the same data, so that they differ by less than either is unsure: a bound of one
    # posterior sd (a 90 % interval spans 3.29) on average, and of three at the largest.
    sd = np.maximum((theirs["shift_upper"] - theirs["shift_lower"]) / 3.29, 0.003)
    for name in ("p_do", "p_obs", "shift"):
        apart = (ours[name] - theirs[name]).abs() / sd
        assert apart.mean() < 1, name
        assert apart.max() < 3, name
    for found in (ours, theirs):
        assert np.sqrt(((found["shift"] - truth["shift"].to_numpy()) ** 2).mean()) < 0.025
        assert np.corrcoef(found["shift"], truth["shift"])[0, 1] > 0.9
    # The wrong partner: preferences that have nothing to do with the cause.
    nothing = replace(joint, draws=joint.draws.assign(Gamma=0 * joint.draws["Gamma"]))
    wrong = joint_shifts(nothing, read_query(joint))
    assert ((wrong["shift"] - theirs["shift"]).abs() / sd).mean() > 1


@pytest.mark.slow
def test_diagnose_reads_the_shift_from_the_joint_model_itself() -> None:
    world, joint, _ = confounded()
    report = bp.diagnose(joint, progress=False)
    assert report.exposure_posterior is joint
    pd.testing.assert_series_equal(
        report.comparisons["shift"],
        joint_shifts(joint, read_query(joint))["shift"],
        check_names=False,
    )
    far = world.truth.comparisons["shift"].abs() > 0.1
    flagged = (report.comparisons["verdict"] == "confounded").to_numpy()
    assert flagged[far.to_numpy()].mean() > 0.5


def test_the_shift_of_categories_is_bayes_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_shift, "_CAUSES", 20_000)
    comparisons = topics(reference=True)
    model = bp.SharedCauseReward()
    prior = model.prior_predictive(comparisons, draws=1, seed=3)
    draws = prior[list(model.variables(comparisons))]
    run = bp.Run(engine="Gibbs", settings={}, exact=True, joint=True, draws=1, seconds=0.0)
    posterior = bp.Posterior(model, comparisons, draws, draws[[]], run, 0)
    one = {name: draws[name][0, 0].to_numpy() for name in draws}
    difference = np.array([[1.0, 0.2], [0.3, -0.5]])
    context = np.array([[1.0, 0.0], [0.0, 0.0]])
    pairs = Query(difference, context, np.array([-1, -1]), pd.Index([0, 0]), pd.Index([0, 1]))
    found = joint_shifts(posterior, pairs)
    rng = np.random.default_rng(0)
    covariance = np.outer(one["between"], one["between"]) * one["between_correlation"]
    s = rng.multivariate_normal(np.zeros(2), covariance, size=200_000)
    w = one["mu"] + s @ one["Gamma"].T + one["tau"] * rng.standard_normal(s.shape)
    logits = np.column_stack([one["a"] + s, np.zeros(len(s))])
    for row, category in ((0, 0), (1, 2)):
        weight = np.exp(log_softmax(logits, axis=1)[:, category])
        choice = expit(w @ difference[row])
        # 40,000 draws of s, half of them mirrored, and 200,000 here: choices have an sd below 0.5,
        # and weights w leave sum(w)^2 / sum(w^2) of them.
        share = weight.sum() ** 2 / (weight**2).sum() / len(weight)
        error = 0.5 / np.sqrt(20_000 * share)
        assert found["p_do"][row] == pytest.approx(choice.mean(), abs=4 * error)
        shift = np.average(choice, weights=weight) - choice.mean()
        assert found["shift"][row] == pytest.approx(shift, abs=4 * error)
        assert abs(shift) > 4 * error  # no shift at all would be found out


def test_new_users_have_the_spread_that_cause_and_rest_give() -> None:
    comparisons, model = small_comparisons(), bp.SharedCauseReward(scale="raw")
    one = model.prior_predictive(comparisons, draws=1, seed=0)[list(model.variables(comparisons))]
    draws = one.isel(draw=np.zeros(20_000, dtype=int))
    new = model.new_user_weights(draws, comparisons, np.random.default_rng(0))[0].to_numpy()
    mu, tau, coupling, between = (
        one[name][0, 0].to_numpy() for name in ("mu", "tau", "Gamma", "between")
    )
    expected = np.diag(tau**2) + (coupling * between**2) @ coupling.T
    size = expected.diagonal()
    error = np.sqrt((np.outer(size, size) + expected**2) / len(new))
    assert (np.abs(np.cov(new.T) - expected) < 4.5 * error).all()
    assert (np.abs(new.mean(axis=0) - mu) < 4.5 * np.sqrt(size / len(new))).all()


@dataclass(frozen=True, kw_only=True)
class Deaf(bp.Gibbs):
    """Gibbs for contexts that have nothing to do with the users' cause."""

    def prepare(self, model: bp.RewardModel, comparisons: bp.Comparisons) -> bp.Program:
        shuffled = np.random.default_rng(0).permutation(comparisons.context)
        return super().prepare(model, replace(comparisons, context=shuffled))


@pytest.mark.long
@pytest.mark.slow
def test_calibration_finds_out_an_engine_that_ignores_who_is_shown_what() -> None:
    found = bp.sbc(
        MODELS["shared cause"],
        small_comparisons(users=8, each=5),
        Deaf(draws=50, warmup=200, thin=6, chains=2, progress=False),
        replications=120,
        seed=1,
        progress=False,
    )
    assert not found.passed(1e-3), found.summary()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"covariance": "none"}, r"covariance='none'\): expected 'diagonal' or 'full'"),
        ({"contexts": "words"}, r"contexts='words'\): expected 'auto', 'numbers' or 'categories'"),
        ({"context_sd": 0.0}, r"context_sd=0.0\): expected a positive number"),
    ],
)
def test_settings_that_no_prior_can_have_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(bp.ModelError, match=message):
        bp.SharedCauseReward(**settings)


def test_what_a_shared_cause_cannot_describe_is_refused_in_one_sentence() -> None:
    comparisons = small_comparisons()
    frame = comparisons.to_frame()
    names = {"user": "person", "choice": "choice", "difference": ["brief", "polite"]}
    with pytest.raises(bp.ModelError, match=r"needs the contexts .* context=\[\.\.\.\]"):
        bp.fit(bp.SharedCauseReward(), bp.Comparisons.from_frame(frame, **names))
    with pytest.raises(bp.ModelError, match=r"at most one of them 1 in a row"):
        bp.fit(bp.SharedCauseReward(contexts="categories"), comparisons)
    with pytest.raises(bp.ModelError, match=r"all of 'u3'; use PooledReward"):
        bp.fit(bp.SharedCauseReward(), comparisons["u3"])
    frame["hard"] = frame.groupby("person")["hard"].transform("first")
    fixed = bp.Comparisons.from_frame(frame, **names, context=["hard"])
    with pytest.raises(bp.ModelError, match=r"context 'hard' never varies within a user"):
        bp.fit(bp.SharedCauseReward(), fixed)
    pooled = bp.fit(bp.PooledReward(), comparisons, bp.Gibbs(draws=500, progress=False))
    with pytest.raises(bp.ModelError, match="PooledReward is no joint model"):
        joint_shifts(pooled, read_query(pooled))


def test_a_posterior_of_a_shared_cause_survives_saving(tmp_path: Path) -> None:
    engine = bp.Gibbs(draws=100, warmup=100, chains=2, progress=False)
    posterior = quiet(bp.SharedCauseReward(covariance="full"), two_contexts(), engine)
    assert "within_correlation[hard, long]" in posterior.summary().index
    assert posterior.weights("population").shape == (2, 6)
    posterior.save(tmp_path / "cause.nc")
    again = bp.Posterior.load(tmp_path / "cause.nc")
    assert again.model == posterior.model
    assert again.draws.identical(posterior.draws)
