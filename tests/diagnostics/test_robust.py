"""Robust estimates: right if the model is, or if what residuals depend on is looked at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_posterior
from scipy.special import expit, logit
from scipy.stats import norm
from set_data import chosen_sets

import bayes_pref as bp
from bayes_pref.diagnostics.query import Query, read_query
from bayes_pref.diagnostics.robust.expected_answers import expected_answers
from bayes_pref.diagnostics.robust.residual_directions import BLOCKS, Directions
from bayes_pref.diagnostics.robust.robust_correction import correct, corrected, jacobian
from bayes_pref.diagnostics.robust.robust_shares import RobustShares
from bayes_pref.diagnostics.robust.shrunk_blocks import shrunk
from bayes_pref.draws import stacked
from bayes_pref.models.regressors import exposures

Array = np.ndarray
FREE = 1e3  # scale of a prior that shrinks little
SHORT = bp.Gibbs(draws=200, warmup=200, chains=2, cores=1, progress=False)


def pairs(difference: Array, user: Array, context: Array | None = None) -> Query:
    """A query about pairs."""
    n = len(difference)
    context = np.zeros((n, 0)) if context is None else context
    return Query(difference, context, user, pd.Index(user), pd.RangeIndex(n))


def sets_of_two(query: Query) -> Query:
    """The same pairs, as sets of two alternatives."""
    n = len(query)
    twice = np.repeat(np.arange(n), 2)
    sign = np.tile([1.0, -1.0], n)[:, None]
    return replace(
        query,
        difference=query.difference[twice] * sign,
        context=query.context[twice],
        user=query.user[twice],
        labels=query.labels[twice],
        rows=query.rows[twice],
        task=twice,
        alternatives=pd.Index(np.tile(["left", "right"], n)),
    )


def made_up(seed: int = 0, users: int = 40, each: int = 10) -> tuple[Array, Array, Array, Array]:
    """Columns, residuals, shares and users."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), each)
    columns = rng.normal(size=(len(user), 3))
    share = expit(0.5 * columns[:, 0])
    made = rng.random(len(user)) < expit(0.8 * columns[:, 0] + 0.4 * columns[:, 1])
    return columns, made - share, share, user


def test_the_equations_are_solved_and_their_variance_is_that_over_users() -> None:
    columns, residual, share, user = made_up()
    query = pairs(columns, user)
    block = np.array([0, 1, 1])
    found = correct(columns, block, residual, share, user, query, 2, FREE)
    at = found.shrunk.mean
    moved = corrected(share, columns @ at, query)
    each = columns * (residual - moved + share)[:, None]
    slope = sum(np.outer(f, f) * p * (1 - p) for f, p in zip(columns, moved, strict=True))
    scores = [np.linalg.solve(slope, each[user == i].sum(axis=0)) for i in range(40)]
    np.testing.assert_allclose(found.variance, 40 * np.cov(np.array(scores).T), rtol=1e-4)
    np.testing.assert_allclose(found.estimate, at + np.sum(scores, axis=0), rtol=1e-4)
    moved = corrected(share, columns @ found.estimate, query)
    before, after = (np.abs(columns.T @ (residual - p + share)).max() for p in (share, moved))
    assert after < before / 20  # one step of Newton's method from the shrunk coefficients


def test_the_jacobian_is_the_derivative() -> None:
    columns, _, share, user = made_up(each=3)
    for query in (pairs(columns, user), None):
        asked = query or replace(
            pairs(columns, user), task=user, alternatives=pd.Index(np.arange(len(user)))
        )
        whole = share if query else share / np.bincount(user, share)[user]
        beta, step = np.array([0.3, -0.2, 0.1]), 1e-6 * np.eye(3)
        exact = jacobian(corrected(whole, columns @ beta, asked), columns, asked)
        for k in range(3):
            above, below = (
                corrected(whole, columns @ (beta + side * step[k]), asked) for side in (1, -1)
            )
            np.testing.assert_allclose(exact[:, k], (above - below) / 2e-6, atol=1e-8)


def test_sets_of_two_are_pairs() -> None:
    world = bp.simulate(users=30, comparisons=5, confounding=0.5, seed=1)
    comparisons = world.comparisons
    query = read_query(made_posterior(comparisons))
    both = sets_of_two(query)
    rng = np.random.default_rng(0)
    share, expected = expit(rng.normal(size=(2, len(query))))
    kappa = rng.uniform(0.5, 1.0, len(query))
    found = []
    for asked in (query, both):
        twice = len(asked) // len(query)
        sign = np.tile([1.0, -1.0][:twice], len(query))
        log_odds = sign * logit(share).repeat(twice)
        directions = Directions.of(comparisons, asked, log_odds, kappa.repeat(twice))
        columns = directions.at(
            asked, log_odds, kappa.repeat(twice), directions.regressors[asked.user]
        )
        # The columns of a set of two are half of those of the pair, before they get a unit.
        found.append(
            correct(
                columns * directions.unit,
                directions.block,
                sign * (comparisons.choice - expected).repeat(twice),
                expit(log_odds),
                asked.user,
                asked,
                len(BLOCKS),
            )
        )
    np.testing.assert_allclose(found[0].estimate, found[1].estimate, rtol=1e-6)
    np.testing.assert_allclose(found[0].p_values, found[1].p_values, rtol=1e-6)


