from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from bayes_pref.errors import DataError, DataWarning
from bayes_pref.logistic_normal import expected_choice
from bayes_pref.simulation import World, assistant_world, simulate

FloatArray = NDArray[np.float64]

# Standard errors that a true statement may be off by chance: each test makes at most some dozens
# of them, and a normal deviate exceeds 4.5 once in 150,000.
LIMIT = 4.5

# What makes a population hard: everything at once, and strong.
HARD: dict[str, Any] = {
    "features": 2,
    "contexts": 2,
    "covariates": 1,
    "interactions": True,
    "heterogeneity": 1.2,
    "correlation": 0.3,
    "confounding": 0.8,
    "intraclass": 0.4,
    "overlap": 0.7,
    "seed": 3,
}


def shares_ignoring_what_a_context_tells(world: World, between: float, within: float) -> FloatArray:
    """A wrong p_obs: the mean moves with the context, the variance stays that of all users."""
    truth, d = world.truth, world.comparisons.difference
    weights = truth.covariance.to_numpy() + truth.B.to_numpy() @ truth.B.to_numpy().T
    slope = d @ truth.coupling.to_numpy()
    regression = np.sqrt(between) / (between + within)
    moved = d @ truth.mu.to_numpy() + (slope * world.comparisons.context).sum(1) * regression
    return expected_choice(moved, np.einsum("nf,fg,ng->n", d, weights, d))


def clustered_z(terms: FloatArray, user: NDArray[np.int64]) -> float:
    """Sum over its standard error, with the rows of a user dependent."""
    sums = np.bincount(user, terms)
    return float(sums.sum() / np.sqrt((sums**2).sum()))


def test_p_do_and_p_obs_are_what_brute_force_over_many_users_gives() -> None:
    world = simulate(users=30, comparisons=2, **HARD)
    # Mean and coupling have streams of their own: the same population, but 300,000 users of it.
    many = simulate(users=300_000, comparisons=2, **HARD).truth
    pd.testing.assert_series_equal(many.mu, world.truth.mu)
    pd.testing.assert_frame_equal(many.coupling, world.truth.coupling)

    rows = np.arange(0, 60, 2)
    chances = expit(many.weights.to_numpy() @ world.comparisons.difference[rows].T)
    truth = world.truth.comparisons.iloc[rows]
    z = (chances.mean(0) - truth["p_do"]) / (chances.std(0) / np.sqrt(len(chances)))
    assert np.abs(z).max() < LIMIT

    # Bayes without a formula for s given x: every user counts by the density of x at their s.
    between, within = 0.4, 0.6 * 0.7**2
    x = world.comparisons.context[rows]
    gaps = x[None] - np.sqrt(between) * many.exposure.to_numpy()[:, None]
    density = np.exp(-0.5 * (gaps**2).sum(2) / within)
    density /= density.sum(0)
    p_obs = (density * chances).sum(0)
    error = np.sqrt((density**2 * (chances - p_obs) ** 2).sum(0))
    assert np.abs((p_obs - truth["p_obs"]) / error).max() < LIMIT

    wrong = shares_ignoring_what_a_context_tells(world, between, within)[rows]
    assert np.abs((p_obs - wrong) / error).max() > 2 * LIMIT
    assert np.abs((p_obs - truth["p_do"]) / error).max() > 2 * LIMIT


def test_choices_among_those_shown_a_context_are_calibrated_to_p_obs_and_not_to_p_do() -> None:
    world = simulate(users=20_000, comparisons=10, **HARD)
    truth, data = world.truth.comparisons, world.comparisons
    shift = truth["shift"].to_numpy()
    p_do, p_obs = truth["p_do"].to_numpy(), truth["p_obs"].to_numpy()
    wrong = shares_ignoring_what_a_context_tells(world, 0.4, 0.6 * 0.7**2)
    # E[choice | d, x] = p_obs, so what any function of d and x picks out must average to zero.
    for function in (shift, p_obs - wrong, p_do - 0.5, data.context[:, 0] * data.difference[:, 0]):
        assert abs(clustered_z((data.choice - p_obs) * function, data.user)) < LIMIT
    assert clustered_z((data.choice - p_do) * shift, data.user) > 2 * LIMIT
    assert clustered_z((data.choice - wrong) * (p_obs - wrong), data.user) > 2 * LIMIT


