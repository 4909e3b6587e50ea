"""Preferences that follow exposure otherwise than along a line are found, and shifts are right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, softmax

import bayes_pref as bp
from bayes_pref.diagnostics.confounding.choice_shares import _FAR, _NEAR, _RARE, _SKEWED
from bayes_pref.diagnostics.confounding.confounding_shift import chosen_curves, exposure_test
from bayes_pref.diagnostics.confounding.context_basis import ContextBasis
from bayes_pref.diagnostics.confounding.curved_spread import CurvedSpread
from bayes_pref.diagnostics.confounding.exposure_distribution import ExposureDraws, draw_exposure
from bayes_pref.diagnostics.confounding.exposure_posterior import describe_exposure_effects
from bayes_pref.diagnostics.confounding.null_scores import EfficientScores
from bayes_pref.diagnostics.confounding.permutation import PermutationTest, permutation_p_values
from bayes_pref.diagnostics.confounding.shifts import PopulationDraws, describe_shifts
from bayes_pref.diagnostics.query import Query
from bayes_pref.models.base import from_settings
from bayes_pref.models.regressors import (
    LEFT_OUT,
    curved_exposures,
    exposure_of,
    exposures,
)

Array = np.ndarray


class EqualWeights:
    """In place of a generator: every user counts once, which is the data as they are."""

    def standard_exponential(self, size: tuple[int, ...]) -> Array:
        return np.ones(size)


def shown(
    *, users: int = 300, each: int = 10, contexts: int = 2, seed: int = 0, spread: float = 1.0
) -> bp.Comparisons:
    """Users who are shown more or less of some contexts, and whose answers are random."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), each)
    decides = rng.standard_normal((users, contexts))
    frame = pd.DataFrame(rng.standard_normal((user.size, 2)), columns=["brief", "polite"])
    frame = frame.assign(who=user, won=rng.integers(0, 2, user.size))
    names = ["age", "length", "depth"][:contexts]
    frame[names] = 3.0 + 2.0 * (decides[user] + spread * rng.standard_normal((user.size, contexts)))
    return bp.Comparisons.from_frame(
        frame, user="who", choice="won", difference=["brief", "polite"], context=names
    )


def as_they_are(comparisons: bp.Comparisons, **options: Any) -> ExposureDraws:
    return draw_exposure(comparisons, 1, cast(Any, EqualWeights()), **options)


@pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")
def test_squares_and_products_have_no_linear_part_and_come_by_name() -> None:
    comparisons = shown()
    z, curves = exposures(comparisons), curved_exposures(comparisons)
    np.testing.assert_allclose(
        curves.columns.T @ np.column_stack([z, np.ones(len(z))]), 0, atol=1e-8
    )
    np.testing.assert_allclose(curves.columns.std(axis=0), 1)
    again = (z[:, curves.first] * z[:, curves.second] - z @ curves.slope) / curves.unit
    np.testing.assert_allclose(again - again.mean(axis=0), curves.columns, atol=1e-9)
    model = bp.HierarchicalReward(exposure="flexible")
    drawn = bp.fit(model, comparisons, bp.Gibbs(draws=10, warmup=5, progress=False))
    assert list(drawn.draws["exposure"].to_numpy()) == ["age^2", "length^2", "age x length"]
    table = describe_exposure_effects(drawn, 0.9)
    names = ["age", "length", "age^2", "length^2", "age x length"]
    assert table["context"].tolist() == 2 * names
    some = bp.HierarchicalReward(exposure="flexible", curve_sd={"age x length": 0.4})
    drawn = bp.fit(some, comparisons, bp.Gibbs(draws=10, warmup=5, progress=False))
    assert describe_exposure_effects(drawn, 0.9)["context"].tolist() == 2 * [*names[:2], names[4]]
    left = np.abs(drawn.draws["H"].sel(exposure=["age^2", "length^2"]).to_numpy())
    assert left.max() < 6 * LEFT_OUT / comparisons.feature_scale.min()  # six prior sds


def test_prior_sds_by_name_survive_the_settings_and_bad_ones_are_refused() -> None:
    model = bp.HierarchicalReward(exposure="flexible", curve_sd={"age^2": 0.2})
    assert from_settings(model.settings()) == model
    assert "curve_sd" not in bp.HierarchicalReward(exposure="flexible").settings()
    with pytest.raises(bp.ModelError, match=r"exposure='flexibel'\): expected 'flexible' or True"):
        bp.HierarchicalReward(exposure="flexibel")  # type: ignore[arg-type]
    with pytest.raises(bp.ModelError, match="expected a positive number"):
        bp.HierarchicalReward(exposure="flexible", curve_sd={"age^2": -1.0})


