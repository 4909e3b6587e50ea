"""Confounding for every choice model: probabilities by brute force, scores, planted couplings."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_posterior
from scipy.special import softmax
from scipy.stats import kstest
from set_data import as_pairs, chosen_sets

import bayes_pref as bp
from bayes_pref.data import Features, GradedChoice, PairedChoice
from bayes_pref.diagnostics.confounding.exposure_distribution import (
    ExposureDistribution,
    ExposureDraws,
)
from bayes_pref.diagnostics.confounding.null_scores import EfficientScores, null_scores
from bayes_pref.diagnostics.confounding.permutation import permutation_p_values
from bayes_pref.diagnostics.confounding.shared_shift import joint_shifts
from bayes_pref.diagnostics.confounding.shifts import PopulationDraws, describe_shifts
from bayes_pref.diagnostics.query import Query, read_query
from bayes_pref.inference.engine import first_prepared
from bayes_pref.models.choice import ChoiceDistribution
from bayes_pref.models.regressors import exposures

Array = np.ndarray

MU, TAU = np.array([0.7, -0.4]), np.array([1.0, 0.7])
LEVELS = ["right", "rather right", "rather left", "left"]
ONE = {
    "tie": np.array([-0.4]),
    "lapse": np.array([0.1]),
    "cutpoints": np.array([[-1.2], [0.1], [1.4]]),
}
MODELS: dict[str, tuple[bp.ChoiceModel, tuple[str, ...]]] = {
    "pairs": (bp.Logit(), ()),
    "ties": (bp.Logit(ties=True), ("tie",)),
    "lapse": (bp.Logit(lapse=True), ("lapse",)),
    "probit": (bp.Probit(), ()),
    "graded": (bp.Ordinal(), ("cutpoints",)),
    "graded probit, lapse": (bp.Ordinal(link="probit", lapse=True), ("cutpoints", "lapse")),
}
SETS: dict[str, dict[str, Any]] = {
    "tasks": {"size": 4},
    "tasks, lapse": {"size": 4, "lapses": 0.3},
    "rankings": {"size": 4, "places": 3},
    "best and worst": {"size": 4, "worst": True},
}


def distribution(name: str) -> ChoiceDistribution:
    model, parameters = MODELS[name]
    return model.at(**{each: ONE[each] for each in parameters})


def set_distribution(name: str) -> ChoiceDistribution | None:
    lapses = SETS[name].get("lapses")
    return bp.PlackettLuce(lapse=True).at(lapse=np.array([lapses])) if lapses else None


def world(name: str, coupling: float, *, users: int = 150, each: int = 8, seed: int = 0) -> Any:
    """Comparisons of users whose first weight goes along with what decides their contexts."""
    rng = np.random.default_rng([seed, 1])
    decides = rng.normal(size=users)
    weights = MU + np.outer(decides, [coupling, 0.0]) + TAU * rng.normal(size=(users, 2))
    user = np.repeat(np.arange(users), each)
    context = 0.7 * (decides[user] + rng.normal(size=user.size))
    if name in SETS:
        made = {"users": users, "each": each, "weights": weights, "context": context}
        return chosen_sets(**made, seed=seed, **SETS[name])
    difference = rng.normal(size=(user.size, 2))
    eta = (difference * weights[user]).sum(axis=1)
    return bp.Comparisons(
        difference=difference,
        choice=distribution(name).draw(eta[:, None], rng)[:, 0],
        user=user,
        users=pd.RangeIndex(users),
        features=Features(("brief", "polite"), ("hard",), ()),
        context=context[:, None],
        covariates=np.empty((users, 0)),
        covariate_names=(),
        rows=pd.RangeIndex(user.size),
        outcome=GradedChoice(LEVELS) if "graded" in name else PairedChoice(),
    )


def scores_of(name: str, data: bp.Comparisons, spread: Array = TAU) -> EfficientScores:
    choices = set_distribution(name) if name in SETS else distribution(name)
    centre = np.tile(MU, (data.n_users, 1))
    return null_scores(data, centre, np.diag(spread**2), 0.0, choices)


EXPOSURE = ExposureDraws(
    mean=np.array([[0.2]]),
    variance=np.array([[[1.0]]]),
    observed=(
        shown := ExposureDistribution(np.array([[0.1]]), np.array([[[0.5]]]), np.array([[[0.6]]]))
    ),
    adjusted=shown,
)
POPULATION = PopulationDraws(
    MU[None], np.array([[[1.2], [-0.8]]]), TAU[None], np.array([[[1.0, 0.3], [0.3, 0.5]]])
)


def by_simulation(query: Query, choices: ChoiceDistribution, *, size: int) -> tuple[Array, Array]:
    """p_do and p_obs from simulated users."""
    rng = np.random.default_rng(0)
    assert POPULATION.covariance is not None
    own = rng.multivariate_normal(np.zeros(2), POPULATION.covariance[0], size)
    noise = rng.normal(size=size)
    found = []
    for shown in (False, True):
        z = 0.2 + (0.1 + 0.5 * query.context[:, :1] + 0.6**0.5 * noise if shown else noise)
        weights = MU + own + np.atleast_2d(z)[..., None] * np.array([1.2, -0.8])
        eta = (weights * query.difference[:, None]).sum(axis=2)
        if query.task is None:
            found.append(choices.preferred(eta[..., None])[..., 0].mean(axis=1))
        else:
            sets = eta.reshape(-1, 3, size) * 2 / 3
            lapse = choices.parameters.get("lapse", 0.0)
            found.append(((1.0 - lapse) * softmax(sets, axis=1) + lapse / 3).mean(axis=2).ravel())
    return found[0], found[1]


@pytest.mark.parametrize("name", [*MODELS, "sets", "sets, lapse"])
def test_both_probabilities_are_those_of_simulated_users(name: str) -> None:
    rng = np.random.default_rng(2)
    n, draws = 6, 300
    difference, context = 1.5 * rng.normal(size=(n, 2)), rng.normal(size=(n, 1))
    rows = pd.RangeIndex(n)
    query = Query(difference, context, np.full(n, -1), rows, rows)
    of_sets = {"sets": bp.Logit().at(), "sets, lapse": set_distribution("tasks, lapse")}
    choices = of_sets[name] if name in of_sets else distribution(name)
    assert choices is not None
    if name in of_sets:
        values = difference.reshape(2, 3, 2)
        difference = 1.5 * (values - values.mean(axis=1, keepdims=True)).reshape(n, 2)
        context = np.repeat(context[:2], 3, axis=0)
        task = np.repeat([0, 1], 3)
        query = Query(difference, context, np.full(n, -1), rows, rows, task, rows)
    # The same draw many times: what differs is which users are simulated.
    many = {
        key: np.repeat(getattr(POPULATION, key), draws, axis=0)
        for key in ("mu", "slopes", "tau", "covariance")
    }
    parameters = {key: np.repeat(v, draws, axis=-1) for key, v in choices.parameters.items()}
    population = PopulationDraws(**many, choices=replace(choices, parameters=parameters))
    repeated = ExposureDistribution(
        *(
            np.repeat(getattr(EXPOSURE.observed, part), draws, axis=0)
            for part in ("offset", "slope", "variance")
        )
    )
    exposure = ExposureDraws(
        np.repeat(EXPOSURE.mean, draws, axis=0),
        np.repeat(EXPOSURE.variance, draws, axis=0),
        repeated,
        repeated,
    )
    found = describe_shifts(population, exposure, query, smallest=0.03, interval=0.9)
    p_do, p_obs = by_simulation(query, choices, size=100_000)
    error = 4.5 * 0.5 / np.sqrt(100_000)
    np.testing.assert_allclose(found["p_do"], p_do, atol=error)
    np.testing.assert_allclose(found["p_obs"], p_obs, atol=error)
    assert np.abs(p_obs - p_do).max() > 6 * error  # else the two could be mixed up
    # Draw by draw, the users simulated add next to nothing to the shift.
    assert (found["shift_upper"] - found["shift_lower"]).max() < 0.02
    if name in of_sets:
        np.testing.assert_allclose(found["p_obs"].to_numpy().reshape(2, 3).sum(axis=1), 1.0)


def test_sets_of_two_have_the_shifts_and_the_scores_of_pairs() -> None:
    sets = chosen_sets(size=2)
    pairs = as_pairs(sets)
    queries = [read_query(made_posterior(data)) for data in (sets, pairs)]
    of_sets, of_pairs = (
        describe_shifts(POPULATION, EXPOSURE, query, smallest=0.03, interval=0.9)
        for query in queries
    )
    pd.testing.assert_frame_equal(of_sets.iloc[::2].reset_index(drop=True), of_pairs)
    one, other = (scores_of(name, data) for name, data in (("tasks", sets), ("pairs", pairs)))
    np.testing.assert_allclose(one.score, other.score)
    np.testing.assert_allclose(one.information, other.information)


@pytest.mark.parametrize("contexts", ["numbers", "categories"])
def test_a_shared_cause_gives_shares_of_sets_and_those_of_pairs_where_there_are_two(
    contexts: str,
) -> None:
    context = np.random.default_rng(4).normal(size=72)
    if contexts == "categories":
        context = (context > 0).astype(float)
    model = bp.SharedCauseReward()
    found = {}
    for size in (2, 3):
        data = chosen_sets(size=size, context=context)
        prior = model.prior_predictive(data, draws=30, seed=3)
        draws = prior[list(model.variables(data))]
        run = bp.Run(engine="Gibbs", settings={}, exact=True, joint=True, draws=30, seconds=0.0)
        posterior = bp.Posterior(model, data, draws, draws[[]], run, 0)
        found[size] = joint_shifts(posterior, read_query(posterior))
        if size == 2:
            pairs = replace(posterior, comparisons=as_pairs(data))
            of_pairs = joint_shifts(pairs, read_query(pairs))
    sums = found[3][["p_do", "p_obs"]].to_numpy().reshape(-1, 3, 2).sum(axis=1)
    np.testing.assert_allclose(sums, 1.0, atol=1e-6)
    assert found[3]["shift"].abs().max() > 0.01
    pd.testing.assert_frame_equal(found[2].iloc[::2].reset_index(drop=True), of_pairs)


LONG = ("lapse", "tasks, lapse", "probit", "graded probit, lapse", "rankings", "best and worst")


def each_of(*names: str) -> list[Any]:
    """The names, of which some are left to the long tests."""
    return [pytest.param(name, marks=[pytest.mark.long] * (name in LONG)) for name in names]


@pytest.mark.parametrize("name", each_of(*MODELS, "tasks", "tasks, lapse"))
def test_scores_have_the_variance_that_they_claim(name: str) -> None:
    users, each = 1500, 5
    data = world(name, 0.0, users=users, each=each)

    def deviation(spread: Array) -> float:
        scores = scores_of(name, data, spread)
        root = np.linalg.cholesky(scores.information)
        white = np.linalg.solve(root, scores.score[:, :, None])[:, :, 0]
        return float(np.abs(white.T @ white / users - np.eye(2)).max())

    # As for logistic choices: covariances to first order, and the error of a variance.
    assert deviation(TAU) < 4 * np.sqrt(2 / users) + 0.06
    assert deviation(np.full(2, 1e-6)) > 0.25  # without the users' spread, far too little


def test_a_lapse_rate_of_nothing_leaves_the_scores_as_they_are() -> None:
    data = world("pairs", 0.0, users=20)
    without = scores_of("pairs", data)
    rare = bp.Logit(lapse=True).at(lapse=np.array([1e-9]))
    found = null_scores(data, np.tile(MU, (20, 1)), np.diag(TAU**2), 0.0, rare)
    np.testing.assert_allclose(found.score, without.score, atol=1e-4)
    np.testing.assert_allclose(found.information, without.information, atol=1e-4)


def p_value(name: str, coupling: float, seed: int) -> float:
    data = world(name, coupling, seed=seed)
    rng, none = np.random.default_rng(seed), np.empty((data.n_users, 0))
    scores = scores_of(name, data, np.hypot(TAU, [coupling, 0.0]))
    test = permutation_p_values(scores, exposures(data), none, permutations=199, rng=rng)
    return test.p_value


@pytest.mark.parametrize("name", each_of(*MODELS, *SETS))
def test_the_permutation_test_finds_a_coupling(name: str) -> None:
    assert p_value(name, 0.8, 0) == 1 / 200


@pytest.mark.long
@pytest.mark.parametrize("name", [*MODELS, *SETS])
def test_p_values_are_uniform_where_there_is_no_coupling(name: str) -> None:
    found = [p_value(name, 0.0, seed) for seed in range(100)]
    assert kstest(found, "uniform").pvalue > 1e-3


@pytest.mark.long
@pytest.mark.parametrize("name", [*MODELS, *SETS])
def test_a_planted_coupling_is_found_and_none_where_there_is_none(name: str) -> None:
    engines = (
        bp.Gibbs(draws=400, warmup=300, thin=2, chains=2, progress=False),
        bp.NUTS(draws=200, warmup=200, chains=2, progress=False),
    )
    keywords = {"choice": MODELS[name][0]} if name in MODELS else {"lapse": "lapse" in name}
    model = bp.HierarchicalReward(exposure=True, **keywords)
    for coupling in (0.8, 0.0):
        data = world(name, coupling, users=100)
        engine, _ = first_prepared(engines, model, data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bp.ConvergenceWarning)  # short chains on purpose
            posterior = bp.fit(model, data, engine, seed=1)
        rows = bp.diagnose(posterior, progress=False).comparisons
        assert (rows["verdict"] == "confounded").any() == (coupling > 0)
        if name in SETS:
            sums = rows.groupby("row")[["p_do", "p_obs"]].sum()
            np.testing.assert_allclose(sums, 1.0, atol=1e-6)