@pytest.mark.parametrize(
    "knobs",
    [{"confounding": 0.0}, {"contexts": 0}, {"confounding": 0.9, "intraclass": 0.0}],
    ids=["unrelated preferences", "no contexts", "randomised contexts"],
)
def test_nothing_is_shifted_without_confounding(knobs: dict[str, Any]) -> None:
    truth = simulate(users=20, **knobs).truth.comparisons
    assert (truth["shift"] == 0).all()
    assert (simulate(users=20, confounding=0.5).truth.comparisons["shift"] != 0).all()


def test_quadrature_agrees_with_a_fine_grid() -> None:
    mean, sd = (grid.ravel() for grid in np.meshgrid([-4.0, -0.5, 0.0, 2.0], [0.0, 0.7, 5.0, 8.0]))
    z = np.linspace(-12, 12, 40_001)
    weight = np.exp(-0.5 * z**2)
    exact = expit(mean[:, None] + sd[:, None] * z) @ weight / weight.sum()
    error = np.abs(expected_choice(mean, sd**2) - exact)
    assert error[sd <= 5].max() < 1e-8
    assert error.max() < 1e-5


def test_quadrature_holds_in_the_tails_and_for_any_spread() -> None:
    mean = np.array([-700.0, -40.0, 40.0, -3.0, 3.0, 1.0, 800.0, -800.0])
    np.testing.assert_allclose(expected_choice(mean, np.zeros(8)), expit(mean), rtol=1e-12)
    # E sigmoid(Normal(m, 1)) is exp(m + 1/2) far below zero.
    far = expected_choice(np.array([-30.0]), np.ones(1))
    np.testing.assert_allclose(far, np.exp(-29.5), rtol=1e-6)
    sd = np.geomspace(0.01, 1e4, 60)
    for centre in (0.0, 2.0):
        one, other = (expected_choice(np.full(60, m), sd**2) for m in (centre, -centre))
        np.testing.assert_allclose(one + other, 1.0, atol=1e-12)  # whatever the spread
    assert np.isnan(expected_choice(np.array([np.nan, 0.0]), np.array([1.0, np.nan]))).all()


@pytest.mark.parametrize("confounding", [0.0, 0.5, 0.9])
def test_confounding_is_the_correlation_with_exposure_and_leaves_the_spread_alone(
    confounding: float,
) -> None:
    n = 40_000
    truth = simulate(
        users=n, comparisons=2, contexts=2, confounding=confounding, heterogeneity=0.8, seed=5
    ).truth
    weights = truth.weights.to_numpy()
    drawn = simulate(users=2, contexts=2, confounding=1.0, heterogeneity=1.0, seed=5).truth
    directions = drawn.coupling.to_numpy()
    np.testing.assert_allclose(truth.coupling, 0.8 * confounding * directions)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0)

    related = truth.exposure.to_numpy() @ directions.T
    found = [np.corrcoef(weights[:, k], related[:, k])[0, 1] for k in range(4)]
    assert np.abs(np.array(found) - confounding).max() < LIMIT * (1 - confounding**2) / np.sqrt(n)

    error = LIMIT * 0.8 / np.sqrt(2 * n)
    assert np.abs(weights.std(0) - 0.8).max() < error
    np.testing.assert_allclose(truth.tau, 0.8)
    # The limit would notice if the part unrelated to exposure were not shrunk to make room.
    assert confounding == 0 or 0.8 * (np.sqrt(1 + confounding**2) - 1) > 2 * error


def test_truth_names_the_law_that_the_weights_follow() -> None:
    n = 40_000
    truth = simulate(users=n, comparisons=2, **HARD).truth
    covariates = simulate(users=n, comparisons=2, **HARD).covariates
    assert covariates is not None
    centred = (truth.weights - truth.mu).to_numpy()
    c = covariates.to_numpy()
    effects = np.linalg.lstsq(c, centred, rcond=None)[0].T
    assert np.abs(effects - truth.B.to_numpy()).max() < LIMIT * truth.tau.max() / np.sqrt(n)
    assert truth.B.abs().to_numpy().min() > 10 * LIMIT * truth.tau.max() / np.sqrt(n)

    rest = centred - c @ truth.B.to_numpy().T
    tau = truth.tau.to_numpy()
    # The variance of a sample covariance of normals is (s_ff s_gg + s_fg^2) / n <= 2 tau^4 / n.
    error = np.outer(tau, tau) * np.sqrt(2 / n)
    assert (np.abs(rest.T @ rest / n - truth.covariance) / error).to_numpy().max() < LIMIT
    assert np.abs(rest.mean(0) / (tau / np.sqrt(n))).max() < LIMIT
    np.testing.assert_allclose(np.sqrt(np.diag(truth.covariance)), tau)
    assert np.abs(centred.std(0) - 1.2).max() < LIMIT * 1.2 / np.sqrt(2 * n)
    np.testing.assert_allclose(c.mean(0), 0.0, atol=1e-12)