def test_a_square_that_is_a_linear_function_is_left_out() -> None:
    frame = shown(contexts=1).to_frame().assign(age=lambda table: (table["who"] % 2).astype(float))
    two_sorts = bp.Comparisons.from_frame(
        frame, user="who", choice="won", difference=["brief", "polite"], context=["age"]
    )
    assert not curved_exposures(two_sorts).columns.any()
    assert not ContextBasis.of_data(two_sorts.context).curves.any()


def test_there_are_ten_users_at_least_for_each() -> None:
    def count(users: int) -> int:
        return curved_exposures(shown(users=users, each=4, contexts=3)).columns.shape[1]

    assert [count(users) for users in (60, 59, 30, 29)] == [6, 3, 3, 0]


def test_exposures_of_users_with_few_comparisons_are_shrunk_as_far_as_regression_says() -> None:
    rng = np.random.default_rng(0)
    decides = rng.standard_normal(4000)
    counts = np.where(rng.random(4000) < 0.5, 2, 20)
    user = np.repeat(np.arange(4000), counts)
    frame = pd.DataFrame({"brief": rng.standard_normal(user.size), "who": user})
    frame = frame.assign(won=rng.integers(0, 2, user.size))
    frame["hard"] = decides[user] + 1.5 * rng.standard_normal(user.size)
    comparisons = bp.Comparisons.from_frame(
        frame, user="who", choice="won", difference=["brief"], context=["hard"]
    )
    exposure = exposure_of(comparisons)
    means = np.bincount(user, frame["hard"]) / counts

    def slopes(of: Array) -> Array:
        return np.array([np.polyfit(of[counts == m], decides[counts == m], 1)[0] for m in (2, 20)])

    # What decides is as many units more where exposure is one more, however many comparisons.
    few, many = slopes(exposure.mean[:, 0])
    assert few == pytest.approx(many, rel=0.1)  # 2,000 users each: an error of 3 % or so
    assert slopes(means)[0] < 0.6 * slopes(means)[1]
    # And what is not known of it is what is left.
    left = [(decides - few * exposure.mean[:, 0])[counts == m].var() for m in (2, 20)]
    said = [few**2 * exposure.variance[counts == m, 0].mean() for m in (2, 20)]
    np.testing.assert_allclose(said, left, rtol=0.15)


def test_two_values_have_the_cumulants_of_a_squared_gaussian() -> None:
    values, chances = np.array([_FAR, -_NEAR]), np.array([_RARE, 1 - _RARE])
    moments = [float(chances @ values**power) for power in (1, 2, 3, 4)]
    np.testing.assert_allclose(moments[:3], [0.0, _SKEWED, 1.0], atol=1e-12)
    # A square has 8 and 48: the third cumulant of a size of 2, and 16 times the fourth of this.
    assert 16 * (moments[3] - 3 * moments[1] ** 2) == pytest.approx(48, rel=0.01)


def test_cumulants_are_those_of_simulated_users() -> None:
    rng = np.random.default_rng(0)
    curves = curved_exposures(shown())
    factor = np.array([[1.0, 0, 0], [0.4, 0.8, 0], [-0.3, 0.2, 0.7]])
    spread = CurvedSpread(curves, 1, (factor @ factor.T)[None])
    loadings = rng.normal(size=(1, 3, 6))
    middle = rng.normal(size=(1, 3, 3))
    second, third = spread.cumulants(loadings, middle)
    noise = rng.standard_normal((1, 3, 400_000))
    away = spread.deviations(loadings, middle, noise)
    y = middle[0, :, :, None] + spread._spread()[0] @ np.linalg.inv(factor @ factor.T) @ (
        _root(factor @ factor.T) @ noise[0]
    )
    z = y[:, 1:]
    h = z[:, curves.first] * z[:, curves.second] - np.einsum("ruj,uk->rkj", z, curves.slope)
    direct = (loadings[0, :, :3, None] * y).sum(1) + (
        loadings[0, :, 3:, None] * h / curves.unit[:, None]
    ).sum(1)
    direct -= direct.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(away[0], direct, atol=0.05)  # but for the mean of the simulated
    # Errors of a variance and of a third moment over 400,000 users, of skewed variables.
    np.testing.assert_allclose(second[0], direct.var(axis=1), rtol=0.03)
    np.testing.assert_allclose(third[0], (direct**3).mean(axis=1), rtol=0.1)


def _root(covariance: Array) -> Array:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(values))


