"""The distribution of users' weights before their choices: against brute force, for every model."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from cases import MODELS, small_comparisons
from scipy.special import expit, log_expit, logsumexp
from scipy.stats import norm

import bayes_pref as bp
from bayes_pref.evaluation.integrated_likelihood import user_log_likelihood
from bayes_pref.models.importance_points import importance_points

GRID = np.linspace(-10.0, 10.0, 2001)  # of s, in its prior sds

# Three draws of a population with one feature and one context.
SITES = {
    "mu": [[0.3], [-1.0], [0.5]],
    "tau": [[0.5], [1.0], [0.3]],
    "Gamma": [[[1.2]], [[-0.8]], [[0.6]]],
    "a": [[0.2], [-0.5], [0.6]],
    "between": [[1.5], [0.8], [2.5]],
    "within": [[1.0], [1.5], [0.7]],
}
DIMS = {"mu": "feature", "tau": "feature", "Gamma": "feature context", "a": "context"}
DIMS |= {"between": "context", "within": "context"}


def made(*, categories: bool, contexts: int = 1, seed: int = 0) -> bp.Comparisons:
    """One feature; users with 2 to 12 comparisons, the first of whom always sees category 1."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(6), [5, 2, 2, 3, 7, 12])
    frame = pd.DataFrame({"who": user, "long": rng.normal(size=user.size)})
    frame["won"] = rng.integers(0, 2, user.size)
    names = [f"x{k}" for k in range(contexts)]
    if categories:
        drawn = np.where(user == 0, 0, rng.integers(contexts + 1, size=user.size))
        frame[names] = np.eye(contexts + 1)[drawn][:, :contexts]
    else:
        frame[names] = rng.normal(size=(user.size, contexts)) + 0.5 * user[:, None]
    return bp.Comparisons.from_frame(
        frame, user="who", choice="won", difference=["long"], context=names
    )


def draws_of(
    model: bp.RewardModel, comparisons: bp.Comparisons, count: int, seed: int = 1
) -> xr.Dataset:
    prior = model.prior_predictive(comparisons, draws=count, seed=seed)
    return prior[list(model.variables(comparisons))]


def draws_by_hand(*, categories: bool, each: int = 1) -> xr.Dataset:
    """The three draws, each repeated."""
    return xr.Dataset(
        {
            name: (("chain", "draw", *DIMS[name].split()), np.repeat([values], each, axis=1))
            for name, values in SITES.items()
            if not (categories and name == "within")
        }
    )


def log_contexts(
    one: dict[str, np.ndarray], comparisons: bp.Comparisons, user: int, s: np.ndarray
) -> np.ndarray:
    """Log p(contexts of a user | s) for one context, (grid,), by the definition of the model."""
    x = comparisons.context[comparisons.user == user][:, 0]
    place = one["a"][0] + s
    if "within" in one:
        return norm.logpdf(x[:, None], place, one["within"][0]).sum(axis=0)
    return np.where(x[:, None] == 1, log_expit(place), log_expit(-place)).sum(axis=0)


def brute_force(
    one: dict[str, np.ndarray], comparisons: bp.Comparisons, user: int, *, given: bool = True
) -> float:
    """Log p(choices | contexts) by quadrature over s and the user's weight, one feature."""
    rows = comparisons.user == user
    d, y = comparisons.difference[rows, 0], comparisons.choice[rows]
    s = GRID * one["between"][0]
    prior = norm.logpdf(s, 0, one["between"][0])
    if given:
        prior = prior + log_contexts(one, comparisons, user, s)
    share = np.exp(prior - logsumexp(prior))
    u = np.linspace(-6, 6, 121)
    weight = one["mu"][0] + one["Gamma"][0, 0] * s[:, None] + one["tau"][0] * u
    likelihood = np.ones_like(weight)
    for difference, choice in zip(d, y, strict=True):
        p = expit(difference * weight)
        likelihood *= p if choice == 1 else 1 - p
    over_u = likelihood @ (norm.pdf(u) / norm.pdf(u).sum())
    return float(np.log(share @ over_u))


@pytest.mark.parametrize("categories", [False, True])
def test_leaving_a_user_out_integrates_over_the_cause_given_the_contexts(
    categories: bool,
) -> None:
    comparisons = made(categories=categories)
    model, draws = bp.SharedCauseReward(), draws_by_hand(categories=categories)
    population = model.population(draws, comparisons)
    found = user_log_likelihood(model, population, draws, comparisons)
    error = differs = 0.0
    for sample in range(3):
        one = {name: draws[name][0, sample].to_numpy() for name in draws}
        for user in range(comparisons.n_users):
            expected = brute_force(one, comparisons, user)
            error = max(error, abs(found[user, sample] - expected))
            wrong = brute_force(one, comparisons, user, given=False)
            differs = max(differs, abs(wrong - expected))
    assert error < 0.15  # the largest of dozens of errors of about 0.05
    # The wrong partner: a cause that does not depend on the contexts.
    assert differs > 0.2