def test_correlation_and_mean_and_heterogeneity_are_taken_as_given() -> None:
    n, matrix = 40_000, np.array([[1.0, -0.6], [-0.6, 1.0]])
    truth = simulate(
        users=n, comparisons=2, features=2, mean=[1, -2], heterogeneity=[0.5, 2], correlation=matrix
    ).truth
    assert truth.mu.tolist() == [1.0, -2.0]
    assert truth.tau.tolist() == [0.5, 2.0]
    found = np.corrcoef(truth.weights.to_numpy().T)[0, 1]
    assert abs(found + 0.6) < LIMIT * (1 - 0.6**2) / np.sqrt(n)
    same = simulate(users=20, features=3, mean=0.0, correlation=1.0).truth.weights.to_numpy()
    # The root of a singular matrix is exact up to sqrt(eps).
    np.testing.assert_allclose(same - same[:, :1], 0.0, atol=1e-6)


def test_probability_is_the_chance_that_the_user_chooses_left() -> None:
    world = simulate(users=3_000, features=["length", "tone"], interactions=True, seed=2)
    data, truth = world.comparisons, world.truth
    assert tuple(truth.weights) == data.feature_names == tuple(truth.mu.index)
    assert truth.weights.index.equals(data.users)
    assert truth.comparisons.index.equals(data.rows)
    product = world.frame["tone"] * world.frame["context_1"]
    np.testing.assert_array_equal(data.difference[:, 3], product)

    probability = truth.comparisons["probability"].to_numpy()
    weights = truth.weights.to_numpy()[data.user]
    np.testing.assert_allclose(probability, expit((data.difference * weights).sum(1)))
    # Given the weights, choices are independent coins of these probabilities, in every tenth.
    tenth = np.clip((10 * probability).astype(int), 0, 9)
    hits = np.bincount(tenth, data.choice - probability)
    error = np.sqrt(np.bincount(tenth, probability * (1 - probability)))
    assert np.abs(hits / error).max() < LIMIT
    assert np.abs(np.bincount(tenth, data.choice - 0.5) / error).max() > 2 * LIMIT


def test_contexts_lie_between_and_within_users_as_asked() -> None:
    n, m = 10_000, 10
    data = simulate(users=n, comparisons=m, intraclass=0.3, overlap=0.5, seed=4).comparisons
    x = data.context[:, 0].reshape(n, m)
    within = x.var(axis=1, ddof=1).mean()
    between = x.mean(axis=1).var(ddof=1) - within / m
    expected = 0.7 * 0.5**2
    assert abs(within - expected) < LIMIT * expected * np.sqrt(2 / (n * (m - 1)))
    assert abs(between - 0.3) < LIMIT * (0.3 + expected / m) * np.sqrt(2 / n)


def test_without_overlap_a_user_always_sees_the_same_context() -> None:
    world = simulate(users=50, contexts=2, overlap=0.0, confounding=0.5)
    contexts = world.frame.groupby("user")[["context_1", "context_2"]]
    assert (contexts.min() == contexts.max()).all(axis=None)
    assert world.frame["context_1"].nunique() == 50
    # Then the context tells the exposure, and with full confounding the weights: nothing varies.
    told = simulate(users=50, overlap=0.0, confounding=1.0).truth.comparisons
    np.testing.assert_allclose(told["p_obs"], told["probability"])


def test_aliased_features_cannot_be_told_apart() -> None:
    data = simulate(users=20, aliased=2, interactions=True).comparisons
    d = pd.DataFrame(data.difference, columns=list(data.feature_names))
    for copy, original in (("feature_3", "feature_1"), ("feature_4", "feature_2")):
        assert (d[copy] == d[original]).all()
        assert (d[f"{copy}:context_1"] == d[f"{original}:context_1"]).all()
    assert np.linalg.matrix_rank(data.difference) == 4
    assert np.linalg.matrix_rank(simulate(users=20, interactions=True).comparisons.difference) == 8