def test_a_block_is_shrunk_as_brute_force_says() -> None:
    estimate_, variance = np.array([0.3, -0.1]), np.array([[0.02, 0.01], [0.01, 0.03]])
    found = shrunk(estimate_, variance, np.array([0, 0]), scale=0.1)
    sds = np.linspace(1e-4, 3.0, 40_000)
    total = variance + sds[:, None, None] ** 2 * np.eye(2)
    square = np.einsum("k,skl,l->s", estimate_, np.linalg.inv(total), estimate_)
    weight = np.exp(-square / 2) / np.sqrt(np.linalg.det(total)) / (1 + (sds / 0.1) ** 2)
    size = weight @ sds**2 / weight.sum()
    assert found.sd[0] ** 2 == pytest.approx(size, rel=0.03)  # the grid has steps of a quarter
    kept = size * np.linalg.inv(variance + size * np.eye(2))
    np.testing.assert_allclose(found.mean, kept @ estimate_, rtol=0.03)


def confounded_answers(seed: int) -> tuple[Array, Array, Array, Array, Array]:
    """Differences, contexts, exposures, users and answers: preferences follow exposure."""
    rng = np.random.default_rng(seed)
    h = rng.normal(size=400)
    user = np.repeat(np.arange(400), 10)
    x = 0.7 * h[user] + 0.7 * rng.normal(size=len(user))
    d = rng.normal(size=len(user))
    made = rng.random(len(user)) < expit(d * (0.5 + 0.8 * h[user]))
    return d, x, (h - h.mean())[user], user, made.astype(float)


@pytest.mark.parametrize("model", ["right", "wrong"])
@pytest.mark.parametrize("looked_at", [True, False])
def test_right_if_either_is_right(model: str, looked_at: bool) -> None:
    """Bias of p_do at d = 1, x = 1.5 within 3 Monte Carlo errors, unless both are wrong.

    The wrong model knows nothing of exposure. Where nobody looks at residuals that depend on it,
    those of users who see x pass for those of all users.
    """
    truth = float(expit(0.5 + 0.8 * norm.ppf((np.arange(4000) + 0.5) / 4000)).mean())
    errors = []
    for seed in range(12):
        d, x, h, user, made = confounded_answers(seed)
        v = 0.64  # of the weights over users
        share = expit(d * 0.5 / np.sqrt(1 + np.pi / 8 * v * d**2))
        expected = expit(d * (0.5 + 0.8 * h)) if model == "right" else share
        kappa = 1 / np.sqrt(1 + np.pi / 8 * v * d**2)
        columns = np.column_stack([d * kappa, d * x * kappa, *([d * h * kappa] * looked_at)])
        query = pairs(d[:, None], user)
        block = np.arange(columns.shape[1])
        found = correct(columns, block, made - expected, share, user, query, len(block), FREE)
        k = 1 / np.sqrt(1 + np.pi / 8 * v)
        beta = found.estimate
        errors.append(expit(0.5 * k + beta[0] * k + beta[1] * 1.5 * k) - truth)
    mean, error = np.mean(errors), np.std(errors, ddof=1) / np.sqrt(len(errors))
    right = abs(mean) < 3 * error + 0.005  # kappa is an approximation, with errors below 0.005
    assert right == (model == "right" or looked_at)


def test_each_user_is_expected_from_the_answers_of_all_others() -> None:
    """Against weights 1 / p(answers of i | population), integrated by brute force."""
    world = bp.simulate(users=12, comparisons=3, features=2, confounding=0.5, seed=2)
    comparisons = world.comparisons
    posterior = made_posterior(comparisons, bp.HierarchicalReward(exposure=True), draws=50)
    found = expected_answers(posterior)
    draws, z = posterior.draws, exposures(comparisons)
    mu, tau = (stacked(draws, name, "feature") for name in ("mu", "tau"))
    slope = stacked(draws, "G", "feature", "context")[:, :, 0]
    own = np.random.default_rng(0).normal(size=(4000, 1, 2))
    d, y = comparisons.difference, comparisons.choice
    for i in (0, 5):
        weights = mu + slope * z[i] + own * tau  # (point, draw, feature)
        rows = np.flatnonzero(comparisons.user == i)
        chance = expit(weights @ d[rows].T)
        said = np.where(y[rows] == 1.0, chance, 1 - chance).prod(axis=2).mean(axis=0)
        share = (1 / said) / (1 / said).sum()
        # Smoothing of the largest weights, and 4,000 points: both below 0.01.
        np.testing.assert_allclose(found.expected[rows], share @ chance.mean(axis=0), atol=0.01)
    assert np.array_equal(found.made, y)