@pytest.mark.parametrize("categories", [False, True])
def test_the_scores_have_the_moments_and_the_density_of_bayes_rule(categories: bool) -> None:
    comparisons = made(categories=categories)
    model, draws = bp.SharedCauseReward(), draws_by_hand(categories=categories)
    scores = model.population(draws, comparisons).scores
    many = model.population(draws_by_hand(categories=categories, each=1000), comparisons).scores
    errors, laplace = [], []
    for user in range(comparisons.n_users):
        own = scores.of_user(user)
        drawn = many.draw(user, np.random.default_rng(user))[:, 0].reshape(3, 1000)
        for sample in range(3):
            one = {name: draws[name][0, sample].to_numpy() for name in draws}
            s = GRID * one["between"][0]
            density = norm.logpdf(s, 0, one["between"][0])
            density = density + log_contexts(one, comparisons, user, s)
            share = np.exp(density - logsumexp(density))
            mean = share @ s
            sd = np.sqrt(share @ (s - mean) ** 2)
            assert abs(drawn[sample].mean() - mean) < 5 * sd / np.sqrt(1000)
            assert drawn[sample].std() == pytest.approx(sd, rel=5 / np.sqrt(2000))
            root, centre = own.root[sample, 0, 0], own.mean[sample, 0]
            z = ((s - centre) / root)[None, :, None]
            plain = norm.logpdf(z[0, :, 0]) - np.log(root) + np.log(s[1] - s[0])
            laplace.append(np.abs(np.exp(plain) - share).sum() / 2)
            ratio = 0.0
            if own.log_ratio is not None:
                ratio = own.log_ratio(z, slice(sample, sample + 1))[0]
            errors.append(np.abs(np.exp(plain + ratio) - share).sum() / 2)
    # Total variation distance from the density of Bayes' rule.
    assert max(errors) < 0.01
    if categories:  # the wrong partner: a normal distribution with the mode's curvature
        assert max(laplace) > 0.03


def test_several_categories_have_the_mean_scores_of_importance_sampling_from_the_prior() -> None:
    comparisons = made(categories=True, contexts=2)
    model = bp.SharedCauseReward(scale="raw")
    draws = draws_of(model, comparisons, 3)
    many = draws.isel(draw=np.repeat(np.arange(3), 400))
    scores = model.population(many, comparisons).scores
    e, log_density = importance_points(2, 2**15, 3)
    normal = norm.logpdf(e).sum(axis=1) - log_density
    for user in range(comparisons.n_users):
        drawn = scores.draw(user, np.random.default_rng(user)).reshape(3, 400, 2)
        x = comparisons.context[comparisons.user == user]
        total = np.append(x, (1 - x.sum(axis=1))[:, None], axis=1).sum(axis=0)
        for sample in range(3):
            one = {name: draws[name][0, sample].to_numpy() for name in draws}
            covariance = np.outer(one["between"], one["between"]) * one["between_correlation"]
            s = e @ np.linalg.cholesky(covariance).T
            eta = np.column_stack([one["a"] + s, np.zeros(len(s))])
            weight = normal + (eta - logsumexp(eta, axis=1, keepdims=True)) @ total
            weight = np.exp(weight - logsumexp(weight))
            mean = weight @ s
            sd = np.sqrt(weight @ (s - mean) ** 2)
            effective = 1 / (weight**2).sum()
            error = sd * np.sqrt(1 / 400 + 1 / effective)
            assert (np.abs(drawn[sample].mean(axis=0) - mean) < 5 * error).all()


@pytest.mark.parametrize("name", MODELS)
def test_new_users_in_place_of_the_known_have_the_distribution_of_new_users(name: str) -> None:
    comparisons, model = small_comparisons(covariates=False, users=6), MODELS[name]
    draws = draws_of(model, comparisons, 2).isel(draw=np.repeat([0, 1], 2500))
    population = model.population(draws, comparisons)
    drawn = population.draw(comparisons.n_users, np.random.default_rng(0))
    assert drawn.shape == (5000, 6, 2)
    user = population.of_user(2)
    for sample in (0, 2500):
        mean = np.exp(user.log_share[sample]) @ user.mean[sample]
        own = drawn[sample : sample + 2500, 2]
        spread = own.std(axis=0) + 1e-12
        assert (np.abs(own.mean(axis=0) - mean) < 5 * spread / 50).all()


def test_heads_of_a_representation_have_a_population_and_leave_users_out() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 4)), columns=["la", "lb", "ra", "rb"])
    frame["who"], frame["won"] = np.arange(60) % 6, rng.integers(0, 2, 60)
    comparisons = bp.Comparisons.from_frame(
        frame, user="who", choice="won", left=["la", "lb"], right=["ra", "rb"], features=["a", "b"]
    )
    model = bp.RepresentationReward(size=2, hidden=4)
    engine = bp.SVI(draws=60, steps=60, window=10, progress=False)
    with warnings.catch_warnings():  # the network is hardly trained
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        posterior = bp.fit(model, comparisons, engine, seed=0)
        found = bp.loo(posterior, by="user")
    assert np.isfinite(found.elpd)
    assert model.spec(comparisons) is None
    heads = bp.HierarchicalReward().population(posterior.draws, posterior.comparisons)
    ours = model.population(posterior.draws, posterior.comparisons)
    np.testing.assert_array_equal(ours.mean, heads.mean)
    np.testing.assert_array_equal(ours.factor, heads.factor)