def test_ties_have_the_share_asked_for_and_davidsons_shape() -> None:
    world = simulate(users=4_000, ties=0.2, lapses=0.1, seed=6)
    truth, choice = world.truth.comparisons, world.comparisons.choice
    tie, n = (choice == 0.5).astype(float), len(choice)
    np.testing.assert_array_equal(tie, truth["kind"] == "tie")
    # Given the weights the ties are independent, with variance at most that of equal chances.
    assert abs(tie.mean() - 0.2) < LIMIT * np.sqrt(0.2 * 0.8 / n)

    answered = (truth["kind"] != "lapse").to_numpy()
    p = truth["probability"].to_numpy()[answered]
    tie, choice = tie[answered], choice[answered]
    # nu sqrt(left right) / (left + right + nu sqrt(left right)), Davidson's own form.
    chance = world.truth.nu * np.sqrt(p * (1 - p)) / (1 + world.truth.nu * np.sqrt(p * (1 - p)))
    distance = np.abs(p - 0.5) - np.abs(p - 0.5).mean()
    error = np.sqrt((distance**2 * chance * (1 - chance)).sum())
    assert abs((tie - chance) @ distance) < LIMIT * error
    assert abs((tie - tie.mean()) @ distance) > 2 * LIMIT * error
    decided = tie == 0
    error = np.sqrt((p * (1 - p))[decided].sum())
    assert abs((choice - p)[decided].sum()) < LIMIT * error


def test_lapses_have_the_share_asked_for_and_ignore_preferences() -> None:
    world = simulate(users=4_000, lapses=0.3, seed=7)
    truth, choice = world.truth.comparisons, world.comparisons.choice
    lapsed, n = (truth["kind"] == "lapse").to_numpy(), len(choice)
    p = truth["probability"].to_numpy()
    assert set(truth["kind"]) == {"lapse", "choice"}
    assert abs(lapsed.mean() - 0.3) < LIMIT * np.sqrt(0.3 * 0.7 / n)
    assert abs(choice[lapsed].mean() - 0.5) < LIMIT * 0.5 / np.sqrt(lapsed.sum())
    slope = (choice - 0.5) * (p - 0.5)
    error = 0.5 * np.sqrt(((p - 0.5) ** 2)[lapsed].sum())
    assert abs(slope[lapsed].sum()) < LIMIT * error
    assert slope[~lapsed].sum() > 2 * LIMIT * error
    assert (simulate(users=20).truth.comparisons["kind"] == "choice").all()


def test_counts_are_as_unequal_as_asked_and_unrelated_to_preferences() -> None:
    n = 20_000
    assert set(simulate(users=50, comparisons=7).comparisons.counts) == {7}
    with pytest.warns(DataWarning, match="single comparison"):
        world = simulate(users=n, comparisons=12, unequal=0.8, features=2, seed=8)
    counts = world.comparisons.counts
    sd = 0.8 * 12
    assert counts.min() >= 1
    assert abs(counts.mean() - 12) < LIMIT * sd / np.sqrt(n)
    # A gamma of 11 and sd 9.6 has kurtosis 3 + 6 (9.6 / 11)^2; rounding adds up to 1/4 to 92.
    error = np.sqrt((2 + 6 * (sd / 11) ** 2) / n)
    assert -LIMIT * error < counts.var() / sd**2 - 1 < LIMIT * error + 0.25 / sd**2
    for weights in world.truth.weights.to_numpy().T:
        assert abs(np.corrcoef(weights, counts)[0, 1]) < LIMIT / np.sqrt(n)


def test_exact_counts_are_kept() -> None:
    data = simulate(users=3, comparisons=[2, 5, 3]).comparisons
    assert data.counts.tolist() == [2, 5, 3]


def test_the_raw_table_makes_the_same_comparisons() -> None:
    world = simulate(users=10, features=["length"], contexts=["hard"], covariates=["age"])
    assert list(world.frame) == ["user", "choice", "length", "hard"]
    assert set(world.frame["choice"]) == {0, 1}
    assert world.covariates is not None
    np.testing.assert_array_equal(world.comparisons.covariates, world.covariates)
    assert list(world.covariates.index) == list(world.comparisons.users)
    np.testing.assert_array_equal(world.comparisons.difference[:, 0], world.frame["length"])
    np.testing.assert_array_equal(world.comparisons.context[:, 0], world.frame["hard"])
    assert simulate(users=10).covariates is None


