"""Which comparisons are confounded: against brute force, known truth, and in null worlds."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from cases import small_comparisons
from made_posteriors import made_comparisons, made_posterior, pooled_posterior
from scipy.special import expit
from scipy.stats import norm, rankdata

import bayes_pref as bp
from bayes_pref.diagnostics.confounding.confounding_limits import unsupported
from bayes_pref.diagnostics.confounding.confounding_shift import Confounding, assess
from bayes_pref.diagnostics.confounding.exposure_distribution import (
    ExposureDistribution,
    ExposureDraws,
    draw_exposure,
)
from bayes_pref.diagnostics.confounding.exposure_posterior import refit_with_exposure
from bayes_pref.diagnostics.confounding.shifts import (
    PopulationDraws,
    adjusted_share,
    describe_shifts,
)
from bayes_pref.diagnostics.query import Query, read_query
from bayes_pref.models.regressors import exposures

Array = np.ndarray


class EqualWeights:
    """In place of a generator: every user counts once, which is the data as they are."""

    def standard_exponential(self, size: tuple[int, ...]) -> Array:
        return np.ones(size)


def as_they_are(comparisons: bp.Comparisons, draws: int = 1) -> ExposureDraws:
    return draw_exposure(comparisons, draws, cast(Any, EqualWeights()))


def shown_and_known(*, users: int = 300, each: int = 10, carries: float = 0.6) -> bp.Comparisons:
    """Two features, a context that some users are shown more of, and a covariate that tells some.

    `carries` is the correlation of the covariate and what decides the contexts.
    """
    rng = np.random.default_rng(5)
    covariate = rng.standard_normal(users)
    decides = carries * covariate + np.sqrt(1 - carries**2) * rng.standard_normal(users)
    user = np.repeat(np.arange(users), each)
    frame = pd.DataFrame(rng.standard_normal((user.size, 2)), columns=["brief", "polite"])
    frame = frame.assign(who=user, won=rng.integers(0, 2, user.size))
    frame["hard"] = 3.0 + 2.0 * (decides[user] + rng.standard_normal(user.size))
    return bp.Comparisons.from_frame(
        frame,
        user="who",
        choice="won",
        difference=["brief", "polite"],
        context=["hard"],
        covariates=pd.DataFrame({"age": 10.0 * covariate}),
    )


def test_the_distribution_of_exposure_is_the_regression_over_comparisons() -> None:
    comparisons = small_comparisons().take(np.arange(40))  # users make unequally many
    exposure = as_they_are(comparisons)
    z = exposures(comparisons)[:, 0]
    rows, x = z[comparisons.user], comparisons.context[:, 0]
    slope = np.cov(rows, x, ddof=0)[0, 1] / x.var()
    np.testing.assert_allclose(exposure.mean, [[z.mean()]], atol=1e-12)
    np.testing.assert_allclose(exposure.variance, [[[z.var()]]])
    np.testing.assert_allclose(exposure.observed.slope, [[[slope]]])
    np.testing.assert_allclose(
        exposure.observed.offset, [[rows.mean() - z.mean() - slope * x.mean()]]
    )
    np.testing.assert_allclose(exposure.observed.variance, [[[rows.var() - slope**2 * x.var()]]])
    assert exposure.adjusted is exposure.observed


def test_adjusting_is_the_partial_regression_averaged_over_all_users() -> None:
    comparisons = shown_and_known(users=40).take(np.arange(350))
    adjusted = as_they_are(comparisons).adjusted
    z, c = exposures(comparisons)[:, 0], comparisons.covariates[:, 0]
    user, x = comparisons.user, comparisons.context[:, 0]
    design = np.column_stack([np.ones(len(x)), c[user], x])
    start, on_c, on_x = np.linalg.lstsq(design, z[user], rcond=None)[0]
    np.testing.assert_allclose(adjusted.slope[0], [[0.0], [on_x]], atol=1e-12)
    offset = start + on_c * c.mean() - z.mean()
    np.testing.assert_allclose(adjusted.offset[0], [0.0, offset], atol=1e-10)
    left = z - np.polyval(np.polyfit(c, z, 1), c)
    within = x - np.polyval(np.polyfit(c[user], x, 1), c[user])
    own = left.var() - on_x**2 * within.var()
    expected = c.var() * np.outer([1, on_c], [1, on_c]) + [[0, 0], [0, own]]
    np.testing.assert_allclose(adjusted.variance[0], expected, atol=1e-10)


def test_bootstrap_draws_scatter_as_a_regression_over_users_does() -> None:
    comparisons = shown_and_known(users=400)
    exposure = draw_exposure(comparisons, 4000, np.random.default_rng(0))
    # The mean of 400 standardised exposures has a standard error of 1/20, bootstrapped or not.
    assert exposure.mean[:, 1].std() == pytest.approx(1 / 20, rel=4 / np.sqrt(2 * 4000) + 0.02)


POINT = PopulationDraws(
    mu=np.array([[0.8, -0.5]]),
    slopes=np.array([[[0.05, 1.5], [0.06, -1.0]]]),  # of the covariate, and of exposure
    tau=np.array([[0.5, 0.3]]),
    covariance=None,
)
PAIRS = Query(
    difference=np.array([[2.0, 0.5], [1.0, -1.0], [-1.5, 1.0]]),
    context=np.array([[6.0], [1.0], [5.0]]),
    user=np.full(3, -1),
    labels=pd.Index(["population"] * 3),
    rows=pd.RangeIndex(3),
)


def by_simulation(comparisons: bp.Comparisons, size: int = 2_000_000) -> tuple[Array, Array]:
    """p_do, p_obs adjusted and p_obs of PAIRS, and their errors, from simulated users.

    Users with Gaussian covariate, exposure and context, of the data's moments; those with a
    context near the pair's are who is shown it. To adjust, each of them counts as often as users
    with their covariate are found among all users rather than among these.
    """
    rng = np.random.default_rng(1)
    age = comparisons.covariates[:, 0] - comparisons.covariates[:, 0].mean()
    rows = np.column_stack([age, exposures(comparisons)])[comparisons.user]
    joint = np.column_stack([rows, comparisons.context])
    c, z, x = rng.multivariate_normal(joint.mean(0), np.cov(joint.T, ddof=0), size).T
    weights = POINT.mu[0] + np.column_stack([c, z]) @ POINT.slopes[0].T
    weights += POINT.tau[0] * rng.standard_normal((size, 2))
    found = []
    for difference, context in zip(PAIRS.difference, PAIRS.context[:, 0], strict=True):
        p = expit(weights @ difference)
        near = np.abs(x - context) < 0.05
        among = c[near]
        ratio = norm.pdf(among, age.mean(), age.std()) / norm.pdf(among, among.mean(), among.std())
        ratio /= ratio.mean()
        shares = (p, ratio * p[near], p[near])
        found += [(share.mean(), share.std() / np.sqrt(share.size)) for share in shares]
    mean, error = np.array(found).reshape(3, 3, 2).transpose(2, 0, 1)
    return mean, error


def test_shares_of_users_are_those_of_simulated_users() -> None:
    comparisons = shown_and_known()
    mean, error = by_simulation(comparisons)

    def z_scores(exposure: ExposureDraws) -> Array:
        rows = describe_shifts(POINT, exposure, PAIRS, smallest=0.03, interval=0.9)
        observed = rows["p_do"] + rows["shift_unadjusted"]
        ours = np.column_stack([rows["p_do"], rows["p_obs"], observed])
        # The window of contexts is narrow beside their sd of 2.8: it moves p by less than 1e-3.
        return np.abs(ours - mean) / np.hypot(error, 2e-4)

    exact = as_they_are(comparisons)
    assert z_scores(exact).max() < 4
    # Partners that must fail: v1 = v0; the full slope where there is adjusting; no adjusting.
    wide = ExposureDistribution(exact.observed.offset, exact.observed.slope, exact.variance)
    assert z_scores(replace(exact, observed=wide))[:, 2].max() > 10
    narrow = ExposureDistribution(exact.adjusted.offset, exact.adjusted.slope, exact.variance)
    assert z_scores(replace(exact, adjusted=narrow))[:, 1].max() > 10
    whole = exact.observed.slope * [[0.0], [1.0]]
    assert z_scores(replace(exact, adjusted=replace(exact.adjusted, slope=whole))).max() > 10
    assert z_scores(replace(exact, observed=replace(exact.adjusted)))[:, 2].max() > 10


def test_a_full_covariance_is_a_diagonal_one_in_other_features() -> None:
    exposure = as_they_are(small_comparisons())
    rng = np.random.default_rng(0)
    mu, slopes, factor = (rng.normal(size=size) for size in ((1, 2), (1, 2, 1), (2, 2)))
    full = PopulationDraws(mu, slopes, np.ones((1, 2)), (factor @ factor.T)[None])
    inverse = np.linalg.inv(factor)
    turned = PopulationDraws(mu @ inverse.T, inverse @ slopes, np.ones((1, 2)), None)
    pairs = replace(PAIRS, difference=PAIRS.difference @ factor)
    first = describe_shifts(full, exposure, PAIRS, smallest=0.03, interval=0.9)
    second = describe_shifts(turned, exposure, pairs, smallest=0.03, interval=0.9)
    np.testing.assert_allclose(first, second, atol=1e-9)


def test_covariates_carry_all_some_or_none_of_the_coupling() -> None:
    comparisons = shown_and_known()
    exposure = as_they_are(comparisons)
    only_known = replace(POINT, slopes=POINT.slopes * [1.0, 0.0])
    assert adjusted_share(only_known, exposure, comparisons) == pytest.approx(1.0)
    shift = describe_shifts(only_known, exposure, PAIRS, smallest=0.03, interval=0.9)
    np.testing.assert_allclose(shift["shift"], 0.0, atol=1e-12)
    assert shift["shift_unadjusted"].abs().max() > 0.03
    assert 0.1 < cast(float, adjusted_share(POINT, exposure, comparisons)) < 0.9
    # A covariate that has nothing to do with exposure carries what chance gives it: its
    # correlation with exposure among 300 users is within 4 / sqrt(300).
    unrelated = shown_and_known(carries=0.0)
    only_shown = replace(POINT, slopes=POINT.slopes * [0.0, 1.0])
    share = adjusted_share(only_shown, as_they_are(unrelated), unrelated)
    assert abs(cast(float, share)) < 2 * 16 / 300


def auroc(score: Array, true: Array) -> float:
    ranks, positive = rankdata(score), int(true.sum())
    above = ranks[true].sum() - positive * (positive + 1) / 2
    return float(above / (positive * (true.size - positive)))


def assessed(world: bp.World, seed: int = 0) -> tuple[Confounding, Array]:
    engine = bp.Gibbs(draws=500, warmup=300, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        model = bp.HierarchicalReward(exposure=True)
        posterior = bp.fit(model, world.comparisons, engine, seed=seed)
    return assess(posterior, read_query(posterior)), world.truth.comparisons["shift"].to_numpy()


@pytest.mark.slow
@pytest.mark.parametrize("interactions", [False, True])
def test_shifts_of_a_confounded_world_are_found(interactions: bool) -> None:
    world = bp.simulate(confounding=0.5, interactions=interactions, seed=1)
    found, truth = assessed(world)
    rows, shifted = found.comparisons, np.abs(truth) > 0.03
    assert found.permutation_p <= 2 / 2000  # of two statistics, the largest in all permutations
    assert auroc(rows["p_confounded"].to_numpy(), shifted) > 0.95  # .97 to .99 in replications
    # Errors are those that the intervals claim. All rows share the 4 or 8 numbers of G, so that
    # the squared ratio is no steadier than chi^2_4 / 4, beyond 6 with probability 1e-4.
    claimed = (rows["shift_upper"] - rows["shift_lower"]) / (2 * norm.ppf(0.95))
    error = np.mean((rows["shift"] - truth) ** 2)
    assert error < 6 * np.mean(claimed**2)
    assert found.confounded[shifted].mean() > 0.5
    assert found.confounded[~shifted].mean() < 0.03
    # The partner that must fail: shifts of the right size in the other direction.
    assert np.mean((rows["shift"] + truth) ** 2) > 6 * np.mean(claimed**2)


@pytest.mark.slow
def test_a_context_effect_is_not_taken_for_confounding() -> None:
    # Null worlds reject at 1 %: of two, both at once with probability 1e-4. The second one is
    # fitted only where the first was flagged.
    assert not all(
        assessed(bp.simulate(confounding=0.0, interactions=True, seed=seed))[0].confounded.any()
        for seed in range(2)
    )


def made(comparisons: bp.Comparisons | None = None, **settings: Any) -> bp.Posterior:
    model = bp.HierarchicalReward(exposure=True, **settings)
    return made_posterior(made_comparisons() if comparisons is None else comparisons, model)


def many_users(**settings: Any) -> bp.Comparisons:
    return made_comparisons([f"u{k}" for k in range(12)], rows=40, **settings)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
@pytest.mark.parametrize("covariates", [False, True])
def test_every_pair_gets_its_row_whatever_the_model(covariance: str, covariates: bool) -> None:
    posterior = made(many_users(covariates=covariates, interactions=True), covariance=covariance)
    new = pd.DataFrame({"length": [1.0, 0.0], "tone": 0.5, "tact": 0.0, "hard": [0.3, -0.2]})
    for pairs in (read_query(posterior), read_query(posterior, new)):
        found = assess(posterior, pairs, permutations=99)
        rows = found.comparisons
        assert rows.index.equals(pd.RangeIndex(len(pairs)))
        assert found.confounded.shape == (len(pairs),)
        known = rows.drop(columns="shift_unadjusted")
        assert np.isfinite(known.to_numpy()).all()
        assert rows["shift_unadjusted"].isna().all() == (not covariates)
        assert (found.carried is None) == (not covariates)
        np.testing.assert_allclose(rows["p_obs"] - rows["p_do"], rows["shift"], atol=1e-12)
        assert (rows["shift_lower"] <= rows["shift_upper"]).all()
        again = assess(posterior, pairs, permutations=99)
        pd.testing.assert_frame_equal(again.comparisons, rows)
        assert again.permutation_p == found.permutation_p
    assert list(found.coupling["feature"].unique()) == ["length", "tone", "tact", "tone:hard"]


def test_a_comparison_is_confounded_only_if_the_permutation_test_rejects() -> None:
    posterior = made(many_users())
    found = assess(
        posterior,
        read_query(posterior),
        thresholds=bp.Thresholds(permutation_level=0.011),
        permutations=99,
    )
    sure = (found.comparisons["p_confounded"] > 0.95).to_numpy()
    assert sure.any()  # the draws were made up, and the choices know nothing of them
    assert found.permutation_p > 0.011
    assert not found.confounded.any()
    open_test = assess(
        posterior,
        read_query(posterior),
        thresholds=bp.Thresholds(permutation_level=0.99),
        permutations=99,
    )
    np.testing.assert_array_equal(open_test.confounded, sure)


def with_context(**columns: Any) -> bp.Comparisons:
    frame = many_users().to_frame().assign(**columns)
    names = ["length", "tone", "tact"]
    return bp.Comparisons.from_frame(
        frame, user="user", choice="chosen", difference=names, context=list(columns)
    )


def test_collinear_and_constant_contexts_are_noted_and_change_nothing() -> None:
    plain = many_users()
    hard = plain.context[:, 0]
    both = with_context(hard=hard, twice=2 * hard + 1, same=4.0)
    one, two = as_they_are(plain), as_they_are(both)
    x = np.column_stack([hard, 2 * hard + 1, np.full(len(hard), 4.0)])
    ours = two.observed.offset[0, 0] + x @ two.observed.slope[0, 0]
    theirs = one.observed.offset[0, 0] + hard * one.observed.slope[0, 0]
    np.testing.assert_allclose(ours, theirs, atol=1e-9)
    posterior = made(both)
    found = assess(posterior, read_query(posterior), permutations=99)
    assert np.isfinite(found.comparisons.drop(columns="shift_unadjusted").to_numpy()).all()
    assert "'same' is the same in every comparison" in found.notes[0]
    assert "combinations of others" in found.notes[1]
    assert assess(made(plain), read_query(made(plain)), permutations=99).notes == ()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bp.simulate(users=9, contexts=0).comparisons, r"no context .* context=\[\.\.\.\]"),
        (lambda: many_users()["u3"], "all comparisons are of one user"),
        (lambda: with_context(same=4.0), "context 'same' is the same in every comparison"),
        (lambda: made_comparisons(["a", "b", "c"]), "3 users are too few .*'hard'; at least 4"),
    ],
)
def test_what_cannot_be_assessed_is_said_in_a_sentence(make: Any, message: str) -> None:
    comparisons = make()
    reason = unsupported(comparisons)
    assert reason is not None
    assert reason.startswith("confounding cannot be assessed: ")
    with pytest.raises(bp.DataError, match=message):
        raise bp.DataError(reason)


def test_contexts_that_all_users_are_shown_alike_cannot_be_assessed() -> None:
    counts = many_users().counts
    shown = np.concatenate([np.resize([0.0, 1.0], count - count % 2) for count in counts])
    even = many_users()
    keep = np.concatenate(
        [
            np.arange(even.offsets[i], even.offsets[i] + count - count % 2)
            for i, count in enumerate(counts)
        ]
    )
    frame = even.take(keep).to_frame().assign(hard=shown)
    alike = bp.Comparisons.from_frame(
        frame, user="user", choice="chosen", difference=["length"], context=["hard"]
    )
    reason = unsupported(alike)
    assert reason is not None
    assert "on average the same for every user" in reason
    posterior = made_posterior(alike, bp.HierarchicalReward(exposure=True))
    with pytest.raises(bp.DataError, match="on average the same"):
        assess(posterior, read_query(posterior))


def test_a_posterior_with_exposure_is_kept_and_others_are_fitted_anew() -> None:
    posterior = made(many_users(), effect_sd=0.5)
    assert refit_with_exposure(posterior) is posterior
    with pytest.raises(bp.ModelError, match=r"no exposure term: fit bp\.HierarchicalReward\(expos"):
        assess(pooled_posterior(many_users()), read_query(posterior))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        plain = made_posterior(many_users(), bp.HierarchicalReward(effect_sd=0.5, spread_sd=0.4))
        found = refit_with_exposure(plain, progress=False).model
        assert found == bp.HierarchicalReward(effect_sd=0.5, spread_sd=0.4, exposure=True)
        pooled = refit_with_exposure(pooled_posterior(many_users()), progress=False)
        assert pooled.model == bp.HierarchicalReward(exposure=True)
        assert "G" in pooled.draws


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"interval": 1.0}, "interval must be a number between 0 and 1"),
        ({"permutations": 0}, "permutations must be a whole number of at least 1"),
        ({"permutations": 50}, "50 permutations can never reject at level 0.01; take at least 99"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    posterior = made(many_users())
    with pytest.raises(bp.DataError, match=message):
        assess(posterior, read_query(posterior), **settings)