def by_users(comparisons: bp.Comparisons, pairs: Query, size: int = 1_000_000) -> Array:
    """p_do and p_obs of rows, and their errors, from simulated users of the data's moments."""
    rng, curves = np.random.default_rng(1), curved_exposures(comparisons)
    z = exposures(comparisons)[comparisons.user]
    joint = np.column_stack([z, comparisons.context])
    drawn = rng.multivariate_normal(joint.mean(0), np.cov(joint.T, ddof=0), size)
    z, x = drawn[:, :2], drawn[:, 2:]
    rows = z[:, curves.first] * z[:, curves.second] - z @ curves.slope
    h = (rows - rows.mean(axis=0)) / curves.unit
    weights = POINT.mu[0] + np.column_stack([z, h]) @ POINT.slopes[0].T
    weights += POINT.tau[0] * rng.standard_normal((size, 2))
    eta = weights @ pairs.difference.T
    # Sets are of three.
    chance = expit(eta) if pairs.task is None else softmax(2 / 3 * eta, axis=1)
    found = []
    for p, context in zip(chance.T, pairs.context, strict=True):
        near = np.abs(x - context).max(axis=1) < 0.15
        found += [(p.mean(), p.std() / 1e3), (p[near].mean(), p[near].std() / np.sqrt(near.sum()))]
    return np.array(found).reshape(len(pairs), 2, 2)


POINT = PopulationDraws(
    mu=np.array([[0.8, -0.5]]),
    slopes=np.array([[[0.5, 0.3, 0.9, 0.0, 0.7], [0.2, -0.6, 0.0, -0.8, 0.5]]]),
    tau=np.array([[0.5, 0.3]]),
    covariance=None,
)
PAIRS = Query(
    difference=np.array([[1.5, 0.5], [1.0, -1.0], [-1.5, 1.0]]),
    context=np.array([[5.0, 4.0], [1.0, 2.0], [3.0, 3.0]]),
    user=np.full(3, -1),
    labels=pd.Index(["population"] * 3),
    rows=pd.RangeIndex(3),
)


def test_shares_of_users_are_those_of_simulated_users() -> None:
    comparisons = shown(users=2000)
    known = by_users(comparisons, PAIRS)

    def z_scores(exposure: ExposureDraws) -> Array:
        rows = describe_shifts(POINT, exposure, PAIRS, smallest=0.03, interval=0.9)
        ours = rows[["p_do", "p_obs"]].to_numpy()
        # A window of contexts and the fifth cumulants move them by a few thousandths.
        return np.abs(ours - known[..., 0]) / np.hypot(known[..., 1], 3e-3)

    exposure = as_they_are(comparisons, curved=True)
    assert exposure.observed.products is not None
    assert z_scores(exposure).max() < 4
    # The regression of products themselves says the same, but for the noise of 2,000 users.
    # Partners that must fail: no squares and products, and a spread that does not depend on x.
    plain = replace(exposure, curves=None)
    assert z_scores(plain).max() > 4
    flat = replace(POINT, slopes=POINT.slopes * [1, 1, 0, 0, 0])
    rows = describe_shifts(flat, exposure, PAIRS, smallest=0.03, interval=0.9)
    assert np.abs(rows["p_obs"] - known[:, 1, 0]).max() > 0.03


def test_shares_of_sets_are_those_of_simulated_users() -> None:
    comparisons, values = shown(users=2000), np.array([[1.5, 0.5], [0.0, -1.0], [-1.0, 1.0]])
    difference = 1.5 * (values - values.mean(axis=0))
    context = np.tile([5.0, 4.0], (3, 1))
    triple = replace(
        PAIRS, difference=difference, context=context, task=np.zeros(3, dtype=int), alternatives=3
    )
    known = by_users(comparisons, triple)
    draws = 200  # with 64 users each, who are others in each
    point = replace(
        POINT, **{k: np.repeat(getattr(POINT, k), draws, axis=0) for k in ("mu", "slopes", "tau")}
    )
    exposure = draw_exposure(comparisons, draws, cast(Any, EqualWeights()), curved=True)
    rows = describe_shifts(point, exposure, triple, smallest=0.03, interval=0.9)
    ours = rows[["p_do", "p_obs"]].to_numpy()
    assert (np.abs(ours - known[..., 0]) / np.hypot(known[..., 1], 3e-3)).max() < 4
    assert np.abs(known[:, 1, 0] - known[:, 0, 0]).max() > 0.05
    # The partner that must fail: the same moments of users whose regressors are Gaussian.
    straight = replace(exposure, curves=None)
    rows = describe_shifts(point, straight, triple, smallest=0.03, interval=0.9)
    assert np.abs(rows["p_do"] - known[:, 0, 0]).max() > 0.005


def test_mean_products_follow_from_mean_exposures_only_where_all_is_even() -> None:
    even = shown(users=1000)
    assert as_they_are_in_draws(even).observed.products is not None
    # Users who are shown much of a context vary more: the mean square rises with the context.
    frame = even.to_frame()
    stretch = np.exp((frame[["age", "length"]] - 3.0) / 3.0)
    frame[["age", "length"]] = 3.0 + (frame[["age", "length"]] - 3.0) * stretch
    bent = bp.Comparisons.from_frame(
        frame, user="who", choice="won", difference=["brief", "polite"], context=["age", "length"]
    )
    found = as_they_are_in_draws(bent)
    assert found.observed.products is None
    rows = curved_exposures(bent).columns[bent.user]
    basis = cast(ContextBasis, found.observed.basis)
    design = np.column_stack([np.ones(len(rows)), basis(bent.context)])
    expected = design @ np.linalg.lstsq(design, rows, rcond=None)[0]
    ours = as_if(bent).observed.moved(bent.context)[0, :, 2:]
    np.testing.assert_allclose(ours, expected, atol=1e-3)