def test_a_seed_gives_the_same_world_again_and_another_seed_another() -> None:
    knobs: dict[str, Any] = {"users": 30, "unequal": 0.3, "ties": 0.2, "lapses": 0.1}
    one, again, other = (simulate(**knobs, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one.frame, again.frame)
    pd.testing.assert_frame_equal(one.truth.weights, again.truth.weights)
    pd.testing.assert_frame_equal(one.truth.comparisons, again.truth.comparisons)
    assert len(one.frame) != len(other.frame) or not one.frame.equals(other.frame)


def test_turning_a_knob_changes_nothing_that_it_does_not_concern() -> None:
    plain = simulate(users=30)
    shown = ["user", *plain.comparisons.feature_names, "context_1"]
    for knobs in ({"confounding": 0.7}, {"covariates": 2}, {"ties": 0.3}, {"lapses": 0.5}):
        turned = simulate(users=30, **knobs)
        pd.testing.assert_frame_equal(turned.frame[shown], plain.frame[shown])
        pd.testing.assert_series_equal(turned.truth.mu, plain.truth.mu)
        assert not np.array_equal(turned.comparisons.choice, plain.comparisons.choice)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"users": 0}, "users must be a whole number of at least 1, got 0"),
        ({"users": 2.0}, "users must be a whole number of at least 1, got 2.0"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"confounding": 1.5}, "confounding must be a number from 0 to 1, got 1.5"),
        ({"confounding": True}, "confounding must be a number from 0 to 1, got True"),
        ({"intraclass": -0.1}, "intraclass must be a number from 0 to 1, got -0.1"),
        ({"overlap": "none"}, "overlap must be a number from 0 to 1, got 'none'"),
        ({"ties": float("nan")}, "ties must be a number from 0 to 1, got nan"),
        ({"ties": 0.6, "lapses": 0.4}, r"ties \+ lapses must be below 1, got 0.6 \+ 0.4"),
        ({"lapses": 2}, "lapses must be a number from 0 to 1, got 2"),
        ({"unequal": -1}, "unequal must be a number of at least 0, got -1"),
        ({"unequal": 0.5, "comparisons": 1}, "unequal=0.5 needs comparisons to be one mean"),
        ({"unequal": 0.5, "comparisons": [2, 3], "users": 2}, "needs comparisons to be one mean"),
        ({"comparisons": 0}, "comparisons must be a whole number of at least 1"),
        ({"comparisons": 1.5}, "comparisons must be a whole number of at least 1"),
        ({"comparisons": [3, 4]}, "one for each of the 200 users, got"),
        ({"features": 0}, "features must be a whole number of at least 1, got 0"),
        ({"features": []}, "no features"),
        ({"features": "length"}, "features must be a whole number or a list of names, got 'length'"),
        ({"contexts": -1}, "contexts must be a whole number of at least 0, got -1"),
        ({"covariates": [1]}, r"covariates must be a whole number or a list of names, got \[1\]"),
        ({"features": ["a", "user"]}, "two columns would be named 'user'"),
        ({"features": ["a"], "contexts": ["a"]}, "two columns would be named 'a'"),
        ({"aliased": 3}, "aliased must be a whole number from 0 to 2, got 3"),
        ({"interactions": "none"}, "interactions must be True or False, got 'none'"),
        ({"interactions": True, "contexts": 0}, "interactions=True needs at least one context"),
        ({"confounding": 0.5, "contexts": 0}, "confounding=0.5 needs at least one context"),
        ({"heterogeneity": -1.0}, "heterogeneity must be at least 0, got -1"),
        ({"heterogeneity": [1.0, 2.0]}, "heterogeneity must be one number or one for each of the"),
        ({"mean": [np.inf] * 4}, "mean must be finite, got inf"),
        ({"comparisons": np.ones((2, 2), dtype=int)}, r"got \[\[1, 1\], \[1, 1\]\]"),
        ({"mean": "large"}, "mean must be numbers, got 'large'"),
        ({"correlation": -0.5}, "correlation must be symmetric, .* no negative eigenvalue"),
        ({"correlation": np.triu(np.ones((4, 4)))}, "correlation must be symmetric"),
        ({"correlation": np.eye(2)}, r"correlation must be .* matrix of shape \(4, 4\)"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_knob_out_of_range_is_named_in_one_sentence(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        simulate(**knobs)
    assert "\n" not in str(caught.value)


def test_the_assistant_world_is_confounded_labelled_and_free_of_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        world = assistant_world(seed=3)
    data = world.comparisons
    assert data.features.attributes == ("length", "detail", "warmth", "hedging")
    assert data.features.contexts == ("technical",)
    assert len(data.feature_names) == 8
    assert (data.n_users, data.users[0], data.users[-1]) == (120, "u001", "u120")
    assert data.counts.min() < 10 < 25 < data.counts.max()
    assert (world.truth.comparisons["shift"].abs() > 0.03).mean() > 0.3
    text = repr(world)
    assert text.startswith("World: 120 users, ")
    assert all(name in text and name in world._repr_html_() for name in world.truth.mu.index)