@pytest.mark.parametrize("places", [1, 2])
def test_of_sets_the_first_choice_counts(places: int) -> None:
    comparisons = chosen_sets(users=8, each=4, size=3, places=places, seed=3)
    model = bp.HierarchicalReward(exposure=True)
    found = expected_answers(made_posterior(comparisons, model, draws=10))
    labels = pd.DataFrame(comparisons.rows.tolist(), columns=["task", "better", "worse"])
    first = labels.groupby("task", sort=False)["better"].first()
    chosen = found.query.keys()[found.made == 1.0]
    assert chosen["row"].tolist() == first.index.tolist()
    assert chosen["alternative"].tolist() == first.tolist()
    assert found.expected.sum() == pytest.approx(len(first), rel=1e-4)


def test_robust_shares_of_a_set_sum_to_one() -> None:
    comparisons = chosen_sets(users=40, each=4, size=3, seed=3)
    shares = RobustShares.of(made_posterior(comparisons, bp.HierarchicalReward(exposure=True)))
    query = shares.answers.query
    found = shares.table(query, shares.answered)
    assert query.task is not None
    total = np.bincount(query.task, found["p_do_robust"])
    np.testing.assert_allclose(total, 1.0, rtol=1e-9)
    assert (found["p_do_robust"] - found["p_do"]).abs().max() > 0.01  # made-up weights are wrong


def diagnosed(world: bp.World, model: bp.RewardModel | None = None) -> bp.Report:
    """A report on confounding."""
    posterior = bp.fit(model or bp.HierarchicalReward(exposure=True), world.comparisons, SHORT)
    return bp.diagnose(posterior, assessments=["preference", "confounding"], progress=False)


@pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")
def test_where_the_model_is_right_both_agree_and_the_interval_is_little_longer() -> None:
    world = bp.simulate(users=60, comparisons=12, features=2, confounding=0.5, seed=4)
    report = diagnosed(world)
    found = bp.robust(report)
    table = found.comparisons
    assert not found.assumptions["rejected"].any()
    assert table["agree"].all()
    assert "agree on 100 % of 720 comparisons, and residuals contradict none" in found.sentence
    assert np.array_equal(table["p_do"], report.comparisons["p_do"])
    assert table["p_do_robust"].between(table["p_do_lower"], table["p_do_upper"]).all()
    length = (table["p_do_upper"] - table["p_do_lower"]) / (2 * norm.ppf(0.95) * table["p_do_sd"])
    assert 0.95 < length.mean() < 1.35
    assert len(bp.robust(report, interval=0.5).summary().splitlines()) >= 7


@pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")
def test_a_context_that_is_left_out_is_named_and_corrected_for() -> None:
    """The model alone is far off; its own interval is the partner that must fail."""
    rng = np.random.default_rng(5)
    world = bp.simulate(users=80, comparisons=20, features=2, confounding=0.3, seed=5)
    frame = world.comparisons.to_frame()
    eta = frame[["feature_1", "feature_2"]].to_numpy() @ [0.6, -0.6]
    eta += 1.2 * frame["feature_1"] * frame["context_1"]
    comparisons = bp.Comparisons.from_frame(
        frame.assign(choice=rng.random(len(frame)) < expit(eta)),
        user="user",
        choice="choice",
        difference=["feature_1", "feature_2"],
        context=["context_1"],
    )
    posterior = bp.fit(bp.HierarchicalReward(exposure=True), comparisons, SHORT)
    shares = RobustShares.of(posterior)
    found = shares.table(shares.answers.query, shares.answered)
    tests = shares.assumptions().set_index("assumption")
    assert bool(tests.loc["contexts", "rejected"])
    assert tests.loc["contexts", "largest"] == "feature_1 x context_1"
    d, x = comparisons.difference, comparisons.context[:, 0]
    truth = expit(0.6 * d[:, 0] - 0.6 * d[:, 1] + 1.2 * d[:, 0] * x)  # all users are alike
    wrong, right = (
        np.sqrt(((found[name] - truth) ** 2).mean()) for name in ("p_do", "p_do_robust")
    )
    assert right < wrong / 2
    apart = (found["p_do_robust"] - found["p_do"]).abs()
    certain = found["p_disagree"] > 0.95
    assert certain.mean() > 0.2
    assert (apart[certain] > 0.03).all()


def test_what_cannot_be_estimated_is_said_in_a_sentence() -> None:
    with pytest.raises(bp.ModelError, match="report: got str but expected a Report"):
        bp.robust("report")  # type: ignore[arg-type]
    world = bp.simulate(users=8, comparisons=3, features=1, contexts=0, seed=0)
    empty = made_posterior(world.comparisons, bp.HierarchicalReward())
    report = bp.diagnose(empty, assessments=["preference", "confounding"], progress=False)
    with pytest.raises(bp.DataError, match="confounding was not assessed"):
        bp.robust(report)
    partial = bp.diagnose(empty, assessments=["preference"], progress=False)
    with pytest.raises(bp.DataError, match="this report has no exposure_posterior"):
        bp.robust(partial)
    few = bp.simulate(users=11, comparisons=4, features=4, seed=0)
    posterior = made_posterior(few.comparisons, bp.HierarchicalReward(exposure=True))
    with pytest.raises(bp.DataError, match="11 users are too few for robust estimates with 4"):
        RobustShares.of(posterior)