def as_they_are_in_draws(comparisons: bp.Comparisons) -> ExposureDraws:
    return draw_exposure(comparisons, 200, np.random.default_rng(0), curved=True)


def as_if(comparisons: bp.Comparisons) -> ExposureDraws:
    """Draws of the bootstrap that all are the data as they are, but for noise beyond rounding."""

    class NearlyEqual:
        def standard_exponential(self, size: tuple[int, ...]) -> Array:
            return 1.0 + 1e-4 * np.random.default_rng(0).standard_normal(size)

    return draw_exposure(comparisons, 200, cast(Any, NearlyEqual()), curved=True)


def scores_of(z: Array, rng: np.random.Generator, effect: Array) -> EfficientScores:
    """Scores of users whose weights are known with errors of variance one."""
    score = effect + rng.standard_normal((len(z), 2))
    return EfficientScores(score, np.tile(np.eye(2), (len(z), 1, 1)))


def product_test(seed: int, effect: float = 0.0, permutations: int = 199) -> PermutationTest:
    rng = np.random.default_rng([seed, 9])
    z = rng.standard_normal((80, 2))
    z -= z.mean(axis=0)
    curves = np.column_stack([z[:, 0] ** 2 - 1, z[:, 1] ** 2 - 1, z[:, 0] * z[:, 1]])
    scores = scores_of(z, rng, effect * curves[:, 2:])
    none = np.empty((80, 0))
    return permutation_p_values(scores, z, none, permutations=permutations, rng=rng, curves=curves)


def test_the_test_of_lines_and_curves_keeps_its_level_and_finds_a_product() -> None:
    null = np.array([product_test(seed) for seed in range(200)], dtype=object)
    for place in (0, 1, 2):  # of either kind, of lines, and of curves
        p = null[:, place].astype(float)
        assert abs(np.mean(p <= 0.1) - 0.1) < 4.5 * np.sqrt(0.09 / 200)
    found = product_test(0, effect=0.6)
    assert found.p_value <= 0.02
    assert found.curves[2] == found.curves.min()
    assert "age x length" in chosen_curves(found, ["age", "length"])
    # The effect of 0.6 is plausible, given the sd that is said.
    assert 0.3 < found.curve_sd[2] < 2.5
    # A partner that must fail: the smaller of two p-values, taken for a p-value.
    smaller = np.minimum(null[:, 1].astype(float), null[:, 2].astype(float))
    assert np.mean(smaller <= 0.1) - 0.1 > 2 * np.sqrt(0.09 / 200)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")
def test_preferences_that_follow_the_square_of_exposure_are_found_and_put_right() -> None:
    world = bp.simulate(users=300, features=2, confounding=0.0, seed=4)
    exposure = world.truth.exposure["context_1"]
    weights = world.truth.weights.add(0.8 * (exposure**2 - 1), axis=0)
    attributes = world.frame[list(weights.columns)].to_numpy()
    eta = (attributes * weights.loc[world.frame["user"]].to_numpy()).sum(axis=1)
    won = np.random.default_rng(0).random(len(eta)) < expit(eta)
    comparisons = bp.Comparisons.from_frame(
        world.frame.assign(choice=won.astype(int)),
        user="user",
        choice="choice",
        difference=list(weights.columns),
        context=["context_1"],
    )
    straight = bp.HierarchicalReward(exposure=True)
    engine = bp.Gibbs(draws=300, warmup=200, chains=2, progress=False)
    posterior = bp.fit(straight, comparisons, engine)
    test = exposure_test(posterior)
    assert test.curved <= 0.005
    assert test.linear > 0.001
    report = bp.diagnose(posterior, assessments=["confounding"], engine=engine, progress=False)
    assert "'context_1^2' of users' mean contexts" in " ".join(report.notes)
    assert "exposure='flexible'" in report.notes[0]
    assert "context_1^2" in report.coupling["context"].to_numpy()
    rows, x = report.comparisons, comparisons.context[:, 0]
    same = np.abs(comparisons.difference.sum(axis=1)) > 1
    # Those who see extreme contexts want more of everything, and those in the middle less.
    side = np.sign(comparisons.difference.sum(axis=1)) * np.sign(np.abs(x) - 1)
    assert np.corrcoef(rows["shift"][same], side[same])[0, 1] > 0.6
    assert (report.permutation_p or 1.0) <= 0.005
